/* The GGUF reader: what it reads from good files of all versions, and one clear refusal for each kind of bad one.
 * Buffers are exactly as long as the file, so that the sanitizers see a read of one byte too many. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "file/view.h"
#include "make_gguf.h"
#include "quant/quant.h"

/* A bound on the work done, which a busy machine does not change. */
static double cpu_seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

static bool type_size(uint32_t type, uint32_t *weights, uint32_t *bytes, const char **name, const char **why) {
    const struct ig_quant *q = ig_quant_by_id(type);
    *why = ig_quant_removed(type);
    if (!q) return false;
    *weights = q->block;
    *bytes = q->bytes;
    *name = q->name;
    return true;
}

static ingle_error last;

/* Reads an exact-size copy; checks that nothing leaks and memory stays small; closes. */
static ingle_status read_bytes(const uint8_t *p, size_t n) {
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    if (n) memcpy(copy, p, n);
    struct ig_mem mem = {0};
    struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}, .path = "x.gguf"};
    memset(&last, 0, sizeof last);
    ingle_status s = ig_gguf_read(&v, copy, n, type_size, &last);
    assert_true(mem.peak <= 4 * n + (16u << 20));
    ig_view_close(&v);
    assert_int_equal(ig_mem_used(&mem), 0);
    free(copy);
    return s;
}

static void refuse(const struct gguf *g, ingle_status code, const char *text) {
    ingle_status s = read_bytes(g->p, g->n);
    if (s != code || !strstr(last.message, text) || strncmp(last.message, "x.gguf: ", 8) || !last.hint[0])
        fail_msg("want %d '%s', got %d '%s' (%s)", code, text, s, last.message, last.hint);
    assert_null(strpbrk(last.message, "\n\r\033\t"));
    assert_int_equal(last.code, s);
    /* no caller needs an error record */
    struct ig_mem mem = {0};
    struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}};
    assert_int_equal(ig_gguf_read(&v, g->p, g->n, type_size, NULL), code);
    ig_view_close(&v);
}

/* ---- good files -------------------------------------------------------------------------------------------------- */

static void check_scalars(const struct ig_view *v) {
    static const struct {
        const char *key;
        int64_t whole;
    } ints[] = {{"u8", 200}, {"i8", -1}, {"u16", 60000}, {"i16", -2}, {"u32", 4000000000}, {"i32", -3}, {"i64", -5}};
    int64_t i;
    double f;
    bool b;
    struct ig_str s;
    for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
        assert_true(ig_kv_i64(ig_view_kv(v, ints[k].key), 0, &i));
        assert_int_equal(i, ints[k].whole);
        assert_true(ig_kv_f64(ig_view_kv(v, ints[k].key), 0, &f));
        assert_true(f == (double)ints[k].whole);
        assert_false(ig_kv_i64(ig_view_kv(v, ints[k].key), 1, &i));
        assert_false(ig_kv_str(ig_view_kv(v, ints[k].key), &s));
        assert_false(ig_kv_bool(ig_view_kv(v, ints[k].key), 0, &b));
    }
    assert_false(ig_kv_i64(ig_view_kv(v, "u64"), 0, &i)); /* does not fit */
    assert_false(ig_kv_i64(ig_view_kv(v, "f32"), 0, &i));
    assert_true(ig_kv_f64(ig_view_kv(v, "f32"), 0, &f) && f == 1.5);
    assert_true(ig_kv_f64(ig_view_kv(v, "f64"), 0, &f) && f == -2.5);
    assert_true(ig_kv_bool(ig_view_kv(v, "bool"), 0, &b) && b);
    assert_true(ig_kv_str(ig_view_kv(v, "general.architecture"), &s) && ig_str_is(s, "test"));
    assert_false(ig_kv_f64(ig_view_kv(v, "general.architecture"), 0, &f));
    assert_null(ig_view_kv(v, "absent"));
    assert_null(ig_view_kv(v, ""));
    assert_false(ig_kv_i64(NULL, 0, &i));
}

