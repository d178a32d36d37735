/* Which table this machine runs: asked once, at open. */
#include "cpu/kernels.h"

#include <string.h>

static bool can_run(const char *name) {
    if (strcmp(name, "scalar") == 0) return true;
#if defined(__x86_64__) && defined(__GNUC__)
    __builtin_cpu_init();
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (strcmp(name, "avx2") == 0) return avx2;
    if (strcmp(name, "avx512") == 0)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vnni");
#endif
    return false;
}

const struct ig_kernels *ig_kernels_choose(const char *name) {
    static const struct ig_kernels *const tables[] = {&ig_kernels_avx512, &ig_kernels_avx2,
                                                      &ig_kernels_scalar};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        const struct ig_kernels *k = tables[i];
        if (!k->name || !can_run(k->name)) continue;
        if (strcmp(name, "auto") == 0 || strcmp(name, k->name) == 0) return k;
    }
    return NULL;
}
