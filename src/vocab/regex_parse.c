/* Pattern text to syntax tree. Nodes are numbered and live in one growing array, so nothing points
 * into memory that may move. Recursion is bounded by the nesting limit. Case-insensitive groups are
 * resolved here: their sets are folded, the rest of the engine never hears of case. */
#include "vocab/regex_set.h"
#include "vocab/regex.h"
#include "base/utf8.h"

enum { MAX_DEPTH = 150, MAX_NODES = 100000, MAX_REPEAT = 20000 };

struct parser {
    struct ig_re_tree *t;
    struct ig_str pattern;
    size_t at;
    unsigned flags, depth;
    bool fold, dotall, extended;
    ingle_error *err;
};

static ingle_status wrong(struct parser *p, ingle_status code, const char *what) {
    size_t n = p->pattern.n < 200 ? p->pattern.n : 200;
    return ig_fail(p->err, code,
                   "the pattern comes from the model's tokenizer: report it with the model's name",
                   "regex \"%.*s\": %s at byte %zu", (int)n, p->pattern.p, what, p->at);
}

static bool more(const struct parser *p) {
    return p->at < p->pattern.n;
}
static char peek(const struct parser *p) {
    return p->at < p->pattern.n ? p->pattern.p[p->at] : 0;
}
static bool ahead(const struct parser *p, const char *z) {
    return ig_str_starts((struct ig_str){p->pattern.p + p->at, p->pattern.n - p->at}, ig_str_of(z));
}
static bool eat(struct parser *p, const char *z) {
    if (!ahead(p, z)) return false;
    p->at += strlen(z);
    return true;
}

static ingle_status add_node(struct parser *p, struct ig_re_node n, int32_t *out) {
    size_t count = p->t->nodes.n / sizeof n;
    if (count >= MAX_NODES) return wrong(p, INGLE_UNSUPPORTED, "too long");
    ig_buf_add(&p->t->nodes, (const char *)&n, sizeof n);
    if (p->t->nodes.failed) return ig_fail_memory(p->err, sizeof n);
    *out = (int32_t)count;
    return INGLE_OK;
}

/* Takes the set over. */
static ingle_status add_set(struct parser *p, struct ig_set *s, bool negate, int32_t *set) {
    if (p->fold) ig_set_fold(s);
    if (negate) ig_set_negate(s);
    ig_set_tidy(s);
    *set = (int32_t)ig_re_sets(p->t);
    /* Equal sets share a number: fewer classes to refine later. */
    for (int32_t i = 0; i < *set && !s->ranges.failed; i++) {
        struct ig_set *have = ig_re_set(p->t, i);
        if (!ig_str_eq(ig_buf_view(&have->ranges), ig_buf_view(&s->ranges))) continue;
        *set = i;
        ig_set_free(s);
        return INGLE_OK;
    }
    if (!s->ranges.failed) ig_buf_add(&p->t->sets, (const char *)s, sizeof *s);
    if (s->ranges.failed || p->t->sets.failed) {
        ig_set_free(s);
        return ig_fail_memory(p->err, sizeof *s);
    }
    return INGLE_OK;
}

static ingle_status set_node(struct parser *p, struct ig_set *s, bool negate, int32_t *out) {
    struct ig_re_node n = {.kind = IG_RE_SET, .child = IG_RE_NONE, .next = IG_RE_NONE};
    IG_TRY(add_set(p, s, negate, &n.set));
    return add_node(p, n, out);
}