static void check_arrays(const struct ig_view *v) {
    static const char *const want[] = {"a", "", "\xc3\xa9", "longer token"};
    const struct ig_kv *kv = ig_view_kv(v, "tokens");
    uint64_t at = 0;
    struct ig_str s;
    int64_t i;
    double f;
    assert_int_equal(kv->count, 4);
    for (int k = 0; k < 4; k++) assert_true(ig_kv_next_str(kv, &at, &s) && ig_str_is(s, want[k]));
    assert_false(ig_kv_next_str(kv, &at, &s));
    assert_false(ig_kv_i64(kv, 0, &i));
    at = 0;
    assert_false(ig_kv_next_str(ig_view_kv(v, "none"), &at, &s));
    assert_false(ig_kv_next_str(ig_view_kv(v, "types"), &at, &s));
    kv = ig_view_kv(v, "types");
    assert_true(ig_kv_i64(kv, 0, &i) && i == -1);
    assert_true(ig_kv_i64(kv, 2, &i) && i == -3);
    assert_false(ig_kv_i64(kv, 3, &i));
    assert_false(ig_kv_i64(kv, UINT64_MAX, &i));
    assert_true(ig_kv_f64(ig_view_kv(v, "scores"), 1, &f) && f == -0.5);
}

static void check_tensors(const struct ig_view *v, const uint8_t *file, size_t n) {
    const struct ig_tensor *a = ig_view_tensor(v, IG_STR("a.weight")), *b = ig_view_tensor(v, IG_STR("b.weight")),
                           *c = ig_view_tensor(v, IG_STR("c.bias"));
    assert_int_equal(v->n_tensors, 3);
    assert_int_equal(a->bytes, 108);
    assert_int_equal(a->ne[0], 64);
    assert_int_equal(a->ne[1], 3);
    assert_int_equal(a->ne[2], 1);
    assert_true(ig_str_is(a->dtype, "Q4_0"));
    assert_int_equal(b->bytes, 24);
    assert_int_equal(b->n_dims, 4);
    assert_int_equal(b->ne[3], 2);
    assert_ptr_equal(b->data, a->data + 128);
    assert_ptr_equal(c->data + c->bytes, file + n);
    assert_null(ig_view_tensor(v, IG_STR("a.weigh")));
}

static void test_versions(void **state) {
    (void)state;
    for (unsigned version = 1; version <= 3; version++) {
        struct gguf g = {0};
        put_good(&g, version);
        struct ig_mem mem = {0};
        struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}};
        ingle_error err = {0};
        if (ig_gguf_read(&v, g.p, g.n, type_size, &err)) fail_msg("version %u: %s", version, err.message);
        assert_int_equal(v.version, version);
        assert_int_equal(v.n_kv, 17);
        check_scalars(&v);
        check_arrays(&v);
        check_tensors(&v, g.p, g.n);
        ig_view_close(&v);
        assert_int_equal(ig_mem_used(&mem), 0);
        free(g.p);
    }
}

/* Every proper prefix is refused; each flipped byte is at worst refused. */
static void test_truncation_and_flips(void **state) {
    (void)state;
    for (unsigned version = 1; version <= 3; version++) {
        struct gguf g = {0};
        put_good(&g, version);
        for (size_t n = 0; n < g.n; n++) {
            assert_int_equal(read_bytes(g.p, n), INGLE_BAD_FILE);
            assert_true(last.message[0] && last.hint[0]);
        }
        for (size_t i = 0; i < g.n; i++)
            for (unsigned bit = 0; bit < 8; bit++) {
                g.p[i] ^= (uint8_t)(1u << bit);
                ingle_status s = read_bytes(g.p, g.n);
                assert_true(s == INGLE_OK || (last.message[0] && last.hint[0]));
                g.p[i] ^= (uint8_t)(1u << bit);
            }
        free(g.p);
    }
}

static void test_no_tensors(void **state) {
    (void)state;
    struct gguf g = {0};
    put_head(&g, 3, 0, 0);
    assert_int_equal(read_bytes(g.p, g.n), INGLE_OK);
    put_head(&g, 3, 0, 1);
    kv_str(&g, "general.architecture", "x");
    assert_int_equal(read_bytes(g.p, g.n), INGLE_OK);
    free(g.p);
}

/* ---- lengths and counts ------------------------------------------------------------------------------------------ */

static const uint64_t wild[] = {UINT64_C(1) << 31, (UINT64_C(1) << 32) + 1, UINT64_C(1) << 61, UINT64_C(1) << 63,
                                UINT64_MAX, UINT64_MAX - 7, UINT64_MAX / 8 + 1};
enum { N_WILD = sizeof wild / sizeof *wild };

