/* Template source to tokens, by jinja2's rules with trim_blocks and lstrip_blocks on.
 *
 * Knows the three delimiters, white space control, raw blocks and the shape of names, numbers,
 * strings and operators; nothing of grammar. The subtle thing: with lstrip_blocks, white space
 * before a block goes only if a line begins there, and a line also begins behind a tag that
 * swallowed a newline. */
#include "chat/tpl.h"

#include <math.h>
#include <stdlib.h>
#include "base/utf8.h"

struct lexer {
    struct ig_arena *a;
    const char *p, *end;
    uint32_t line;
    bool line_starts; /* what came before ended a line */
    struct tpl_token *v;
    size_t n, cap;
    ingle_error *err;
};

static ingle_status fail(const struct lexer *x, const char *what) {
    return ig_fail(x->err, INGLE_BAD_TEMPLATE,
                   "the template's text is wrong; raw completion still works", "line %u: %s",
                   (unsigned)x->line, what);
}

static ingle_status push(struct lexer *x, enum tpl_tok kind, struct ig_str text,
                         struct tpl_token **out) {
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 256;
        struct tpl_token *v = ig_arena_calloc(x->a, cap, sizeof *v);
        if (!v) return ig_fail_memory(x->err, cap * sizeof *v);
        if (x->n) memcpy(v, x->v, x->n * sizeof *v);
        x->v = v;
        x->cap = cap;
    }
    struct tpl_token *t = &x->v[x->n++];
    *t = (struct tpl_token){.kind = (uint8_t)kind, .line = x->line, .text = text};
    if (out) *out = t;
    return INGLE_OK;
}

static void count_lines(struct lexer *x, const char *from, const char *to) {
    for (; from < to; from++) x->line += *from == '\n';
}

static const char *skip_space(const char *p, const char *end) {
    struct ig_str rest = ig_tpl_trim((struct ig_str){p, (size_t)(end - p)}, true, false);
    return rest.p;
}

/* ---- Inside tags ---- */

static unsigned hex_value(char c) {
    return c >= '0' && c <= '9'   ? (unsigned)(c - '0')
           : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
           : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                  : 99;
}

/* \xNN, \uNNNN, \UNNNNNNNN: `*p` is behind the letter. */
static bool hex_escape(const char **p, const char *end, unsigned digits, uint32_t *cp) {
    if (end - *p < (ptrdiff_t)digits) return false;
    *cp = 0;
    for (unsigned i = 0; i < digits; i++) {
        unsigned d = hex_value((*p)[i]);
        if (d > 15) return false;
        *cp = *cp << 4 | d;
    }
    *p += digits;
    return true;
}

static bool put_cp(char **to, uint32_t cp) {
    char bytes[4];
    unsigned n = ig_utf8_encode(cp, bytes);
    memcpy(*to, bytes, n);
    *to += n;
    return n > 0;
}

/* Python's escapes; *p is behind the backslash. What is no escape keeps its backslash. */
static bool unescape(const char **p, const char *end, char **to) {
    static const char from[] = "\\'\"abfnrtv", into[] = "\\'\"\a\b\f\n\r\t\v";
    char c = *(*p)++;
    const char *known = c ? strchr(from, c) : NULL;
    uint32_t cp = 0;
    if (known)
        *(*to)++ = into[known - from];
    else if (c == '\n')
        return true;
    else if (c == 'x')
        return hex_escape(p, end, 2, &cp) && put_cp(to, cp);
    else if (c == 'u')
        return hex_escape(p, end, 4, &cp) && put_cp(to, cp);
    else if (c == 'U')
        return hex_escape(p, end, 8, &cp) && put_cp(to, cp);
    else if (c >= '0' && c <= '7') {
        cp = (uint32_t)(c - '0');
        for (int i = 0; i < 2 && *p < end && **p >= '0' && **p <= '7'; i++)
            cp = cp * 8 + (uint32_t)(*(*p)++ - '0');
        return put_cp(to, cp);
    } else {
        *(*to)++ = '\\';
        *(*to)++ = c;
    }
    return true;
}

