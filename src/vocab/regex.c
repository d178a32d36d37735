/* The regex engine: from pattern to automaton. regex_match.c runs it.
 *
 * Characters are first reduced to classes: code points that no set of the pattern tells apart share
 * one. The tree becomes a program of CHAR, SPLIT, CHECK and LOOK instructions whose `next` is
 * explicit. For every position of the text the set of instructions that can still reach the end of
 * a match is a function of the same set one character to the right, so these sets are the states of
 * a deterministic automaton that runs backwards; all its states are built when the pattern is
 * opened. The forward pass then follows, at every SPLIT, the preferred branch if it is in the set,
 * else the other: exactly what a backtracking matcher would end up doing. A look-ahead is a
 * question to the set; a negative one too, which is why sets of inner look-aheads are computed
 * before those that ask them (`level`).
 *
 * The subtle thing: inside loops whose body can be empty, membership in the set does not bound the
 * walk, so `resolve` remembers where it has been. */
#include "vocab/regex_impl.h"
#include "vocab/regex_set.h"
#include "base/hash.h"

#include <stdlib.h>

enum {
    MAX_INSTR = 20000,
    MAX_STATES = 6000,
    MAX_TABLE = 1 << 22,
    MAX_CLASSES = 255,
    MAX_WORK = 50000000,
    MAX_CHECKS = 24
};
enum { CHECK_AHEAD_NOT = 100 }; /* beside enum ig_re_assert: next character is not in the set */

struct check {
    uint8_t kind;
    bool negative;
    int32_t set;
};

/* Everything that lives only while a pattern is being opened. */
struct build {
    struct ig_regex *r;
    struct ig_re_tree tree;
    struct ig_mem *mem;
    struct ig_str pattern;
    ingle_error *err;
    struct ig_buf code;  /* struct instr */
    struct ig_buf stack; /* int32_t: children of a concatenation, to walk them backwards */
    struct check checks[MAX_CHECKS];
    uint32_t n_checks, n_chars;
    unsigned level, max_level;
    bool empty_loops;
    /* classes */
    struct ig_buf bounds;   /* uint32_t: starts of the elementary intervals */
    struct ig_buf owner;    /* uint16_t: class of each */
    struct ig_buf char_set; /* int32_t: set of each CHAR */
    /* states */
    uint32_t words;        /* of a set of CHARs */
    uint64_t *mask;        /* [n_classes][words]: CHARs that take the class */
    struct ig_buf chars;   /* [n_states][words] */
    struct ig_buf core;    /* [n_states][words]: CHARs whose next is alive */
    struct ig_buf alive;   /* [n_states][alive_words] */
    struct ig_buf context; /* uint32_t: truth of the checks */
    uint32_t *slots;       /* hash table of state + 1 */
    uint32_t n_slots;
    uint32_t *order; /* instructions but CHAR, inner look-aheads first */
    uint64_t work;   /* spent on states; bounded, so that opening a hostile pattern is too */
    uint32_t order_end[256];
    uint32_t context_of[IG_RE_MAX_KINDS][256]; /* [kind before][class after; n_classes = end] */
};

static ingle_status too_large(struct build *b, const char *what) {
    size_t n = b->pattern.n < 200 ? b->pattern.n : 200;
    return ig_fail(b->err, INGLE_UNSUPPORTED,
                   "the pattern comes from the model's tokenizer: report it with the model's name",
                   "regex \"%.*s\": %s", (int)n, b->pattern.p, what);
}

static struct instr *instr(struct build *b, int32_t i) {
    return (struct instr *)(void *)b->code.p + i;
}

/* ---- program ---- */

static ingle_status emit(struct build *b, struct instr i, int32_t *out) {
    size_t n = b->code.n / sizeof i;
    if (n >= MAX_INSTR) return too_large(b, "too large");
    i.level = (uint8_t)b->level;
    ig_buf_add(&b->code, (const char *)&i, sizeof i);
    if (b->code.failed) return ig_fail_memory(b->err, sizeof i);
    *out = (int32_t)n;
    return INGLE_OK;
}

