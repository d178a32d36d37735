/* Block types against the reference values in quants.safetensors, and against their own contract on
 * random bits. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "quant/quant.h"
#include "quant_golden.h"

static uint8_t *file;
static size_t file_size, data_at;

static int load(void **state) {
    (void)state;
    char path[1024];
    const char *dir = getenv("INGLE_GOLDEN");
    snprintf(path, sizeof path, "%s/quants.safetensors", dir ? dir : "tests/golden");
    FILE *f = fopen(path, "rb");
    if (!f) return -1;
    fseek(f, 0, SEEK_END);
    file_size = (size_t)ftell(f);
    rewind(f);
    file = malloc(file_size + 1);
    if (!file || fread(file, 1, file_size, f) != file_size) return -1;
    fclose(f);
    uint64_t n;
    memcpy(&n, file, 8);
    data_at = 8 + (size_t)n;
    file[data_at - 1] = 0; /* the closing brace: ends the text for strstr */
    return 0;
}

static int unload(void **state) {
    (void)state;
    free(file);
    return 0;
}

/* The bytes of a tensor, NULL if the file has none of that name. */
static const uint8_t *tensor(const char *type, const char *suffix, size_t *bytes) {
    char key[64];
    snprintf(key, sizeof key, "\"%s%s\"", type, suffix);
    const char *p = strstr((const char *)file + 8, key);
    if (!p) return NULL;
    size_t begin, end;
    p = strstr(p, "\"data_offsets\":");
    assert_int_equal(sscanf(p + 15, " [%zu,%zu]", &begin, &end), 2);
    *bytes = end - begin;
    return file + data_at + begin;
}

static uint64_t seed = 0x9E3779B97F4A7C15u;
static uint64_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}
static float gauss(void) {
    double u = ((double)(next() >> 12) + 0.5) * 0x1p-52, v = (double)(next() >> 12) * 0x1p-52;
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

static void assert_same_floats(const float *a, const float *b, size_t n, const char *what) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + i, b + i, 4)) fail_msg("%s: value %zu is %a, not %a", what, i, a[i], b[i]);
}

static void decodes_golden(void **state) {
    (void)state;
    int seen = 0;
    const struct ig_quant *t;
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        size_t nb, nv;
        const uint8_t *blocks = tensor(t->name, ".blocks", &nb), *values;
        if (!blocks) continue;
        values = tensor(t->name, ".values", &nv);
        assert_non_null(values);
        size_t n = nb / t->bytes;
        assert_int_equal(n * t->bytes, nb);
        assert_int_equal(n * t->block * 4, nv);
        float *out = malloc(nv), *want = malloc(nv);
        memcpy(want, values, nv);
        t->decode(blocks, out, n);
        assert_same_floats(out, want, nv / 4, t->name);
        free(out);
        free(want);
        seen++;
    }
    assert_int_equal(seen, 23);
}

static void decodes_own_golden(void **state) {
    (void)state;
    const struct ig_quant *t;
    float out[IG_QUANT_MAX_BLOCK];
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        if (t->kind == IG_QUANT_OTHER) continue;
        const struct golden *g = golden_of(t->id);
        assert_true(g && g->block && g->values);
        t->decode(g->block, out, 1);
        assert_same_floats(out, g->values, t->block, t->name);
    }
}

static void encodes_golden(void **state) {
    (void)state;
    size_t n_in, n_want;
    int seen = 0;
    const uint8_t *raw = tensor("encode", ".input", &n_in);
    float *in = malloc(n_in);
    memcpy(in, raw, n_in);
    const struct ig_quant *t;
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        char name[32];
        snprintf(name, sizeof name, "encode.%s", t->name);
        const uint8_t *want = tensor(name, "", &n_want);
        if (!want) continue;
        assert_non_null(t->encode);
        size_t n = n_in / 4 / t->block;
        assert_int_equal(n * t->bytes, n_want);
        uint8_t *out = malloc(n_want);
        t->encode(in, out, n);
        for (size_t k = 0; k < n_want; k++)
            if (out[k] != want[k])
                fail_msg("%s: block %zu byte %zu is %u, not %u", t->name, k / t->bytes,
                         k % t->bytes, out[k], want[k]);
        free(out);
        seen++;
    }
    assert_int_equal(seen, 9);
    free(in);
}

/* Any bits: the integers are in range, no int32 can overflow, and d * scale * q - dmin * min is
 * what decode says. */
