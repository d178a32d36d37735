/* JSON (RFC 8259), read into a tree and written to a buffer.
 *
 * The reader is strict: no comments, trailing commas, NaN, unpaired surrogates or invalid UTF-8; duplicate keys are kept
 * in order and ig_json_get returns the last unless `unique_keys` is set, which refuses them. Depth is bounded and the
 * parser does not recurse. A string without escapes is a slice of the source text, which must outlive the tree.
 * Costs one 56-byte node a value. ig_json_get is a linear scan of the object: iterate instead of looking up many keys. */
#ifndef IG_JSON_H
#define IG_JSON_H

#include "base/str.h"

enum ig_json_kind { IG_JSON_NULL, IG_JSON_BOOL, IG_JSON_NUMBER, IG_JSON_STRING, IG_JSON_ARRAY, IG_JSON_OBJECT };

struct ig_json {
    uint8_t kind;
    bool truth;             /* BOOL */
    bool integer;           /* NUMBER: written without '.', 'e' and fits int64 */
    uint32_t count;         /* ARRAY, OBJECT: number of children */
    struct ig_str text;     /* STRING: decoded; NUMBER: as written; else the slice of the source */
    struct ig_str key;      /* inside an object */
    const struct ig_json *child, *next; /* first child; next sibling */
};

struct ig_json_limits {
    unsigned depth;         /* 0 = 200 */
    bool unique_keys;
    ingle_status code;      /* what malformed text is reported as; 0 = INGLE_BAD_FILE */
};

/* On failure err says "line L, column C: what". The whole text must be one value. `limits` may be NULL. */
ingle_status ig_json_parse(struct ig_arena *a, struct ig_str text, const struct ig_json_limits *limits,
                           const struct ig_json **out, ingle_error *err);

/* All readers accept NULL for `j` and answer with NULL / the fallback. */
const struct ig_json *ig_json_get(const struct ig_json *j, const char *key);
const struct ig_json *ig_json_at(const struct ig_json *j, size_t index); /* O(index): iterate with ->next instead */
/* "a.b.c" through nested objects */
const struct ig_json *ig_json_path(const struct ig_json *j, const char *dotted);
struct ig_str ig_json_str(const struct ig_json *j, const char *fallback);
double ig_json_f64(const struct ig_json *j, double fallback);
int64_t ig_json_i64(const struct ig_json *j, int64_t fallback); /* also from 3.0 and 1e3 */
bool ig_json_bool(const struct ig_json *j, bool fallback);
static inline bool ig_json_is(const struct ig_json *j, enum ig_json_kind kind) { return j && j->kind == kind; }

/* Writing. Strings are escaped; invalid UTF-8 becomes U+FFFD. */
void ig_json_put_str(struct ig_buf *b, struct ig_str s);
void ig_json_put_f64(struct ig_buf *b, double v); /* null for nan and inf */
/* The tree as compact JSON. */
void ig_json_put(struct ig_buf *b, const struct ig_json *j);

#endif
