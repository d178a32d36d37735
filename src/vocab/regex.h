/* Regular expressions in linear time, for splitting text into words.
 *
 * The dialect is that of the tokenizers in the field: Oniguruma's Ruby syntax without
 * back-references. Matching is leftmost-first, as a backtracking engine would have it, but never
 * backtracks: one pass from the end of the text to its start notes for every position which
 * continuations can still succeed, and the forward pass then always knows the right branch.
 * Look-ahead of any shape costs nothing extra; look-behind is limited to one character. A compiled
 * expression is immutable. Expressions whose automaton would be too large are refused when they are
 * opened. */
#ifndef IG_REGEX_H
#define IG_REGEX_H

#include "base/str.h"

struct ig_regex;

enum {
    IG_REGEX_TEXT_ANCHORS = 1 /* ^ and $ only at the ends of the text, [ literal in a class: the
                                 dialect of std::regex */
};

/* INGLE_BAD_FILE for a pattern that is wrong, INGLE_UNSUPPORTED for one that is beyond this engine;
 * both quote it. */
ingle_status ig_regex_open(struct ig_regex **out, struct ig_mem *mem, struct ig_str pattern,
                           unsigned flags, ingle_error *err);
void ig_regex_close(struct ig_regex *r); /* NULL is fine */

/* A match for exactly the bytes of `literal`. */
ingle_status ig_regex_open_literal(struct ig_regex **out, struct ig_mem *mem, struct ig_str literal,
                                   ingle_error *err);

/* First pass: fills notes[0 .. n], n + 1 entries. The text is a whole of its own: nothing before or
 * after it is seen. */
void ig_regex_prepare(const struct ig_regex *r, const char *text, size_t n, uint16_t *notes);
/* Leftmost-first match at or after `from` (a character boundary). False if there is none. */
bool ig_regex_next(const struct ig_regex *r, const char *text, size_t n, const uint16_t *notes,
                   size_t from, size_t *start, size_t *end);
size_t ig_regex_memory(const struct ig_regex *r);

#endif