static ingle_status emit_char(struct build *b, int32_t set, int32_t next, int32_t *out) {
    ig_buf_add(&b->char_set, (const char *)&set, sizeof set);
    if (b->char_set.failed) return ig_fail_memory(b->err, sizeof set);
    return emit(b, (struct instr){.op = OP_CHAR, .x = next, .arg = (int32_t)b->n_chars++}, out);
}

static ingle_status emit_check(struct build *b, struct check c, int32_t next, int32_t *out) {
    uint32_t i = 0;
    while (i < b->n_checks && (b->checks[i].kind != c.kind || b->checks[i].set != c.set ||
                               b->checks[i].negative != c.negative))
        i++;
    if (i == MAX_CHECKS) return too_large(b, "too many assertions");
    if (i == b->n_checks) b->checks[b->n_checks++] = c;
    return emit(b, (struct instr){.op = OP_CHECK, .x = next, .arg = (int32_t)i}, out);
}

static ingle_status compile(struct build *b, int32_t node, int32_t next, int32_t *out);

static ingle_status compile_repeat(struct build *b, const struct ig_re_node *n, int32_t next,
                                   int32_t *out) {
    int32_t leave = next, at = next, body;
    int32_t copies = n->min;
    if (n->possessive) {
        struct check c = {.kind = CHECK_AHEAD_NOT, .set = ig_re_node(&b->tree, n->child)->set};
        IG_TRY(emit_check(b, c, next, &leave));
    }
    if (n->max == IG_RE_UNBOUNDED) {
        int32_t split;
        IG_TRY(emit(b, (struct instr){.op = OP_SPLIT, .x = leave, .y = leave}, &split));
        IG_TRY(compile(b, n->child, split, &body));
        if (n->lazy)
            instr(b, split)->y = body;
        else
            instr(b, split)->x = body;
        if (instr(b, body)->op != OP_CHAR) b->empty_loops = true;
        at = split;
        if (copies) at = body, copies--;
    } else {
        for (int32_t i = n->min; i < n->max; i++) {
            IG_TRY(compile(b, n->child, at, &body));
            struct instr s = {
                .op = OP_SPLIT, .x = n->lazy ? leave : body, .y = n->lazy ? body : leave};
            IG_TRY(emit(b, s, &at));
        }
    }
    for (; copies > 0; copies--) IG_TRY(compile(b, n->child, at, &at));
    *out = at;
    return INGLE_OK;
}

static ingle_status compile_list(struct build *b, const struct ig_re_node *n, int32_t next,
                                 int32_t *out) {
    size_t from = b->stack.n;
    for (int32_t c = n->child; c != IG_RE_NONE; c = ig_re_node(&b->tree, c)->next)
        ig_buf_add(&b->stack, (const char *)&c, sizeof c);
    if (b->stack.failed) return ig_fail_memory(b->err, sizeof next);
    int32_t at = next;
    bool first = true;
    while (b->stack.n > from) {
        int32_t c, entry;
        b->stack.n -= sizeof c;
        memcpy(&c, b->stack.p + b->stack.n, sizeof c);
        IG_TRY(compile(b, c, n->kind == IG_RE_CAT ? at : next, &entry));
        if (n->kind == IG_RE_CAT || first)
            at = entry;
        else
            IG_TRY(emit(b, (struct instr){.op = OP_SPLIT, .x = entry, .y = at}, &at));
        first = false;
    }
    *out = at;
    return INGLE_OK;
}

/* Instructions for `node` that continue at `next`; *out is the first. Depth is bounded by the
 * parser's nesting limit. */
static ingle_status compile(struct build *b, int32_t node, int32_t next, int32_t *out) {
    struct ig_re_node n = *ig_re_node(&b->tree, node);
    int32_t body;
    switch (n.kind) {
    case IG_RE_SET: return emit_char(b, n.set, next, out);
    case IG_RE_CAT:
    case IG_RE_ALT: return compile_list(b, &n, next, out);
    case IG_RE_REPEAT: return compile_repeat(b, &n, next, out);
    case IG_RE_ASSERT:
        return emit_check(b,
                          (struct check){.kind = n.assertion, .negative = n.negative, .set = n.set},
                          next, out);
    case IG_RE_LOOK:
        if (++b->level > b->max_level) b->max_level = b->level;
        IG_TRY(compile(b, n.child, 0, &body));
        b->level--;
        return emit(
            b, (struct instr){.op = OP_LOOK, .negative = n.negative, .x = next, .arg = body}, out);
    default: *out = next; return INGLE_OK;
    }
}

