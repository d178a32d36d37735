/* Damaged weights: NaN, infinities, subnormal and largest scales. Every table gives what the scalar
 * one gives (a NaN for a NaN, whatever its sign), nothing is undefined, and a whole model with such
 * weights is run to its end. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "make_model.h"
#include "tables.h"

enum { COLS = 2304, ROWS = 33, MOST = 20, IDS = 24 };

static const struct ig_kernels *tables[MAX_TABLES];
static size_t n_tables;
static uint8_t weights[(size_t)ROWS * COLS * 4];
static float x[MOST * COLS], want[MOST * ROWS], got[MOST * ROWS];
static int8_t q[MOST * COLS];
static float d[MOST * COLS / 32];
static int16_t sum[MOST * COLS / 16];

static float odd_value(void) {
    static const float odd[] = {0,      -0.0f,    1e-42f,    -1e-40f,    3e38f, -3e38f,
                                1e-20f, INFINITY, -INFINITY, (float)NAN, 1,     -1};
    return odd[model_random() % (sizeof odd / sizeof *odd)];
}

static void same(const char *table, const struct ig_quant *t, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(want + i, got + i, sizeof *want) && !(isnan(want[i]) && isnan(got[i])))
            fail_msg("%s %s: value %zu is %a, not %a", table, t->name, i, (double)got[i],
                     (double)want[i]);
}

static void multiply(const struct ig_kernels *k, struct ig_linear j, float *y) {
    j.y = y;
    j.scratch = aligned_alloc(64, (k->scratch_bytes(j.cols) + 63) / 64 * 64);
    assert_non_null(j.scratch);
    memset(y, 0, sizeof want);
    if (j.type->kind == IG_QUANT_FLOAT)
        k->linear_float(&j);
    else
        k->linear_quant(&j);
    free(j.scratch);
}

static void compare_type(const struct ig_quant *t) {
    static const uint32_t inputs[] = {1, 3, 8, MOST};
    struct ig_linear j = {
        .type = t, .w = weights, .rows = ROWS, .cols = COLS, .x = x, .x_stride = COLS};
    unsigned per = t->kind == IG_QUANT_A256 ? 256 : 32;
    j.row_bytes = (size_t)COLS / t->block * t->bytes;
    j.y_stride = ROWS;
    j.act = (struct ig_act_rows){q, d, sum, COLS, COLS / per, COLS / 16};
    for (size_t i = 0; i < MOST; i++)
        ig_kernels_scalar.quantize(x + i * COLS, COLS, per, q + i * COLS, d + i * (COLS / per),
                                   sum + i * (COLS / 16));
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        j.n = inputs[i];
        multiply(&ig_kernels_scalar, j, want);
        for (size_t k = 1; k < n_tables; k++) {
            multiply(tables[k], j, got);
            same(tables[k]->name, t, (size_t)j.n * ROWS);
        }
    }
}

/* Random bits are every kind of scale there is; in rows of their own all zeros and all ones. */
static void weights_of_any_bits(void **state) {
    (void)state;
    const struct ig_quant *t;
    for (size_t i = 0; i < MOST * COLS; i++) x[i] = (float)(int64_t)model_random() * 0x1p-63f;
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        if (t->kind == IG_QUANT_OTHER) continue;
        size_t row = (size_t)COLS / t->block * t->bytes;
        for (size_t k = 0; k < ROWS * row; k++) weights[k] = (uint8_t)(model_random() >> 30);
        memset(weights + 3 * row, 0, row);
        memset(weights + 20 * row, 0xFF, row);
        compare_type(t);
    }
}

/* What such weights lead to: inputs that are not finite. */
static void inputs_of_any_kind(void **state) {
    (void)state;
    static const char *const names[] = {"F32", "F16", "BF16", "Q8_0", "Q4_K", "MXFP4"};
    for (size_t i = 0; i < MOST * COLS; i++)
        x[i] = i / COLS % 2 || model_random() % 64 ? (float)(int64_t)model_random() * 0x1p-63f
                                                   : odd_value();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct ig_quant *t = ig_quant_by_name(names[i], strlen(names[i]));
        uint8_t block[IG_QUANT_MAX_BYTES];
        for (size_t k = 0; k < (size_t)ROWS * COLS / t->block; k++) {
            random_block(t, block);
            memcpy(weights + k * t->bytes, block, t->bytes);
        }
        compare_type(t);
    }
}

