/* The JSON reader: text to a tree of nodes in an arena.
 *
 * Promises: strict RFC 8259, time and memory linear in the text, no recursion. Knows nothing of
 * what the values mean; numbers stay text until someone asks.
 *
 * The subtle thing: there is no parse stack. While a container is open its `next` (not known yet)
 * holds its parent; when it closes it is its parent's last child, so the place where the next
 * sibling will be linked is known again without having been saved. */
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/utf8.h"

enum { DEFAULT_DEPTH = 200, MAX_CHUNK = 1024 };

struct reader {
    struct ig_arena *a;
    const char *start, *p, *end;
    unsigned depth, max_depth;
    bool unique_keys;
    ingle_status code;
    struct ig_json *free; /* nodes of the current chunk that are not used yet */
    size_t n_free, chunk;
    ingle_error *err;
};

static ingle_status fail_at(struct reader *r, const char *at, const char *what) {
    size_t line = 1, column = 1;
    for (const char *p = r->start; p < at; p++) {
        if (*p == '\n')
            line++, column = 1;
        else if (((unsigned char)*p & 0xc0) != 0x80)
            column++;
    }
    return ig_fail(r->err, r->code, "check the text with a JSON validator",
                   "line %zu, column %zu: %s", line, column, what);
}

static ingle_status fail(struct reader *r, const char *what) {
    return fail_at(r, r->p, r->p < r->end ? what : "the text ends too early");
}

static ingle_status new_node(struct reader *r, struct ig_json **out) {
    if (!r->n_free) {
        r->chunk = r->chunk ? r->chunk * 2 : 8;
        if (r->chunk > MAX_CHUNK) r->chunk = MAX_CHUNK;
        r->free = ig_arena_alloc(r->a, r->chunk * sizeof *r->free);
        if (!r->free) return ig_fail_memory(r->err, r->chunk * sizeof *r->free);
        r->n_free = r->chunk;
    }
    r->n_free--;
    *out = r->free++;
    memset(*out, 0, sizeof **out);
    return INGLE_OK;
}

static inline void skip_space(struct reader *r) {
    const char *p = r->p, *end = r->end;
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
    r->p = p;
}

/* True if one of the eight bytes ends a run of plain ASCII: a quote, a backslash, a control
 * character or a byte >= 0x80. Borrows may mark a byte above a true hit, never below the first. */
static inline bool has_special(uint64_t v) {
    const uint64_t one = 0x0101010101010101u, high = 0x8080808080808080u;
    uint64_t quote = v ^ (one * '"'), slash = v ^ (one * '\\');
    return ((v - one * 0x20) | (quote - one) | (slash - one) | v) & high;
}

/* Moves r->p to the first quote, backslash or byte that does not belong into a string. */
static void scan_plain(struct reader *r) {
    const char *p = r->p, *end = r->end;
    for (;;) {
        while (end - p >= 8) {
            uint64_t v;
            memcpy(&v, p, 8);
            if (has_special(v)) break;
            p += 8;
        }
        while (p < end) {
            unsigned char c = (unsigned char)*p;
            if (c == '"' || c == '\\' || c < 0x20 || c >= 0x80) break;
            p++;
        }
        uint32_t cp;
        unsigned n =
            p < end && (unsigned char)*p >= 0x80 ? ig_utf8_decode(p, (size_t)(end - p), &cp) : 0;
        if (!n) break;
        p += n;
    }
    r->p = p;
}

static bool hex4(struct reader *r, uint32_t *out) {
    if (r->end - r->p < 4) return false;
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)r->p[i];
        unsigned d = c >= '0' && c <= '9'   ? c - (unsigned)'0'
                     : c >= 'a' && c <= 'f' ? c - (unsigned)'a' + 10
                     : c >= 'A' && c <= 'F' ? c - (unsigned)'A' + 10
                                            : 16;
        if (d > 15) return false;
        v = v << 4 | d;
    }
    r->p += 4;
    *out = v;
    return true;
}