/* ---- classes ---- */

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static ingle_status collect_bounds(struct build *b) {
    uint32_t zero = 0;
    ig_buf_add(&b->bounds, (const char *)&zero, sizeof zero);
    for (size_t s = 0; s < ig_re_sets(&b->tree); s++) {
        const struct ig_set *set = ig_re_set(&b->tree, (int32_t)s);
        for (size_t i = 0; i < ig_set_count(set); i++) {
            uint32_t pair[2] = {ig_set_items(set)[2 * i], ig_set_items(set)[2 * i + 1] + 1};
            ig_buf_add(&b->bounds, (const char *)pair,
                       pair[1] <= 0x10ffff ? sizeof pair : sizeof *pair);
        }
    }
    if (b->bounds.failed) return ig_fail_memory(b->err, b->bounds.n);
    uint32_t *v = (uint32_t *)(void *)b->bounds.p;
    size_t n = b->bounds.n / sizeof *v, kept = 1;
    qsort(v, n, sizeof *v, compare_u32);
    for (size_t i = 1; i < n; i++)
        if (v[i] != v[kept - 1]) v[kept++] = v[i];
    b->bounds.n = kept * sizeof *v;
    return INGLE_OK;
}

/* Splits every class into what a set takes of it and what not, set by set. */
static ingle_status refine_classes(struct build *b) {
    size_t n = b->bounds.n / sizeof(uint32_t);
    const uint32_t *start = (const uint32_t *)(const void *)b->bounds.p;
    if (!ig_buf_reserve(&b->owner, n * sizeof(uint16_t))) return ig_fail_memory(b->err, n);
    uint16_t *owner = (uint16_t *)(void *)b->owner.p;
    memset(owner, 0, n * sizeof *owner);
    uint32_t classes = 1;
    for (size_t s = 0; s < ig_re_sets(&b->tree); s++) {
        const struct ig_set *set = ig_re_set(&b->tree, (int32_t)s);
        const uint32_t *r = ig_set_items(set);
        size_t ranges = ig_set_count(set), at = 0;
        /* first: some interval of the class was outside; inside[c]: number for the part inside */
        uint16_t seen_out[MAX_CLASSES + 1] = {0}, inside[MAX_CLASSES + 1] = {0};
        for (int pass = 0; pass < 2; pass++) {
            at = 0;
            for (size_t i = 0; i < n; i++) {
                while (at < ranges && r[2 * at + 1] < start[i]) at++;
                bool in = at < ranges && r[2 * at] <= start[i];
                uint16_t c = owner[i];
                if (pass == 0) {
                    if (!in) seen_out[c] = 1;
                } else if (in && seen_out[c]) {
                    if (!inside[c]) {
                        if (classes >= MAX_CLASSES)
                            return too_large(b, "too many different characters");
                        inside[c] = (uint16_t)classes++;
                    }
                    owner[i] = inside[c];
                }
            }
        }
    }
    b->r->n_classes = classes;
    return INGLE_OK;
}

/* The two-stage table: blocks of one class only are shared. */
static ingle_status class_table(struct build *b) {
    struct ig_regex *r = b->r;
    size_t n = b->bounds.n / sizeof(uint32_t), at = 0;
    const uint32_t *start = (const uint32_t *)(const void *)b->bounds.p;
    const uint16_t *owner = (const uint16_t *)(const void *)b->owner.p;
    struct ig_buf blocks = {.mem = b->mem};
    int32_t uniform[MAX_CLASSES + 1];
    for (size_t i = 0; i <= MAX_CLASSES; i++) uniform[i] = -1;
    r->block_of = ig_alloc(b->mem, 8704 * sizeof *r->block_of);
    if (!r->block_of) return ig_fail_memory(b->err, 8704);
    for (uint32_t block = 0; block < 8704; block++) {
        uint32_t first = block * 128, last = first + 127;
        char content[128];
        while (at + 1 < n && start[at + 1] <= first) at++;
        bool whole = at + 1 == n || start[at + 1] > last;
        if (whole && uniform[owner[at]] >= 0) {
            r->block_of[block] = (uint16_t)uniform[owner[at]];
            continue;
        }
        if (whole) uniform[owner[at]] = (int32_t)(blocks.n / 128);
        for (uint32_t cp = first; cp <= last; cp++) {
            while (at + 1 < n && start[at + 1] <= cp) at++;
            content[cp - first] = (char)owner[at];
        }
        r->block_of[block] = (uint16_t)(blocks.n / 128);
        ig_buf_add(&blocks, content, 128);
    }
    r->blocks = (uint8_t *)blocks.p; /* also a part of them: the closing frees it */
    if (blocks.failed) return ig_fail_memory(b->err, blocks.n);
    r->bytes += blocks.n + 8704 * sizeof *r->block_of;
    memcpy(r->ascii, r->blocks + (size_t)r->block_of[0] * 128, 128);
    return INGLE_OK;
}

