/* Which table this machine runs: asked once, at open. */
#include "cpu/kernels.h"
#include "cpu/many.h"

#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>

/* Asked of the processor itself: older compilers' __builtin_cpu_supports does not know it. */
static bool has_avxvnni(void) {
    unsigned a, b, c, d;
    return ig_many_avxvnni && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}

static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

static bool can_run(const char *name) {
    __builtin_cpu_init();
    if (strcmp(name, "scalar") == 0) return true;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return false;
    if (strcmp(name, "avxvnni") == 0) return has_avxvnni();
    if (strcmp(name, "avx512bw") == 0) return has_avx512();
    if (strcmp(name, "avx512") == 0 || strcmp(name, "vnni256") == 0)
        return has_avx512() && __builtin_cpu_supports("avx512vnni");
    return strcmp(name, "avx2") == 0;
}
#else
static bool can_run(const char *name) {
    return strcmp(name, "scalar") == 0 || ig_kernels_arm_can_run(name);
}
#endif

/* The best first. "auto" comes to vnni256 never: who has it has avx512. */
const struct ig_kernels *ig_kernels_choose(const char *name) {
    static const struct ig_kernels *const tables[] = {&ig_kernels_avx512,  &ig_kernels_avxvnni,
                                                      &ig_kernels_vnni256, &ig_kernels_avx512bw,
                                                      &ig_kernels_avx2,    &ig_kernels_i8mm,
                                                      &ig_kernels_neon,    &ig_kernels_scalar};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const struct ig_kernels *k = tables[i];
        if (!k->name || !can_run(k->name)) continue;
        if (strcmp(name, "auto") == 0 || strcmp(name, k->name) == 0) return k;
    }
    return NULL;
}