static void unpacks_within_contract(void **state) {
    (void)state;
    const struct ig_quant *t;
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        if (!t->unpack) {
            assert_true(t->kind == IG_QUANT_FLOAT || t->kind == IG_QUANT_OTHER);
            continue;
        }
        assert_true(t->group == 16 || t->group == 32);
        assert_true(t->unit == (t->kind == IG_QUANT_A256 ? 256 : t->group));
        assert_true(t->block % t->unit == 0 && t->block <= IG_QUANT_MAX_BLOCK &&
                    t->bytes <= IG_QUANT_MAX_BYTES);
        assert_true(t->block / t->group <= 16 && t->block / t->unit <= 8);
        for (int trial = 0; trial < 2000; trial++) {
            uint8_t block[IG_QUANT_MAX_BYTES];
            float out[IG_QUANT_MAX_BLOCK];
            struct ig_unpacked u;
            int fill = trial == 0 ? 0 : trial == 1 ? 255 : -1;
            for (size_t k = 0; k < t->bytes; k++)
                block[k] = (uint8_t)(fill >= 0 ? (uint64_t)fill : next() >> 20);
            memset(&u, 0x55, sizeof u);
            t->unpack(block, &u);
            t->decode(block, out, 1);
            for (int k = 0; k < t->block / t->unit; k++) {
                int64_t peak_i = 0, peak_m = 0;
                for (int w = k * t->unit; w < (k + 1) * t->unit; w++) {
                    int g = w / t->group;
                    peak_i += llabs((long long)u.scale[g] * u.q[w]) * 127;
                    if (t->has_min) peak_m += abs(u.min[g]) * 127;
                    double exact = (double)u.d[k] * u.scale[g] * u.q[w] -
                                   (t->has_min ? (double)u.dmin[k] * u.min[g] : 0);
                    if (!isfinite(exact)) continue;
                    float want =
                        (float)exact; /* the products are exact in double, so this rounds once */
                    if (want != out[w] && fabsf(want - out[w]) > FLT_EPSILON * fabsf(want))
                        fail_msg("%s weight %d: contract %a, decode %a", t->name, w, want, out[w]);
                }
                assert_true(peak_i <= INT32_MAX && peak_m <= INT32_MAX);
            }
        }
    }
}

static void encoders_survive_anything(void **state) {
    (void)state;
    const struct ig_quant *t;
    static const float odd[] = {NAN,   INFINITY,  -INFINITY,  FLT_MAX,   -FLT_MAX, 0,
                                -0.0f, 0x1p-149f, -0x1p-149f, 0x1p-126f, 1e-30f,   65504,
                                65520, 1e30f,     -1e30f,     1};
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        if (!t->encode || t->kind == IG_QUANT_FLOAT) continue;
        for (int trial = 0; trial < 400; trial++) {
            float in[IG_QUANT_MAX_BLOCK], out[IG_QUANT_MAX_BLOCK];
            uint8_t block[IG_QUANT_MAX_BYTES];
            for (int k = 0; k < t->block; k++) {
                uint32_t bits = (uint32_t)next();
                if (trial < 16)
                    in[k] = odd[trial];
                else if (trial < 100)
                    in[k] = odd[next() >> 60];
                else if (trial < 200)
                    memcpy(in + k, &bits, 4);
                else
                    in[k] = trial % 2 || next() >> 60 == 0 ? odd[next() >> 60] : gauss();
            }
            memset(block, 0xAA, sizeof block);
            t->encode(in, block, 1);
            assert_int_equal(block[t->bytes], 0xAA);
            t->decode(block, out, 1);
            for (int k = 0; k < t->block; k++)
                if (!isfinite(out[k]))
                    fail_msg("%s: trial %d decodes to %f", t->name, trial, out[k]);
        }
    }
}

/* Error of a normal distribution relative to its spread: no more than llama.cpp's own encoder
 * leaves (measured with ggml_quantize_chunk on 131072 weights; the exact copies get 1 % for another
 * sample). */