/* A member of each class, to test sets with. */
static void representatives(struct build *b, uint32_t *cp) {
    size_t n = b->bounds.n / sizeof(uint32_t);
    for (size_t i = n; i-- > 0;)
        cp[((uint16_t *)(void *)b->owner.p)[i]] = ((uint32_t *)(void *)b->bounds.p)[i];
}

/* ---- assertions ---- */

static bool behind_sees(const struct build *b, const struct check *c, const struct ig_set *word,
                        uint32_t cp, bool start) {
    switch (c->kind) {
    case IG_AT_TEXT_START: return start;
    case IG_AT_LINE_START: return start || cp == '\n';
    case IG_AT_WORD_EDGE:
    case IG_AT_NO_WORD_EDGE: return !start && ig_set_has(word, cp);
    case IG_AT_BEHIND: return !start && ig_set_has(ig_re_set(&b->tree, c->set), cp);
    default: return false;
    }
}

static bool check_holds(const struct build *b, const struct check *c, const struct ig_set *word,
                        bool behind, uint32_t next, bool end) {
    switch (c->kind) {
    case IG_AT_TEXT_START:
    case IG_AT_LINE_START: return behind;
    case IG_AT_BEHIND: return behind != c->negative;
    case IG_AT_TEXT_END: return end;
    /* a newline that ends the text: approximated by "before a newline" would be wrong, so it is
     * looked for below */
    case IG_AT_LAST_LINE_END: return end;
    case IG_AT_LINE_END: return end || next == '\n';
    case IG_AT_WORD_EDGE: return behind != (!end && ig_set_has(word, next));
    case IG_AT_NO_WORD_EDGE: return behind == (!end && ig_set_has(word, next));
    case CHECK_AHEAD_NOT: return end || !ig_set_has(ig_re_set(&b->tree, c->set), next);
    default: return false;
    }
}

/* Which preceding characters the checks can tell apart, and the truth of all checks for each pair
 * of neighbours. */
static ingle_status tabulate_checks(struct build *b, const struct ig_set *word) {
    struct ig_regex *r = b->r;
    uint32_t cp[MAX_CLASSES + 1], signature[IG_RE_MAX_KINDS];
    representatives(b, cp);
    for (uint32_t c = 0; c <= r->n_classes; c++) {
        bool start = c == r->n_classes;
        uint32_t sees = 0, kind = 0;
        for (uint32_t i = 0; i < b->n_checks; i++)
            sees |= (uint32_t)behind_sees(b, &b->checks[i], word, start ? 0 : cp[c], start) << i;
        while (kind < r->n_kinds && signature[kind] != sees) kind++;
        if (kind == IG_RE_MAX_KINDS) return too_large(b, "too many assertions");
        if (kind == r->n_kinds) signature[r->n_kinds++] = sees;
        r->kind_of[c] = (uint8_t)kind;
    }
    for (uint32_t k = 0; k < r->n_kinds; k++)
        for (uint32_t c = 0; c <= r->n_classes; c++) {
            bool end = c == r->n_classes;
            b->context_of[k][c] = 0;
            for (uint32_t i = 0; i < b->n_checks; i++)
                b->context_of[k][c] |=
                    (uint32_t)check_holds(b, &b->checks[i], word, signature[k] >> i & 1,
                                          end ? 0 : cp[c], end)
                    << i;
        }
    return INGLE_OK;
}

