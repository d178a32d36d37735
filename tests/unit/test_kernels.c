/* The kernels that have loops of their own for each instruction set (quantisation of activations,
 * linear layers with float weights, attention) give the bits of the scalar table. Matrix kernels
 * for block types: test_linear_quant.c. */
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

static uint64_t seed = 0x2545F4914F6CDD1Du;
static uint64_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}
static float uniform(void) {
    return (float)(int64_t)next() * 0x1p-63f;
} /* -1 .. 1 */

/* The tables to compare, as far as this machine runs them. */
static const struct ig_kernels *other(size_t i) {
    static const char *const names[] = {"avx2", "avx512"};
    return ig_kernels_choose(names[i]);
}

/* Activations: same integers, scales and sums, with odd values among them. */
static void quantize_is_exact(void **state) {
    (void)state;
    static const float odd[] = {0, -0.0f, 1e-42f, -1e-40f, 1e30f, 3e38f, -3e38f, 0.5f};
    float x[512], d[2][16];
    int8_t q[2][512];
    int16_t sum[2][32];
    for (size_t i = 0; i < 2; i++) {
        const struct ig_kernels *kernels = other(i);
        for (int trial = 0; kernels && trial < 4000; trial++) {
            uint32_t per = trial % 2 ? 32 : 256;
            float size = trial % 5 == 0 ? 1e-41f : trial % 5 == 1 ? 1e30f : 1.0f;
            for (int k = 0; k < 512; k++) {
                x[k] = uniform() * size;
                if (trial % 7 == 0 && next() % 8 == 0) x[k] = odd[next() >> 61];
                if (trial % 11 == 0) x[k] = rintf(x[k] * 254) / 2; /* ties */
            }
            memset(d, 0, sizeof d);
            ig_kernels_scalar.quantize(x, 512, per, q[0], d[0], sum[0]);
            kernels->quantize(x, 512, per, q[1], d[1], sum[1]);
            assert_memory_equal(q[0], q[1], 512);
            assert_memory_equal(sum[0], sum[1], sizeof sum[0]);
            assert_memory_equal(d[0], d[1], sizeof d[0]);
            for (int g = 0; g < 32; g++) {
                int s = 0;
                for (int k = 0; k < 16; k++) s += q[1][16 * g + k];
                assert_int_equal(s, sum[1][g]);
            }
        }
    }
}

static void float_rows_are_exact(void **state) {
    (void)state;
    enum { COLS = 3300, ROWS = 13, N = 37 }; /* more inputs than a block of them */
    static const char *const names[] = {"F32", "F16", "BF16"};
    static const uint32_t shapes[][3] = {
        {3, 64, 1}, {5, 2100, 2}, {2, 17, 9}, {7, 2048, 5}, {1, 3300, 11}, {13, 2100, 37}, {12, 47, 3}};
    float *x = malloc(sizeof *x * N * COLS), *w = malloc(sizeof *w * ROWS * COLS), y[2][N * 16];
    uint8_t *weights = malloc((size_t)ROWS * COLS * 4);
    for (int k = 0; k < N * COLS; k++) x[k] = uniform();
    for (int k = 0; k < ROWS * COLS; k++) w[k] = uniform();
    for (size_t i = 0; i < 6; i++) {
        const struct ig_kernels *k = other(i & 1);
        const struct ig_quant *t = ig_quant_by_name(names[i / 2], strlen(names[i / 2]));
        t->encode(w, weights, ROWS * COLS);
        for (size_t s = 0; k && s < sizeof shapes / sizeof *shapes; s++) {
            struct ig_linear j = {.type = t,
                                  .w = weights,
                                  .rows = shapes[s][0],
                                  .cols = shapes[s][1],
                                  .n = shapes[s][2],
                                  .x = x,
                                  .x_stride = COLS,
                                  .y_stride = 16};
            j.row_bytes = (size_t)j.cols * t->bytes;
            memset(y, 0, sizeof y);
            j.y = y[0];
            ig_kernels_scalar.linear_float(&j);
            j.y = y[1];
            k->linear_float(&j);
            assert_memory_equal(y[0], y[1], sizeof y[0]);
        }
    }
    free(x), free(w), free(weights);
}

