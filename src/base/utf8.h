/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, at most U+10FFFF. */
#ifndef IG_UTF8_H
#define IG_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes the code point at p[0..n). Returns its length 1..4, or 0 if the bytes are not valid there (n > 0). */
unsigned ig_utf8_decode(const char *p, size_t n, uint32_t *cp);
/* Writes at most 4 bytes, returns how many; 0 if cp is not a scalar value. */
unsigned ig_utf8_encode(uint32_t cp, char out[4]);
bool ig_utf8_valid(const char *p, size_t n);
/* Length of the longest prefix of p[0..n) that ends on a code point boundary, where an unfinished sequence at the end is
 * held back but invalid bytes are not. */
size_t ig_utf8_complete(const char *p, size_t n);

#endif