/* Word edges and lines need classes of their own: their sets must exist before the classes are
 * made. */
static ingle_status prepare_checks(struct build *b, struct ig_set *word) {
    bool words = false, lines = false;
    for (uint32_t i = 0; i < b->n_checks; i++) {
        words |= b->checks[i].kind == IG_AT_WORD_EDGE || b->checks[i].kind == IG_AT_NO_WORD_EDGE;
        lines |= b->checks[i].kind == IG_AT_LINE_START || b->checks[i].kind == IG_AT_LINE_END;
    }
    if (words) ig_set_class(word, 'w');
    ig_set_tidy(word);
    struct ig_set copy = {.ranges.mem = b->mem}, newline = {.ranges.mem = b->mem};
    if (words) ig_set_union(&copy, word);
    if (lines) ig_set_add(&newline, '\n', '\n');
    if (words) ig_buf_add(&b->tree.sets, (const char *)&copy, sizeof copy);
    if (lines) ig_buf_add(&b->tree.sets, (const char *)&newline, sizeof newline);
    if (b->tree.sets.failed || copy.ranges.failed || newline.ranges.failed || word->ranges.failed)
        return ig_fail_memory(b->err, sizeof copy);
    return INGLE_OK;
}

/* ---- states ---- */

static void set_bit(uint64_t *set, uint32_t i) {
    set[i >> 6] |= (uint64_t)1 << (i & 63);
}

static ingle_status prepare_states(struct build *b) {
    struct ig_regex *r = b->r;
    uint32_t n = (uint32_t)(b->code.n / sizeof(struct instr)), at = 0;
    b->words = b->n_chars / 64 + 1;
    r->alive_words = n / 64 + 1;
    b->n_slots = 1024;
    b->mask = ig_calloc(b->mem, (size_t)r->n_classes * b->words, sizeof *b->mask);
    b->slots = ig_calloc(b->mem, b->n_slots, sizeof *b->slots);
    b->order = ig_calloc(b->mem, n + 1, sizeof *b->order);
    r->char_at = ig_calloc(b->mem, b->n_chars + 1, sizeof *r->char_at);
    if (!b->mask || !b->slots || !b->order || !r->char_at) return ig_fail_memory(b->err, n);
    uint32_t cp[MAX_CLASSES + 1];
    representatives(b, cp);
    for (uint32_t i = 0; i < b->n_chars; i++) {
        const struct ig_set *set = ig_re_set(&b->tree, ((int32_t *)(void *)b->char_set.p)[i]);
        for (uint32_t c = 0; c < r->n_classes; c++)
            if (ig_set_has(set, cp[c])) set_bit(b->mask + (size_t)c * b->words, i);
    }
    for (unsigned level = b->max_level + 1; level-- > 0;) {
        for (uint32_t i = 0; i < n; i++) {
            const struct instr *in = instr(b, (int32_t)i);
            if (in->op == OP_CHAR)
                r->char_at[in->arg] = i;
            else if (in->level == level)
                b->order[at++] = i;
        }
        b->order_end[level] = at;
    }
    return INGLE_OK;
}

static bool is_alive(const struct build *b, const uint64_t *alive, uint32_t context,
                     const struct instr *in) {
    (void)b;
    switch (in->op) {
    case OP_MATCH: return true;
    case OP_SPLIT: return bit(alive, (uint32_t)in->x) || bit(alive, (uint32_t)in->y);
    case OP_CHECK: return (context >> in->arg & 1) && bit(alive, (uint32_t)in->x);
    case OP_LOOK:
        return bit(alive, (uint32_t)in->arg) != in->negative && bit(alive, (uint32_t)in->x);
    default: return false;
    }
}

/* From the live CHARs to everything that lives: inner look-aheads first, each level to its fixed
 * point. */
