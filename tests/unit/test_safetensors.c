/* The safetensors reader and model folders: the rules of the format, and what is said about incomplete folders. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "file/view.h"
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
static char folder[64];
static struct ig_mem mem;

/* u64 length + header + `data` zero bytes, in an exact-size block. */
static uint8_t *make(const char *header, size_t data, size_t *n) {
    size_t h = strlen(header);
    uint8_t *p = calloc(1, 8 + h + data);
    for (int i = 0; i < 8; i++) p[i] = (uint8_t)((uint64_t)h >> (8 * i));
    memcpy(p + 8, header, h);
    *n = 8 + h + data;
    return p;
}

static ingle_status read_bytes(const uint8_t *p, size_t n) {
    struct ig_mem m = {0};
    struct ig_view v = {.mem = &m, .arena = {.mem = &m}, .path = "x.safetensors"};
    memset(&last, 0, sizeof last);
    ingle_status s = ig_safetensors_read(&v, p, n, &last);
    assert_true(m.peak <= 4 * n + (16u << 20));
    ig_view_close(&v);
    assert_int_equal(ig_mem_used(&m), 0);
    return s;
}

static void want(const char *header, size_t data, ingle_status code, const char *text) {
    size_t n;
    uint8_t *p = make(header, data, &n);
    ingle_status s = read_bytes(p, n);
    if (s != code || (s && (!strstr(last.message, text) || strncmp(last.message, "x.safetensors: ", 15) || !last.hint[0])))
        fail_msg("%s: want %d '%s', got %d '%s' (%s)", header, code, text, s, last.message, last.hint);
    free(p);
}

#define T(name, dtype, shape, begin, end)                                                                              \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"
#define GOOD                                                                                                           \
    "{\"__metadata__\":{\"format\":\"pt\",\"e\":\"\\u00e9\"}," T("b", "F16", "[3]", 24, 30) ","                       \
        T("a.weight", "F32", "[2,3]", 0, 24) "," T("s", "BF16", "[]", 30, 32) "," T("z\\u0041", "I64", "[1]", 32, 40) "}  "

static void test_good(void **state) {
    (void)state;
    size_t n;
    uint8_t *p = make(GOOD, 40, &n);
    struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}};
    if (ig_safetensors_read(&v, p, n, &last)) fail_msg("%s", last.message);
    assert_int_equal(v.n_tensors, 4);
    const struct ig_tensor *a = ig_view_tensor(&v, IG_STR("a.weight")), *b = ig_view_tensor(&v, IG_STR("b")),
                           *s = ig_view_tensor(&v, IG_STR("s")), *z = ig_view_tensor(&v, IG_STR("zA"));
    assert_true(a && b && s && z);
    assert_true(a->type == 0 && a->n_dims == 2 && a->ne[0] == 3 && a->ne[1] == 2 && a->ne[2] == 1 && a->bytes == 24);
    assert_true(b->type == 1 && b->n_dims == 1 && b->ne[0] == 3 && b->bytes == 6);
    assert_true(s->type == 30 && s->n_dims == 1 && s->ne[0] == 1 && s->bytes == 2);
    assert_true(z->type == 27 && ig_str_is(z->dtype, "I64"));
    assert_ptr_equal(z->data + 8, p + n);
    assert_null(ig_view_tensor(&v, IG_STR("__metadata__")));
    ig_view_close(&v);
    free(p);
}

static void test_truncation_and_flips(void **state) {
    (void)state;
    size_t n;
    uint8_t *p = make(GOOD, 40, &n);
    for (size_t cut = 0; cut < n; cut++) {
        uint8_t *copy = malloc(cut ? cut : 1);
        memcpy(copy, p, cut);
        assert_int_equal(read_bytes(copy, cut), INGLE_BAD_FILE);
        assert_true(last.hint[0]);
        free(copy);
    }
    for (size_t i = 0; i < n - 40; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            p[i] ^= (uint8_t)(1u << bit);
            ingle_status s = read_bytes(p, n);
            assert_true(!s || (last.message[0] && last.hint[0]));
            p[i] ^= (uint8_t)(1u << bit);
        }
    free(p);
}

