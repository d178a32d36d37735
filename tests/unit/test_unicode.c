/* Character facts and normalization. The exhaustive comparison with another implementation is in tests/py. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "base/utf8.h"
#include "vocab/unicode.h"

static struct ig_mem mem;

static void check_form(enum ig_unicode_form form, const char *in, const char *want) {
    struct ig_buf out = {.mem = &mem};
    ig_unicode_normalize(form, ig_str_of(in), &out);
    if (!ig_str_is(ig_buf_view(&out), want)) fail_msg("form %d of \"%s\" is \"%.*s\", not \"%s\"", form, in, (int)out.n, out.p, want);
    ig_buf_free(&out);
}

static void forms(void **state) {
    (void)state;
    check_form(IG_NFC, "e\xcc\x81", "\xc3\xa9");
    check_form(IG_NFD, "\xc3\xa9", "e\xcc\x81");
    check_form(IG_NFC, "a\xcc\x81\xcc\xa3", "\xe1\xba\xa1\xcc\x81");      /* marks are ordered before composing */
    check_form(IG_NFD, "\xe1\xba\xa1\xcc\x81", "a\xcc\xa3\xcc\x81");
    check_form(IG_NFC, "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81"); /* Hangul */
    check_form(IG_NFD, "\xea\xb0\x81", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8");
    check_form(IG_NFC, "\xe2\x84\xa6", "\xce\xa9");                       /* a singleton never comes back */
    check_form(IG_NFC, "\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc");       /* composition exclusion */
    check_form(IG_NFKC, "\xef\xac\x81\xe2\x91\xa0", "fi1");
    check_form(IG_NFKD, "\xe3\x8f\x98", "p.m.");
    check_form(IG_NFC, "\xcc\x81x", "\xcc\x81x");                         /* a mark without a starter */
    check_form(IG_NFC, "\xffx\xcc\x81", "\xffx\xcc\x81");
    check_form(IG_NFC, "", "");
}

/* A million marks in the worst order: sorting them must not be quadratic. */
static void many_marks(void **state) {
    struct ig_buf in = {.mem = &mem}, out = {.mem = &mem};
    (void)state;
    ig_buf_ch(&in, 'a');
    for (int i = 0; i < 300000; i++) ig_buf_z(&in, i & 1 ? "\xcc\xa3" : "\xcc\x81");
    ig_unicode_normalize(IG_NFC, ig_buf_view(&in), &out);
    assert_false(out.failed);
    assert_true(out.n > 500000);
    ig_buf_free(&in);
    ig_buf_free(&out);
    assert_int_equal(ig_mem_used(&mem), 0);
}

static void facts(void **state) {
    (void)state;
    assert_string_equal(ig_unicode_category_name(ig_unicode_category('a')), "Ll");
    assert_string_equal(ig_unicode_category_name(ig_unicode_category(0x4e00)), "Lo");
    assert_string_equal(ig_unicode_category_name(ig_unicode_category(0x10ffff)), "Cn");
    assert_string_equal(ig_unicode_category_name(ig_unicode_category(0x7fffffff)), "Cn");
    assert_string_equal(ig_unicode_script_name(ig_unicode_script(0x3042)), "Hiragana");
    assert_string_equal(ig_unicode_script_name(ig_unicode_script('a')), "Latin");
    assert_true(ig_unicode_is_space(0x3000) && ig_unicode_is_space(0x85) && !ig_unicode_is_space(0x200b));
    assert_true(ig_unicode_is_number(0xbd) && ig_unicode_is_mark(0x301) && ig_unicode_is_punctuation(0x3001));
    assert_true(ig_unicode_is_word('_') && ig_unicode_is_word(0xe4) && !ig_unicode_is_word('-'));
    assert_int_equal(ig_unicode_lower(0xc4), 0xe4);
    assert_int_equal(ig_unicode_lower(0x10400), 0x10428);
    assert_int_equal(ig_unicode_lower('['), '[');
}

static size_t clusters(const char *text) {
    struct ig_str s = ig_str_of(text);
    size_t n = 0;
    for (size_t at = 0; at < s.n; at = ig_unicode_cluster_end(s, at)) n++;
    return n;
}

static void grapheme_clusters(void **state) {
    (void)state;
    assert_int_equal(clusters("abc"), 3);
    assert_int_equal(clusters("e\xcc\x81x"), 2);
    assert_int_equal(clusters("\r\n\n"), 2);
    assert_int_equal(clusters("\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa\xf0\x9f\x87\xab\xf0\x9f\x87\xb7"), 2);            /* two flags */
    assert_int_equal(clusters("\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7"), 1); /* a family */
    assert_int_equal(clusters("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8"), 1);
    assert_int_equal(clusters("\xff\xfe"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(forms), cmocka_unit_test(many_marks), cmocka_unit_test(facts),
                                       cmocka_unit_test(grapheme_clusters)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