/* r->p is behind a backslash. Writes at most 4 bytes: never more than the escape is long. */
static ingle_status read_escape(struct reader *r, char **to) {
    if (r->p == r->end) return fail(r, "");
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *known = *r->p ? strchr(from, *r->p) : NULL;
    if (known) {
        *(*to)++ = into[known - from];
        r->p++;
        return INGLE_OK;
    }
    const char *at = r->p - 1;
    if (*r->p++ != 'u') return fail_at(r, at, "unknown escape in a string");
    uint32_t cp, low;
    if (!hex4(r, &cp)) return fail_at(r, at, "\\u needs four hexadecimal digits");
    if (cp >= 0xd800 && cp < 0xdc00) {
        if (r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u')
            return fail_at(r, at, "unpaired surrogate");
        r->p += 2;
        if (!hex4(r, &low) || low < 0xdc00 || low > 0xdfff)
            return fail_at(r, at, "unpaired surrogate");
        cp = 0x10000 + ((cp - 0xd800) << 10) + (low - 0xdc00);
    }
    char bytes[4];
    unsigned n = ig_utf8_encode(cp, bytes);
    if (!n) return fail_at(r, at, "unpaired surrogate");
    memcpy(*to, bytes, n);
    *to += n;
    return INGLE_OK;
}

/* Length in bytes of the string that begins at p, up to its closing quote or the text's end. */
static size_t raw_length(const char *p, const char *end) {
    const char *q = p;
    while (q < end && *q != '"') q += *q == '\\' && end - q > 1 ? 2 : 1;
    return (size_t)(q - p);
}

/* r->p is on the first backslash of the string that began at `begin`. */
static ingle_status read_escaped(struct reader *r, const char *begin, struct ig_str *out) {
    size_t cap = raw_length(begin, r->end);
    char *copy = ig_arena_alloc(r->a, cap + 1), *to = copy;
    if (!copy) return ig_fail_memory(r->err, cap + 1);
    const char *from = begin;
    for (;;) {
        memcpy(to, from, (size_t)(r->p - from));
        to += r->p - from;
        if (r->p == r->end) return fail(r, "");
        if (*r->p == '"') break;
        if (*r->p != '\\') return fail(r, "a byte that must not stand in a string");
        r->p++;
        IG_TRY(read_escape(r, &to));
        from = r->p;
        scan_plain(r);
    }
    r->p++;
    *out = (struct ig_str){copy, (size_t)(to - copy)};
    return INGLE_OK;
}

/* r->p is on the opening quote. */
static ingle_status read_string(struct reader *r, struct ig_str *out) {
    const char *begin = ++r->p;
    scan_plain(r);
    if (r->p == r->end) return fail(r, "");
    if (*r->p == '\\') return read_escaped(r, begin, out);
    if (*r->p != '"')
        return fail(r, (unsigned char)*r->p < 0x20
                           ? "a control character in a string must be escaped"
                           : "invalid UTF-8 in a string");
    *out = (struct ig_str){begin, (size_t)(r->p - begin)};
    r->p++;
    return INGLE_OK;
}

static bool digits(struct reader *r) {
    const char *p = r->p;
    while (r->p < r->end && *r->p >= '0' && *r->p <= '9') r->p++;
    return r->p > p;
}

static ingle_status read_number(struct reader *r, struct ig_json *j) {
    const char *begin = r->p;
    bool whole = true;
    if (*r->p == '-') r->p++;
    if (r->p < r->end && *r->p == '0')
        r->p++;
    else if (!digits(r))
        return fail(r, "a digit is missing");
    if (r->p < r->end && *r->p == '.') {
        r->p++;
        whole = false;
        if (!digits(r)) return fail(r, "a digit is missing after the point");
    }
    if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
        r->p++;
        whole = false;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-')) r->p++;
        if (!digits(r)) return fail(r, "a digit is missing in the exponent");
    }
    j->kind = IG_JSON_NUMBER;
    j->text = (struct ig_str){begin, (size_t)(r->p - begin)};
    int64_t v;
    j->integer = whole && (j->text.n < 18 || ig_str_to_i64(j->text, &v));
    return INGLE_OK;
}

static ingle_status read_word(struct reader *r, struct ig_json *j, const char *word, uint8_t kind) {
    size_t n = strlen(word);
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return fail(r, "expected a value");
    j->kind = kind;
    j->truth = *word == 't';
    j->text = (struct ig_str){r->p, n};
    r->p += n;
    return INGLE_OK;
}

static ingle_status read_scalar(struct reader *r, struct ig_json *j) {
    switch (*r->p) {
    case '"': j->kind = IG_JSON_STRING; return read_string(r, &j->text);
    case 't': return read_word(r, j, "true", IG_JSON_BOOL);
    case 'f': return read_word(r, j, "false", IG_JSON_BOOL);
    case 'n': return read_word(r, j, "null", IG_JSON_NULL);
    default: break;
    }
    if (*r->p == '-' || (*r->p >= '0' && *r->p <= '9')) return read_number(r, j);
    return fail(r, "expected a value");
}