static void close_set(struct build *b, const uint64_t *chars, uint32_t context, uint64_t *alive) {
    for (uint32_t i = 0; i < b->n_chars; i++)
        if (bit(chars, i)) set_bit(alive, b->r->char_at[i]);
    uint32_t from = 0;
    set_bit(alive, 0); /* OP_MATCH ends look-aheads too */
    for (unsigned level = b->max_level + 1; level-- > 0;) {
        bool changed = true;
        while (changed) {
            changed = false;
            for (uint32_t i = from; i < b->order_end[level]; i++) {
                uint32_t at = b->order[i];
                if (bit(alive, at) || !is_alive(b, alive, context, instr(b, (int32_t)at))) continue;
                set_bit(alive, at);
                changed = b->empty_loops;
            }
        }
        from = b->order_end[level];
    }
}

static bool grow_slots(struct build *b) {
    uint32_t n = b->n_slots * 2;
    uint32_t *slots = ig_calloc(b->mem, n, sizeof *slots);
    if (!slots) return false;
    for (uint32_t s = 0; s < b->r->n_states; s++) {
        const char *key = b->chars.p + (size_t)s * b->words * 8;
        uint64_t at = ig_hash(key, b->words * 8u, ((uint32_t *)(void *)b->context.p)[s]) & (n - 1);
        while (slots[at]) at = (at + 1) & (n - 1);
        slots[at] = s + 1;
    }
    ig_free(b->mem, b->slots);
    b->slots = slots;
    b->n_slots = n;
    return true;
}

static ingle_status new_state(struct build *b, const uint64_t *chars, uint32_t context) {
    struct ig_regex *r = b->r;
    b->work += b->words * (uint64_t)r->n_classes + b->code.n / sizeof(struct instr);
    if (r->n_states >= MAX_STATES || b->work > MAX_WORK)
        return too_large(b, "its automaton is too large");
    size_t core_at = b->core.n, alive_at = b->alive.n;
    if (ig_buf_reserve(&b->core, b->words * 8u) && ig_buf_reserve(&b->alive, r->alive_words * 8u)) {
        memset(b->core.p + core_at, 0, b->words * 8u);
        memset(b->alive.p + alive_at, 0, r->alive_words * 8u);
        b->core.n += b->words * 8u;
        b->alive.n += r->alive_words * 8u;
    }
    ig_buf_add(&b->chars, (const char *)chars, b->words * 8u);
    ig_buf_add(&b->context, (const char *)&context, sizeof context);
    if (b->core.failed || b->alive.failed || b->chars.failed || b->context.failed)
        return ig_fail_memory(b->err, b->alive.n);
    uint64_t *alive = (uint64_t *)(void *)(b->alive.p + alive_at),
             *core = (uint64_t *)(void *)(b->core.p + core_at);
    close_set(b, chars, context, alive);
    for (uint32_t i = 0; i < b->n_chars; i++)
        if (bit(alive, (uint32_t)instr(b, (int32_t)r->char_at[i])->x)) set_bit(core, i);
    r->n_states++;
    return INGLE_OK;
}

static ingle_status find_state(struct build *b, const uint64_t *chars, uint32_t context,
                               uint16_t *out) {
    uint64_t at = ig_hash(chars, b->words * 8u, context) & (b->n_slots - 1);
    for (; b->slots[at]; at = (at + 1) & (b->n_slots - 1)) {
        uint32_t s = b->slots[at] - 1;
        if (((uint32_t *)(void *)b->context.p)[s] == context &&
            !memcmp(b->chars.p + (size_t)s * b->words * 8, chars, b->words * 8u)) {
            *out = (uint16_t)s;
            return INGLE_OK;
        }
    }
    b->slots[at] = b->r->n_states + 1;
    *out = (uint16_t)b->r->n_states;
    IG_TRY(new_state(b, chars, context));
    if (b->r->n_states * 2 > b->n_slots && !grow_slots(b))
        return ig_fail_memory(b->err, b->n_slots);
    return INGLE_OK;
}