static ingle_status assert_node(struct parser *p, enum ig_re_assert kind, int32_t *out) {
    struct ig_re_node n = {.kind = IG_RE_ASSERT,
                           .assertion = (uint8_t)kind,
                           .child = IG_RE_NONE,
                           .next = IG_RE_NONE,
                           .set = IG_RE_NONE};
    return add_node(p, n, out);
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

static ingle_status hex(struct parser *p, unsigned min, unsigned max, uint32_t *cp) {
    unsigned n = 0;
    for (*cp = 0; n < max && more(p) && hex_digit(peek(p)) >= 0; n++, p->at++)
        *cp = *cp << 4 | (uint32_t)hex_digit(peek(p));
    if (n < min || *cp > 0x10ffff) return wrong(p, INGLE_BAD_FILE, "bad hexadecimal escape");
    return INGLE_OK;
}

/* One character, escaped or not, after the caller has ruled out classes and assertions. */
static ingle_status character(struct parser *p, uint32_t *cp) {
    if (peek(p) != '\\') {
        unsigned len = ig_utf8_decode(p->pattern.p + p->at, p->pattern.n - p->at, cp);
        if (!len) return wrong(p, INGLE_BAD_FILE, "invalid UTF-8");
        p->at += len;
        return INGLE_OK;
    }
    p->at++;
    if (!more(p)) return wrong(p, INGLE_BAD_FILE, "escape at the end");
    static const char letters[] = "nrtfvae", codes[] = "\n\r\t\f\v\a\x1b";
    char c = peek(p);
    const char *known = strchr(letters, c);
    if (known) {
        p->at++;
        *cp = (uint32_t)codes[known - letters];
        return INGLE_OK;
    }
    if (c == 'x' || c == 'u') {
        p->at++;
        if (!eat(p, "{")) return hex(p, c == 'u' ? 4 : 1, c == 'u' ? 4 : 2, cp);
        IG_TRY(hex(p, 1, 8, cp));
        return eat(p, "}") ? INGLE_OK : wrong(p, INGLE_BAD_FILE, "missing }");
    }
    if (c == '0') {
        for (*cp = 0; more(p) && peek(p) >= '0' && peek(p) <= '7' && *cp < 32; p->at++)
            *cp = *cp * 8 + (uint32_t)(peek(p) - '0');
        return INGLE_OK;
    }
    if ((c >= '1' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'))
        return wrong(p, INGLE_UNSUPPORTED, "unknown escape or back-reference");
    unsigned len = ig_utf8_decode(p->pattern.p + p->at, p->pattern.n - p->at, cp);
    if (!len) return wrong(p, INGLE_BAD_FILE, "invalid UTF-8");
    p->at += len;
    return INGLE_OK;
}

/* \s \d \w \h \p{..} and their complements at the cursor: *is tells whether there was one; then it
 * was added to s. */
static ingle_status class_escape(struct parser *p, struct ig_set *s, bool *is) {
    *is = false;
    if (peek(p) != '\\' || p->at + 1 >= p->pattern.n) return INGLE_OK;
    char c = p->pattern.p[p->at + 1];
    char lower = (char)(c | 32);
    struct ig_set got = {.ranges.mem = p->t->mem};
    if (lower == 's' || lower == 'd' || lower == 'w' || lower == 'h') {
        p->at += 2;
        ig_set_class(&got, lower);
    } else if (lower == 'p') {
        size_t from = p->at + 2, end = from;
        if (from >= p->pattern.n) return wrong(p, INGLE_BAD_FILE, "\\p without a name");
        if (p->pattern.p[from] == '{') {
            end = ++from;
            while (end < p->pattern.n && p->pattern.p[end] != '}') end++;
            if (end == p->pattern.n) return wrong(p, INGLE_BAD_FILE, "missing }");
            p->at = end + 1;
        } else {
            end = from + 1;
            p->at = end;
        }
        if (!ig_set_property(&got, (struct ig_str){p->pattern.p + from, end - from})) {
            ig_set_free(&got);
            return wrong(p, INGLE_UNSUPPORTED, "unknown property");
        }
    } else {
        return INGLE_OK;
    }
    *is = true;
    if (c != lower) ig_set_negate(&got);
    ig_set_union(s, &got);
    ig_set_free(&got);
    return INGLE_OK;
}

static ingle_status posix_class(struct parser *p, struct ig_set *s, bool *is) {
    *is = false;
    if (!ahead(p, "[:")) return INGLE_OK;
    struct ig_str rest = {p->pattern.p + p->at + 2, p->pattern.n - p->at - 2};
    size_t end;
    if (!ig_str_find(rest, IG_STR(":]"), &end) || end > 16) return INGLE_OK;
    p->at += end + 4;
    *is = true;
    return ig_set_property(s, (struct ig_str){rest.p, end})
               ? INGLE_OK
               : wrong(p, INGLE_UNSUPPORTED, "unknown [:class:]");
}

static ingle_status bracket(struct parser *p, struct ig_set *out);

static ingle_status bracket_item(struct parser *p, struct ig_set *s) {
    bool is;
    bool plain = p->flags & IG_REGEX_TEXT_ANCHORS;
    IG_TRY(posix_class(p, s, &is));
    if (is) return INGLE_OK;
    if (peek(p) == '[' && !plain) {
        struct ig_set inner = {.ranges.mem = p->t->mem};
        p->at++;
        ingle_status status = bracket(p, &inner);
        ig_set_union(s, &inner);
        ig_set_free(&inner);
        return status;
    }
    IG_TRY(class_escape(p, s, &is));
    if (is) return INGLE_OK;
    uint32_t first, last;
    if (eat(p, "\\b"))
        first = 8;
    else
        IG_TRY(character(p, &first));
    last = first;
    if (peek(p) == '-' && p->at + 1 < p->pattern.n && p->pattern.p[p->at + 1] != ']') {
        size_t back = p->at++;
        struct ig_set probe = {.ranges.mem = p->t->mem};
        ingle_status status = class_escape(p, &probe, &is); /* "a-\d": the hyphen is literal */
        ig_set_free(&probe);
        IG_TRY(status);
        if (is || (peek(p) == '[' && !plain)) {
            p->at = back;
        } else {
            IG_TRY(character(p, &last));
            if (last < first) return wrong(p, INGLE_BAD_FILE, "range is the wrong way round");
        }
    }
    ig_set_add(s, first, last);
    return INGLE_OK;
}

/* After the opening bracket. */
static ingle_status bracket_body(struct parser *p, struct ig_set *out) {
    bool negate = eat(p, "^"), first = true, joined = false;
    struct ig_set left = {.ranges.mem = p->t->mem};
    ingle_status status = INGLE_OK;
    while (status == INGLE_OK) {
        if (!more(p)) {
            status = wrong(p, INGLE_BAD_FILE, "missing ]");
        } else if (peek(p) == ']' && !first) {
            break;
        } else if (!(p->flags & IG_REGEX_TEXT_ANCHORS) && eat(p, "&&")) {
            if (joined)
                ig_set_intersect(&left, out);
            else
                ig_set_union(&left, out);
            ig_set_free(out);
            *out = (struct ig_set){.ranges.mem = p->t->mem};
            joined = true;
        } else {
            status = bracket_item(p, out);
        }
        first = false;
    }
    p->at++;
    if (joined) ig_set_intersect(out, &left);
    ig_set_free(&left);
    if (p->fold) ig_set_fold(out);
    if (negate) ig_set_negate(out);
    return status;
}

static ingle_status bracket(struct parser *p, struct ig_set *out) {
    if (++p->depth > MAX_DEPTH) return wrong(p, INGLE_UNSUPPORTED, "nested too deeply");
    ingle_status status = bracket_body(p, out);
    p->depth--;
    return status;
}

static ingle_status alternation(struct parser *p, int32_t *out);

static ingle_status look(struct parser *p, bool negative, bool behind, int32_t *out) {
    int32_t child;
    IG_TRY(alternation(p, &child));
    struct ig_re_node n = {
        .kind = IG_RE_LOOK, .negative = negative, .child = child, .next = IG_RE_NONE};
    if (!behind) return add_node(p, n, out);
    struct ig_re_node body = *ig_re_node(p->t, child);
    if (body.kind != IG_RE_SET)
        return wrong(p, INGLE_UNSUPPORTED, "look-behind of more than one character");
    n.kind = IG_RE_ASSERT;
    n.assertion = IG_AT_BEHIND;
    n.set = body.set;
    n.child = IG_RE_NONE;
    return add_node(p, n, out);
}

/* A possessive repeat of a single set never gives back: X*+ is X*(?!X). */
static ingle_status atomic(struct parser *p, int32_t *out) {
    int32_t child;
    IG_TRY(alternation(p, &child));
    struct ig_re_node *n = ig_re_node(p->t, child);
    if (n->kind == IG_RE_REPEAT && !n->lazy && ig_re_node(p->t, n->child)->kind == IG_RE_SET)
        n->possessive = true;
    else if (n->kind != IG_RE_SET)
        return wrong(p, INGLE_UNSUPPORTED, "atomic group");
    *out = child;
    return INGLE_OK;
}

/* (?imx-imx) and (?imx-imx: ; the cursor is behind "(?". */
static ingle_status inline_flags(struct parser *p, bool *group) {
    bool on = true;
    for (; more(p) && peek(p) != ')' && peek(p) != ':'; p->at++) {
        switch (peek(p)) {
        case '-': on = false; break;
        case 'i': p->fold = on; break;
        case 'm':
        case 's': p->dotall = on; break;
        case 'x': p->extended = on; break;
        case 'u':
        case 'a':
        case 'd': break;
        default: return wrong(p, INGLE_UNSUPPORTED, "unknown group");
        }
    }
    if (!more(p)) return wrong(p, INGLE_BAD_FILE, "missing )");
    *group = peek(p) == ':';
    p->at++;
    return INGLE_OK;
}

static ingle_status close_group(struct parser *p) {
    return eat(p, ")") ? INGLE_OK : wrong(p, INGLE_BAD_FILE, "missing )");
}

/* After "(". */
static ingle_status group(struct parser *p, int32_t *out) {
    bool fold = p->fold, dotall = p->dotall, extended = p->extended, body = true;
    if (eat(p, "?#")) {
        while (more(p) && peek(p) != ')') p->at++;
        IG_TRY(close_group(p));
        return add_node(
            p, (struct ig_re_node){.kind = IG_RE_EMPTY, .child = IG_RE_NONE, .next = IG_RE_NONE},
            out);
    }
    if (eat(p, "?:"))
        IG_TRY(alternation(p, out));
    else if (eat(p, "?="))
        IG_TRY(look(p, false, false, out));
    else if (eat(p, "?!"))
        IG_TRY(look(p, true, false, out));
    else if (eat(p, "?<="))
        IG_TRY(look(p, false, true, out));
    else if (eat(p, "?<!"))
        IG_TRY(look(p, true, true, out));
    else if (eat(p, "?>"))
        IG_TRY(atomic(p, out));
    else if (eat(p, "?<") || eat(p, "?P<")) {
        while (more(p) && peek(p) != '>') p->at++;
        if (!eat(p, ">")) return wrong(p, INGLE_BAD_FILE, "missing >");
        IG_TRY(alternation(p, out));
    } else if (eat(p, "?")) {
        IG_TRY(inline_flags(p, &body));
        /* (?i) without a body reaches to the end of the enclosing group, alternatives included. */
        IG_TRY(alternation(p, out));
        if (!body) {
            p->fold = fold, p->dotall = dotall, p->extended = extended;
            return INGLE_OK;
        }
    } else {
        IG_TRY(alternation(p, out));
    }
    p->fold = fold, p->dotall = dotall, p->extended = extended;
    return close_group(p);
}

static ingle_status escape_assertion(struct parser *p, int32_t *out, bool *is) {
    static const struct {
        char c;
        uint8_t kind;
    } table[] = {{'A', IG_AT_TEXT_START},
                 {'z', IG_AT_TEXT_END},
                 {'Z', IG_AT_LAST_LINE_END},
                 {'b', IG_AT_WORD_EDGE},
                 {'B', IG_AT_NO_WORD_EDGE}};
    *is = false;
    if (peek(p) != '\\' || p->at + 1 >= p->pattern.n) return INGLE_OK;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (p->pattern.p[p->at + 1] != table[i].c) continue;
        p->at += 2;
        *is = true;
        return assert_node(p, (enum ig_re_assert)table[i].kind, out);
    }
    return INGLE_OK;
}

static ingle_status atom(struct parser *p, int32_t *out) {
    bool is, text = p->flags & IG_REGEX_TEXT_ANCHORS;
    struct ig_set s = {.ranges.mem = p->t->mem};
    if (eat(p, "(")) {
        if (++p->depth > MAX_DEPTH) return wrong(p, INGLE_UNSUPPORTED, "nested too deeply");
        IG_TRY(group(p, out));
        p->depth--;
        return INGLE_OK;
    }
    if (eat(p, "^")) return assert_node(p, text ? IG_AT_TEXT_START : IG_AT_LINE_START, out);
    if (eat(p, "$")) return assert_node(p, text ? IG_AT_TEXT_END : IG_AT_LINE_END, out);
    IG_TRY(escape_assertion(p, out, &is));
    if (is) return INGLE_OK;
    ingle_status status = INGLE_OK;
    bool saved = p->fold;
    if (eat(p, "[")) {
        status = bracket(p, &s);
        p->fold = false; /* done inside, before a negation */
    } else if (eat(p, ".")) {
        if (!p->dotall) ig_set_add(&s, '\n', '\n');
        ig_set_negate(&s);
    } else {
        status = class_escape(p, &s, &is);
        if (status == INGLE_OK && !is) {
            uint32_t cp = 0;
            status = character(p, &cp);
            if (status == INGLE_OK) ig_set_add(&s, cp, cp);
        }
    }
    if (status == INGLE_OK)
        status = set_node(p, &s, false, out);
    else
        ig_set_free(&s);
    p->fold = saved;
    return status;
}

/* {n}, {n,}, {,m}, {n,m} at the cursor; anything else after '{' is literal text. */
static bool counts(struct parser *p, int32_t *min, int32_t *max) {
    size_t at = p->at + 1;
    int64_t v[2] = {-1, -1};
    int which = 0;
    bool comma = false;
    for (;; at++) {
        if (at >= p->pattern.n) return false;
        char c = p->pattern.p[at];
        if (c >= '0' && c <= '9') {
            v[which] = (v[which] < 0 ? 0 : v[which]) * 10 + (c - '0');
            if (v[which] > 1000000) v[which] = 1000000;
        } else if (c == ',' && !comma) {
            comma = true;
            which = 1;
        } else if (c == '}') {
            break;
        } else {
            return false;
        }
    }
    if (v[0] < 0 && v[1] < 0) return false;
    *min = v[0] < 0 ? 0 : (int32_t)v[0];
    *max = !comma ? *min : v[1] < 0 ? IG_RE_UNBOUNDED : (int32_t)v[1];
    p->at = at + 1;
    return true;
}

static ingle_status repeat(struct parser *p, int32_t *out) {
    IG_TRY(atom(p, out));
    for (unsigned suffixes = 0;; suffixes++) {
        struct ig_re_node n = {.kind = IG_RE_REPEAT, .max = IG_RE_UNBOUNDED, .next = IG_RE_NONE};
        bool braces = false;
        if (eat(p, "*"))
            n.min = 0;
        else if (eat(p, "+"))
            n.min = 1;
        else if (eat(p, "?"))
            n.max = 1;
        else if (peek(p) == '{' && counts(p, &n.min, &n.max))
            braces = true;
        else
            return INGLE_OK;
        if (suffixes > MAX_DEPTH) return wrong(p, INGLE_UNSUPPORTED, "nested too deeply");
        if (n.max < n.min) return wrong(p, INGLE_BAD_FILE, "repeat count is the wrong way round");
        if (n.min > MAX_REPEAT || (n.max != IG_RE_UNBOUNDED && n.max > MAX_REPEAT))
            return wrong(p, INGLE_UNSUPPORTED, "repeat count is too large");
        if (eat(p, "?")) {
            n.lazy = true;
        } else if (!braces && eat(p, "+")) { /* {n,m}+ is a repeat of a repeat in this syntax */
            if (ig_re_node(p->t, *out)->kind != IG_RE_SET)
                return wrong(p, INGLE_UNSUPPORTED, "possessive repeat of a group");
            n.possessive = true;
        }
        n.child = *out;
        IG_TRY(add_node(p, n, out));
    }
}

static void skip_blanks(struct parser *p) {
    while (p->extended && more(p)) {
        char c = peek(p);
        if (c == '#')
            while (more(p) && peek(p) != '\n') p->at++;
        else if (c == ' ' || (c >= 9 && c <= 13))
            p->at++;
        else
            return;
    }
}

/* Chains `item` behind `last` or makes it the list's first. */
static void append(struct parser *p, int32_t list, int32_t *last, int32_t item) {
    if (*last == IG_RE_NONE)
        ig_re_node(p->t, list)->child = item;
    else
        ig_re_node(p->t, *last)->next = item;
    *last = item;
}

static ingle_status concatenation(struct parser *p, int32_t *out) {
    struct ig_re_node n = {.kind = IG_RE_CAT, .child = IG_RE_NONE, .next = IG_RE_NONE};
    int32_t last = IG_RE_NONE, count = 0;
    IG_TRY(add_node(p, n, out));
    for (skip_blanks(p); more(p) && peek(p) != '|' && peek(p) != ')'; skip_blanks(p)) {
        int32_t item;
        if (peek(p) == '*' || peek(p) == '+' || peek(p) == '?')
            return wrong(p, INGLE_BAD_FILE, "nothing to repeat");
        IG_TRY(repeat(p, &item));
        append(p, *out, &last, item);
        count++;
    }
    if (count == 1) *out = last;
    return INGLE_OK;
}

static ingle_status alternation(struct parser *p, int32_t *out) {
    int32_t first, last = IG_RE_NONE, list;
    IG_TRY(concatenation(p, &first));
    if (peek(p) != '|' || !more(p)) {
        *out = first;
        return INGLE_OK;
    }
    struct ig_re_node n = {.kind = IG_RE_ALT, .child = IG_RE_NONE, .next = IG_RE_NONE};
    IG_TRY(add_node(p, n, &list));
    append(p, list, &last, first);
    while (eat(p, "|")) {
        int32_t item;
        IG_TRY(concatenation(p, &item));
        append(p, list, &last, item);
    }
    *out = list;
    return INGLE_OK;
}

ingle_status ig_re_parse(struct ig_re_tree *t, struct ig_str pattern, unsigned flags, int32_t *root,
                         ingle_error *err) {
    struct parser p = {.t = t, .pattern = pattern, .flags = flags, .err = err};
    if (pattern.n > 1u << 20) return wrong(&p, INGLE_UNSUPPORTED, "too long");
    IG_TRY(alternation(&p, root));
    if (more(&p)) return wrong(&p, INGLE_BAD_FILE, "unexpected )");
    return INGLE_OK;
}

ingle_status ig_re_parse_literal(struct ig_re_tree *t, struct ig_str literal, int32_t *root,
                                 ingle_error *err) {
    struct parser p = {.t = t, .pattern = literal, .err = err};
    struct ig_re_node n = {.kind = IG_RE_CAT, .child = IG_RE_NONE, .next = IG_RE_NONE};
    int32_t last = IG_RE_NONE;
    IG_TRY(add_node(&p, n, root));
    while (more(&p)) {
        uint32_t cp;
        int32_t item;
        struct ig_set s = {.ranges.mem = t->mem};
        unsigned len = ig_utf8_decode(literal.p + p.at, literal.n - p.at, &cp);
        if (!len) return wrong(&p, INGLE_BAD_FILE, "invalid UTF-8");
        p.at += len;
        ig_set_add(&s, cp, cp);
        IG_TRY(set_node(&p, &s, false, &item));
        append(&p, *root, &last, item);
    }
    return INGLE_OK;
}

void ig_re_tree_free(struct ig_re_tree *t) {
    for (size_t i = 0; i < ig_re_sets(t); i++) ig_set_free(ig_re_set(t, (int32_t)i));
    ig_buf_free(&t->sets);
    ig_buf_free(&t->nodes);
}