static void encoders_are_close(void **state) {
    (void)state;
    static const struct {
        const char *name;
        double bound;
    } want[] = {{"Q4_0", .0868},  {"Q4_1", .0790},  {"Q5_0", .0432},   {"Q5_1", .0383},
                {"Q8_0", .0055},  {"Q2_K", .2969},  {"Q3_K", .1508},   {"Q4_K", .0713},
                {"Q5_K", .0362},  {"Q6_K", .0178},  {"IQ4_NL", .0763}, {"IQ4_XS", .0765},
                {"MXFP4", .1153}, {"NVFP4", .1027}, {"Q1_0", .6072},   {"Q2_0", .7227},
                {"TQ1_0", .8133}, {"TQ2_0", .8133}};
    enum { N = 1 << 16 };
    float *in = malloc(N * sizeof *in), *out = malloc(N * sizeof *out);
    uint8_t *blocks = malloc(N * 2);
    for (int i = 0; i < N; i++) in[i] = 0.02f * gauss();
    for (size_t t = 0; t < sizeof want / sizeof *want; t++) {
        const struct ig_quant *q = ig_quant_by_name(want[t].name, strlen(want[t].name));
        q->encode(in, blocks, N / q->block);
        q->decode(blocks, out, N / q->block);
        double error = 0, power = 0;
        for (int i = 0; i < N; i++) {
            error += ((double)in[i] - out[i]) * ((double)in[i] - out[i]);
            power += (double)in[i] * in[i];
        }
        error = sqrt(error / power);
        if (!(error <= want[t].bound))
            fail_msg("%s: error %.4f, bound %.4f", q->name, error, want[t].bound);
    }
    free(in);
    free(out);
    free(blocks);
}

static void converts_halves(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        uint32_t e = h >> 10 & 31, m = h & 1023;
        float f = ig_f16_to_f32((uint16_t)h);
        if (e == 31) {
            if (m)
                assert_true(f != f);
            else
                assert_true(f == (h & 0x8000 ? -INFINITY : INFINITY));
            if (m) assert_true((ig_f32_to_f16(f) & 0x7FFF) > 0x7C00);
        } else {
            double want = e ? ldexp(1024 + m, (int)e - 25) : ldexp(m, -24);
            assert_true(f == (float)(h & 0x8000 ? -want : want));
            assert_true(!signbit(f) == !(h >> 15));
            assert_int_equal(ig_f32_to_f16(f), h);
        }
        if (h < 0x7BFF) { /* ties go to the even half, everything else to the nearer one */
            float up = ig_f16_to_f32((uint16_t)(h + 1)), middle = (f + up) / 2;
            assert_int_equal(ig_f32_to_f16(middle), h & 1 ? h + 1 : h);
            assert_int_equal(ig_f32_to_f16(nextafterf(middle, 0)), h);
            assert_int_equal(ig_f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
        }
    }
    assert_int_equal(ig_f32_to_f16(65519.99f), 0x7BFF);
    assert_int_equal(ig_f32_to_f16(65520), 0x7C00);
    assert_int_equal(ig_f32_to_f16(-FLT_MAX), 0xFC00);
    assert_int_equal(ig_f32_to_bf16(1.00390625f), 0x3F80);
    assert_int_equal(ig_f32_to_bf16(1.01171875f), 0x3F82);
    assert_int_equal(ig_f32_to_bf16(INFINITY), 0x7F80);
    assert_true((ig_f32_to_bf16(NAN) & 0x7FFF) > 0x7F80);
}

static void finds_types(void **state) {
    (void)state;
    size_t n = 0;
    const struct ig_quant *t;
    for (; (t = ig_quant_at(n)); n++) {
        assert_ptr_equal(ig_quant_by_id(t->id), t);
        assert_ptr_equal(ig_quant_by_name(t->name, strlen(t->name)), t);
        assert_null(ig_quant_by_name(t->name, strlen(t->name) - 1) == t ? t : NULL);
        assert_null(ig_quant_removed(t->id));
    }
    assert_int_equal(n, 35);
    assert_string_equal(ig_quant_by_name("q4_k", 4)->name, "Q4_K");
    assert_null(ig_quant_by_name("q4_", 3));
    assert_null(ig_quant_by_name("", 0));
    static const uint32_t gone[] = {4, 5, 31, 32, 33, 36, 37, 38, 97, 133, 139, 150, 202, 399};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        assert_null(ig_quant_by_id(gone[i]));
        assert_non_null(ig_quant_removed(gone[i]));
    }
    assert_null(ig_quant_removed(43));
    assert_null(ig_quant_removed(UINT32_MAX));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_golden),
        cmocka_unit_test(decodes_own_golden),
        cmocka_unit_test(encodes_golden),
        cmocka_unit_test(unpacks_within_contract),
        cmocka_unit_test(encoders_survive_anything),
        cmocka_unit_test(encoders_are_close),
        cmocka_unit_test(converts_halves),
        cmocka_unit_test(finds_types),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
