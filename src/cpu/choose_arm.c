/* Which of the NEON tables this machine runs. Linux and Android say it in the auxiliary vector, macOS by sysctl, Windows by
 * IsProcessorFeaturePresent; other systems get the scalar table. */
#include "cpu/kernels.h"

#include <string.h>

#if !defined(__aarch64__)

bool ig_kernels_arm_can_run(const char *name) {
    (void)name;
    return false;
}

#else

#if defined(__linux__)
#include <sys/auxv.h>

static bool has_dot(void) {
    return getauxval(AT_HWCAP) >> 20 & 1; /* HWCAP_ASIMDDP */
}
static bool has_i8mm(void) {
    return getauxval(AT_HWCAP2) >> 13 & 1; /* HWCAP2_I8MM */
}

#elif defined(__APPLE__)
#include <sys/sysctl.h>

static bool asked(const char *feature) {
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname(feature, &value, &size, NULL, 0) == 0 && value;
}
static bool has_dot(void) {
    return asked("hw.optional.arm.FEAT_DotProd");
}
static bool has_i8mm(void) {
    return asked("hw.optional.arm.FEAT_I8MM");
}

#elif defined(_WIN32)
#include <windows.h>

static bool has_dot(void) {
    return IsProcessorFeaturePresent(43); /* PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE */
}
static bool has_i8mm(void) {
    return IsProcessorFeaturePresent(66); /* PF_ARM_V82_I8MM_INSTRUCTIONS_AVAILABLE */
}

#else

static bool has_dot(void) {
    return false;
}
static bool has_i8mm(void) {
    return false;
}

#endif

bool ig_kernels_arm_can_run(const char *name) {
    if (strcmp(name, "neon") == 0) return has_dot();
    return strcmp(name, "i8mm") == 0 && has_dot() && has_i8mm();
}

#endif
