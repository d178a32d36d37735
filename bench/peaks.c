/* Bare loops of one instruction on sixteen independent registers, and a walk over memory. */
#include "peaks.h"
#include "together.h"
#include <stdatomic.h>
#include <string.h>

enum { ROUNDS = 1000000, UNROLLED = 16, TRIALS = 3 };

struct loop {
    const char *table; /* of these kernels */
    const char *name;  /* the instruction */
    int lanes;         /* multiply-adds of one */
    void (*run)(void *ud, int thread);
};

#define SIXTEEN(I)                                                                                 \
    I(0) I(1) I(2) I(3) I(4) I(5) I(6) I(7) I(8) I(9) I(10) I(11) I(12) I(13) I(14) I(15)
/* A register times itself: the chains are one instruction long and zeros stay zeros. */
#define LOOP(name, zero, instruction)                                                              \
    static void name(void *ud, int thread) {                                                       \
        (void)ud, (void)thread;                                                                    \
        __asm__ volatile(zero : : : CLOBBER);                                                      \
        for (int i = 0; i < ROUNDS; i++) __asm__ volatile(SIXTEEN(instruction) : : : CLOBBER);     \
    }

#if defined(__GNUC__) && defined(__x86_64__)

#define CLOBBER                                                                                    \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"
#define X86(op, size, n) op " %%" size #n ", %%" size #n ", %%" size #n "\n\t"
#define VNNI_512(n)      X86("vpdpbusd", "zmm", n)
#define VNNI_256(n)      X86("%{vex%} vpdpbusd", "ymm", n)
#define VNNI_VL(n)       X86("%{evex%} vpdpbusd", "ymm", n)
#define MADD_512(n)      X86("vpmaddubsw", "zmm", n)
#define MADD_256(n)      X86("vpmaddubsw", "ymm", n)
#define FMA_512(n)       X86("vfmadd231ps", "zmm", n)
#define FMA_256(n)       X86("vfmadd231ps", "ymm", n)
LOOP(vnni_512, "vzeroall", VNNI_512)
LOOP(vnni_256, "vzeroall", VNNI_256)
LOOP(vnni_vl, "vzeroall", VNNI_VL)
LOOP(madd_512, "vzeroall", MADD_512)
LOOP(madd_256, "vzeroall", MADD_256)
LOOP(fma_512, "vzeroall", FMA_512)
LOOP(fma_256, "vzeroall", FMA_256)

/* The tables without VNNI widen the 16-bit sums of vpmaddubsw with a second instruction now and
 * then, so their peak cannot quite be reached. */
static const struct loop int8_loops[] = {
    {"avx512", "vpdpbusd zmm", 64, vnni_512},
    {"avx512bw", "vpmaddubsw zmm", 64, madd_512},
    {"avxvnni", "vpdpbusd ymm", 32, vnni_256},
    {"vnni256", "vpdpbusd ymm", 32, vnni_vl},
    {"avx2", "vpmaddubsw ymm", 32, madd_256},
    {0},
};
static const struct loop fma_loops[] = {
    {"avx512", "vfmadd231ps zmm", 16, fma_512},
    {"avx512bw", "vfmadd231ps zmm", 16, fma_512},
    {"avxvnni", "vfmadd231ps ymm", 8, fma_256},
    {"vnni256", "vfmadd231ps ymm", 8, fma_256},
    {"avx2", "vfmadd231ps ymm", 8, fma_256},
    {0},
};

#elif defined(__GNUC__) && defined(__aarch64__)

#define CLOBBER                                                                                    \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", \
        "v15"
#define ZERO(n) "movi v" #n ".16b, #0\n\t"
#define ARM(extension, op, n, to, from)                                                            \
    ".arch_extension " extension "\n\t" op " v" #n "." to ", v" #n "." from ", v" #n "." from "\n" \
    "\t"
#define SDOT(n)  ARM("dotprod", "sdot", n, "4s", "16b")
#define SMMLA(n) ARM("i8mm", "smmla", n, "4s", "16b")
#define FMLA(n)  ARM("simd", "fmla", n, "4s", "4s")
LOOP(sdot, SIXTEEN(ZERO), SDOT)
LOOP(smmla, SIXTEEN(ZERO), SMMLA)
LOOP(fmla, SIXTEEN(ZERO), FMLA)

static const struct loop int8_loops[] = {
    {"dotprod", "sdot", 16, sdot}, {"i8mm", "smmla", 32, smmla}, {0}};
static const struct loop fma_loops[] = {
    {"neon", "fmla", 4, fmla}, {"dotprod", "fmla", 4, fmla}, {"i8mm", "fmla", 4, fmla}, {0}};

#else
static const struct loop int8_loops[] = {{0}}, fma_loops[] = {{0}};
#endif

/* Multiply-adds per second, best of some trials; 0 where the table has no such loop. */
static double rate(const struct loop *loops, const char *table, int threads, const char **name) {
    const struct loop *l = loops;
    while (l->table && strcmp(l->table, table) != 0) l++;
    *name = l->name;
    double best = 0;
    for (int i = 0; l->run && i < TRIALS; i++) {
        double time = together(threads, l->run, NULL),
               speed = (double)l->lanes * UNROLLED * ROUNDS * threads / time;
        best = speed > best ? speed : best;
    }
    return best;
}

struct walk {
    const uint8_t *memory;
    size_t part;  /* bytes of one thread */
    size_t ahead; /* bytes to prefetch ahead; 0: leave it to the machine */
    atomic_ullong sum;
};

/* One word of each line of 64 bytes: the whole line has to come. */
static void walk_part(void *ud, int thread) {
    struct walk *w = ud;
    const uint8_t *p = w->memory + w->part * (size_t)thread, *end = p + w->part;
    uint64_t sum[4] = {0}, word;
    for (; p < end; p += 256) {
        for (int i = 0; i < 4; i++) {
#ifdef __GNUC__
            if (w->ahead) __builtin_prefetch(p + 64 * i + w->ahead, 0, 2);
#endif
            memcpy(&word, p + 64 * i, sizeof word);
            sum[i] += word;
        }
    }
    atomic_fetch_add(&w->sum, sum[0] + sum[1] + sum[2] + sum[3]);
}

static double read_rate(int threads, const uint8_t *memory, size_t bytes) {
    static const size_t ahead[] = {0, 512, 1024, 4096};
    struct walk w = {.memory = memory, .part = bytes / (size_t)threads / 256 * 256};
    double best = 0;
    for (size_t i = 0; i < TRIALS * sizeof ahead / sizeof *ahead; i++) {
        w.ahead = ahead[i % (sizeof ahead / sizeof *ahead)];
        double speed = (double)w.part * threads / together(threads, walk_part, &w);
        best = speed > best ? speed : best;
    }
    return best;
}

struct peaks peaks_measure(const char *table, int threads, const uint8_t *memory, size_t bytes) {
    struct peaks p = {0};
    p.int8 = rate(int8_loops, table, threads, &p.int8_name);
    p.fma = rate(fma_loops, table, threads, &p.fma_name);
    p.read = read_rate(threads, memory, bytes);
    return p;
}
