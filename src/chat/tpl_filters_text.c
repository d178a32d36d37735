/* Filters on text. What is no string is turned into one first, as jinja2's soft_str does. */
#include "chat/tpl.h"

#include <stdio.h>

#define FILTER(name)                                                                               \
    static bool name(struct tpl_st *st, const struct tpl_val *v, const struct tpl_args *args,      \
                     const struct tpl_val *a, struct tpl_val *out)
#define UNUSED (void)args, (void)a, (void)st

static bool given(const struct tpl_val *v) {
    return v->kind != V_MISSING;
}

static bool soft(struct tpl_st *st, const struct tpl_val *v, struct tpl_str **out) {
    struct tpl_val s;
    if (v->kind == V_STR) return *out = v->u.s, true;
    if (!ig_tpl_to_str(st, v, &s)) return false;
    *out = s.u.s;
    return true;
}

static bool to_case(struct tpl_st *st, const struct tpl_val *v, enum tpl_case how,
                    struct tpl_val *out) {
    struct tpl_str *s;
    return soft(st, v, &s) && ig_tpl_case(st, s, how, out);
}
FILTER(f_upper) {
    return UNUSED, to_case(st, v, CASE_UPPER, out);
}
FILTER(f_lower) {
    return UNUSED, to_case(st, v, CASE_LOWER, out);
}
FILTER(f_capitalize) {
    return UNUSED, to_case(st, v, CASE_CAPITAL, out);
}

static bool begins_word(uint32_t cp) {
    return cp == '-' || cp == '(' || cp == '{' || cp == '[' || cp == '<' || ig_tpl_is_space(cp);
}

/* Words begin behind white space and - ( { [ <, not behind an apostrophe. */
FILTER(f_title) {
    UNUSED;
    struct tpl_str *s;
    struct tpl_sb sb;
    struct tpl_val part;
    if (!soft(st, v, &s)) return false;
    ig_tpl_sb_init(&sb, st);
    for (size_t i = 0; i < s->n;) {
        uint32_t cp;
        unsigned n = ig_tpl_decode(s->p + i, s->n - i, &cp);
        bool gap = begins_word(cp);
        size_t end = i + n;
        while (end < s->n) {
            unsigned len = ig_tpl_decode(s->p + end, s->n - end, &cp);
            if (begins_word(cp) != gap) break;
            end += len;
        }
        struct tpl_val first, rest;
        if (!ig_tpl_sub(st, s, i, n, &first) || !ig_tpl_sub(st, s, i + n, end - i - n, &rest) ||
            !ig_tpl_case(st, first.u.s, CASE_UPPER, &part))
            return false;
        ig_tpl_sb_str(&sb, part.u.s);
        if (!ig_tpl_case(st, rest.u.s, CASE_LOWER, &part)) return false;
        ig_tpl_sb_str(&sb, part.u.s);
        i = end;
        if (!ig_tpl_step(st)) return false;
    }
    return ig_tpl_sb_done(&sb, out);
}

FILTER(f_trim) {
    UNUSED;
    struct tpl_str *s;
    if (!soft(st, v, &s)) return false;
    if (given(&a[0]) && a[0].kind != V_NONE && a[0].kind != V_STR)
        return ig_tpl_raise(st, "strip arg must be None or str, not %s", ig_tpl_type(&a[0]));
    return ig_tpl_strip(st, s, a[0].kind == V_STR ? a[0].u.s : NULL, true, true, out);
}

FILTER(f_replace) {
    UNUSED;
    struct tpl_str *s, *old, *with;
    int64_t max = -1;
    if (!soft(st, v, &s) || !soft(st, &a[0], &old) || !soft(st, &a[1], &with)) return false;
    if (given(&a[2]) && a[2].kind != V_NONE && !ig_tpl_int_arg(st, &a[2], &max)) return false;
    if (!ig_tpl_replace(st, s, old, with, max, out)) return false;
    out->u.s->safe = false;
    return true;
}