static void set_element(unsigned type, uint8_t *at, size_t i, float v) {
    uint16_t h = ig_f32_to_f16(v);
    if (type == IG_CACHE_F32)
        memcpy(at + 4 * i, &v, 4);
    else if (type == IG_CACHE_F16)
        memcpy(at + 2 * i, &h, 2);
    else
        at[i] = (uint8_t)(int8_t)(v * 127);
}

static void fill_cache(struct ig_cache *cache, unsigned type, uint32_t positions) {
    const struct ig_cache_layer *l = &cache->layers[0];
    for (uint32_t p = 0; p < positions; p += IG_CACHE_BLOCK) {
        uint8_t *block = ig_cache_block(cache, l, p);
        for (size_t h = 0; h < l->n_head_kv; h++) {
            for (size_t i = 0; i < (size_t)l->head_k * IG_CACHE_BLOCK; i++)
                set_element(type, block + l->k_at + l->k_head * h, i, uniform());
            for (size_t i = 0; i < (size_t)l->v_stride * IG_CACHE_BLOCK; i++)
                set_element(type, block + l->v_at + l->v_head * h, i, uniform());
        }
        for (size_t i = 0; type == IG_CACHE_Q8 && i < l->n_head_kv * IG_CACHE_BLOCK; i++) {
            set_element(IG_CACHE_F32, block + l->k_scale_at, i, 0.01f * (float)(next() % 10));
            set_element(IG_CACHE_F32, block + l->v_scale_at, i, 0.01f * (float)(next() % 10));
        }
    }
}

/* All element types, numbers of heads, widths, windows, ALiBi, soft caps and sinks. */
static void attend_is_exact(void **state) {
    (void)state;
    static const uint32_t widths[][2] = {{64, 64}, {80, 80}, {128, 128}, {24, 40}, {96, 16}};
    enum { N = 700, HEADS = 7 };
    static float q[HEADS * 128], out[2][HEADS * 128], slopes[HEADS], sinks[HEADS];
    for (int i = 0; i < HEADS * 128; i++) q[i] = 2 * uniform();
    for (int i = 0; i < HEADS; i++) slopes[i] = 0.1f * (float)(i + 1), sinks[i] = (float)i - 2;
    for (unsigned type = IG_CACHE_F16; type <= IG_CACHE_Q8; type++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
            struct ig_mem mem = {0};
            struct ig_cache cache = {0};
            struct ig_cache_want layer = {
                .n_head_kv = 2, .head_k = widths[w][0], .head_v = widths[w][1]};
            assert_int_equal(
                ig_cache_open(&cache, &mem, &layer, 1, (enum ig_cache_type)type, N, N, NULL),
                INGLE_OK);
            assert_int_equal(ig_cache_reserve(&cache, N, NULL), INGLE_OK);
            fill_cache(&cache, type, N);
            for (uint32_t trial = 0; trial < 56; trial++) {
                const struct ig_kernels *k = other(trial & 1);
                uint32_t last = (uint32_t)(next() % N), kind = trial / 2;
                struct ig_attend j = {.cache = &cache,
                                      .layer = &cache.layers[0],
                                      .kv_head = kind % 2,
                                      .n_q = 1 + kind % HEADS,
                                      .q = q,
                                      .last = last,
                                      .first = kind % 3 ? 0 : (uint32_t)(next() % (last + 1)),
                                      .position = last,
                                      .scale = 0.125f,
                                      .softcap = kind % 4 == 1 ? 30.0f : 0,
                                      .slopes = kind % 5 == 2 ? slopes : NULL,
                                      .sinks = kind % 5 == 3 ? sinks : NULL};
                if (!k) continue;
                memset(out, 0, sizeof out);
                j.out = out[0];
                ig_kernels_scalar.attend(&j);
                j.out = out[1];
                k->attend(&j);
                if (memcmp(out[0], out[1], sizeof out[0]))
                    fail_msg("%s: element type %u, widths %u and %u, trial %u", k->name, type,
                             widths[w][0], widths[w][1], trial);
            }
            ig_cache_close(&cache);
            assert_int_equal(ig_mem_used(&mem), 0);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantize_is_exact),
        cmocka_unit_test(float_rows_are_exact),
        cmocka_unit_test(attend_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
