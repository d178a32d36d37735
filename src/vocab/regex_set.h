/* Private to the regex engine: sets of code points as sorted, disjoint ranges, and the syntax tree.
 */
#ifndef IG_REGEX_SET_H
#define IG_REGEX_SET_H

#include "base/str.h"

struct ig_set {
    struct ig_buf ranges; /* pairs of uint32_t first, last; after ig_set_tidy sorted and apart */
};

bool ig_set_add(struct ig_set *s, uint32_t first, uint32_t last);
void ig_set_tidy(struct ig_set *s);
void ig_set_negate(struct ig_set *s);
void ig_set_intersect(struct ig_set *s, struct ig_set *with);
void ig_set_union(struct ig_set *s, const struct ig_set *with);
void ig_set_fold(struct ig_set *s); /* adds everything equal under simple case folding */
void ig_set_free(struct ig_set *s);
static inline size_t ig_set_count(const struct ig_set *s) {
    return s->ranges.n / (2 * sizeof(uint32_t));
}
static inline const uint32_t *ig_set_items(const struct ig_set *s) {
    return (const uint32_t *)(const void *)s->ranges.p;
}
bool ig_set_has(const struct ig_set *s, uint32_t cp);
/* Adds the property of \p{name}; false if the name is unknown. */
bool ig_set_property(struct ig_set *s, struct ig_str name);
void ig_set_class(struct ig_set *s, char which); /* s d w h: \s \d \w \h */

enum ig_re_kind {
    IG_RE_EMPTY,
    IG_RE_SET,
    IG_RE_CAT,
    IG_RE_ALT,
    IG_RE_REPEAT,
    IG_RE_LOOK,
    IG_RE_ASSERT
};
enum ig_re_assert {
    IG_AT_TEXT_START,
    IG_AT_LINE_START,
    IG_AT_TEXT_END,
    IG_AT_LINE_END,
    IG_AT_LAST_LINE_END,
    IG_AT_WORD_EDGE,
    IG_AT_NO_WORD_EDGE,
    IG_AT_BEHIND
};
enum { IG_RE_UNBOUNDED = 0x7fffffff, IG_RE_NONE = -1 };

struct ig_re_node {
    uint8_t kind, assertion;
    bool lazy, possessive, negative;
    int32_t set;         /* SET, ASSERT BEHIND */
    int32_t min, max;    /* REPEAT */
    int32_t child, next; /* first child; next sibling of CAT and ALT */
};

struct ig_re_tree {
    struct ig_mem *mem;
    struct ig_buf nodes; /* struct ig_re_node */
    struct ig_buf sets;  /* struct ig_set */
};
static inline struct ig_re_node *ig_re_node(const struct ig_re_tree *t, int32_t i) {
    return (struct ig_re_node *)(void *)t->nodes.p + i;
}
static inline struct ig_set *ig_re_set(const struct ig_re_tree *t, int32_t i) {
    return (struct ig_set *)(void *)t->sets.p + i;
}
static inline size_t ig_re_sets(const struct ig_re_tree *t) {
    return t->sets.n / sizeof(struct ig_set);
}

/* The root node in *root. */
ingle_status ig_re_parse(struct ig_re_tree *t, struct ig_str pattern, unsigned flags, int32_t *root,
                         ingle_error *err);
ingle_status ig_re_parse_literal(struct ig_re_tree *t, struct ig_str literal, int32_t *root,
                                 ingle_error *err);
void ig_re_tree_free(struct ig_re_tree *t);

#endif