static int by_key(const void *x, const void *y) {
    const struct ig_json *const *a = x, *const *b = y;
    return ig_str_cmp((*a)->key, (*b)->key);
}

static ingle_status check_unique(struct reader *r, const struct ig_json *object) {
    if (object->count < 2) return INGLE_OK;
    size_t bytes = object->count * sizeof(struct ig_json *), n = 0;
    const struct ig_json **all = ig_alloc(r->a->mem, bytes), *twice = NULL;
    if (!all) return ig_fail_memory(r->err, bytes);
    for (const struct ig_json *j = object->child; j; j = j->next) all[n++] = j;
    qsort(all, n, sizeof *all, by_key);
    for (size_t i = 1; i < n && !twice; i++)
        if (ig_str_eq(all[i - 1]->key, all[i]->key)) twice = all[i];
    ig_free(r->a->mem, all);
    if (!twice) return INGLE_OK;
    char what[160];
    int shown = twice->key.n < 100 ? (int)twice->key.n : 100;
    snprintf(what, sizeof what, "the key \"%.*s\" is there twice", shown, twice->key.p);
    return fail_at(r, object->text.p, what);
}

/* Reads "key" : and leaves r->p on the value. */
static ingle_status read_key(struct reader *r, struct ig_str *key) {
    skip_space(r);
    if (r->p == r->end || *r->p != '"') return fail(r, "expected a key in double quotes");
    IG_TRY(read_string(r, key));
    skip_space(r);
    if (r->p == r->end || *r->p != ':') return fail(r, "expected ':'");
    r->p++;
    return INGLE_OK;
}

static ingle_status open_container(struct reader *r, struct ig_json *j, struct ig_json **in) {
    if (++r->depth > r->max_depth) return fail(r, "nested too deeply");
    j->kind = *r->p == '{' ? IG_JSON_OBJECT : IG_JSON_ARRAY;
    j->text.p = r->p++;
    j->next = *in; /* the parent, until it closes */
    *in = j;
    return INGLE_OK;
}

/* r->p is on the closing bracket of *in. */
static ingle_status close_container(struct reader *r, struct ig_json **in, struct ig_json **last) {
    struct ig_json *j = *in;
    r->p++;
    r->depth--;
    j->text.n = (size_t)(r->p - j->text.p);
    *in = (struct ig_json *)(uintptr_t)j->next;
    j->next = NULL;
    *last = j;
    return r->unique_keys && j->kind == IG_JSON_OBJECT ? check_unique(r, j) : INGLE_OK;
}

/* After a value: closes what ends here; then either all is read (*in is NULL) or r->p is behind a
 * comma. */
static ingle_status after_value(struct reader *r, struct ig_json **in, struct ig_json **last) {
    while (*in) {
        skip_space(r);
        if (r->p < r->end && *r->p == ',') {
            r->p++;
            return INGLE_OK;
        }
        bool object = (*in)->kind == IG_JSON_OBJECT;
        if (r->p == r->end || *r->p != (object ? '}' : ']'))
            return fail(r, object ? "expected ',' or '}'" : "expected ',' or ']'");
        IG_TRY(close_container(r, in, last));
    }
    return INGLE_OK;
}

static ingle_status read_all(struct reader *r, const struct ig_json **out) {
    struct ig_json *in = NULL, *last = NULL;
    do {
        struct ig_json *j = NULL;
        IG_TRY(new_node(r, &j));
        if (in && in->kind == IG_JSON_OBJECT) IG_TRY(read_key(r, &j->key));
        skip_space(r);
        if (r->p == r->end) return fail(r, "");
        if (!in)
            *out = j;
        else {
            if (in->count == UINT32_MAX) return fail(r, "too many values in one place");
            if (in->count++)
                last->next = j;
            else
                in->child = j;
        }
        last = j;
        if (*r->p != '{' && *r->p != '[') {
            IG_TRY(read_scalar(r, j));
        } else {
            IG_TRY(open_container(r, j, &in));
            skip_space(r);
            if (r->p == r->end || *r->p != (j->kind == IG_JSON_OBJECT ? '}' : ']')) continue;
            IG_TRY(close_container(r, &in, &last));
        }
        IG_TRY(after_value(r, &in, &last));
    } while (in);
    skip_space(r);
    return r->p == r->end ? INGLE_OK : fail(r, "more text after the value");
}