/* Writes the value over the 8 bytes at `at` of a good file and wants a refusal. */
static void refuse_count(struct gguf *g, size_t at, uint64_t real, const char *text) {
    size_t left = g->n - at - 8;
    uint64_t tried[N_WILD + 3] = {left + 1, real + 1, left * 2};
    memcpy(tried + 3, wild, sizeof wild);
    for (size_t i = 0; i < N_WILD + 3; i++) {
        uint8_t kept[8];
        memcpy(kept, g->p + at, 8);
        size_t n = g->n;
        g->n = at;
        put_u64(g, tried[i]);
        g->n = n;
        refuse(g, INGLE_BAD_FILE, tried[i] >= left + 1 ? text : "");
        memcpy(g->p + at, kept, 8);
    }
}

static void test_counts(void **state) {
    (void)state;
    struct gguf g = {0};
    put_good(&g, 3);
    refuse_count(&g, 8, 3, "tensors");
    refuse_count(&g, 16, 17, "metadata keys");
    refuse_count(&g, 24, 20, "a metadata key at byte 24 claims");
    refuse_count(&g, 24 + 8 + 20 + 4, 4, "a metadata string at byte 56 claims");
    size_t tokens = 0;
    for (size_t i = 0; i + 6 < g.n && !tokens; i++)
        if (!memcmp(g.p + i, "tokens\x09", 7)) tokens = i + 6 + 4 + 4;
    refuse_count(&g, tokens, 4, "key 'tokens' claims");
    refuse_count(&g, tokens + 8, 1, "key 'tokens': string 0 claims");
    /* one less is a different file, but never a crash */
    g.p[tokens] = 3;
    assert_int_not_equal(read_bytes(g.p, g.n), INGLE_OK);
    free(g.p);
}

static void test_counts_v1(void **state) {
    (void)state;
    static const uint32_t values[] = {0x7fffffff, 0x80000000, 0xffffffff, 100000};
    struct gguf g = {0};
    put_good(&g, 1);
    static const size_t at[] = {8, 12, 16};
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < 4; i++) {
            uint8_t kept[4];
            memcpy(kept, g.p + at[k], 4);
            memcpy(g.p + at[k], &values[i], 4);
            refuse(&g, INGLE_BAD_FILE, "");
            memcpy(g.p + at[k], kept, 4);
        }
    free(g.p);
}

static void test_array_widths(void **state) {
    (void)state;
    static const unsigned width[] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 0, 8, 8, 8};
    struct gguf g = {0};
    for (unsigned item = 0; item <= 12; item++)
        for (size_t i = 0; i < N_WILD && width[item]; i++) {
            put_head(&g, 3, 0, 1);
            kv_array(&g, "k", item, wild[i]);
            put_zeros(&g, 64);
            refuse(&g, INGLE_BAD_FILE, "key 'k' claims");
        }
    put_head(&g, 3, 0, 1);
    kv_array(&g, "k", 9, 1);
    put_zeros(&g, 64);
    refuse(&g, INGLE_UNSUPPORTED, "array of arrays");
    put_head(&g, 3, 0, 1);
    kv_array(&g, "k", 13, 1);
    put_zeros(&g, 64);
    refuse(&g, INGLE_BAD_FILE, "unknown type 13");
    put_head(&g, 3, 0, 1);
    put_str(&g, "k");
    put_u32(&g, 0x80000004);
    put_zeros(&g, 64);
    refuse(&g, INGLE_BAD_FILE, "unknown type 2147483652");
    free(g.p);
}

/* ---- header and keys --------------------------------------------------------------------------------------------- */

static void test_header(void **state) {
    (void)state;
    struct gguf g = {0};
    put_head(&g, 0, 0, 0);
    refuse(&g, INGLE_UNSUPPORTED, "version 0");
    put_head(&g, 4, 0, 0);
    refuse(&g, INGLE_UNSUPPORTED, "version 4");
    put_head(&g, 0x03000000, 0, 0);
    refuse(&g, INGLE_UNSUPPORTED, "big-endian");
    put_head(&g, 3, 0, 0);
    g.p[3] = 'X';
    refuse(&g, INGLE_BAD_FILE, "not a GGUF");
    g.n = 0;
    refuse(&g, INGLE_BAD_FILE, "ends at byte 0");
    free(g.p);
}

