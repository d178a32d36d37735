/* Speed of the matrix kernels by themselves, one thread, in CPU time: one input (GB/s of weights
 * read from memory) and many (GMAC/s).
 *
 *   cc -O2 -Iinclude -Isrc bench/kernels.c $(cat src/files.txt) -lm -lpthread -ldl -o build/kernels
 *   build/kernels [table] [type...]        tables: scalar avx2 avx512 auto */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cpu/kernels.h"

enum { COLS = 2048, MANY = 512, WEIGHT_BYTES = 256 << 20 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint64_t seed = 88172645463325252u;
static uint64_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Best of three, in seconds, in chunks of 64 rows as the executor does. */
static double run(const struct ig_kernels *k, struct ig_linear j, uint32_t rows) {
    double best = 1e9;
    for (int trial = 0; trial < 3; trial++) {
        double start = now();
        for (uint32_t r = 0; r + 64 <= rows; r += 64) {
            struct ig_linear part = j;
            part.w = j.w + j.row_bytes * r;
            part.y = j.y + r;
            part.rows = 64;
            k->linear_quant(&part);
        }
        double time = now() - start;
        if (time < best) best = time;
    }
    return best;
}

static void measure(const struct ig_kernels *k, const struct ig_quant *t, uint8_t *w,
                    struct ig_linear j) {
    size_t row_bytes = (size_t)COLS / t->block * t->bytes,
           rows = WEIGHT_BYTES / row_bytes / 64 * 64;
    for (size_t i = 0; i < WEIGHT_BYTES / 8; i++) { /* small exponents everywhere: no infinities */
        uint64_t v = next() & 0x3BFF3BFF3BFF3BFFu;
        memcpy(w + 8 * i, &v, 8);
    }
    j.type = t;
    j.w = w;
    j.row_bytes = row_bytes;
    j.y_stride = rows;
    j.n = 1;
    double one = run(k, j, (uint32_t)rows);
    j.n = MANY;
    j.y_stride = 512;
    double many = run(k, j, 512);
    printf("%-8s %-8s %7.2f GB/s (%.1f G weights/s)   %7.1f GMAC/s\n", k->name, t->name,
           1e-9 * (double)(row_bytes * rows) / one, 1e-9 * (double)rows * COLS / one,
           1e-9 * 512 * MANY * COLS / many);
    fflush(stdout);
}

int main(int argc, char **argv) {
    const struct ig_kernels *k = ig_kernels_choose(argc > 1 ? argv[1] : "auto");
    if (!k) return fprintf(stderr, "no such table here\n"), 2;
    uint8_t *w = malloc(WEIGHT_BYTES);
    float *x = malloc(COLS * sizeof *x), *y = malloc(((size_t)8 << 20) * sizeof *y);
    struct ig_linear j = {.cols = COLS, .y = y};
    j.scratch = aligned_alloc(64, (k->scratch_bytes(COLS) + 63) / 64 * 64);
    j.act.q_stride = COLS, j.act.s_stride = COLS / 16, j.act.d_stride = COLS / 32;
    j.act.q = malloc((size_t)MANY * COLS);
    j.act.sum = malloc((size_t)MANY * COLS / 16 * sizeof *j.act.sum);
    j.act.d = malloc((size_t)MANY * COLS / 32 * sizeof *j.act.d);
    const struct ig_quant *t;
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        int wanted = argc <= 2;
        for (int a = 2; a < argc; a++) wanted |= ig_quant_by_name(argv[a], strlen(argv[a])) == t;
        if (!t->unpack || !wanted) continue;
        for (size_t r = 0; r < MANY; r++) {
            for (int c = 0; c < COLS; c++) x[c] = (float)(int64_t)next() * 0x1p-63f;
            k->quantize(x, COLS, t->kind == IG_QUANT_A256 ? 256 : 32, j.act.q + r * j.act.q_stride,
                        j.act.d + r * j.act.d_stride, j.act.sum + r * j.act.s_stride);
        }
        measure(k, t, w, j);
    }
    return 0;
}