static void test_dtypes(void **state) {
    (void)state;
    static const struct {
        const char *name;
        uint32_t type, bits;
    } rows[] = {{"F64", 28, 64},  {"F32", 0, 32},      {"F16", 1, 16},      {"BF16", 30, 16},   {"I64", 27, 64},
                {"I32", 26, 32},  {"I16", 25, 16},     {"I8", 24, 8},       {"U8", 65535, 8},   {"U16", 65535, 16},
                {"U32", 65535, 32}, {"U64", 65535, 64}, {"BOOL", 65535, 8}, {"F8_E4M3", 65535, 8}, {"F8_E5M2", 65535, 8},
                {"F8_E8M0", 65535, 8}, {"F4", 65535, 4}, {"F6_E2M3", 65535, 6}, {"C64", 65535, 64}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char header[256];
        size_t n, bytes = 8 * rows[i].bits / 8;
        snprintf(header, sizeof header, "{\"t\":{\"dtype\":\"%s\",\"shape\":[2,4],\"data_offsets\":[0,%zu]}}",
                 rows[i].name, bytes);
        uint8_t *p = make(header, bytes, &n);
        struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}};
        if (ig_safetensors_read(&v, p, n, &last)) fail_msg("%s", last.message);
        assert_int_equal(v.tensors[0].type, rows[i].type);
        assert_true(ig_str_is(v.tensors[0].dtype, rows[i].name));
        ig_view_close(&v);
        free(p);
    }
    want("{" T("t", "F4", "[3]", 0, 1) "}", 1, INGLE_BAD_FILE, "do not fill");
    want("{" T("t", "F128", "[1]", 0, 16) "}", 16, INGLE_UNSUPPORTED, "dtype 'F128'");
    want("{" T("t", "f32", "[1]", 0, 4) "}", 4, INGLE_UNSUPPORTED, "dtype 'f32'");
}

static void test_shapes(void **state) {
    (void)state;
    size_t n;
    uint8_t *p = make("{" T("t", "I8", "[1,1,2,3,1,5,7]", 0, 210) "}", 210, &n);
    struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}};
    if (ig_safetensors_read(&v, p, n, &last)) fail_msg("%s", last.message);
    const uint64_t *ne = v.tensors[0].ne;
    assert_true(v.tensors[0].n_dims == 4 && ne[0] == 7 && ne[1] == 5 && ne[2] == 1 && ne[3] == 6);
    ig_view_close(&v);
    free(p);
    want("{" T("t", "I8", "[0]", 0, 0) "}", 0, INGLE_OK, "");
    want("{" T("t", "F32", "[4294967296,4294967296]", 0, 4) "}", 4, INGLE_BAD_FILE, "overflows");
    want("{" T("t", "F32", "[4611686018427387904]", 0, 0) "}", 0, INGLE_BAD_FILE, "do not fill");
    want("{" T("t", "F32", "[0,4611686018427387904,4]", 0, 0) "}", 0, INGLE_OK, "");
    want("{" T("t", "I8", "[4611686018427387904,2,2,1,0]", 0, 0) "}", 0, INGLE_BAD_FILE, "overflows");
    want("{" T("t", "F32", "[-1]", 0, 4) "}", 4, INGLE_BAD_FILE, "not a whole number");
    want("{" T("t", "F32", "[1.0]", 0, 4) "}", 4, INGLE_BAD_FILE, "not a whole number");
    want("{" T("t", "F32", "[99999999999999999999]", 0, 4) "}", 4, INGLE_BAD_FILE, "not a whole number");
    want("{" T("t", "F32", "[\"1\"]", 0, 4) "}", 4, INGLE_BAD_FILE, "not a whole number");
    want("{" T("t", "F32", "1", 0, 4) "}", 4, INGLE_BAD_FILE, "shape is not an array");
}