static ingle_status build_states(struct build *b, uint64_t *chars) {
    struct ig_regex *r = b->r;
    struct ig_buf step = {.mem = b->mem};
    ingle_status status = INGLE_OK;
    memset(chars, 0, b->words * 8u);
    for (uint32_t k = 0; k < r->n_kinds && status == INGLE_OK; k++)
        status = find_state(b, chars, b->context_of[k][r->n_classes], &r->at_end[k]);
    for (uint32_t s = 0; s < r->n_states && status == INGLE_OK; s++) {
        if ((size_t)(s + 1) * r->n_classes * r->n_kinds > MAX_TABLE)
            status = too_large(b, "its automaton is too large");
        for (uint32_t c = 0; c < r->n_classes && status == INGLE_OK; c++) {
            const uint64_t *core = (const uint64_t *)(const void *)b->core.p + (size_t)s * b->words;
            for (uint32_t w = 0; w < b->words; w++)
                chars[w] = core[w] & b->mask[(size_t)c * b->words + w];
            for (uint32_t k = 0; k < r->n_kinds && status == INGLE_OK; k++) {
                uint16_t to = 0;
                status = find_state(b, chars, b->context_of[k][c], &to);
                ig_buf_add(&step, (const char *)&to, sizeof to);
            }
        }
    }
    if (status == INGLE_OK && step.failed) status = ig_fail_memory(b->err, step.n);
    r->step = (uint16_t *)(void *)step.p;
    r->bytes += step.n;
    return status;
}

/* ---- the forward walk ---- */

/* The same with empty loops: a second visit fails, as a backtracking engine leaves a loop whose
 * body matched nothing. */
static uint16_t walk_loops(const struct instr *code, const uint64_t *alive, uint32_t pc,
                           uint64_t *seen, int32_t *stack) {
    size_t n = 0;
    for (;;) {
        const struct instr *in = code + pc;
        bool back = bit(seen, pc) || !bit(alive, pc);
        set_bit(seen, pc);
        if (!back && in->op == OP_CHAR) return (uint16_t)in->arg;
        if (!back && in->op == OP_MATCH) return GO_MATCH;
        if (!back && in->op == OP_SPLIT) stack[n++] = in->y;
        if (back && !n) return GO_DEAD;
        pc = (uint32_t)(back ? stack[--n] : in->x);
    }
}

static ingle_status build_walks(struct build *b) {
    struct ig_regex *r = b->r;
    size_t rows = (size_t)b->n_chars + 1, size = rows * r->n_states;
    if (size > 400000)
        return b->empty_loops ? too_large(b, "its automaton is too large") : INGLE_OK;
    uint64_t *seen = ig_alloc(b->mem, r->alive_words * 8u);
    int32_t *stack = ig_alloc(b->mem, (r->n_code + 1) * sizeof *stack);
    r->go = ig_alloc(b->mem, size * sizeof *r->go);
    r->bytes += size * sizeof *r->go;
    for (size_t row = 0; row < rows && seen && stack && r->go; row++) {
        uint32_t pc = row ? (uint32_t)r->code[r->char_at[row - 1]].x : r->start;
        for (uint32_t s = 0; s < r->n_states; s++) {
            const uint64_t *alive = r->alive + (size_t)s * r->alive_words;
            uint16_t to = GO_DEAD;
            if (b->empty_loops) {
                memset(seen, 0, r->alive_words * 8u);
                to = walk_loops(r->code, alive, pc, seen, stack);
            } else if (bit(alive, pc)) {
                to = walk(r->code, alive, pc);
            }
            r->go[row * r->n_states + s] = to;
        }
    }
    bool ok = seen && stack && r->go;
    ig_free(b->mem, seen);
    ig_free(b->mem, stack);
    return ok ? INGLE_OK : ig_fail_memory(b->err, size);
}

/* ---- opening ---- */

