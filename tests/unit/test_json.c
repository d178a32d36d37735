/* JSON: the public parsing test suite, the tree's readers, errors, the writer, allocation failure.
 */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"

static struct ig_mem mem;

static char *read_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    static char buf[1 << 20];
    *n = fread(buf, 1, sizeof buf, f);
    fclose(f);
    char *copy = malloc(*n + 1); /* exact size, so that a sanitizer sees an overrun */
    memcpy(copy, buf, *n);
    return copy;
}

static const struct ig_json *parse(struct ig_arena *a, const char *text) {
    const struct ig_json *j;
    ingle_error err = {0};
    ingle_status s = ig_json_parse(a, ig_str_of(text), NULL, &j, &err);
    if (s) fail_msg("%s: %s", text, err.message);
    return j;
}

static void test_suite(void **state) {
    (void)state;
    char dir[512];
    const char *root = getenv("INGLE_GOLDEN_BUILD");
    snprintf(dir, sizeof dir, "%s/json/test_parsing", root ? root : "build/golden");
    DIR *d = opendir(dir);
    if (!d) fail_msg("%s is missing: run tools/golden/unpack.sh", dir);
    unsigned yes = 0, no = 0, wrong = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        size_t n = 0;
        char *text = read_file(path, &n);
        assert_non_null(text);
        struct ig_arena a = {.mem = &mem};
        const struct ig_json *j;
        ingle_error err = {0};
        ingle_status s = ig_json_parse(&a, (struct ig_str){text, n}, NULL, &j, &err);
        if (e->d_name[0] == 'y' && s) wrong++, print_error("%s: %s\n", e->d_name, err.message);
        if (e->d_name[0] == 'n' && !s) wrong++, print_error("%s was accepted\n", e->d_name);
        if (s && strncmp(err.message, "line ", 5) != 0) wrong++, print_error("%s\n", err.message);
        yes += e->d_name[0] == 'y';
        no += e->d_name[0] == 'n';
        ig_arena_free(&a);
        free(text);
    }
    closedir(d);
    assert_int_equal(wrong, 0);
    assert_true(yes >= 90 && no >= 180);
}

static void test_tree(void **state) {
    (void)state;
    struct ig_arena a = {.mem = &mem};
    const struct ig_json *j = parse(
        &a, " {\"a\": [1, 2.5, -3e2, \"x\\u00e9\\ud83d\\ude00\\n\"], \"b\": {\"c\": {\"d\": true}},"
            "\"n\": null, \"k\": 1, \"k\": 2, \"big\": 9223372036854775808, \"z\": -0} ");
    assert_int_equal(j->count, 7);
    const struct ig_json *list = ig_json_get(j, "a");
    assert_int_equal(list->count, 4);
    assert_int_equal(ig_json_i64(ig_json_at(list, 0), -1), 1);
    assert_true(ig_json_at(list, 0)->integer);
    assert_false(ig_json_at(list, 1)->integer);
    assert_true(ig_json_f64(ig_json_at(list, 1), 0) == 2.5);
    assert_int_equal(ig_json_i64(ig_json_at(list, 1), -7), -7);
    assert_int_equal(ig_json_i64(ig_json_at(list, 2), 0), -300);
    assert_true(ig_str_is(ig_json_str(ig_json_at(list, 3), ""), "x\xc3\xa9\xf0\x9f\x98\x80\n"));
    assert_null(ig_json_at(list, 4));
    assert_true(ig_json_bool(ig_json_path(j, "b.c.d"), false));
    assert_null(ig_json_path(j, "b.x.d"));
    assert_int_equal(ig_json_i64(ig_json_get(j, "k"), 0), 2);
    assert_false(ig_json_get(j, "big")->integer);
    assert_int_equal(ig_json_i64(ig_json_get(j, "big"), 5), 5);
    assert_true(ig_json_f64(ig_json_get(j, "big"), 0) == 9223372036854775808.0);
    assert_true(ig_json_is(ig_json_get(j, "n"), IG_JSON_NULL));
    assert_true(ig_str_is(ig_json_path(j, "b.c")->text, "{\"d\": true}"));
    assert_true(ig_str_is(ig_json_str(NULL, "none"), "none"));
    assert_int_equal(ig_json_i64(ig_json_get(NULL, "x"), 4), 4);
    ig_arena_free(&a);
}

static void test_long_numbers(void **state) {
    (void)state;
    struct ig_arena a = {.mem = &mem};
    char text[1400];
    memset(text, '3', 1200);
    text[1] = '.';
    strcpy(text + 1200, "e2");
    assert_true(ig_json_f64(parse(&a, text), 0) == 1e3 / 3);
    memset(text, '0', 1200);
    text[0] = '-';
    text[2] = '.';
    text[600] = '5';
    strcpy(text + 1200, "e598");
    assert_true(ig_json_f64(parse(&a, text), 0) == -5);
    memset(text, '1', 1200);
    text[1200] = 0;
    assert_true(ig_json_f64(parse(&a, text), 0) > 1e308);
    ig_arena_free(&a);
}

