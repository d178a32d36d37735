/* The device parts of the block types against their host parts, and rows in planes: every type's golden block and
 * random ones, taken apart by the kernel of types_probe.k from planes (PLANES 1) and from rows as in files (PLANES 0).
 * Integers and floats must be the same bits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/host_device.h"
#include "gpu/planes.h"
#include "unit/quant_golden.h"

enum { ROWS = 3, OUT = 32 };

static uint64_t seed = 0x9E3779B97F4A7C15u;
static uint8_t next(void) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint8_t)(seed >> 56);
}

/* Three rows, the golden block first. */
static uint8_t *matrix(const struct ig_quant *t, size_t row_bytes) {
    uint8_t *w = malloc(ROWS * row_bytes);
    for (size_t i = 0; i < ROWS * row_bytes; i++) w[i] = next();
    if (golden_of(t->id)) memcpy(w, golden_of(t->id)->block, t->bytes);
    return w;
}

static bool same(float a, uint32_t bits) {
    float b;
    memcpy(&b, &bits, sizeof b);
    return (a != a && b != b) || !memcmp(&a, &b, sizeof a);
}

static void compare_floats(const struct ig_quant *t, const uint8_t *block, const uint32_t *o) {
    float want[32];
    t->decode(block, want, 32);
    for (int i = 0; i < 32; i++)
        if (!same(want[i], o[i])) fail_msg("%s: value %d is not what decode says", t->name, i);
}

/* Group g of 32 weights of a block. */
static void compare(const struct ig_quant *t, const struct ig_unpacked *u, uint32_t g, const uint32_t *o) {
    if (memcmp(u->q + 32 * g, o, 32)) fail_msg("%s: q of group %u", t->name, g);
    for (uint32_t h = 0; h < 2; h++) {
        uint32_t at = 32 * g + 16 * h, k = at / t->group, unit = at / t->unit;
        assert_int_equal((int32_t)o[8 + h], u->scale[k]);
        assert_int_equal((int32_t)o[10 + h], t->has_min ? u->min[k] : 0);
        if (!same(u->d[unit], o[12 + h])) fail_msg("%s: d of unit %u", t->name, unit);
        if (t->has_min && !same(u->dmin[unit], o[14 + h])) fail_msg("%s: dmin of unit %u", t->name, unit);
    }
    const uint32_t part[] = {t->block,           t->bytes,          t->group,       t->unit,
                             t->has_min,         0,                 t->device.main_at, t->device.main,
                             t->device.rest_at,  t->device.rest};
    for (uint32_t i = 0; i < sizeof part / sizeof part[0]; i++)
        if (i != 5 && o[16 + i] != part[i]) fail_msg("%s: constant %u is %u, not %u", t->name, i, o[16 + i], part[i]);
    assert_int_equal(o[16 + 5], t->kind == IG_QUANT_A32 ? 32 : 256);
}

static void probe(const struct ig_quant *t, const char *module, uint32_t cols) {
    bool planes = !strstr(module, "native");
    char name[64] = "probe_";
    for (size_t i = 0; t->name[i]; i++) /* the type's file name */
        name[6 + i] = (char)(t->name[i] >= 'A' && t->name[i] <= 'Z' ? t->name[i] + 32 : t->name[i]), name[7 + i] = 0;
    const struct ig_host_kernel *k = ig_host_find(module, name);
    if (!k) fail_msg("%s has no device part", t->name);
    struct ig_embed_args args = {.m = ig_planes_shape(t, cols, !planes), .n = cols, .rows = ROWS};
    size_t from_bytes = cols / t->block * t->bytes, row_bytes = args.m.row_bytes;
    uint8_t *file = matrix(t, from_bytes), *w = malloc(ROWS * row_bytes);
    uint32_t groups = ROWS * cols / 32, grid[3] = {(groups + 63) / 64, 1, 1};
    uint32_t *out = malloc(groups * OUT * sizeof *out);
    for (uint32_t r = 0; r < ROWS; r++)
        if (planes)
            ig_planes_pack(t, cols, file + r * from_bytes, w + r * row_bytes);
        else
            memcpy(w + r * row_bytes, file + r * from_bytes, from_bytes);
    void *buffers[] = {w, out};
    assert_null(ig_host_run(k, grid, buffers, &args));
    for (uint32_t i = 0; i < groups; i++) {
        struct ig_unpacked u;
        size_t at = (size_t)i * 32;
        const uint8_t *block = file + at / t->block * t->bytes;
        if (t->kind == IG_QUANT_FLOAT) {
            compare_floats(t, block, out + i * OUT);
            continue;
        }
        t->unpack(block, &u);
        compare(t, &u, (uint32_t)(at % t->block) / 32, out + i * OUT);
    }
    free(file);
    free(w);
    free(out);
}

static void takes_as_unpack(void **state) {
    (void)state;
    const struct ig_quant *t;
    int seen = 0;
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        if (t->kind == IG_QUANT_OTHER) continue;
        for (uint32_t cols = 256; cols <= 768; cols += 256) {
            probe(t, "types", cols);
            probe(t, "types:sub", cols); /* devices with a permutation of bytes */
            probe(t, "types:native", cols);
        }
        if (t->block < 256) probe(t, "types", 5 * (t->block < 32 ? 32 : t->block)); /* planes with gaps */
        seen++;
    }
    assert_int_equal(seen, 28);
}

/* Rows come back from planes; nothing is lost or written twice, gaps are zero. */
static void planes_keep_everything(void **state) {
    (void)state;
    const struct ig_quant *t;
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        if (t->kind == IG_QUANT_OTHER) {
            assert_int_equal(t->device.main + t->device.rest, 0);
            continue;
        }
        uint32_t blocks = 7, cols = blocks * t->block;
        struct ig_mat_shape s = ig_planes_shape(t, cols, false);
        size_t n = s.row_bytes, seen = 0;
        uint8_t *file = matrix(t, blocks * t->bytes), *row = malloc(n);
        memset(row, 0xEE, n);
        ig_planes_pack(t, cols, file, row);
        assert_int_equal(n % 32, 0);
        assert_int_equal(s.rest_at % 16, 0);
        assert_int_equal(t->device.main + t->device.rest, t->bytes);
        for (uint32_t b = 0; b < blocks; b++) {
            const uint8_t *from = file + b * t->bytes;
            assert_memory_equal(row + s.main_at + b * s.main_step, from + t->device.main_at, t->device.main);
            if (t->device.rest)
                assert_memory_equal(row + s.rest_at + b * s.rest_step, from + t->device.rest_at, t->device.rest);
        }
        for (size_t k = blocks * s.main_step; k < s.rest_at; k++) seen += row[k];
        for (size_t k = s.rest_at + blocks * s.rest_step; k < n; k++) seen += row[k];
        assert_int_equal(seen, 0);
        free(file);
        free(row);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(takes_as_unpack), cmocka_unit_test(planes_keep_everything)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