static void test_offsets(void **state) {
    (void)state;
    want("{" T("t", "F32", "[1]", 0, 4) "}", 3, INGLE_BAD_FILE, "ends at byte 4 of the data");
    want("{" T("t", "F32", "[1]", 0, 4) "}", 5, INGLE_BAD_FILE, "end at byte 4 of 5");
    want("{" T("t", "F32", "[1]", 4, 8) "}", 8, INGLE_BAD_FILE, "hole after byte 0");
    want("{" T("t", "F32", "[1]", 4, 0) "}", 8, INGLE_BAD_FILE, "begin and an end");
    want("{" T("t", "F32", "[1]", -4, 0) "}", 8, INGLE_BAD_FILE, "begin and an end");
    want("{" T("t", "F32", "[1]", 0, 8) "}", 8, INGLE_BAD_FILE, "do not fill 8 bytes");
    want("{" T("t", "F32", "[1]", 0, 18446744073709551615) "}", 8, INGLE_BAD_FILE, "begin and an end");
    want("{" T("t", "F32", "[1]", 0, 9223372036854775807) "}", 8, INGLE_BAD_FILE, "ends at byte 9223372036854775807");
    want("{" T("t", "F32", "[1]", 0, 4) "," T("u", "F32", "[1]", 0, 4) "}", 4, INGLE_BAD_FILE, "inside the one");
    want("{" T("t", "F32", "[2]", 0, 8) "," T("u", "F32", "[2]", 4, 12) "}", 12, INGLE_BAD_FILE, "inside the one");
    want("{" T("t", "F32", "[1]", 0, 4) "," T("u", "F32", "[1]", 8, 12) "}", 12, INGLE_BAD_FILE, "hole after byte 4");
    want("{}", 0, INGLE_OK, "");
    want("{}", 1, INGLE_BAD_FILE, "end at byte 0 of 1");
}