FILTER(f_format) {
    UNUSED;
    struct tpl_str *s;
    struct tpl_val pos;
    if (!soft(st, v, &s)) return false;
    if (args->n_pos && args->n_kw)
        return ig_tpl_raise(st, "can't handle positional and keyword arguments at the same time");
    if (!ig_tpl_list(st, 0, V_TUPLE, &pos)) return false;
    for (size_t i = 0; i < args->n_pos; i++)
        if (!ig_tpl_push(st, pos.u.l, &args->pos[i])) return false;
    return ig_tpl_percent(st, s, &pos, args->n_kw ? args : NULL, out);
}

FILTER(f_indent) {
    UNUSED;
    struct tpl_val lines;
    struct tpl_str *indent = NULL;
    struct tpl_sb sb;
    int64_t width = 4;
    bool first = given(&a[1]) && ig_tpl_truth(&a[1]), blank = given(&a[2]) && ig_tpl_truth(&a[2]);
    if (v->kind == V_UNDEF) return ig_tpl_raise(st, "%s", v->u.undef->message);
    if (v->kind != V_STR)
        return ig_tpl_raise(st, "unsupported operand type(s) for +=: '%s' and 'str'",
                            ig_tpl_type(v));
    if (a[0].kind == V_STR)
        indent = a[0].u.s;
    else if (given(&a[0]) && !ig_tpl_int_arg(st, &a[0], &width))
        return false;
    if (!ig_tpl_splitlines(st, v->u.s, false, &lines)) return false;
    /* jinja2 appends a newline before it splits: text that ends in one keeps it as an empty line */
    struct tpl_list *l = lines.u.l;
    size_t extra =
        !v->u.s->n || v->u.s->p[v->u.s->n - 1] == '\n' || v->u.s->p[v->u.s->n - 1] == '\r';
    ig_tpl_sb_init(&sb, st);
    for (size_t i = 0; i < l->n + extra; i++) {
        const struct tpl_str *line = i < l->n ? l->v[i].u.s : NULL;
        if (i) ig_tpl_sb_z(&sb, "\n");
        if (i ? (line && line->n) || blank : first) {
            for (int64_t k = 0; !indent && k < width && ig_tpl_step(st); k++) ig_tpl_sb_z(&sb, " ");
            if (indent) ig_tpl_sb_str(&sb, indent);
        }
        if (line) ig_tpl_sb_str(&sb, line);
        if (!ig_tpl_step(st)) return false;
    }
    if (!ig_tpl_sb_done(&sb, out)) return false;
    out->u.s->safe = v->u.s->safe;
    return true;
}

FILTER(f_truncate) {
    UNUSED;
    int64_t length = 255, leeway = 5;
    struct tpl_val dots, cut, words, text;
    bool kill = given(&a[1]) && ig_tpl_truth(&a[1]);
    if (given(&a[0]) && !ig_tpl_int_arg(st, &a[0], &length)) return false;
    if (given(&a[3]) && a[3].kind != V_NONE && !ig_tpl_int_arg(st, &a[3], &leeway)) return false;
    if (a[2].kind == V_STR)
        dots = a[2];
    else if (!ig_tpl_str(st, "...", 3, false, &dots))
        return false;
    if (v->kind == V_UNDEF || v->kind != V_STR) {
        size_t n;
        if (!ig_tpl_length(st, v, &n)) return false;
        if ((int64_t)n <= length + leeway) return *out = *v, true;
        return ig_tpl_raise(st, "truncate needs a string");
    }
    int64_t n_dots = (int64_t)ig_tpl_chars(dots.u.s), n = (int64_t)ig_tpl_chars(v->u.s);
    if (length < n_dots)
        return ig_tpl_raise(st, "expected length >= %lld, got %lld", (long long)n_dots,
                            (long long)length);
    if (leeway < 0) return ig_tpl_raise(st, "expected leeway >= 0, got %lld", (long long)leeway);
    if (n <= length + leeway) return *out = *v, true;
    struct tpl_val from = tpl_none(), to = tpl_int(length - n_dots), by = tpl_none();
    if (!ig_tpl_slice(st, v, &from, &to, &by, &cut)) return false;
    text = cut;
    if (!kill) {
        struct tpl_str space = {.p = " ", .n = 1, .chars = 1};
        if (!ig_tpl_split(st, cut.u.s, &space, 1, true, &words)) return false;
        text = words.u.l->v[0];
    }
    return ig_tpl_concat(st, text.u.s, dots.u.s, out);
}