static void test_keys(void **state) {
    (void)state;
    struct gguf g = {0};
    put_head(&g, 3, 0, 2);
    kv_u32(&g, "same", 1);
    kv_u32(&g, "same", 2);
    refuse(&g, INGLE_BAD_FILE, "key 'same' occurs twice");
    put_head(&g, 3, 0, 1);
    kv_u32(&g, "", 1);
    refuse(&g, INGLE_BAD_FILE, "key at byte 24 is empty");
    char *long_key = calloc(1, 70001);
    memset(long_key, 'k', 70000);
    put_head(&g, 3, 0, 1);
    kv_u32(&g, long_key, 1);
    refuse(&g, INGLE_BAD_FILE, "70000 bytes, the limit is 65535");
    free(long_key);
    /* bytes that would steer a terminal, and a format string */
    put_head(&g, 3, 0, 2);
    kv_u32(&g, "\033[2J\033]0;x\a\n%n%s", 1);
    kv_u32(&g, "\033[2J\033]0;x\a\n%n%s", 2);
    refuse(&g, INGLE_BAD_FILE, "?[2J?]0;x??%n%s");
    free(g.p);
}

static void test_alignment(void **state) {
    (void)state;
    static const uint64_t bad[] = {0, 3, 48, UINT64_C(1) << 21, UINT64_C(1) << 31, 0xffffffff};
    struct gguf g = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_head(&g, 3, 1, 1);
        kv_u32(&g, "general.alignment", bad[i]);
        put_tensor(&g, "t", 1, (uint64_t[]){8}, 0, 0);
        pad_to(&g, 32);
        put_zeros(&g, 32);
        refuse(&g, INGLE_BAD_FILE, "general.alignment must be a power of two");
    }
    put_head(&g, 3, 1, 1);
    kv_str(&g, "general.alignment", "32");
    put_tensor(&g, "t", 1, (uint64_t[]){8}, 0, 0);
    put_zeros(&g, 96);
    refuse(&g, INGLE_BAD_FILE, "general.alignment");
    put_head(&g, 3, 2, 1);
    kv_u32(&g, "general.alignment", 4096);
    put_tensor(&g, "t", 1, (uint64_t[]){8}, 0, 0);
    put_tensor(&g, "u", 1, (uint64_t[]){8}, 0, 4096);
    pad_to(&g, 4096);
    put_zeros(&g, 4096 + 32);
    assert_int_equal(read_bytes(g.p, g.n), INGLE_OK);
    put_head(&g, 3, 1, 1);
    kv_u32(&g, "general.alignment", 1);
    put_tensor(&g, "t", 1, (uint64_t[]){8}, 0, 0);
    put_zeros(&g, 32);
    assert_int_equal(read_bytes(g.p, g.n), INGLE_OK);
    free(g.p);
}

/* ---- tensors ----------------------------------------------------------------------------------------------------- */

struct tensor_case {
    const char *text;
    unsigned n_dims;
    uint64_t dims[5];
    uint32_t type;
    uint64_t offset;
    ingle_status code;
};

