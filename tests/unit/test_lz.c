/* The unpacker of the LZ4 block format: blocks by hand, every cut of a block, every changed byte. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>
#include "base/lz.h"

static void literals_only(void **state) {
    (void)state;
    char out[8];
    assert_true(ig_lz_unpack("\x30"
                             "abc",
                             4, out, 3));
    assert_memory_equal(out, "abc", 3);
    assert_true(ig_lz_unpack("\x00", 1, out, 0)); /* nothing, packed */
    assert_false(ig_lz_unpack("", 0, out, 0));
    assert_false(ig_lz_unpack("\x30"
                              "abc",
                              4, out, 4));
    assert_false(ig_lz_unpack("\x30"
                              "abc",
                              4, out, 2));
}

static void overlapping_match(void **state) {
    (void)state;
    /* "ab", then 4 + 15 + 3 bytes from 2 back, then "xyz" */
    const char block[] = "\x2f"
                         "ab\x02\x00\x03\x30"
                         "xyz";
    char out[27];
    assert_true(ig_lz_unpack(block, sizeof block - 1, out, 27));
    assert_memory_equal(out, "ababababababababababababxyz", 27);
}

static void long_literals(void **state) {
    (void)state;
    /* 15 + 255 + 30 = 300 literals */
    uint8_t in[3 + 300], out[300];
    in[0] = 0xf0, in[1] = 255, in[2] = 30;
    for (size_t i = 0; i < 300; i++) in[3 + i] = (uint8_t)(i * 7);
    assert_true(ig_lz_unpack(in, sizeof in, out, sizeof out));
    assert_memory_equal(out, in + 3, 300);
}

static void bad_distances(void **state) {
    (void)state;
    char out[16];
    assert_false(ig_lz_unpack("\x10"
                              "a\x00\x00\x10"
                              "b",
                              6, out, 6)); /* 0 */
    assert_false(ig_lz_unpack("\x10"
                              "a\x02\x00\x10"
                              "b",
                              6, out, 6)); /* before the beginning */
    assert_true(ig_lz_unpack("\x10"
                             "a\x01\x00\x10"
                             "b",
                             6, out, 6));
    assert_memory_equal(out, "aaaaab", 6);
}

/* A length of a million bytes of 255 ends at the first that cannot fit. */
static void endless_length(void **state) {
    (void)state;
    size_t n = 1u << 20;
    uint8_t *in = malloc(n), out[64];
    assert_non_null(in);
    memset(in, 255, n);
    assert_false(ig_lz_unpack(in, n, out, sizeof out));
    free(in);
}

/* Input and output lie in blocks of exactly their size, so that ASan sees a byte too many. */
static void try_exact(const uint8_t *in, size_t n, size_t out_n) {
    uint8_t *a = malloc(n + 1), *b = malloc(out_n + 1);
    assert_true(a && b);
    memcpy(a + 1, in, n);
    (void)ig_lz_unpack(a + 1, n, b + 1, out_n);
    free(a);
    free(b);
}

static void cut_and_changed(void **state) {
    (void)state;
    const uint8_t block[] = "\x2f"
                            "ab\x02\x00\x03\x45"
                            "wxyz\x05\x00\x50"
                            "hello";
    size_t n = sizeof block - 1;
    char out[64];
    size_t whole = 2 + 22 + 4 + 9 + 5;
    assert_true(ig_lz_unpack(block, n, out, whole));
    for (size_t i = 0; i < n; i++) {
        assert_false(ig_lz_unpack(block, i, out, whole));
        try_exact(block, i, whole);
    }
    uint8_t copy[sizeof block];
    for (size_t i = 0; i < n; i++)
        for (int v = 0; v < 256; v++) {
            memcpy(copy, block, sizeof block);
            copy[i] = (uint8_t)v;
            try_exact(copy, n, whole);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_only),  cmocka_unit_test(overlapping_match),
        cmocka_unit_test(long_literals),  cmocka_unit_test(bad_distances),
        cmocka_unit_test(endless_length), cmocka_unit_test(cut_and_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