static ingle_status lex_string(struct lexer *x) {
    char quote = *x->p;
    const char *begin = x->p + 1, *q = begin;
    while (q < x->end && *q != quote) q += *q == '\\' && x->end - q > 1 ? 2 : 1;
    if (q >= x->end) return fail(x, "a string does not end");
    /* \ooo may become two bytes of UTF-8, everything else shrinks */
    char *copy = ig_arena_alloc(x->a, (size_t)(q - begin) * 2 + 1), *to = copy;
    if (!copy) return ig_fail_memory(x->err, (size_t)(q - begin) * 2 + 1);
    for (const char *p = begin; p < q;) {
        if (*p != '\\')
            *to++ = *p++;
        else if (p++, !unescape(&p, q, &to))
            return fail(x, "malformed escape in a string");
    }
    IG_TRY(push(x, T_STRING, (struct ig_str){copy, (size_t)(to - copy)}, NULL));
    count_lines(x, begin, q);
    x->p = q + 1;
    return INGLE_OK;
}

static bool is_digit(char c, unsigned base) {
    return hex_value(c) < base;
}

/* digits with single underscores between them, from p on */
static const char *digits(const char *p, const char *end, unsigned base) {
    while (p < end && (is_digit(*p, base) ||
                       (*p == '_' && end - p > 1 && is_digit(p[1], base) && is_digit(p[-1], base))))
        p++;
    return p;
}

static ingle_status lex_int(struct lexer *x, const char *end, unsigned base) {
    struct tpl_token *t;
    IG_TRY(push(x, T_INT, (struct ig_str){x->p, (size_t)(end - x->p)}, &t));
    int64_t v = 0;
    for (const char *p = x->p + (base == 10 ? 0 : 2); p < end; p++) {
        if (*p == '_') continue;
        int64_t d = (int64_t)hex_value(*p);
        if (v > (INT64_MAX - d) / (int64_t)base) return fail(x, "the number is too big");
        v = v * (int64_t)base + d;
    }
    t->i = v;
    x->p = end;
    return INGLE_OK;
}

static ingle_status lex_float(struct lexer *x, const char *end) {
    char text[128];
    size_t n = 0;
    for (const char *p = x->p; p < end; p++) {
        if (*p == '_') continue;
        if (n == sizeof text) return fail(x, "the number is too long");
        text[n++] = *p;
    }
    struct tpl_token *t;
    IG_TRY(push(x, T_FLOAT, (struct ig_str){x->p, (size_t)(end - x->p)}, &t));
    if (!ig_str_to_f64((struct ig_str){text, n}, &t->f)) return fail(x, "malformed number");
    x->p = end;
    return INGLE_OK;
}

