/* Quantised linear layers: every table gives the bits of the scalar one, for every block type, with
 * random and with the most extreme blocks and activations, for one input and for many, whatever the
 * shape. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cpu/kernels.h"
#include "quant_golden.h"

enum { COLS = 3328, MAX_ROWS = 70, MAX_N = 300 }; /* two slices, four panels, the last ones short */

static uint64_t seed = 0x2545F4914F6CDD1Du;
static uint64_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static bool finite_block(const struct ig_quant *t, const uint8_t *b) {
    float v[IG_QUANT_MAX_BLOCK];
    t->decode(b, v, 1);
    for (int i = 0; i < t->block; i++)
        if (!isfinite(v[i])) return false;
    return true;
}

/* A block of one repeated byte; where that makes a scale NaN, the first 1..4 bytes whose change
 * cures it are changed. */
static void extreme_block(const struct ig_quant *t, uint8_t fill, uint8_t *b) {
    static const uint8_t fine[4] = {0xFF, 0x7B, 0xFF, 0x7B}; /* the largest half */
    for (size_t n = 0; n <= 4; n += 2)
        for (size_t at = 0; at + n <= t->bytes; at++) {
            memset(b, fill, t->bytes);
            memcpy(b + at, fine, n);
            if (finite_block(t, b)) return;
        }
    memset(b, 0, t->bytes);
}

static void fill_weights(const struct ig_quant *t, int mode, uint8_t *w, size_t blocks) {
    static const uint8_t bytes[] = {0x00, 0xFF, 0x80, 0x7F, 0x0F, 0xF0, 0x88, 0x77};
    for (size_t i = 0; i < blocks; i++, w += t->bytes) {
        if (mode == 1 || (mode == 2 && next() % 2)) {
            extreme_block(t, bytes[next() >> 61], w);
            continue;
        }
        do
            for (size_t k = 0; k < t->bytes; k++) w[k] = (uint8_t)(next() >> 30);
        while (!finite_block(t, w));
    }
}

static void fill_inputs(const struct ig_quant *t, int mode, struct ig_act_rows *a) {
    unsigned per = t->kind == IG_QUANT_A256 ? 256 : 32;
    static const float scales[] = {0, 0x1p-149f, 0x1p-130f, 1e-3f, 1, 1e3f, 1e10f, 0.007f};
    a->q_stride = COLS + 64, a->d_stride = COLS / per + 3, a->s_stride = COLS / 16 + 5;
    for (size_t i = 0; i < MAX_N; i++) {
        for (size_t k = 0; k < COLS; k++) {
            int v = (int)(next() % 255) - 127;
            if (mode) v = i % 4 == 0 ? 127 : i % 4 == 1 ? -127 : next() % 2 ? 127 : -127;
            a->q[i * a->q_stride + k] = (int8_t)v;
        }
        for (size_t u = 0; u < COLS / per; u++)
            a->d[i * a->d_stride + u] =
                mode ? scales[next() >> 61] : 0.01f * (float)(next() % 100 + 1);
        for (size_t g = 0; g < COLS / 16; g++) {
            int sum = 0;
            for (size_t k = 0; k < 16; k++) sum += a->q[i * a->q_stride + 16 * g + k];
            a->sum[i * a->s_stride + g] = (int16_t)sum;
        }
    }
}

static struct ig_act_rows act;
static uint8_t *weights;
static float *want, *got;
static void *scratch;

static void compare(const struct ig_kernels *k, struct ig_linear j) {
    size_t size = (size_t)MAX_N * MAX_ROWS;
    for (size_t i = 0; i < size; i++) want[i] = got[i] = -777;
    j.scratch = scratch;
    j.y = want;
    ig_kernels_scalar.linear_quant(&j);
    j.y = got;
    k->linear_quant(&j);
    for (size_t i = 0; i < size; i++)
        if (memcmp(want + i, got + i, 4) && !(isnan(want[i]) && isnan(got[i])))
            fail_msg("%s %s, %u rows, %u columns, %u inputs: value %zu is %a, not %a", k->name,
                     j.type->name, j.rows, j.cols, j.n, i, got[i], want[i]);
}

