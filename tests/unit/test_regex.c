/* The regex engine: matches that a backtracking matcher would find, refusals, and time on patterns that kill backtrackers. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "vocab/regex.h"

static struct ig_mem mem;

/* All matches joined by '|'; empty ones are written as "_". */
static void matches(const char *pattern, struct ig_str text, unsigned flags, char *out, size_t cap) {
    struct ig_regex *r = NULL;
    ingle_error err = {0};
    size_t n = 0, at = 0, start, end;
    if (ig_regex_open(&r, &mem, ig_str_of(pattern), flags, &err) != INGLE_OK) fail_msg("%s", err.message);
    uint16_t *notes = malloc((text.n + 1) * sizeof *notes);
    assert_non_null(notes);
    ig_regex_prepare(r, text.p, text.n, notes);
    out[0] = 0;
    while (at <= text.n && ig_regex_next(r, text.p, text.n, notes, at, &start, &end)) {
        assert_true(start >= at && end >= start && end <= text.n);
        n += (size_t)snprintf(out + n, cap - n, "%s%.*s", n ? "|" : "", end > start ? (int)(end - start) : 1,
                              end > start ? text.p + start : "_");
        at = end > start ? end : end + 1;
    }
    free(notes);
    ig_regex_close(r);
    assert_int_equal(ig_mem_used(&mem), 0);
}

static const struct {
    const char *pattern, *text, *want;
} rows[] = {
    {"a", "banana", "a|a|a"},
    {"ab|abc", "abc", "ab"},
    {"abc|ab", "abc", "abc"},
    {"(?:ab|abc)d", "abcd", "abcd"},
    {"a*", "aab", "aa|_|_"},
    {"a+?", "aaa", "a|a|a"},
    {"a{2}", "aaaaa", "aa|aa"},
    {"a{2,3}", "aaaaa", "aaa|aa"},
    {"a{2,}?b", "aaab", "aaab"},
    {"a{,2}", "aaa", "aa|a|_"},
    {"a{x}", "a{x}", "a{x}"},
    {"[a-c]+", "xxabcxx", "abc"},
    {"[^a-c]+", "xxabcyy", "xx|yy"},
    {"[]a]+", "]a[", "]a"},
    {"[a\\-z]+", "a-z", "a-z"},
    {"[a-]+", "a-b", "a-"},
    {"[[a-c][x]]+", "abxd", "abx"},
    {"[a-z&&[^aeiou]]+", "hello", "h|ll"},
    {"[[:alpha:]]+", "ab1c", "ab|c"},
    {"[[:^alpha:]]+", "ab1c", "1"},
    {"\\p{L}+", "h\xc3\xa9llo \xe6\xbc\xa2!", "h\xc3\xa9llo|\xe6\xbc\xa2"},
    {"\\P{L}+", "ab12", "12"},
    {"\\p{^L}+", "ab12", "12"},
    {"\\pL+", "ab12", "ab"},
    {"\\p{Lu}", "aBcD", "B|D"},
    {"\\p{Han}+", "a\xe6\xbc\xa2\xe5\xad\x97z", "\xe6\xbc\xa2\xe5\xad\x97"},
    {"\\p{Script=Greek}", "a\xce\xb1", "\xce\xb1"},
    {"\\s+", "a \t\xc2\xa0z", " \t\xc2\xa0"},
    {"\\S+", "a b", "a|b"},
    {"\\d+\\D", "12a", "12a"},
    {"\\w+", "foo_b\xc3\xa4r-x", "foo_b\xc3\xa4r|x"},
    {"\\h+", "xfFg", "fF"},
    {"\\x41\\x{42}\\u0043", "ABC", "ABC"},
    {"\\t\\n", "\t\n", "\t\n"},
    {".", "a\n\xe6\xbc\xa2", "a|\xe6\xbc\xa2"},
    {"(?m:.)+", "a\nb", "a\nb"},
    {"(?i:'S|'LL)", "'s 'Ll 'x", "'s|'Ll"},
    {"(?i)abc", "ABc", "ABc"},
    {"a(?i)b|c", "aB", "aB"},
    {"(?i:k)", "\xe2\x84\xaa", "\xe2\x84\xaa"},
    {"(?i:[^a])", "Aab", "b"},
    {"a(?=b)", "abac", "a"},
    {"a(?!b)", "abac", "a"},
    {"(?=a)\\w+", "xab", "ab"},
    {"(?!a)\\w", "ab", "b"},
    {"(?!(?=ab)a)\\w", "abac", "b|a|c"},
    {"(?<=a)b", "abb", "b"},
    {"(?<!a)b", "abb", "b"},
    {"\\s+(?!\\S)", "a   b  ", "  |  "},
    {"^a", "a\nab", "a|a"},
    {"a$", "a\nba", "a|a"},
    {"\\Aa", "a\na", "a"},
    {"a\\z", "a\na", "a"},
    {"\\ba", "a ba", "a"},
    {"a\\b", "ab a", "a"},
    {"\\Ba", "a ba", "a"},
    {"a?+a", "aa", "aa"},
    {"a?+a", "a", ""},
    {"a++b|a", "aac", "a|a"},
    {"(?>a+)b", "aab", "aab"},
    {"(a|ab)(c|bcd)", "abcd", "abcd"},
    {"(?:a|b)*abb", "ababb", "ababb"},
    {"(a*)*b", "aab", "aab"},
    {"(?:a*)*", "b", "_|_"},
    {"(?:|a)+", "aa", "_|_|_"},
    {"(?x) a b # comment\n c", "abc", "abc"},
    {"(?#note)a", "a", "a"},
    {"(?<name>a)b", "ab", "ab"},
    {"\\d{1,3}(?=(?:\\d{3})*\\b)", "1234567", "1|234|567"},
    {"(?=(\\d{3})+(?!\\d))", "12345", "_"},
    {"'s|'t| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "it's  a 42!", "it|'s| | a| 42|!"},
    {"\xff", NULL, NULL},
};

static void same_as_backtracking(void **state) {
    (void)state;
    for (size_t i = 0; rows[i].text; i++) {
        char got[400];
        matches(rows[i].pattern, ig_str_of(rows[i].text), 0, got, sizeof got);
        if (strcmp(got, rows[i].want)) fail_msg("%s on \"%s\": \"%s\", not \"%s\"", rows[i].pattern, rows[i].text, got, rows[i].want);
    }
}

static void invalid_utf8_is_taken_by_bytes(void **state) {
    char got[100];
    (void)state;
    matches("[^a]", IG_STR("a\xff\xc3z"), 0, got, sizeof got);
    assert_string_equal(got, "\xff|\xc3|z");
    matches(".+", IG_STR("\xe2\x82\xf0\x9f\x99"), 0, got, sizeof got);
    assert_string_equal(got, "\xe2\x82\xf0\x9f\x99");
}

static void refusals(void **state) {
    static const struct {
        const char *pattern;
        ingle_status status;
    } bad[] = {{"(", INGLE_BAD_FILE}, {")", INGLE_BAD_FILE}, {"[", INGLE_BAD_FILE}, {"[a", INGLE_BAD_FILE}, {"*a", INGLE_BAD_FILE},
               {"a|*", INGLE_BAD_FILE}, {"\\", INGLE_BAD_FILE}, {"[z-a]", INGLE_BAD_FILE}, {"a{3,2}", INGLE_BAD_FILE},
               {"\\p{Nobody}", INGLE_UNSUPPORTED}, {"\\p{L", INGLE_BAD_FILE}, {"\\x{110000}", INGLE_BAD_FILE}, {"(a)\\1", INGLE_UNSUPPORTED},
               {"(?>ab|a)b", INGLE_UNSUPPORTED}, {"(?<=ab)c", INGLE_UNSUPPORTED}, {"(?@a)", INGLE_UNSUPPORTED},
               {"\xff", INGLE_BAD_FILE}, {"a\\Z", INGLE_UNSUPPORTED}, {"(ab)++", INGLE_UNSUPPORTED}, {"a{100000}", INGLE_UNSUPPORTED},
               {"(?:(?:(?:a{1000}){1000}){1000})", INGLE_UNSUPPORTED}, {"\\k<x>", INGLE_UNSUPPORTED}};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ig_regex *r = NULL;
        ingle_error err = {0};
        ingle_status s = ig_regex_open(&r, &mem, ig_str_of(bad[i].pattern), 0, &err);
        if (s != bad[i].status) fail_msg("%s: status %d, not %d (%s)", bad[i].pattern, s, bad[i].status, err.message);
        assert_int_equal(ig_mem_used(&mem), 0);
    }
    char deep[4001];
    memset(deep, '(', 2000);
    memset(deep + 2000, ')', 2000);
    deep[4000] = 0;
    struct ig_regex *r = NULL;
    assert_int_equal(ig_regex_open(&r, &mem, ig_str_of(deep), 0, NULL), INGLE_UNSUPPORTED);
    assert_int_equal(ig_mem_used(&mem), 0);
}