static ingle_status lex_number(struct lexer *x) {
    const char *p = x->p, *end = x->end, *q;
    bool after_dot = x->n && x->v[x->n - 1].kind == T_OP && x->v[x->n - 1].op == '.';
    if (!after_dot) {
        q = digits(p, end, 10);
        const char *whole = q;
        if (q < end && *q == '.' && end - q > 1 && is_digit(q[1], 10)) q = digits(q + 1, end, 10);
        if (q < end && (*q == 'e' || *q == 'E')) {
            const char *e = q + 1;
            if (e < end && (*e == '+' || *e == '-')) e++;
            if (e < end && is_digit(*e, 10)) q = digits(e, end, 10);
        }
        if (q != whole) return lex_float(x, q);
    }
    if (*p == '0' && end - p > 2) {
        unsigned base = (p[1] | 32) == 'b'   ? 2
                        : (p[1] | 32) == 'o' ? 8
                        : (p[1] | 32) == 'x' ? 16
                                             : 0;
        const char *first = p + 2 + (base && p[2] == '_' && end - p > 3);
        if (base && is_digit(*first, base)) return lex_int(x, digits(first, end, base), base);
    }
    q = p;
    if (*p == '0')
        while (q < end && (*q == '0' || (*q == '_' && end - q > 1 && q[1] == '0'))) q++;
    else
        q = digits(p, end, 10);
    return lex_int(x, q, 10);
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static ingle_status lex_operator(struct lexer *x) {
    static const struct {
        char text[3];
        uint8_t op;
    } two[] = {{"==", TWO_EQ}, {"!=", TWO_NE},  {"<=", TWO_LE},
               {">=", TWO_GE}, {"**", TWO_POW}, {"//", TWO_FLOORDIV}};
    struct tpl_token *t;
    size_t n = 1;
    uint8_t op = (uint8_t)*x->p;
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        if (x->end - x->p > 1 && memcmp(x->p, two[i].text, 2) == 0) op = two[i].op, n = 2;
    if (n == 1 && !strchr("+-/*%~[](){}><=.:|,;", *x->p)) {
        char what[48];
        uint32_t cp;
        unsigned len = ig_tpl_decode(x->p, (size_t)(x->end - x->p), &cp);
        memcpy(what, "unexpected character '", 22);
        memcpy(what + 22, x->p, len);
        memcpy(what + 22 + len, "'", 2);
        return fail(x, what);
    }
    IG_TRY(push(x, T_OP, (struct ig_str){x->p, n}, &t));
    t->op = op;
    x->p += n;
    return INGLE_OK;
}

/* Brackets must match: a `}}` inside an open bracket does not end the tag. */
static ingle_status check_bracket(struct lexer *x, char *open, unsigned *depth) {
    char c = *x->p;
    const char *at = c ? strchr("([{", c) : NULL;
    if (at) {
        if (*depth == 200) return fail(x, "nested too deeply");
        open[(*depth)++] = ")]}"[at - "([{"];
        return INGLE_OK;
    }
    if (c != ')' && c != ']' && c != '}') return INGLE_OK;
    if (!*depth) return fail(x, "a closing bracket without its opening one");
    if (open[--*depth] != c) return fail(x, "brackets do not match");
    return INGLE_OK;
}

/* True and x->p behind it if the tag ends here; `close` is "%}" or "}}". */
static bool tag_ends(struct lexer *x, const char *close) {
    const char *p = x->p;
    bool block = *close == '%', minus = *p == '-', plus = block && *p == '+';
    if (minus || plus) p++;
    if (x->end - p < 2 || memcmp(p, close, 2) != 0) return false;
    p += 2;
    if (minus)
        p = skip_space(p, x->end);
    else if (block && !plus && p < x->end && *p == '\n')
        p++;
    count_lines(x, x->p, p);
    x->line_starts = p[-1] == '\n';
    x->p = p;
    return true;
}

static ingle_status lex_tag(struct lexer *x, bool block) {
    char open[200];
    unsigned depth = 0;
    uint32_t begin = x->line;
    IG_TRY(push(x, block ? T_BLOCK_BEGIN : T_VAR_BEGIN, (struct ig_str){x->p, 0}, NULL));
    for (;;) {
        const char *p = skip_space(x->p, x->end);
        count_lines(x, x->p, p);
        x->p = p;
        if (p == x->end) {
            x->line = begin;
            return fail(x, block ? "a {% tag does not end" : "a {{ tag does not end");
        }
        if (!depth) {
            size_t at = x->n;
            IG_TRY(push(x, block ? T_BLOCK_END : T_VAR_END, (struct ig_str){p, 0}, NULL));
            if (tag_ends(x, block ? "%}" : "}}")) return INGLE_OK;
            x->n = at;
        }
        if (*p >= '0' && *p <= '9') {
            IG_TRY(lex_number(x));
        } else if (is_name(*p)) {
            while (p < x->end && is_name(*p)) p++;
            IG_TRY(push(x, T_NAME, (struct ig_str){x->p, (size_t)(p - x->p)}, NULL));
            x->p = p;
        } else if (*p == '"' || *p == '\'') {
            IG_TRY(lex_string(x));
        } else {
            IG_TRY(check_bracket(x, open, &depth));
            IG_TRY(lex_operator(x));
        }
    }
}

/* ---- Between tags ---- */

/* If {% raw %} (or {% endraw %}) stands at p: where it ends, and its signs. */
static const char *raw_tag(const struct lexer *x, const char *p, const char *word, char *open_sign,
                           char *close_sign) {
    const char *end = x->end;
    if (end - p < 2 || p[0] != '{' || p[1] != '%') return NULL;
    p += 2;
    *open_sign = p < end && (*p == '-' || *p == '+') ? *p++ : 0;
    p = skip_space(p, end);
    size_t n = strlen(word);
    if ((size_t)(end - p) < n || memcmp(p, word, n) != 0) return NULL;
    p = skip_space(p + n, end);
    bool plus = word[0] == 'e'; /* {% raw +%} is no raw block */
    *close_sign = p < end && (*p == '-' || (plus && *p == '+')) ? *p++ : 0;
    if (end - p < 2 || p[0] != '%' || p[1] != '}') return NULL;
    return p + 2;
}

/* The text before a tag that begins with `sign`, cut as white space control demands. */
static ingle_status push_data(struct lexer *x, const char *from, const char *to, char sign,
                              bool lstrip) {
    struct ig_str s = {from, (size_t)(to - from)};
    if (sign == '-')
        s = ig_tpl_trim(s, false, true);
    else if (sign != '+' && lstrip) {
        size_t line = s.n;
        while (line && s.p[line - 1] != '\n') line--;
        struct ig_str last = {s.p + line, s.n - line};
        if ((line || x->line_starts) && !ig_tpl_trim(last, true, false).n) s.n = line;
    }
    if (s.n) IG_TRY(push(x, T_DATA, s, NULL));
    count_lines(x, from, to);
    return INGLE_OK;
}

static ingle_status lex_comment(struct lexer *x) {
    if (x->p == x->end) return INGLE_OK; /* jinja2 sees no comment in a lone opening */
    for (const char *p = x->p; x->end - p >= 2; p++) {
        if (p[0] != '#' || p[1] != '}') continue;
        char sign = p > x->p ? p[-1] : 0;
        const char *q = p + 2;
        if (sign == '-')
            q = skip_space(q, x->end);
        else if (sign != '+' && q < x->end && *q == '\n')
            q++;
        count_lines(x, x->p, q);
        x->line_starts = q[-1] == '\n';
        x->p = q;
        return INGLE_OK;
    }
    return fail(x, "a {# comment does not end");
}

static ingle_status lex_raw(struct lexer *x, const char *body, char sign) {
    uint32_t begin = x->line;
    if (sign == '-') body = skip_space(body, x->end);
    count_lines(x, x->p, body);
    x->line_starts = body[-1] == '\n';
    if (body == x->end) {
        x->p = body;
        return INGLE_OK;
    }
    for (const char *p = body; p < x->end; p++) {
        char open, close;
        const char *q = *p == '{' ? raw_tag(x, p, "endraw", &open, &close) : NULL;
        if (!q) continue;
        IG_TRY(push_data(x, body, p, open, true));
        if (close == '-')
            q = skip_space(q, x->end);
        else if (close != '+' && q < x->end && *q == '\n')
            q++;
        count_lines(x, p, q);
        x->line_starts = q[-1] == '\n';
        x->p = q;
        return INGLE_OK;
    }
    x->line = begin;
    return fail(x, "{% raw %} without {% endraw %}");
}

static ingle_status lex_all(struct lexer *x) {
    while (x->p < x->end) {
        const char *p = x->p;
        while (p < x->end && (*p != '{' || x->end - p < 2 || !strchr("{%#", p[1]) || !p[1])) p++;
        if (p == x->end) return push_data(x, x->p, p, '+', false);
        char sign = x->end - p > 2 && (p[2] == '-' || p[2] == '+') ? p[2] : 0;
        IG_TRY(push_data(x, x->p, p, sign, p[1] != '{'));
        char open, close;
        const char *raw = raw_tag(x, p, "raw", &open, &close);
        x->p = p;
        if (raw) {
            IG_TRY(lex_raw(x, raw, close));
            continue;
        }
        x->p += sign ? 3 : 2;
        if (p[1] == '#') x->p = p + 2 + (sign != 0);
        IG_TRY(p[1] == '#' ? lex_comment(x) : lex_tag(x, p[1] == '%'));
    }
    return INGLE_OK;
}

/* All line ends become \n and one at the very end goes, as jinja2 does. */
static ingle_status normalise(struct ig_arena *a, struct ig_str *s, ingle_error *err) {
    char *copy = ig_arena_alloc(a, s->n + 1);
    if (!copy) return ig_fail_memory(err, s->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->p[i] == '\r' && i + 1 < s->n && s->p[i + 1] == '\n') continue;
        copy[n++] = s->p[i] == '\r' ? '\n' : s->p[i];
    }
    if (n && copy[n - 1] == '\n') n--;
    *s = (struct ig_str){copy, n};
    return INGLE_OK;
}

ingle_status ig_tpl_lex(struct ig_arena *a, struct ig_str source, struct tpl_token **out, size_t *n,
                        ingle_error *err) {
    IG_TRY(normalise(a, &source, err));
    struct lexer x = {.a = a,
                      .p = source.p,
                      .end = source.p + source.n,
                      .line = 1,
                      .line_starts = true,
                      .err = err};
    IG_TRY(lex_all(&x));
    IG_TRY(push(&x, T_END, (struct ig_str){x.p, 0}, NULL));
    *out = x.v;
    *n = x.n;
    return INGLE_OK;
}