static void test_tensor_cases(void **state) {
    (void)state;
    static const struct tensor_case cases[] = {
        {"dimension 0 is zero", 1, {0}, 0, 0, INGLE_BAD_FILE},
        {"dimension 1 is zero", 2, {32, 0}, 0, 0, INGLE_BAD_FILE},
        {"dimension 3 is zero", 4, {32, 1, 1, 0}, 0, 0, INGLE_BAD_FILE},
        {"has 0 dimensions", 0, {0}, 0, 0, INGLE_BAD_FILE},
        {"has 5 dimensions", 5, {1, 1, 1, 1, 1}, 0, 0, INGLE_BAD_FILE},
        {"overflows", 1, {UINT64_C(1) << 63}, 0, 0, INGLE_BAD_FILE},
        {"overflows", 1, {UINT64_MAX}, 0, 0, INGLE_BAD_FILE},
        {"overflows", 2, {UINT64_C(1) << 32, UINT64_C(1) << 32}, 0, 0, INGLE_BAD_FILE},
        {"overflows", 2, {UINT64_C(1) << 62, 4}, 0, 0, INGLE_BAD_FILE},
        {"overflows", 4, {1u << 16, 1u << 16, 1u << 16, 1u << 16}, 0, 0, INGLE_BAD_FILE},
        {"size in bytes overflows", 1, {UINT64_C(1) << 62}, 0, 0, INGLE_BAD_FILE}, /* * 4 wraps to 0 */
        {"size in bytes overflows", 1, {(UINT64_C(1) << 62) + 1}, 0, 0, INGLE_BAD_FILE},
        {"past the end", 1, {(UINT64_C(1) << 61) - 8}, 0, 0, INGLE_BAD_FILE},
        {"past the end", 1, {UINT64_C(1) << 61}, 24, 0, INGLE_BAD_FILE},
        {"past the end", 1, {9}, 0, 0, INGLE_BAD_FILE},
        {"past the end", 2, {4, 3}, 0, 0, INGLE_BAD_FILE},
        {"past the end", 1, {8}, 0, 32, INGLE_BAD_FILE},
        {"past the end", 1, {8}, 0, UINT64_C(1) << 63, INGLE_BAD_FILE},
        {"past the end", 1, {8}, 0, UINT64_MAX - 31, INGLE_BAD_FILE},
        {"not a multiple of 32", 1, {4}, 0, 4, INGLE_BAD_FILE},
        {"not a multiple of 32", 1, {8}, 0, UINT64_MAX, INGLE_BAD_FILE},
        {"rows of 33 weights do not divide into Q4_0 blocks of 32", 1, {33}, 2, 0, INGLE_BAD_FILE},
        {"rows of 16 weights do not divide", 2, {16, 2}, 2, 0, INGLE_BAD_FILE},
        {"rows of 32 weights do not divide into Q4_K", 1, {32}, 12, 0, INGLE_BAD_FILE},
        {"block type 4", 1, {32}, 4, 0, INGLE_UNSUPPORTED},
        {"block type 5", 1, {32}, 5, 0, INGLE_UNSUPPORTED},
        {"block type 31", 1, {32}, 31, 0, INGLE_UNSUPPORTED},
        {"block type 33", 1, {32}, 33, 0, INGLE_UNSUPPORTED},
        {"block type 36", 1, {32}, 36, 0, INGLE_UNSUPPORTED},
        {"block type 38", 1, {32}, 38, 0, INGLE_UNSUPPORTED},
        {"block type 137", 1, {32}, 137, 0, INGLE_UNSUPPORTED},
        {"block type 65535", 1, {32}, 65535, 0, INGLE_UNSUPPORTED},
        {"block type 4294967295", 1, {32}, UINT32_MAX, 0, INGLE_UNSUPPORTED},
    };
    struct gguf g = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_head(&g, 3, 1, 0);
        put_tensor(&g, "blk.0.attn_q.weight", cases[i].n_dims, cases[i].dims, cases[i].type, cases[i].offset);
        pad_to(&g, 32);
        put_zeros(&g, 32);
        refuse(&g, cases[i].code, cases[i].text);
        assert_non_null(strstr(last.message, "tensor 'blk.0.attn_q.weight'"));
    }
    put_head(&g, 3, 1, 0);
    put_tensor(&g, "t", 1, (uint64_t[]){8}, 0, 0);
    pad_to(&g, 32);
    put_zeros(&g, 32);
    assert_int_equal(read_bytes(g.p, g.n), INGLE_OK); /* the frame of the cases is good */
    free(g.p);
}

static void put_two(struct gguf *g, const char *one, const char *two, uint64_t weights, uint64_t first,
                    uint64_t second) {
    put_head(g, 3, 2, 0);
    put_tensor(g, one, 1, &weights, 0, first);
    put_tensor(g, two, 1, &weights, 0, second);
    pad_to(g, 32);
    put_zeros(g, 256);
}

static void test_overlap(void **state) {
    (void)state;
    struct gguf g = {0};
    put_two(&g, "one", "two", 8, 0, 0);
    refuse(&g, INGLE_BAD_FILE, "overlaps tensor");
    put_two(&g, "one", "two", 9, 0, 32);
    refuse(&g, INGLE_BAD_FILE, "tensor 'two': overlaps tensor 'one'");
    put_two(&g, "one", "two", 9, 32, 0);
    refuse(&g, INGLE_BAD_FILE, "tensor 'one': overlaps tensor 'two'");
    put_two(&g, "one", "two", 8, 32, 0); /* any order is fine */
    assert_int_equal(read_bytes(g.p, g.n), INGLE_OK);
    put_two(&g, "one", "two", 8, 0, 128); /* and so is a gap */
    assert_int_equal(read_bytes(g.p, g.n), INGLE_OK);
    put_two(&g, "same", "same", 8, 0, 32);
    refuse(&g, INGLE_BAD_FILE, "tensor 'same' occurs twice");
    put_two(&g, "one", "", 8, 0, 32);
    refuse(&g, INGLE_BAD_FILE, "is empty");
    /* many in falling order: the sort must not be quadratic, and finds the one that overlaps */
    put_head(&g, 3, 3000, 0);
    for (unsigned i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof name, "t%u", i);
        put_tensor(&g, name, 1, (uint64_t[]){i == 1500 ? 9 : 8}, 0, (2999 - i) * 32);
    }
    pad_to(&g, 32);
    put_zeros(&g, 3000 * 32);
    refuse(&g, INGLE_BAD_FILE, "tensor 't1499': overlaps tensor 't1500'");
    free(g.p);
}

