/* Strings: a slice that owns nothing and a buffer that grows. The buffer's failure is sticky: build a whole text, then
 * check `failed` once. */
#ifndef IG_STR_H
#define IG_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/mem.h"
#include "base/status.h"

struct ig_str {
    const char *p; /* not NUL-terminated */
    size_t n;
};

#define IG_STR(literal) ((struct ig_str){(literal), sizeof(literal) - 1})

static inline struct ig_str ig_str_of(const char *z) { return (struct ig_str){z, z ? strlen(z) : 0}; }
static inline bool ig_str_eq(struct ig_str a, struct ig_str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool ig_str_is(struct ig_str a, const char *z) { return ig_str_eq(a, ig_str_of(z)); }
static inline bool ig_str_starts(struct ig_str a, struct ig_str prefix) {
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}
static inline bool ig_str_ends(struct ig_str a, struct ig_str suffix) {
    return a.n >= suffix.n && (suffix.n == 0 || memcmp(a.p + a.n - suffix.n, suffix.p, suffix.n) == 0);
}
int ig_str_cmp(struct ig_str a, struct ig_str b);                  /* bytewise, like memcmp */
bool ig_str_find(struct ig_str hay, struct ig_str needle, size_t *at);
/* Is `word` one of the words of `list`, which are separated by spaces? NULL is an empty list. */
bool ig_str_in_list(const char *list, struct ig_str word);
struct ig_str ig_str_trim(struct ig_str s);                        /* ASCII white space at both ends */
bool ig_str_to_i64(struct ig_str s, int64_t *out);                 /* whole string, decimal, strict */
bool ig_str_to_f64(struct ig_str s, double *out);                  /* whole string, locale independent */

struct ig_buf {
    struct ig_mem *mem;
    char *p; /* NUL-terminated once anything was added */
    size_t n, cap;
    bool failed;
};

void ig_buf_add(struct ig_buf *b, const char *p, size_t n);
void ig_buf_str(struct ig_buf *b, struct ig_str s);
void ig_buf_z(struct ig_buf *b, const char *z);
void ig_buf_ch(struct ig_buf *b, char c);
void ig_buf_f(struct ig_buf *b, const char *fmt, ...) IG_PRINTF(2, 3);
void ig_buf_f64(struct ig_buf *b, double v); /* shortest text that reads back as v; nan and inf as written */
bool ig_buf_reserve(struct ig_buf *b, size_t more);
void ig_buf_clear(struct ig_buf *b);         /* keeps the memory; failure is forgotten */
void ig_buf_free(struct ig_buf *b);
static inline struct ig_str ig_buf_view(const struct ig_buf *b) { return (struct ig_str){b->p, b->n}; }

#endif
