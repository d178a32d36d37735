/* Facts about characters, and the four normalization forms. Tables: unicode.inc, made by
 * tools/unicode.py. */
#ifndef IG_UNICODE_H
#define IG_UNICODE_H

#include "base/str.h"

/* General category as an index 0 .. 29; ig_unicode_category_name gives its two letters. */
unsigned ig_unicode_category(uint32_t cp);
const char *ig_unicode_category_name(unsigned category);
enum { IG_CATEGORIES = 30 };

/* Calls `put` for every range of code points of the categories in `mask` (bit = category), in
 * order; neighbours may touch. */
typedef bool (*ig_unicode_range_fn)(void *ud, uint32_t first, uint32_t last);
bool ig_unicode_category_ranges(uint32_t mask, ig_unicode_range_fn put, void *ud);

/* Script number; 0 Unknown, 1 Common, 2 Inherited, then by name. */
unsigned ig_unicode_script(uint32_t cp);
unsigned ig_unicode_scripts(void);
const char *ig_unicode_script_name(unsigned script);
bool ig_unicode_script_ranges(unsigned script, ig_unicode_range_fn put, void *ud);

/* Major version of Unicode that brought the character, if above 8; else 0. */
unsigned ig_unicode_age(uint32_t cp);
bool ig_unicode_age_ranges(unsigned above, ig_unicode_range_fn put,
                           void *ud); /* all newer than `above` >= 8 */

bool ig_unicode_is_space(uint32_t cp); /* White_Space */
bool ig_unicode_is_letter(uint32_t cp);
bool ig_unicode_is_mark(uint32_t cp);
bool ig_unicode_is_number(uint32_t cp);      /* N* */
bool ig_unicode_is_punctuation(uint32_t cp); /* P* */
bool ig_unicode_is_word(uint32_t cp);        /* Alphabetic, M, Nd, Pc, join control: \w */
uint32_t ig_unicode_lower(uint32_t cp);      /* simple mapping */

/* Simple case folding: pair `i` of characters; false past the last. */
bool ig_unicode_fold(size_t i, uint32_t *from, uint32_t *to);

enum ig_unicode_form { IG_NFC, IG_NFD, IG_NFKC, IG_NFKD };
/* Appends the normal form of valid UTF-8 (invalid bytes pass unchanged). Check out->failed. */
void ig_unicode_normalize(enum ig_unicode_form form, struct ig_str text, struct ig_buf *out);

/* Where the extended grapheme cluster that starts at `at` < text.n ends. */
size_t ig_unicode_cluster_end(struct ig_str text, size_t at);

const char *ig_unicode_version(void);

#endif