ingle_status ig_json_parse(struct ig_arena *a, struct ig_str text,
                           const struct ig_json_limits *limits, const struct ig_json **out,
                           ingle_error *err) {
    struct reader r = {.a = a,
                       .start = text.p,
                       .p = text.p,
                       .end = text.p + text.n,
                       .max_depth = limits && limits->depth ? limits->depth : DEFAULT_DEPTH,
                       .unique_keys = limits && limits->unique_keys,
                       .code = limits && limits->code ? limits->code : INGLE_BAD_FILE,
                       .err = err};
    *out = NULL;
    if (!text.n) return ig_fail(err, r.code, NULL, "line 1, column 1: the text is empty");
    if (ig_str_starts(text, IG_STR("\xef\xbb\xbf")))
        return ig_fail(err, r.code, "save the text as UTF-8 without a byte order mark",
                       "line 1, column 1: begins with a byte order mark");
    const struct ig_json *root = NULL;
    IG_TRY(read_all(&r, &root));
    *out = root;
    return INGLE_OK;
}

const struct ig_json *ig_json_get(const struct ig_json *j, const char *key) {
    if (!ig_json_is(j, IG_JSON_OBJECT)) return NULL;
    struct ig_str want = ig_str_of(key);
    const struct ig_json *found = NULL;
    for (const struct ig_json *c = j->child; c; c = c->next)
        if (ig_str_eq(c->key, want)) found = c;
    return found;
}

const struct ig_json *ig_json_at(const struct ig_json *j, size_t index) {
    if (!j || (j->kind != IG_JSON_ARRAY && j->kind != IG_JSON_OBJECT)) return NULL;
    const struct ig_json *c = j->child;
    while (c && index--) c = c->next;
    return c;
}

const struct ig_json *ig_json_path(const struct ig_json *j, const char *dotted) {
    while (j) {
        size_t n = strcspn(dotted, ".");
        const struct ig_json *found = NULL;
        if (j->kind != IG_JSON_OBJECT) return NULL;
        for (const struct ig_json *c = j->child; c; c = c->next)
            if (ig_str_eq(c->key, (struct ig_str){dotted, n})) found = c;
        j = found;
        if (!dotted[n]) break;
        dotted += n + 1;
    }
    return j;
}

struct ig_str ig_json_str(const struct ig_json *j, const char *fallback) {
    return ig_json_is(j, IG_JSON_STRING) ? j->text : ig_str_of(fallback);
}

/* Numbers with hundreds of digits are legal: the first 400 significant ones, one more that says
 * whether anything followed, and a corrected exponent. */
static double long_number(struct ig_str s, double fallback) {
    char text[480];
    size_t n = 0, i = 0;
    int64_t scale = 0, exponent = 0;
    bool point = false, minus = s.p[0] == '-', more = false;
    for (i = minus; i < s.n && s.p[i] != 'e' && s.p[i] != 'E'; i++) {
        if (s.p[i] == '.') {
            point = true;
            continue;
        }
        if (point) scale--;
        if (n == 0 && s.p[i] == '0') continue;
        if (n < 400)
            text[n++] = s.p[i];
        else
            scale++, more |= s.p[i] != '0';
    }
    if (!n) return minus ? -0.0 : 0.0;
    if (more) text[n++] = '1', scale--;
    if (i < s.n) {
        struct ig_str e = {s.p + i + 1, s.n - i - 1};
        bool down = e.p[0] == '-';
        if (!ig_str_to_i64(e, &exponent) || exponent > 1000000000 || exponent < -1000000000)
            exponent = down ? -1000000000 : 1000000000;
    }
    snprintf(text + n, sizeof text - n, "e%lld", (long long)(exponent + scale));
    double v;
    if (!ig_str_to_f64((struct ig_str){text, strlen(text)}, &v)) return fallback;
    return minus ? -v : v;
}

double ig_json_f64(const struct ig_json *j, double fallback) {
    double v;
    if (!ig_json_is(j, IG_JSON_NUMBER)) return fallback;
    if (j->text.n >= 400) return long_number(j->text, fallback);
    return ig_str_to_f64(j->text, &v) ? v : fallback;
}

int64_t ig_json_i64(const struct ig_json *j, int64_t fallback) {
    int64_t v;
    if (!ig_json_is(j, IG_JSON_NUMBER)) return fallback;
    if (j->integer) return ig_str_to_i64(j->text, &v) ? v : fallback;
    double d = ig_json_f64(j, NAN);
    if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0) || d != trunc(d))
        return fallback;
    return (int64_t)d;
}

bool ig_json_bool(const struct ig_json *j, bool fallback) {
    return ig_json_is(j, IG_JSON_BOOL) ? j->truth : fallback;
}