/* ---- much of everything ------------------------------------------------------------------------------------------ */

static void test_many_keys(void **state) {
    (void)state;
    struct gguf g = {0};
    put_head(&g, 3, 20000, 100000);
    char name[32];
    for (unsigned i = 0; i < 100000; i++) {
        snprintf(name, sizeof name, "%u", i);
        kv_int(&g, name, 0, 1, 1);
    }
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "blk.%u.x", i);
        put_tensor(&g, name, 1, (uint64_t[]){1}, 0, i * 32);
    }
    pad_to(&g, 32);
    put_zeros(&g, 20000 * 32);
    struct ig_mem mem = {0};
    struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}};
    double start = cpu_seconds();
    assert_int_equal(ig_gguf_read(&v, g.p, g.n, type_size, NULL), INGLE_OK);
    assert_true(cpu_seconds() - start < 2);
    assert_true(mem.peak <= 4 * (g.n - 20000 * 32) + (16u << 20));
    assert_non_null(ig_view_kv(&v, "77777"));
    assert_ptr_equal(ig_view_tensor(&v, IG_STR("blk.19999.x")), &v.tensors[19999]);
    ig_view_close(&v);
    free(g.p);
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

static char folder[64];

static char *in_folder(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void save(const char *name, const struct gguf *g) {
    FILE *f = fopen(in_folder(name), "wb");
    assert_non_null(f);
    if (g->n) assert_int_equal(fwrite(g->p, 1, g->n, f), g->n);
    fclose(f);
}

/* Opens by path; returns the status, with the message in `last`. */
static ingle_status open_path(const char *path, size_t *n_tensors, size_t *peak) {
    struct ig_mem mem = {0};
    struct ig_view v;
    memset(&last, 0, sizeof last);
    ingle_status s = ig_view_open(&v, &mem, path, type_size, &(struct ig_log){0}, &last);
    if (n_tensors) *n_tensors = v.n_tensors;
    if (peak) *peak = mem.peak;
    ig_view_close(&v);
    assert_int_equal(ig_mem_used(&mem), 0);
    if (s) assert_true(last.hint[0] && (strstr(last.message, path) || strstr(last.message, folder)));
    return s;
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/ingle-gguf-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void test_not_a_model(void **state) {
    (void)state;
    static const struct {
        const char *head, *text;
    } files[] = {{"<!DOCTYPE html><html>", "web page"},       {"version https://git-lfs.github.com/spec/v1", "Git LFS"},
                 {"tjgg\1\2\3\4xxxxxxxxxx", "before GGUF"},   {"PK\3\4xxxxxxxxxxxx", "zip archive"},
                 {"hello, I am not a model", "not a model"},  {"GG", "ends at byte 2"},
                 {"GGUF", "ends at byte 4"},                  {"\x1f\x8b xxxx", "gzip"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct gguf g = {(uint8_t *)(uintptr_t)files[i].head, strlen(files[i].head), 0, 3};
        save("x", &g);
        assert_int_equal(open_path(in_folder("x"), NULL, NULL), INGLE_BAD_FILE);
        if (!strstr(last.message, files[i].text)) fail_msg("%s", last.message);
    }
    struct gguf none = {0};
    save("empty.gguf", &none);
    assert_int_equal(open_path(in_folder("empty.gguf"), NULL, NULL), INGLE_BAD_FILE);
    assert_non_null(strstr(last.message, "empty"));
    assert_int_equal(mkfifo(in_folder("fifo.gguf"), 0600), 0);
    alarm(5); /* a reader that blocks is killed */
    assert_int_equal(open_path(in_folder("fifo.gguf"), NULL, NULL), INGLE_BAD_FILE);
    alarm(0);
    assert_int_equal(mkdir(in_folder("folder.gguf"), 0700), 0);
    assert_int_equal(open_path(in_folder("folder.gguf"), NULL, NULL), INGLE_NOT_FOUND);
    assert_int_equal(open_path(in_folder("absent.gguf"), NULL, NULL), INGLE_NOT_FOUND);
    assert_int_equal(open_path("/dev/zero", NULL, NULL), INGLE_BAD_FILE);
    struct ig_mem mem = {0};
    struct ig_view v;
    assert_int_equal(ig_view_open(&v, &mem, "", type_size, NULL, &last), INGLE_BAD_ARGUMENT);
}

/* Cheap for the attacker, and must be for us: 16 million empty strings in a file of holes. */
static void test_sparse(void **state) {
    (void)state;
    struct gguf g = {0};
    size_t peak;
    put_head(&g, 3, 0, 1);
    kv_array(&g, "tokenizer.ggml.tokens", 8, 16000000);
    save("sparse.gguf", &g);
    assert_int_equal(truncate(in_folder("sparse.gguf"), (off_t)g.n + 16000000 * 8), 0);
    double start = cpu_seconds();
    assert_int_equal(open_path(in_folder("sparse.gguf"), NULL, &peak), INGLE_OK);
    assert_true(cpu_seconds() - start < 2);
    assert_true(peak < 1 << 20);
    /* a terabyte of them is refused at once, as are a billion keys and tensors */
    put_head(&g, 3, 0, 1);
    kv_array(&g, "k", 8, UINT64_C(1) << 36);
    save("huge.gguf", &g);
    if (!truncate(in_folder("huge.gguf"), (off_t)1 << 40)) {
        assert_int_equal(open_path(in_folder("huge.gguf"), NULL, &peak), INGLE_UNSUPPORTED);
        put_head(&g, 3, 1000000000, 0);
        save("huge.gguf", &g);
        assert_int_equal(truncate(in_folder("huge.gguf"), (off_t)1 << 40), 0);
        assert_int_equal(open_path(in_folder("huge.gguf"), NULL, &peak), INGLE_UNSUPPORTED);
        put_head(&g, 3, 0, 1000000); /* within the limit, but the keys are empty */
        save("huge.gguf", &g);
        assert_int_equal(truncate(in_folder("huge.gguf"), (off_t)1 << 40), 0);
        assert_int_equal(open_path(in_folder("huge.gguf"), NULL, &peak), INGLE_BAD_FILE);
        assert_true(peak < 1 << 20);
    }
    assert_true(cpu_seconds() - start < 2);
    free(g.p);
}

static void put_part(struct gguf *g, unsigned no, unsigned count, int total) {
    put_head(g, 3, no + 1, 3);
    kv_int(g, "split.no", 2, no, 2);
    kv_int(g, "split.count", 2, count, 2);
    kv_int(g, "split.tensors.count", 5, (uint32_t)total, 4);
    for (unsigned i = 0; i <= no; i++) {
        char name[32];
        snprintf(name, sizeof name, "p%u.t%u", no, i);
        put_tensor(g, name, 1, (uint64_t[]){8}, 0, i * 32);
    }
    pad_to(g, 32);
    put_zeros(g, (no + 1) * 32);
}

static void test_split(void **state) {
    (void)state;
    struct gguf g = {0};
    size_t n;
    static const char *const names[] = {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf", "m-00003-of-00003.gguf"};
    for (unsigned i = 0; i < 3; i++) {
        put_part(&g, i, 3, 6);
        save(names[i], &g);
    }
    for (unsigned i = 0; i < 3; i++) { /* any part opens all */
        assert_int_equal(open_path(in_folder(names[i]), &n, NULL), INGLE_OK);
        assert_int_equal(n, 6);
    }
    put_part(&g, 1, 3, 6);
    save("renamed.gguf", &g);
    assert_int_equal(open_path(in_folder("renamed.gguf"), NULL, NULL), INGLE_BAD_FILE);
    assert_non_null(strstr(last.message, "-00002-of-00003.gguf"));
    put_part(&g, 1, 3, 6);
    save(names[2], &g); /* part 2 under part 3's name */
    assert_int_equal(open_path(in_folder(names[0]), NULL, NULL), INGLE_BAD_FILE);
    assert_non_null(strstr(last.message, "says it is part 2 of 3, its name says 3 of 3"));
    put_part(&g, 2, 3, 7);
    save(names[2], &g);
    assert_int_equal(open_path(in_folder(names[0]), &n, NULL), INGLE_OK); /* the first part's count holds */
    put_part(&g, 0, 3, 7);
    save(names[0], &g);
    struct ig_mem mem = {0};
    struct ig_view v;
    assert_int_equal(ig_view_open(&v, &mem, in_folder(names[0]), type_size, NULL, &last), INGLE_BAD_FILE);
    assert_non_null(strstr(last.message, "hold 6 tensors, split.tensors.count says 7"));
    unlink(in_folder(names[1]));
    assert_int_equal(ig_view_open(&v, &mem, in_folder(names[0]), type_size, NULL, &last), INGLE_NOT_FOUND);
    assert_non_null(strstr(last.message, "m-00002-of-00003.gguf: part 2 of 3"));
    assert_int_equal(ig_mem_used(&mem), 0);
    put_part(&g, 5, 3, 6); /* number past the count */
    save("x.gguf", &g);
    assert_int_equal(open_path(in_folder("x.gguf"), NULL, NULL), INGLE_BAD_FILE);
    free(g.p);
}

static long calls, fail_at;
static void *failing(void *ud, void *p, size_t old, size_t now) {
    (void)ud;
    (void)old;
    if (now && ++calls >= fail_at) return NULL;
    if (now) return realloc(p, now);
    free(p);
    return NULL;
}

static void test_no_memory(void **state) {
    (void)state;
    struct gguf g = {0};
    put_part(&g, 0, 2, 3);
    save("m-00001-of-00002.gguf", &g);
    put_part(&g, 1, 2, 3);
    save("m-00002-of-00002.gguf", &g);
    struct ig_mem m = {.hook = failing};
    struct ig_view v;
    ingle_status s = INGLE_NO_MEMORY;
    for (fail_at = 1; s; fail_at++) {
        calls = 0;
        s = ig_view_open(&v, &m, in_folder("m-00002-of-00002.gguf"), type_size, NULL, &last);
        if (s && s != INGLE_NO_MEMORY) fail_msg("allocation %ld: %d %s", fail_at, s, last.message);
        if (s) assert_int_equal(ig_mem_used(&m), 0);
    }
    assert_true(fail_at > 3 && v.n_tensors == 3);
    ig_view_close(&v);
    assert_int_equal(ig_mem_used(&m), 0);
    free(g.p);
}

/* The files that llama.cpp's own converter wrote. */
static void test_golden(void **state) {
    (void)state;
    const char *top = getenv("INGLE_GOLDEN") ? getenv("INGLE_GOLDEN") : "tests/golden";
    char path[512];
    snprintf(path, sizeof path, "%s/gguf", top);
    struct ig_mem mem = {0};
    char *names;
    if (ig_os_list(&mem, path, &names, NULL)) skip();
    size_t seen = 0;
    for (char *p = names; *p; p += strlen(p) + 1) {
        if (!strstr(p, ".gguf")) continue;
        struct ig_view v;
        int64_t count;
        snprintf(path, sizeof path, "%s/gguf/%s", top, p);
        if (ig_view_open(&v, &mem, path, type_size, NULL, &last)) fail_msg("%s", last.message);
        char key[128];
        struct ig_str arch;
        assert_true(ig_kv_str(ig_view_kv(&v, "general.architecture"), &arch));
        snprintf(key, sizeof key, "%.*s.embedding_length", (int)arch.n, arch.p);
        assert_true(ig_kv_i64(ig_view_kv(&v, key), 0, &count));
        const struct ig_tensor *t = ig_view_tensor(&v, IG_STR("token_embd.weight"));
        assert_non_null(t);
        assert_int_equal(t->ne[0], count);
        ig_view_close(&v);
        seen++;
    }
    ig_free(&mem, names);
    assert_true(seen > 0);
    assert_int_equal(ig_mem_used(&mem), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_truncation_and_flips),
        cmocka_unit_test(test_no_tensors),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_counts_v1),
        cmocka_unit_test(test_array_widths),
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_tensor_cases),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test_setup_teardown(test_not_a_model, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_sparse, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_split, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_no_memory, make_folder, remove_folder),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
