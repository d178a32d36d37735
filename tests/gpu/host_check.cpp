/* Kernels that try the host device itself (test_host.c). */
#define IG_SUBGROUP 32
#include "gpu/prelude.h"

struct ig_check_args {
    u32 n;
};

KERNEL(check_reverse, 64) BUF(0, const u32, a) BUF(1, u32, dst) ARGS(2, ig_check_args, p) {
    LOCAL(u32, part, 64);
    u32 i = GROUP_X * 64 + ITEM;
    part[ITEM] = i < p.n ? a[i] : 0;
    BARRIER();
    if (i < p.n) dst[i] = part[63 - ITEM];
}

KERNEL(check_sums, 64) BUF(0, const u32, a) BUF(1, u32, dst) ARGS(2, ig_check_args, p) {
    i32 x = (i32)a[ITEM];
    if (ITEM >= 32) { /* one half sums twice, the other goes on alone */
        for (u32 m = 16; m; m /= 2) x += SG_XOR_I(x, m);
    }
    for (u32 m = 16; m; m /= 2) x += SG_XOR_I(x, m);
    BARRIER();
    dst[ITEM] = (u32)x + p.n;
}

KERNEL(check_parted, 8) BUF(0, u32, dst) ARGS(1, ig_check_args, p) {
    if (ITEM < p.n) BARRIER();
    dst[ITEM] = ITEM;
}

KERNEL(check_beyond, 8) BUF(0, u32, dst) ARGS(1, ig_check_args, p) {
    dst[p.n + ITEM] = ITEM;
}

IG_HOST_ROW("check", check_reverse, 64)
IG_HOST_ROW("check", check_sums, 64)
IG_HOST_ROW("check", check_parted, 8)
IG_HOST_ROW("check", check_beyond, 8)
