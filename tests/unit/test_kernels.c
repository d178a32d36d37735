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
#if defined(__aarch64__)
    static const char *const names[] = {"neon", "i8mm"};
#else
    static const char *const names[] = {"avx2", "avx512"};
#endif
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
    static const uint32_t shapes[][3] = {{3, 64, 1},    {5, 2100, 2},   {2, 17, 9}, {7, 2048, 5},
                                         {1, 3300, 11}, {13, 2100, 37}, {12, 47, 3}};
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

static bool edges; /* the largest integers only */
static void set_element(unsigned type, uint8_t *at, size_t i, float v) {
    uint16_t h = ig_f32_to_f16(v);
    if (type == IG_CACHE_F32)
        memcpy(at + 4 * i, &v, 4);
    else if (type == IG_CACHE_F16)
        memcpy(at + 2 * i, &h, 2);
    else
        at[i] = (uint8_t)(int8_t)(edges ? v < 0 ? -127 : 127 : v * 127);
}

static void fill_cache(struct ig_cache *cache, unsigned type, uint32_t positions) {
    const struct ig_cache_layer *l = &cache->layers[0];
    for (uint32_t p = 0; p < positions; p += IG_CACHE_BLOCK) {
        uint8_t *block = ig_cache_block(cache, l, p);
        for (size_t h = 0; h < l->n_head_kv; h++) {
            for (size_t i = 0; i < (size_t)l->k_stride * IG_CACHE_BLOCK; i++)
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

enum { POSITIONS = 700, MOST_HEAD = 256, ROWS = IG_ATTEND_ROWS };

struct tile { /* rows of neighbouring tokens with `group` heads each */
    struct ig_attend j;
    struct ig_attend_row rows[ROWS];
    float sinks[ROWS];
    bool sink;
    float *q, *out; /* [ROWS][MOST_HEAD] */
};

static struct tile make_tile(const struct ig_cache *cache, float *scratch, float *q, float *out) {
    struct tile t = {.q = q, .out = out, .sink = next() % 5 == 0};
    uint32_t group = (uint32_t[]){1, 2, 3, 4, 5, 7, 8, 16}[next() % 8];
    uint32_t n = 1 + (uint32_t)(next() % ROWS), skip = (uint32_t)(next() % group),
             tokens = (n + skip + group - 1) / group;
    uint32_t last = (uint32_t)(next() % (POSITIONS - tokens + 1));
    uint32_t window = next() % 3 ? 0 : 1 + (uint32_t)(next() % (next() % 2 ? 30 : 600));
    bool alibi = next() % 5 == 0, chunked = next() % 4 == 0;
    for (uint32_t r = 0; r < n; r++) {
        uint32_t at = last + (r + skip) / group, first = 0;
        if (window) first = chunked ? at / window * window : at + 1 > window ? at + 1 - window : 0;
        t.rows[r] = (struct ig_attend_row){.q = q + r * MOST_HEAD,
                                           .first = first,
                                           .last = at,
                                           .slope = alibi ? 0.01f * (float)(1 + next() % 9) : 0};
        t.sinks[r] = 3 * uniform();
        for (uint32_t i = 0; i < MOST_HEAD; i++)
            q[r * MOST_HEAD + i] = edges ? uniform() < 0 ? -2.0f : 2.0f : 2 * uniform();
    }
    t.j = (struct ig_attend){.cache = cache,
                             .layer = &cache->layers[0],
                             .kv_head = (uint32_t)(next() % 2),
                             .n = n,
                             .scale = 0.125f,
                             .softcap = next() % 4 == 0 ? 30.0f : 0,
                             .scratch = scratch};
    return t;
}

/* Rows [from, from + n) of the tile, as one tile */
static void attend_rows(const struct ig_kernels *k, const struct tile *t, uint32_t from, uint32_t n,
                        float *parts) {
    struct ig_attend_row rows[ROWS];
    struct ig_attend j = t->j;
    float state[ROWS][2];
    uint32_t width = j.layer->head_v;
    memcpy(rows, t->rows + from, n * sizeof *rows);
    j.rows = rows;
    j.n = n;
    k->attend_queries(&j);
    for (uint32_t r = 0; r < n; r++) {
        rows[r].part = parts + r * ig_attend_part(j.layer);
        state[r][0] = -1e30f, state[r][1] = 0;
        memset(t->out + (from + r) * MOST_HEAD, 0, width * sizeof(float));
    }
    for (uint32_t at = rows[0].first / IG_ATTEND_CHUNK * IG_ATTEND_CHUNK; at <= rows[n - 1].last;
         at += IG_ATTEND_CHUNK) {
        k->attend_chunk(&j, at);
        for (uint32_t r = 0; r < n; r++)
            if (rows[r].first < at + IG_ATTEND_CHUNK && rows[r].last >= at)
                k->attend_merge(t->out + (from + r) * MOST_HEAD, width, state[r], rows[r].part);
    }
    for (uint32_t r = 0; r < n; r++)
        k->attend_finish(t->out + (from + r) * MOST_HEAD, width, state[r],
                         t->sink ? &t->sinks[from + r] : NULL);
}

static void compare_tiles(const struct ig_cache *cache, unsigned type) {
    static float q[ROWS * MOST_HEAD], out[2][ROWS * MOST_HEAD];
    static float scratch[(MOST_HEAD + 4 + IG_ATTEND_CHUNK + 16) * ROWS];
    static float parts[ROWS * (MOST_HEAD + IG_ATTEND_PART)];
    for (uint32_t trial = 0; trial < 60; trial++) {
        struct tile t = make_tile(cache, scratch, q, out[0]);
        memset(out, 0, sizeof out);
        for (uint32_t r = 0; r < t.j.n; r++) attend_rows(&ig_kernels_scalar, &t, r, 1, parts);
        t.out = out[1];
        for (size_t i = 0; i < 3; i++) {
            const struct ig_kernels *k = i < 2 ? other(i) : &ig_kernels_scalar;
            if (!k) continue;
            attend_rows(k, &t, 0, t.j.n, parts);
            if (memcmp(out[0], out[1], sizeof out[0]))
                fail_msg("%s: element type %u, widths %u and %u, trial %u, %u rows", k->name, type,
                         t.j.layer->head_k, t.j.layer->head_v, trial, t.j.n);
        }
    }
}

/* Tiles of rows give the bits that each row has alone in the oracle: all element types, numbers of
 * heads, widths, windows, ALiBi, soft caps and sinks. */
static void attend_is_exact(void **state) {
    (void)state;
    static const uint32_t widths[][2] = {{64, 64}, {80, 80},   {128, 128}, {24, 40},
                                         {96, 16}, {256, 256}, {17, 33},   {192, 128}};
    for (unsigned type = IG_CACHE_F16; type <= IG_CACHE_Q8; type++)
        for (size_t w = 0; w < sizeof widths / sizeof *widths; w++) {
            struct ig_mem mem = {0};
            struct ig_cache cache = {0};
            struct ig_cache_want layer = {
                .n_head_kv = 2, .head_k = widths[w][0], .head_v = widths[w][1]};
            assert_int_equal(ig_cache_open(&cache, &mem, &layer, 1, (enum ig_cache_type)type,
                                           POSITIONS, POSITIONS, NULL),
                             INGLE_OK);
            assert_int_equal(ig_cache_reserve(&cache, POSITIONS, NULL), INGLE_OK);
            edges = w == 2 || w == 6;
            fill_cache(&cache, type, POSITIONS);
            compare_tiles(&cache, type);
            ig_cache_close(&cache);
            assert_int_equal(ig_mem_used(&mem), 0);
        }
}

/* What a row does not see is not there: an infinity among later values changes nothing. */
static void attend_sees_no_later_value(void **state) {
    (void)state;
    struct ig_mem mem = {0};
    struct ig_cache cache = {0};
    struct ig_cache_want layer = {.n_head_kv = 1, .head_k = 64, .head_v = 64};
    static float q[ROWS * MOST_HEAD], out[2][ROWS * MOST_HEAD];
    static float scratch[(64 + 4 + IG_ATTEND_CHUNK + 16) * ROWS],
        parts[ROWS * (64 + IG_ATTEND_PART)];
    assert_int_equal(ig_cache_open(&cache, &mem, &layer, 1, IG_CACHE_F32, 512, 512, NULL),
                     INGLE_OK);
    assert_int_equal(ig_cache_reserve(&cache, 512, NULL), INGLE_OK);
    for (size_t i = 0; i < 3; i++) {
        const struct ig_kernels *k = i < 2 ? other(i) : &ig_kernels_scalar;
        if (!k) continue;
        struct tile t = {.q = q, .out = out[0]};
        t.j = (struct ig_attend){
            .cache = &cache, .layer = &cache.layers[0], .n = 6, .scale = 0.1f, .scratch = scratch};
        for (uint32_t r = 0; r < 6; r++) {
            t.rows[r] = (struct ig_attend_row){.q = q + r * MOST_HEAD, .last = 300 + r};
            for (uint32_t d = 0; d < 64; d++) q[r * MOST_HEAD + d] = uniform();
        }
        fill_cache(&cache, IG_CACHE_F32, 512);
        memset(out, 0, sizeof out);
        attend_rows(k, &t, 0, 6, parts);
        float *v = (float *)(void *)(ig_cache_block(&cache, t.j.layer, 303) + t.j.layer->v_at);
        v[(303 % IG_CACHE_BLOCK) * 64] = INFINITY;
        t.out = out[1];
        attend_rows(k, &t, 0, 6, parts);
        assert_memory_equal(out[0], out[1], 3 * MOST_HEAD * sizeof(float));
        assert_true(isinf(out[1][3 * MOST_HEAD]));
    }
    ig_cache_close(&cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantize_is_exact),
        cmocka_unit_test(float_rows_are_exact),
        cmocka_unit_test(attend_is_exact),
        cmocka_unit_test(attend_sees_no_later_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