static void expect_error(const char *text, const struct ig_json_limits *limits, const char *want) {
    struct ig_arena a = {.mem = &mem};
    const struct ig_json *j;
    ingle_error err = {0};
    ingle_status code = limits && limits->code ? limits->code : INGLE_BAD_FILE;
    assert_int_equal(ig_json_parse(&a, ig_str_of(text), limits, &j, &err), code);
    assert_string_equal(err.message, want);
    assert_null(j);
    ig_arena_free(&a);
}

static void test_errors(void **state) {
    (void)state;
    expect_error("", NULL, "line 1, column 1: the text is empty");
    expect_error("{\n  \"a\": tru\n}", NULL, "line 2, column 8: expected a value");
    expect_error("[\"\xc3\xa9\", 1,]", NULL, "line 1, column 9: expected a value");
    expect_error("[1 2]", NULL, "line 1, column 4: expected ',' or ']'");
    expect_error("{\"a\":1", NULL, "line 1, column 7: the text ends too early");
    expect_error("[\"\\ud800\"]", NULL, "line 1, column 3: unpaired surrogate");
    expect_error("[\"\xff\"]", NULL, "line 1, column 3: invalid UTF-8 in a string");
    expect_error("1 1", NULL, "line 1, column 3: more text after the value");
    struct ig_json_limits limits = {.depth = 2, .unique_keys = true, .code = INGLE_BAD_REQUEST};
    expect_error("[[[]]]", &limits, "line 1, column 3: nested too deeply");
    expect_error("[{\"a\":1,\"b\":2,\"a\":3}]", &limits,
                 "line 1, column 2: the key \"a\" is there twice");
    expect_error("[{\"a\":1,\"\\u0061\":3}]", &limits,
                 "line 1, column 2: the key \"a\" is there twice");
}

static void test_write(void **state) {
    (void)state;
    struct ig_arena a = {.mem = &mem};
    struct ig_buf b = {.mem = &mem};
    const char *text = "{\"a\":[1,-2.5e3,\"\\\"\\\\/"
                       "\\b\\f\\n\\r\\t\\u0001\",[],{}],\"\":{\"b\":[[null],true]},\"c\":false}";
    ig_json_put(&b, parse(&a, text));
    assert_string_equal(b.p, text);
    ig_buf_clear(&b);
    ig_json_put_str(&b, (struct ig_str){"a\xff\xe2\x82z\0", 6});
    assert_string_equal(b.p, "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\\u0000\"");
    ig_buf_clear(&b);
    ig_json_put_f64(&b, 0.1);
    ig_buf_ch(&b, ' ');
    ig_json_put_f64(&b, (double)INFINITY);
    assert_string_equal(b.p, "0.1 null");
    ig_buf_free(&b);
    ig_arena_free(&a);
}

static void test_deep(void **state) {
    (void)state;
    enum { DEPTH = 100000 };
    char *text = malloc(2 * DEPTH + 1);
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    text[2 * DEPTH] = 0;
    expect_error(text, NULL, "line 1, column 201: nested too deeply");
    struct ig_arena a = {.mem = &mem};
    struct ig_buf b = {.mem = &mem};
    const struct ig_json *j;
    struct ig_json_limits limits = {.depth = DEPTH};
    assert_int_equal(ig_json_parse(&a, ig_str_of(text), &limits, &j, NULL), INGLE_OK);
    ig_json_put(&b, j);
    assert_string_equal(b.p, text);
    ig_buf_free(&b);
    ig_arena_free(&a);
    free(text);
}

static unsigned countdown;
static void *failing(void *ud, void *p, size_t old, size_t now) {
    (void)ud, (void)old;
    if (!now) return free(p), NULL;
    return countdown-- == 0 ? NULL : realloc(p, now);
}

static void test_no_memory(void **state) {
    (void)state;
    static char text[20000] = "[\"\\n\"";
    while (strlen(text) < 19000) strcat(text, ",{\"k\":[1,2,\"\\t\"],\"l\":3}");
    strcat(text, "]");
    for (unsigned n = 0;; n++) {
        struct ig_mem bad = {.hook = failing};
        struct ig_arena a = {.mem = &bad};
        const struct ig_json *j;
        countdown = n;
        struct ig_json_limits limits = {.unique_keys = true};
        ingle_status s = ig_json_parse(&a, ig_str_of(text), &limits, &j, NULL);
        ig_arena_free(&a);
        assert_int_equal(ig_mem_used(&bad), 0);
        if (s == INGLE_OK) break;
        assert_int_equal(s, INGLE_NO_MEMORY);
    }
}

static int no_leak(void **state) {
    (void)state;
    return ig_mem_used(&mem) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite),        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_long_numbers), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_write),        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, no_leak);
}