static bool is_word(uint32_t cp) {
    return cp == '_' ||
           (ig_tpl_class(cp) & (CLASS_ALPHA | CLASS_DECIMAL | CLASS_DIGIT | CLASS_NUMERIC));
}

FILTER(f_wordcount) {
    UNUSED;
    struct tpl_str *s;
    int64_t n = 0;
    bool in = false;
    if (!soft(st, v, &s)) return false;
    for (size_t i = 0; i < s->n;) {
        uint32_t cp;
        i += ig_tpl_decode(s->p + i, s->n - i, &cp);
        bool word = is_word(cp);
        n += word && !in;
        in = word;
    }
    *out = tpl_int(n);
    return true;
}

FILTER(f_center) {
    UNUSED;
    struct tpl_str *s;
    struct tpl_val width = given(&a[0]) ? a[0] : tpl_int(80), self = {.kind = V_STR};
    struct tpl_args one = {.pos = &width, .n_pos = 1};
    if (!soft(st, v, &s)) return false;
    self.u.s = s;
    return ig_tpl_call_func(st, ig_tpl_method(V_STR, IG_STR("center")), &self, &one, out);
}

/* Tags and comments out, white space collapsed. */
FILTER(f_striptags) {
    UNUSED;
    struct tpl_str *s;
    struct tpl_sb sb;
    struct tpl_val text, words;
    if (!soft(st, v, &s)) return false;
    ig_tpl_sb_init(&sb, st);
    for (size_t i = 0; i < s->n && !st->code;) {
        bool comment = s->n - i >= 4 && memcmp(s->p + i, "<!--", 4) == 0;
        const char *end = NULL;
        if (s->p[i] == '<') {
            for (const char *p = s->p + i; p < s->p + s->n && !end; p++)
                if (*p == '>' &&
                    (!comment || (p - (s->p + i) >= 6 && p[-1] == '-' && p[-2] == '-')))
                    end = p + 1;
            if (!ig_tpl_work(st, (end ? (size_t)(end - s->p) - i : s->n - i) / 64 + 1))
                return false;
        }
        if (end)
            i = (size_t)(end - s->p);
        else
            ig_tpl_sb_sub(&sb, s, i, 1), i++;
    }
    if (!ig_tpl_sb_done(&sb, &text) || !ig_tpl_split(st, text.u.s, NULL, -1, false, &words))
        return false;
    struct tpl_str space = {.p = " ", .n = 1, .chars = 1};
    return ig_tpl_join(st, &space, words.u.l, true, out);
}

static void quote(struct tpl_sb *sb, const struct tpl_str *s, bool query) {
    for (size_t i = 0; i < s->n; i++) {
        unsigned char c = (unsigned char)s->p[i];
        char text[4] = {(char)c, 0};
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
                     strchr("_.-~", c) || (c == '/' && !query);
        if (!c || !plain) snprintf(text, sizeof text, "%%%02X", (unsigned)c);
        if (query && c == ' ') strcpy(text, "+");
        ig_tpl_sb_add(sb, text, strlen(text), s->marks ? s->marks[i] : s->input);
    }
}