static ingle_status build_automaton(struct build *b, int32_t root, struct ig_set *word) {
    struct ig_regex *r = b->r;
    int32_t match, start;
    IG_TRY(emit(b, (struct instr){.op = OP_MATCH}, &match));
    IG_TRY(compile(b, root, match, &start));
    r->start = (uint32_t)start;
    IG_TRY(prepare_checks(b, word));
    IG_TRY(collect_bounds(b));
    IG_TRY(refine_classes(b));
    IG_TRY(class_table(b));
    IG_TRY(tabulate_checks(b, word));
    IG_TRY(prepare_states(b));
    uint64_t *chars = ig_alloc(b->mem, b->words * 8u);
    if (!chars) return ig_fail_memory(b->err, b->words * 8u);
    ingle_status status = build_states(b, chars);
    ig_free(b->mem, chars);
    IG_TRY(status);
    r->n_chars = b->n_chars;
    r->n_code = (uint32_t)(b->code.n / sizeof(struct instr));
    r->code = (struct instr *)(void *)b->code.p;
    r->alive = (uint64_t *)(void *)b->alive.p;
    r->bytes += b->code.n + b->alive.n + b->n_chars * sizeof *r->char_at;
    b->code.p = b->alive.p = NULL;
    r->can_start = ig_alloc(b->mem, r->n_states);
    if (!r->can_start) return ig_fail_memory(b->err, r->n_states);
    for (uint32_t s = 0; s < r->n_states; s++)
        r->can_start[s] = bit(r->alive + (size_t)s * r->alive_words, r->start);
    return build_walks(b);
}

/* \Z is $ that only the last newline satisfies: rewritten to (?=\n?\z) before compiling would need
 * a node; patterns in the field do not use it on texts that end in a newline, so it is refused
 * instead of being nearly right. */
static ingle_status refuse_last_line_end(struct build *b) {
    size_t n = b->tree.nodes.n / sizeof(struct ig_re_node);
    for (size_t i = 0; i < n; i++) {
        const struct ig_re_node *node = ig_re_node(&b->tree, (int32_t)i);
        if (node->kind == IG_RE_ASSERT && node->assertion == IG_AT_LAST_LINE_END)
            return too_large(b, "\\Z is not supported");
    }
    return INGLE_OK;
}

static ingle_status open_tree(struct ig_regex **out, struct ig_mem *mem, struct ig_str pattern,
                              unsigned flags, bool literal, ingle_error *err) {
    struct ig_regex *r = ig_calloc(mem, 1, sizeof *r);
    struct build *b = ig_calloc(mem, 1, sizeof *b);
    if (!r || !b) {
        ig_free(mem, r);
        ig_free(mem, b);
        return ig_fail_memory(err, sizeof *b);
    }
    r->mem = mem;
    r->bytes = sizeof *r;
    *b = (struct build){.r = r, .mem = mem, .pattern = pattern, .err = err};
    b->tree.mem = b->tree.nodes.mem = b->tree.sets.mem = mem;
    struct ig_buf *bufs[] = {&b->code,  &b->stack, &b->bounds, &b->owner,  &b->char_set,
                             &b->chars, &b->core,  &b->alive,  &b->context};
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) bufs[i]->mem = mem;
    struct ig_set word = {.ranges.mem = mem};
    int32_t root;
    ingle_status status = literal ? ig_re_parse_literal(&b->tree, pattern, &root, err)
                                  : ig_re_parse(&b->tree, pattern, flags, &root, err);
    if (status == INGLE_OK) status = refuse_last_line_end(b);
    if (status == INGLE_OK) status = build_automaton(b, root, &word);
    ig_set_free(&word);
    for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) ig_buf_free(bufs[i]);
    ig_free(mem, b->mask);
    ig_free(mem, b->slots);
    ig_free(mem, b->order);
    ig_re_tree_free(&b->tree);
    ig_free(mem, b);
    if (status != INGLE_OK)
        ig_regex_close(r);
    else
        *out = r;
    return status;
}

ingle_status ig_regex_open(struct ig_regex **out, struct ig_mem *mem, struct ig_str pattern,
                           unsigned flags, ingle_error *err) {
    return open_tree(out, mem, pattern, flags, false, err);
}

ingle_status ig_regex_open_literal(struct ig_regex **out, struct ig_mem *mem, struct ig_str literal,
                                   ingle_error *err) {
    return open_tree(out, mem, literal, 0, true, err);
}

void ig_regex_close(struct ig_regex *r) {
    if (!r) return;
    struct ig_mem *m = r->mem;
    ig_free(m, r->block_of);
    ig_free(m, r->blocks);
    ig_free(m, r->step);
    ig_free(m, r->can_start);
    ig_free(m, r->go);
    ig_free(m, r->code);
    ig_free(m, r->char_at);
    ig_free(m, r->alive);
    ig_free(m, r);
}

size_t ig_regex_memory(const struct ig_regex *r) {
    return r ? r->bytes : 0;
}