static void test_syntax(void **state) {
    (void)state;
    want("{" T("t", "F32", "[1]", 0, 4) "," T("t", "F32", "[1]", 4, 8) "}", 8, INGLE_BAD_FILE, "'t' occurs twice");
    want("{" T("t", "F32", "[1]", 0, 4) "," T("\\u0074", "F32", "[1]", 4, 8) "}", 8, INGLE_BAD_FILE, "occurs twice");
    want("{\"__metadata__\":{},\"__metadata__\":{}}", 0, INGLE_BAD_FILE, "__metadata__ occurs twice");
    want("{\"__metadata__\":{\"a\":1}}", 0, INGLE_BAD_FILE, "string was expected");
    want("{\"__metadata__\":[]}", 0, INGLE_BAD_FILE, "not an object");
    want("{\"__metadata__\":{\"a\":\"\\q\"}}", 0, INGLE_BAD_FILE, "byte");
    want("{\"t\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, INGLE_BAD_FILE, "lacks one of");
    want("{\"t\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, INGLE_BAD_FILE, "");
    want("{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":0}}", 4, INGLE_BAD_FILE, "field 'x'");
    want("{\"t\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, INGLE_BAD_FILE, "dtype is not a string");
    want("{\"t\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,5]}}", 4, INGLE_BAD_FILE, "begin and an end");
    want("{\"t\":[]}", 0, INGLE_BAD_FILE, "object was expected");
    want("{\"t\":{}", 0, INGLE_BAD_FILE, "");
    want("{\"t\"", 0, INGLE_BAD_FILE, "':'");
    want("{\"t", 0, INGLE_BAD_FILE, "does not end");
    want("{\"t\\", 0, INGLE_BAD_FILE, "does not end");
    want("{\"t\":{\"", 0, INGLE_BAD_FILE, "does not end");
    want("{\"t\":{[}]", 0, INGLE_BAD_FILE, "");
    want("{,}", 0, INGLE_BAD_FILE, "string was expected");
    want("{} x", 0, INGLE_BAD_FILE, "something follows");
    want("[{}]", 0, INGLE_BAD_FILE, "no '{'");
    want("{\"\xff\":{}}", 0, INGLE_BAD_FILE, "");
    want("{\"a\033[2Jb\":{}}", 0, INGLE_BAD_FILE, "");
    want("{" T("\\u001b[2J", "F32", "[1]", 0, 8) "}", 8, INGLE_BAD_FILE, "tensor '?[2J'");
}

static void test_header_length(void **state) {
    (void)state;
    static const uint64_t wild[] = {0, 1, 3, 100000001, UINT64_C(1) << 31, UINT64_C(1) << 63, UINT64_MAX,
                                    UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof wild / sizeof *wild; i++) {
        size_t n;
        uint8_t *p = make("{}", 0, &n);
        for (int b = 0; b < 8; b++) p[b] = (uint8_t)(wild[i] >> (8 * b));
        assert_int_equal(read_bytes(p, n), INGLE_BAD_FILE);
        free(p);
    }
}

/* 100000 tensors, and a header whose JSON tree would be 28 times its size. */
static void test_much(void **state) {
    (void)state;
    struct ig_buf b = {.mem = &mem};
    ig_buf_z(&b, "{");
    for (int i = 0; i < 100000; i++)
        ig_buf_f(&b, "%s\"model.layers.%d\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[%d,%d]}", i ? "," : "", i, i,
                 i + 1);
    ig_buf_z(&b, "}");
    double start = cpu_seconds();
    want(b.p, 100000, INGLE_OK, "");
    ig_buf_clear(&b);
    ig_buf_z(&b, "{\"t\":{\"dtype\":\"I8\",\"data_offsets\":[0,0],\"shape\":[0");
    for (int i = 0; i < 3000000; i++) ig_buf_z(&b, ",1");
    ig_buf_z(&b, "]}}");
    want(b.p, 0, INGLE_BAD_FILE, "longer than 64 KiB");
    assert_true(cpu_seconds() - start < 4);
    ig_buf_free(&b);
}

/* ---- folders ----------------------------------------------------------------------------------------------------- */

static const char *at(const char *name) {
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void save(const char *name, const void *p, size_t n) {
    FILE *f = fopen(at(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}
static void save_text(const char *name, const char *text) { save(name, text, strlen(text)); }
static void save_tensors(const char *name, const char *header, size_t data) {
    size_t n;
    uint8_t *p = make(header, data, &n);
    save(name, p, n);
    free(p);
}

static int setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/ingle-st-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}
static int teardown(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || ig_mem_used(&mem);
}

static void refuse(const char *path, ingle_status code, const char *text) {
    struct ig_view v;
    memset(&last, 0, sizeof last);
    ingle_status s = ig_view_open(&v, &mem, path, type_size, &(struct ig_log){0}, &last);
    if (s != code || !strstr(last.message, text) || !strstr(last.message, folder) || !last.hint[0])
        fail_msg("want %d '%s', got %d '%s' (%s)", code, text, s, last.message, last.hint);
    assert_int_equal(ig_mem_used(&mem), 0);
    assert_int_equal(ig_view_open(&v, &mem, path, type_size, NULL, NULL), code);
}

static void test_folder(void **state) {
    (void)state;
    struct ig_view v;
    refuse(folder, INGLE_NOT_FOUND, "config.json: is missing");
    save_text("config.json", "\xef\xbb\xbf{\"model_type\":\"x\",\"limit\":[0.0,-Infinity],\"s\":\"Infinity\\\"NaN\",\"n\":NaN}");
    refuse(folder, INGLE_NOT_FOUND, "holds no .safetensors");
    save_text("pytorch_model.bin", "PK");
    refuse(folder, INGLE_UNSUPPORTED, "'pytorch_model.bin' only");
    save_tensors("model.safetensors", "{" T("t", "F32", "[1]", 0, 4) "}", 4);
    assert_int_equal(ig_view_open(&v, &mem, folder, type_size, NULL, &last), INGLE_OK);
    assert_true(v.folder && v.n_tensors == 1 && v.config && !v.tokenizer && !v.chat_template.n);
    assert_true(ig_str_is(ig_json_str(ig_json_get(v.config, "s"), ""), "Infinity\"NaN"));
    assert_true(ig_json_is(ig_json_get(v.config, "n"), IG_JSON_NULL));
    assert_true(ig_json_f64(ig_json_at(ig_json_get(v.config, "limit"), 1), 0) < -1e308);
    ig_view_close(&v);
    save_text("tokenizer_config.json",
              "{\"chat_template\":[{\"name\":\"rag\",\"template\":\"r\"},{\"name\":\"default\",\"template\":\"d\\n\"}]}");
    save_text("tokenizer.json", "{\"model\":{}}");
    save_text("generation_config.json", "{}");
    assert_int_equal(ig_view_open(&v, &mem, at("model.safetensors"), type_size, NULL, &last), INGLE_OK);
    assert_true(v.tokenizer && v.generation_config && ig_str_is(v.chat_template, "d\n"));
    ig_view_close(&v);
    save_text("chat_template.json", "{\"chat_template\":\"j\"}");
    assert_int_equal(ig_view_open(&v, &mem, folder, type_size, NULL, &last), INGLE_OK);
    assert_true(ig_str_is(v.chat_template, "j"));
    ig_view_close(&v);
    save_text("chat_template.jinja", "jinja");
    assert_int_equal(ig_view_open(&v, &mem, folder, type_size, NULL, &last), INGLE_OK);
    assert_true(ig_str_is(v.chat_template, "jinja"));
    ig_view_close(&v);
    static const char *const files[] = {"config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"};
    static const char *const bad[] = {"", "[]", "{", "{\"a\":}", "nul", "{\"a\":1}}"};
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 6; k++) {
            save_text(files[i], bad[k]);
            refuse(folder, INGLE_BAD_FILE, files[i]);
        }
        save_text(files[i], "{}");
    }
    unlink(at("config.json"));
    refuse(at("model.safetensors"), INGLE_NOT_FOUND, "config.json: is missing");
    assert_int_equal(mkfifo(at("config.json"), 0600), 0);
    alarm(5);
    refuse(folder, INGLE_BAD_FILE, "config.json: is a pipe");
    alarm(0);
}

static void test_shards(void **state) {
    (void)state;
    struct ig_view v;
    save_text("config.json", "{}");
    save_tensors("model-00001-of-00002.safetensors", "{" T("a", "F32", "[1]", 0, 4) "}", 4);
    save_tensors("model-00002-of-00002.safetensors", "{" T("c", "F32", "[1]", 0, 4) "," T("b", "F16", "[1]", 4, 6) "}", 6);
    refuse(folder, INGLE_NOT_FOUND, "index.json: is missing");
    const char *index = "{\"metadata\":{\"total_size\":10},\"weight_map\":{\"c\":\"model-00002-of-00002.safetensors\","
                        "\"a\":\"model-00001-of-00002.safetensors\",\"b\":\"model-00002-of-00002.safetensors\"}}";
    save_text("model.safetensors.index.json", index);
    char path[256];
    snprintf(path, sizeof path, "%s/", folder);
    const char *const ways[] = {folder, path, NULL};
    for (int i = 0; i < 3; i++) {
        const char *way = ways[i] ? ways[i] : at("model-00002-of-00002.safetensors");
        if (ig_view_open(&v, &mem, way, type_size, NULL, &last)) fail_msg("%s", last.message);
        assert_int_equal(v.n_tensors, 3);
        assert_true(ig_view_tensor(&v, IG_STR("a")) && ig_view_tensor(&v, IG_STR("b")));
        ig_view_close(&v);
    }
    static const char *const bad[] = {
        "../x.safetensors", "/etc/x.safetensors", "a/x.safetensors", "C:x.safetensors", "..\\\\x.safetensors",
        ".hidden.safetensors", "x.bin", "", "x\\u0000.safetensors", "x\\u001b.safetensors"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"weight_map\":{\"a\":\"%s\"}}", bad[i]);
        save_text("model.safetensors.index.json", text);
        refuse(folder, INGLE_BAD_FILE, "tensor 'a' is not in a .safetensors file of this folder");
    }
    save_text("model.safetensors.index.json", "{\"weight_map\":{}}");
    refuse(folder, INGLE_BAD_FILE, "no weight_map");
    save_text("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"gone.safetensors\",\"b\":\"gone2.safetensors\"}}");
    refuse(folder, INGLE_NOT_FOUND, "gone.safetensors: is missing");
    save_text("model.safetensors.index.json",
              "{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\",\"q\":\"model-00002-of-00002.safetensors\"}}");
    refuse(folder, INGLE_BAD_FILE, "lacks tensor 'q'");
    save_tensors("model-00002-of-00002.safetensors", "{" T("a", "F32", "[1]", 0, 4) "}", 4);
    refuse(folder, INGLE_BAD_FILE, "tensor 'a' occurs twice");
    save_text("model-00002-of-00002.safetensors", "");
    refuse(folder, INGLE_BAD_FILE, "empty");
    save_text("m.gguf", "GGUF");
    unlink(at("model-00001-of-00002.safetensors"));
    unlink(at("model-00002-of-00002.safetensors"));
    unlink(at("model.safetensors.index.json"));
    refuse(folder, INGLE_NOT_FOUND, "holds 'm.gguf'");
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

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
    save_text("config.json", "{\"a\":[1,NaN]}");
    save_text("tokenizer_config.json", "{\"chat_template\":\"t\"}");
    save_tensors("m-1.safetensors", "{" T("\\u0061", "F32", "[1]", 0, 4) "}", 4);
    save_tensors("m-2.safetensors", "{" T("b", "F32", "[1]", 0, 4) "}", 4);
    save_text("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}");
    struct ig_mem m = {.hook = failing};
    struct ig_view v;
    ingle_status s = INGLE_NO_MEMORY;
    for (fail_at = 1; s; fail_at++) {
        calls = 0;
        s = ig_view_open(&v, &m, folder, type_size, NULL, &last);
        if (s && s != INGLE_NO_MEMORY) fail_msg("allocation %ld: %d %s", fail_at, s, last.message);
        if (s) assert_int_equal(ig_mem_used(&m), 0);
    }
    assert_true(fail_at > 5 && v.n_tensors == 2 && ig_str_is(v.chat_template, "t"));
    ig_view_close(&v);
    assert_int_equal(ig_mem_used(&m), 0);
}

/* What the transformers library wrote. */
static void test_golden(void **state) {
    (void)state;
    const char *top = getenv("INGLE_GOLDEN") ? getenv("INGLE_GOLDEN") : "tests/golden";
    char path[512], *names;
    snprintf(path, sizeof path, "%s/models", top);
    if (ig_os_list(&mem, path, &names, NULL)) skip();
    size_t seen = 0;
    for (char *p = names; *p; p += strlen(p) + 1) {
        struct ig_view v;
        snprintf(path, sizeof path, "%s/models/%s", top, p);
        if (ig_os_kind(path) != IG_OS_FOLDER) continue;
        if (ig_view_open(&v, &mem, path, type_size, NULL, &last)) fail_msg("%s", last.message);
        assert_true(v.n_tensors > 10 && ig_json_get(v.config, "model_type"));
        ig_view_close(&v);
        seen++;
    }
    ig_free(&mem, names);
    assert_true(seen > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_truncation_and_flips),
        cmocka_unit_test(test_dtypes),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_header_length),
        cmocka_unit_test(test_much),
        cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shards, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