static void same_bits(const struct ig_kernels *k) {
    static const uint32_t shapes[][3] = {
        {16, 256, 1},  {64, 1024, 1},  {33, 3328, 1},  {16, 2304, 2}, {16, 1280, 3},  {17, 768, 7},
        {64, 512, 16}, {5, 256, 3},    {70, 2048, 5},  {16, 3328, 9}, {16, 256, 300}, {1, 512, 1},
        {32, 3072, 4}, {33, 3328, 13}, {70, 2304, 21}, {49, 256, 12}, {16, 2048, 65}, {48, 3328, 2},
        {33, 1024, 4}, {32, 2048, 6},  {17, 512, 8},   {16, 3328, 3}};
    uint32_t shuffled[MAX_N];
    for (uint32_t i = 0; i < MAX_N; i++) shuffled[i] = i * 7 % MAX_N;
    const struct ig_quant *t;
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        if (!t->unpack) continue;
        for (int mode = 0; mode < 3; mode++) {
            /* the matrix ends where the memory does, so that a sanitizer sees reads beyond it */
            uint8_t *end = weights + (size_t)MAX_ROWS * COLS * 2;
            size_t all = (size_t)COLS / t->block * MAX_ROWS;
            fill_weights(t, mode, end - all * t->bytes, all);
            fill_inputs(t, mode, &act);
            for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
                struct ig_linear j = {.type = t,
                                      .rows = shapes[s][0],
                                      .cols = shapes[s][1],
                                      .act = act,
                                      .n = shapes[s][2],
                                      .y_stride = MAX_ROWS};
                j.row_bytes = (size_t)j.cols / t->block * t->bytes;
                j.w = end - j.rows * j.row_bytes;
                if (s % 2) j.x_index = shuffled, j.y_index = shuffled;
                compare(k, j);
            }
        }
    }
}

static void tables_are_exact(void **state) {
    (void)state;
    static const char *const names[] = {"avx2",    "avxvnni", "avx512bw", "vnni256",
                                        "avx512", "neon",    "i8mm"};
    int run = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct ig_kernels *k = ig_kernels_choose(names[i]);
        print_message("%s%s\n", names[i], k ? "" : ": not on this machine");
        if (k) same_bits(k), run++;
    }
    if (!run) skip();
}

/* The scalar table itself against the definition in double precision. */
static void scalar_is_right(void **state) {
    (void)state;
    const struct ig_quant *t;
    float row[COLS];
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        if (!t->unpack) continue;
        unsigned per = t->kind == IG_QUANT_A256 ? 256 : 32;
        for (size_t b = 0; b < (size_t)COLS / t->block; b++)
            memcpy(weights + b * t->bytes, golden_of(t->id)->block, t->bytes);
        fill_inputs(t, 0, &act);
        struct ig_linear j = {.type = t,
                              .w = weights,
                              .rows = 1,
                              .cols = COLS,
                              .act = act,
                              .n = 1,
                              .y = got,
                              .y_stride = 1,
                              .scratch = scratch};
        ig_kernels_scalar.linear_quant(&j);
        double sum = 0, size = 0;
        t->decode(weights, row, (size_t)COLS / t->block);
        for (size_t k = 0; k < COLS; k++) {
            double x = (double)act.d[k / per] * act.q[k];
            sum += row[k] * x;
            size += fabs(row[k] * x);
        }
        if (!(fabs(sum - got[0]) <= 1e-5 * size)) fail_msg("%s: %g, not %g", t->name, got[0], sum);
    }
}

static int setup(void **state) {
    (void)state;
    size_t bytes = 0;
    static const struct ig_kernels *const all[] = {&ig_kernels_scalar, &ig_kernels_avx2,
                                                   &ig_kernels_avx512, &ig_kernels_neon};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) /* the others need what avx2 needs */
        if (all[i]->name && all[i]->scratch_bytes(COLS) > bytes)
            bytes = all[i]->scratch_bytes(COLS);
    scratch = aligned_alloc(64, (bytes + 63) / 64 * 64);
    weights = malloc((size_t)MAX_ROWS * COLS * 2);
    want = malloc(sizeof *want * MAX_N * MAX_ROWS);
    got = malloc(sizeof *got * MAX_N * MAX_ROWS);
    act.q = malloc((size_t)MAX_N * (COLS + 64));
    act.d = malloc(sizeof *act.d * MAX_N * (COLS / 32 + 3));
    act.sum = malloc(sizeof *act.sum * MAX_N * (COLS / 16 + 5));
    return scratch && weights && want && got && act.q && act.d && act.sum ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    free(scratch), free(weights), free(want), free(got), free(act.q), free(act.d), free(act.sum);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalar_is_right),
        cmocka_unit_test(tables_are_exact),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
