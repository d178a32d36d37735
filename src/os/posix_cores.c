/* How many cores are worth computing on: physical ones, fast ones, those this process may use.
 *
 * Linux tells it in files: which CPUs are hyper-threads of one core, and which are the performance
 * cores of a hybrid processor (Intel: a list of them; ARM: a capacity for each). What a system does
 * not tell counts as one plain core per CPU. */
#ifndef _WIN32
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include "os/posix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __APPLE__
#include <sys/types.h>
#include <sys/sysctl.h>
#endif
#ifdef __linux__
#include <sched.h>
#endif

/* ---- The files of Linux; compiled everywhere, so that tests can run it on a made-up folder ----
 */

static bool read_line(const char *root, const char *name, char *out, size_t cap) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(out, (int)cap, f);
    if (f) fclose(f);
    return ok;
}

/* Sets the CPUs of a list such as "0-3,8" in `set`. */
static void read_list(const char *text, uint8_t *set, unsigned cap) {
    for (const char *p = text; *p >= '0' && *p <= '9';) {
        char *end;
        unsigned long from = strtoul(p, &end, 10), to = from;
        if (*end == '-') to = strtoul(end + 1, &end, 10);
        for (unsigned long i = from; i <= to && i < cap; i++) set[i] = 1;
        p = *end == ',' ? end + 1 : end;
        if (p == text) return;
    }
}

/* Keeps the performance cores of `mine`, where the system tells them apart and any is left. */
static void keep_fast(const char *root, uint8_t *mine, unsigned cap) {
    static const char capacity[] = "devices/system/cpu/cpu%u/cpu_capacity";
    uint8_t fast[IG_OS_MOST_CPUS] = {0};
    char text[4096], name[96];
    unsigned most = 0, value[IG_OS_MOST_CPUS], left = 0;
    bool listed = read_line(root, "devices/cpu_core/cpus", text, sizeof text);
    if (listed) read_list(text, fast, cap);
    for (unsigned i = 0; i < cap && !listed; i++) {
        snprintf(name, sizeof name, capacity, i);
        value[i] = mine[i] && read_line(root, name, text, sizeof text) ? (unsigned)atoi(text) : 0;
        if (value[i] > most) most = value[i];
    }
    /* big cores differ a little among themselves; little ones have less than half */
    for (unsigned i = 0; i < cap && !listed; i++) fast[i] = !most || value[i] * 2 >= most;
    for (unsigned i = 0; i < cap; i++) left += mine[i] && fast[i];
    for (unsigned i = 0; i < cap && left; i++) mine[i] = mine[i] && fast[i];
}

unsigned ig_os_count_cores(const char *root, uint8_t *mine, unsigned cap) {
    unsigned n = 0;
    keep_fast(root, mine, cap);
    for (unsigned i = 0; i < cap; i++) {
        uint8_t same[IG_OS_MOST_CPUS] = {0};
        char text[4096], name[96];
        if (!mine[i]) continue;
        n++;
        snprintf(name, sizeof name, "devices/system/cpu/cpu%u/topology/core_cpus_list", i);
        bool told = read_line(root, name, text, sizeof text);
        snprintf(name, sizeof name, "devices/system/cpu/cpu%u/topology/thread_siblings_list", i);
        if (!told) told = read_line(root, name, text, sizeof text); /* before Linux 5.2 */
        if (told) read_list(text, same, cap);
        for (unsigned j = i; j < cap; j++) mine[j] = mine[j] && !same[j];
    }
    return n ? n : 1;
}

/* ---- This machine ---- */

#ifdef __linux__
static unsigned platform_cores(void) {
    cpu_set_t sets[IG_OS_MOST_CPUS / CPU_SETSIZE];
    uint8_t mine[IG_OS_MOST_CPUS];
    if (sched_getaffinity(0, sizeof sets, sets)) return ig_os_cpu_count();
    for (unsigned i = 0; i < IG_OS_MOST_CPUS; i++) mine[i] = CPU_ISSET_S(i, sizeof sets, sets) != 0;
    return ig_os_count_cores("/sys", mine, IG_OS_MOST_CPUS);
}
#elif defined(__APPLE__)
static unsigned platform_cores(void) {
    int n = 0;
    size_t size = sizeof n;
    if (sysctlbyname("hw.perflevel0.physicalcpu", &n, &size, NULL, 0) || n < 1) {
        size = sizeof n;
        if (sysctlbyname("hw.physicalcpu", &n, &size, NULL, 0)) n = 0;
    }
    return n > 0 ? (unsigned)n : ig_os_cpu_count();
}
#else
static unsigned platform_cores(void) {
    return ig_os_cpu_count();
}
#endif

unsigned ig_os_core_count(void) {
    unsigned cores = platform_cores(), cpus = ig_os_cpu_count(); /* the second knows quotas */
    return cores < cpus ? cores : cpus;
}
#else
typedef int ig_posix_cores_not_here; /* ISO C wants a declaration in every file */
#endif