FILTER(f_urlencode) {
    UNUSED;
    struct tpl_sb sb;
    struct tpl_str *s;
    struct tpl_list *l, *pair;
    struct tpl_view view = {.what = VIEW_ITEMS};
    struct tpl_val pairs = {.kind = V_VIEW, .u.view = &view};
    ig_tpl_sb_init(&sb, st);
    if (v->kind == V_STR || v->kind == V_NONE || tpl_is_number(v)) {
        if (!soft(st, v, &s)) return false;
        quote(&sb, s, false);
        return ig_tpl_sb_done(&sb, out);
    }
    if (v->kind == V_DICT) view.d = v->u.d;
    if (!ig_tpl_iter(st, v->kind == V_DICT ? &pairs : v, &l)) return false;
    for (size_t i = 0; i < l->n; i++) {
        if (!ig_tpl_iter(st, &l->v[i], &pair)) return false;
        if (pair->n != 2) return ig_tpl_raise(st, "urlencode needs pairs");
        if (i) ig_tpl_sb_z(&sb, "&");
        if (!soft(st, &pair->v[0], &s)) return false;
        quote(&sb, s, true);
        ig_tpl_sb_z(&sb, "=");
        if (!soft(st, &pair->v[1], &s)) return false;
        quote(&sb, s, true);
    }
    return ig_tpl_sb_done(&sb, out);
}

/* One line broken into lines of at most `width` characters, at spaces, inside long words if
 * allowed. */
static bool wrap_line(struct tpl_st *st, struct tpl_str *s, int64_t width, bool break_long,
                      const struct tpl_str *sep, struct tpl_sb *sb) {
    struct tpl_val words;
    int64_t column = 0;
    if (!ig_tpl_split(st, s, NULL, -1, false, &words)) return false;
    for (size_t i = 0; i < words.u.l->n; i++) {
        struct tpl_str *w = words.u.l->v[i].u.s;
        int64_t n = (int64_t)ig_tpl_chars(w), done = 0;
        if (column && column + 1 + n <= width) {
            ig_tpl_sb_z(sb, " ");
            column++;
        } else if (column) {
            ig_tpl_sb_str(sb, sep);
            column = 0;
        }
        while (break_long && n - done > width) {
            size_t from = ig_tpl_offset(w, (size_t)done),
                   to = ig_tpl_offset(w, (size_t)(done + width));
            ig_tpl_sb_sub(sb, w, from, to - from);
            ig_tpl_sb_str(sb, sep);
            done += width;
            if (!ig_tpl_work(st, 1 + w->n / 256)) return false;
        }
        size_t from = ig_tpl_offset(w, (size_t)done);
        ig_tpl_sb_sub(sb, w, from, w->n - from);
        column += n - done;
    }
    return true;
}

FILTER(f_wordwrap) {
    UNUSED;
    struct tpl_str *s;
    struct tpl_val lines, sep;
    struct tpl_sb sb;
    int64_t width = 79;
    if (!soft(st, v, &s) || (given(&a[0]) && !ig_tpl_int_arg(st, &a[0], &width))) return false;
    if (width < 1) return ig_tpl_raise(st, "invalid width %lld (must be > 0)", (long long)width);
    bool break_long = !given(&a[1]) || ig_tpl_truth(&a[1]);
    sep = a[2];
    if (sep.kind != V_STR && !ig_tpl_str(st, "\n", 1, false, &sep)) return false;
    if (!ig_tpl_splitlines(st, s, false, &lines)) return false;
    ig_tpl_sb_init(&sb, st);
    for (size_t i = 0; i < lines.u.l->n; i++) {
        if (i) ig_tpl_sb_str(&sb, sep.u.s);
        if (!wrap_line(st, lines.u.l->v[i].u.s, width, break_long, sep.u.s, &sb)) return false;
    }
    return ig_tpl_sb_done(&sb, out);
}

const struct tpl_func ig_tpl_filters_text[] = {
    {"upper", "", f_upper},
    {"lower", "", f_lower},
    {"capitalize", "", f_capitalize},
    {"title", "", f_title},
    {"trim", "chars=", f_trim},
    {"replace", "old,new,count=", f_replace},
    {"format", NULL, f_format},
    {"indent", "width=,first=,blank=", f_indent},
    {"truncate", "length=,killwords=,end=,leeway=", f_truncate},
    {"wordcount", "", f_wordcount},
    {"wordwrap", "width=,break_long_words=,wrapstring=,break_on_hyphens=", f_wordwrap},
    {"center", "width=", f_center},
    {"striptags", "", f_striptags},
    {"urlencode", "", f_urlencode},
    {0},
};