/* Each of these is exponential or quadratic somewhere. */
static void hostile_patterns(void **state) {
    static const char *const patterns[] = {"(a*)*b", "(a|aa)+$", "a*a*a*a*a*a*b", "(?:a+)+c|a", "a*b|a", "\\s+$|a", "(?=a*b)a|a",
                                           "(?:(?:a?){20}){2}a{20}", "[a-z]*[0-9]|."};
    size_t n = 1000000;
    char *text = malloc(n);
    uint16_t *notes = malloc((n + 1) * sizeof *notes);
    (void)state;
    assert_true(text && notes);
    memset(text, 'a', n);
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct ig_regex *r = NULL;
        size_t at = 0, start, end;
        clock_t t = clock();
        assert_int_equal(ig_regex_open(&r, &mem, ig_str_of(patterns[i]), 0, NULL), INGLE_OK);
        ig_regex_prepare(r, text, n, notes);
        while (at <= n && ig_regex_next(r, text, n, notes, at, &start, &end)) at = end > start ? end : end + 1;
        ig_regex_close(r);
        if ((double)(clock() - t) / CLOCKS_PER_SEC > 5) fail_msg("%s takes too long", patterns[i]);
    }
    free(text);
    free(notes);
}

static void text_anchors(void **state) {
    char got[100];
    (void)state;
    matches("a$", IG_STR("a\na"), IG_REGEX_TEXT_ANCHORS, got, sizeof got);
    assert_string_equal(got, "a");
    matches("[[a]+", IG_STR("[a"), IG_REGEX_TEXT_ANCHORS, got, sizeof got);
    assert_string_equal(got, "[a");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_backtracking), cmocka_unit_test(invalid_utf8_is_taken_by_bytes), cmocka_unit_test(refusals),
        cmocka_unit_test(hostile_patterns),     cmocka_unit_test(text_anchors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