static void quantized_inputs(void **state) {
    (void)state;
    static int8_t q2[COLS];
    static float d2[COLS / 32];
    static int16_t sum2[COLS / 16];
    for (int trial = 0; trial < 400; trial++)
        for (size_t k = 1; k < n_tables; k++) {
            unsigned per = trial % 2 ? 32 : 256;
            for (int i = 0; i < COLS; i++)
                x[i] =
                    model_random() % 50 ? (float)(int64_t)model_random() * 0x1p-63f : odd_value();
            ig_kernels_scalar.quantize(x, COLS, per, q, d, sum);
            tables[k]->quantize(x, COLS, per, q2, d2, sum2);
            assert_memory_equal(q, q2, COLS);
            assert_memory_equal(d, d2, COLS / per * sizeof *d);
            assert_memory_equal(sum, sum2, sizeof sum2);
            for (int i = 0; i < COLS; i++) assert_int_not_equal(q[i], -128);
        }
}

static int take_row(void *ud, size_t position, const float *logits) {
    memcpy((float(*)[MODEL_VOCAB])ud + position, logits, MODEL_VOCAB * sizeof *logits);
    return 0;
}

static void run_model(const char *path, const char *cpu, float *out) {
    ingle_error err;
    ingle_options *o;
    ingle_model *m;
    ingle_session *s;
    int32_t ids[IDS];
    for (int32_t i = 0; i < IDS; i++) ids[i] = i * 7 % MODEL_VOCAB;
    assert_int_equal(ingle_options_new(&o, &err), INGLE_OK);
    if (ingle_options_set(o, "cpu", cpu, &err) || ingle_options_set(o, "context", "64", &err) ||
        ingle_model_open(&m, path, o, &err) || ingle_session_open(&s, m, o, &err) ||
        ingle_session_sync_each(s, ids, IDS, take_row, out, &err))
        fail_msg("%s", err.message);
    ingle_session_close(s);
    ingle_model_close(m);
    ingle_options_free(o);
}

/* A model in which every 300th pair of bytes is the NaN or infinity of a half. */
static void write_damaged(const char *path, const struct ig_quant *t, size_t from) {
    static const uint16_t bad[] = {0x7E00, 0x7C00, 0xFC00, 0xFFFF, 0x7F80, 0x0001};
    struct gguf g = {0};
    put_model(&g, t);
    for (size_t i = from; i + 2 <= g.n; i += 600) memcpy(g.p + i, bad + i / 600 % 6, 2);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(g.p, 1, g.n, f), g.n);
    fclose(f);
    free(g.p);
}

static void whole_models(void **state) {
    (void)state;
    static float rows[2][IDS * MODEL_VOCAB];
    static const char *const names[] = {"F32", "F16", "BF16", "Q8_0", "Q4_K", "NVFP4"};
    char path[] = "/tmp/ingle-odd-values-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct ig_quant *t = ig_quant_by_name(names[i], strlen(names[i]));
        write_damaged(path, t, 200002);
        run_model(path, "scalar", rows[0]);
        for (size_t k = 1; k < n_tables; k++) {
            run_model(path, tables[k]->name, rows[1]);
            for (size_t v = 0; v < IDS * MODEL_VOCAB; v++) {
                float a = rows[0][v], b = rows[1][v];
                if (memcmp(&a, &b, sizeof a) && !(isnan(a) && isnan(b)))
                    fail_msg("%s %s: logit %zu is %a, not %a", tables[k]->name, t->name, v,
                             (double)b, (double)a);
            }
        }
    }
    unlink(path);
}

int main(void) {
    n_tables = find_tables(tables);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_of_any_bits),
        cmocka_unit_test(inputs_of_any_kind),
        cmocka_unit_test(quantized_inputs),
        cmocka_unit_test(whole_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
