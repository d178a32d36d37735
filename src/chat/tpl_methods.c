/* Methods of strings. */
#include "chat/tpl.h"

#define METHOD(name)                                                                               \
    static bool name(struct tpl_st *st, const struct tpl_val *self, const struct tpl_args *args,   \
                     const struct tpl_val *a, struct tpl_val *out)
#define UNUSED (void)args, (void)a, (void)st

static bool str_arg(struct tpl_st *st, const struct tpl_val *v, const char *who,
                    struct tpl_str **out) {
    if (v->kind != V_STR) return ig_tpl_raise(st, "%s must be str, not %s", who, ig_tpl_type(v));
    *out = v->u.s;
    return true;
}

METHOD(m_upper) {
    return UNUSED, ig_tpl_case(st, self->u.s, CASE_UPPER, out);
}
METHOD(m_lower) {
    return UNUSED, ig_tpl_case(st, self->u.s, CASE_LOWER, out);
}
METHOD(m_title) {
    return UNUSED, ig_tpl_case(st, self->u.s, CASE_TITLE, out);
}
METHOD(m_capitalize) {
    return UNUSED, ig_tpl_case(st, self->u.s, CASE_CAPITAL, out);
}
METHOD(m_swapcase) {
    return UNUSED, ig_tpl_case(st, self->u.s, CASE_SWAP, out);
}
METHOD(m_casefold) {
    return UNUSED, ig_tpl_case(st, self->u.s, CASE_FOLD, out);
}

static bool strip(struct tpl_st *st, const struct tpl_val *self, const struct tpl_val *chars,
                  bool left, bool right, struct tpl_val *out) {
    struct tpl_str *set = NULL;
    if (chars->kind != V_MISSING && chars->kind != V_NONE) {
        if (chars->kind != V_STR)
            return ig_tpl_raise(st, "strip arg must be None or str, not %s", ig_tpl_type(chars));
        set = chars->u.s;
    }
    return ig_tpl_strip(st, self->u.s, set, left, right, out);
}
METHOD(m_strip) {
    return UNUSED, strip(st, self, &a[0], true, true, out);
}
METHOD(m_lstrip) {
    return UNUSED, strip(st, self, &a[0], true, false, out);
}
METHOD(m_rstrip) {
    return UNUSED, strip(st, self, &a[0], false, true, out);
}

static bool split(struct tpl_st *st, const struct tpl_val *self, const struct tpl_val *a,
                  bool right, struct tpl_val *out) {
    struct tpl_str *sep = NULL;
    int64_t max = -1;
    if (a[0].kind != V_MISSING && a[0].kind != V_NONE) {
        if (a[0].kind != V_STR)
            return ig_tpl_raise(st, "must be str or None, not %s", ig_tpl_type(&a[0]));
        sep = a[0].u.s;
    }
    if (a[1].kind != V_MISSING && !ig_tpl_int_arg(st, &a[1], &max)) return false;
    return ig_tpl_split(st, self->u.s, sep, max, right, out);
}
METHOD(m_split) {
    return UNUSED, split(st, self, a, false, out);
}
METHOD(m_rsplit) {
    return UNUSED, split(st, self, a, true, out);
}
METHOD(m_splitlines) {
    UNUSED;
    return ig_tpl_splitlines(st, self->u.s, a[0].kind != V_MISSING && ig_tpl_truth(&a[0]), out);
}

METHOD(m_replace) {
    UNUSED;
    struct tpl_str *old = NULL, *with = NULL;
    int64_t max = -1;
    if (!str_arg(st, &a[0], "replace() argument 1", &old) ||
        !str_arg(st, &a[1], "replace() argument 2", &with))
        return false;
    if (a[2].kind != V_MISSING && !ig_tpl_int_arg(st, &a[2], &max)) return false;
    if (!ig_tpl_replace(st, self->u.s, old, with, max, out)) return false;
    out->u.s->safe = self->u.s->safe;
    return true;
}

METHOD(m_join) {
    UNUSED;
    struct tpl_list *l;
    if (!tpl_is_seq(&a[0]) && (a[0].kind == V_NONE || tpl_is_number(&a[0])))
        return ig_tpl_raise(st, "can only join an iterable");
    return ig_tpl_iter(st, &a[0], &l) && ig_tpl_join(st, self->u.s, l, true, out);
}

/* self[start:end] for startswith, find, count ...: byte offsets; false: the range is beyond the
 * string */
static bool window(struct tpl_st *st, struct tpl_str *s, const struct tpl_val *start,
                   const struct tpl_val *end, size_t *from, size_t *to, bool *inside) {
    int64_t n = (int64_t)ig_tpl_chars(s), i = 0, k = n;
    if (start->kind != V_MISSING && start->kind != V_NONE && !ig_tpl_int_arg(st, start, &i))
        return false;
    if (end->kind != V_MISSING && end->kind != V_NONE && !ig_tpl_int_arg(st, end, &k)) return false;
    if (i < 0) i = i + n < 0 ? 0 : i + n;
    if (k < 0) k = k + n < 0 ? 0 : k + n;
    if (k > n) k = n;
    *inside = i <= k;
    if (i > n) i = n;
    *from = ig_tpl_offset(s, (size_t)i);
    *to = ig_tpl_offset(s, (size_t)k);
    return ig_tpl_work(st, s->chars == s->n ? 0 : s->n / 1024);
}

static bool has_affix(const struct tpl_str *s, size_t from, size_t to, const struct tpl_str *x,
                      bool at_start) {
    if (x->n > to - from) return false;
    return !x->n || memcmp(s->p + (at_start ? from : to - x->n), x->p, x->n) == 0;
}

static bool affix(struct tpl_st *st, const struct tpl_val *self, const struct tpl_val *a,
                  bool at_start, struct tpl_val *out) {
    size_t from, to;
    bool inside;
    const char *name = at_start ? "startswith" : "endswith";
    if (!window(st, self->u.s, &a[1], &a[2], &from, &to, &inside)) return false;
    *out = tpl_bool(false);
    if (a[0].kind == V_STR) {
        *out = tpl_bool(inside && has_affix(self->u.s, from, to, a[0].u.s, at_start));
        return ig_tpl_work(st, a[0].u.s->n / 1024);
    }
    if (a[0].kind != V_TUPLE)
        return ig_tpl_raise(st, "%s first arg must be str or a tuple of str, not %s", name,
                            ig_tpl_type(&a[0]));
    for (size_t i = 0; i < a[0].u.l->n; i++) {
        const struct tpl_val *v = &a[0].u.l->v[i];
        if (v->kind != V_STR)
            return ig_tpl_raise(st, "tuple for %s must only contain str, not %s", name,
                                ig_tpl_type(v));
        if (!ig_tpl_work(st, 1 + v->u.s->n / 1024)) return false;
        if (inside && has_affix(self->u.s, from, to, v->u.s, at_start)) *out = tpl_bool(true);
    }
    return true;
}
METHOD(m_startswith) {
    return UNUSED, affix(st, self, a, true, out);
}
METHOD(m_endswith) {
    return UNUSED, affix(st, self, a, false, out);
}

static int64_t chars_before(const struct tpl_str *s, size_t at) {
    int64_t n = 0;
    for (size_t i = 0; i < at; i++) n += ((unsigned char)s->p[i] & 0xc0) != 0x80;
    return n;
}

/* Index in characters of the first or last place, -1 if none */
static bool find(struct tpl_st *st, const struct tpl_val *self, const struct tpl_val *a, bool last,
                 int64_t *out) {
    size_t from, to;
    bool inside;
    struct tpl_str *x = NULL, *s = self->u.s;
    if (!str_arg(st, &a[0], "find() argument", &x) ||
        !window(st, s, &a[1], &a[2], &from, &to, &inside))
        return false;
    *out = -1;
    if (!inside || x->n > to - from) return true;
    struct tpl_str part = *s;
    part.n = to;
    size_t at = SIZE_MAX;
    if (!last) {
        at = ig_tpl_find(st, &part, from, x);
    } else {
        for (size_t i = to - x->n + 1; i-- > from && at == SIZE_MAX;) {
            if (!x->n || memcmp(s->p + i, x->p, x->n) == 0) at = i;
            if (!ig_tpl_work(st, (i & 63) == 0)) return false;
        }
    }
    if (st->code) return false;
    if (at != SIZE_MAX) *out = chars_before(s, at);
    return ig_tpl_work(st, at == SIZE_MAX ? 0 : at / 512);
}
METHOD(m_find) {
    int64_t i;
    if (UNUSED, !find(st, self, a, false, &i)) return false;
    *out = tpl_int(i);
    return true;
}
METHOD(m_rfind) {
    int64_t i;
    if (UNUSED, !find(st, self, a, true, &i)) return false;
    *out = tpl_int(i);
    return true;
}
METHOD(m_index) {
    int64_t i;
    if (UNUSED, !find(st, self, a, false, &i)) return false;
    if (i < 0) return ig_tpl_raise(st, "substring not found");
    *out = tpl_int(i);
    return true;
}
METHOD(m_rindex) {
    int64_t i;
    if (UNUSED, !find(st, self, a, true, &i)) return false;
    if (i < 0) return ig_tpl_raise(st, "substring not found");
    *out = tpl_int(i);
    return true;
}

METHOD(m_count) {
    UNUSED;
    size_t from, to;
    bool inside;
    struct tpl_str *x = NULL, part = *self->u.s;
    int64_t n = 0;
    if (!str_arg(st, &a[0], "count() argument", &x) ||
        !window(st, self->u.s, &a[1], &a[2], &from, &to, &inside))
        return false;
    part.n = to;
    if (!x->n)
        n = inside ? chars_before(&part, to) - chars_before(&part, from) + 1 : 0;
    else if (inside)
        for (size_t at; (at = ig_tpl_find(st, &part, from, x)) != SIZE_MAX && ig_tpl_step(st); n++)
            from = at + x->n;
    *out = tpl_int(n);
    return !st->code;
}

METHOD(m_format) {
    return UNUSED, ig_tpl_format(st, self->u.s, args, out);
}
METHOD(m_format_map) {
    UNUSED;
    struct tpl_args kw = {0};
    if (a[0].kind != V_DICT) return ig_tpl_raise(st, "format_map() needs a mapping");
    struct tpl_dict *d = a[0].u.d;
    kw.kw = ig_tpl_alloc(st, (d->n + 1) * sizeof *kw.kw);
    if (!kw.kw) return false;
    for (size_t i = 0; i < d->n; i++)
        if (d->v[i].key.kind == V_STR)
            kw.kw[kw.n_kw++] =
                (struct tpl_kw){{d->v[i].key.u.s->p, d->v[i].key.u.s->n}, d->v[i].value};
    return ig_tpl_format(st, self->u.s, &kw, out);
}

/* ---- Pieces around a separator, prefixes, padding ---- */

static bool partition(struct tpl_st *st, const struct tpl_val *self, const struct tpl_val *a,
                      bool last, struct tpl_val *out) {
    struct tpl_str *sep = NULL, *s = self->u.s;
    struct tpl_val none[3] = {{0}}, v[3];
    if (!str_arg(st, &a[0], "partition() argument", &sep)) return false;
    if (!sep->n) return ig_tpl_raise(st, "empty separator");
    if (!ig_tpl_split(st, s, sep, 1, last, &none[0])) return false;
    struct tpl_list *l = none[0].u.l;
    if (l->n == 2) {
        v[0] = l->v[0];
        v[2] = l->v[1];
        if (!ig_tpl_sub(st, s, v[0].u.s->n, sep->n, &v[1])) return false;
    } else {
        v[last ? 2 : 0] = *self;
        if (!ig_tpl_str(st, "", 0, false, &v[1])) return false;
        v[last ? 0 : 2] = v[1];
    }
    if (!ig_tpl_list(st, 3, V_TUPLE, out)) return false;
    memcpy(out->u.l->v, v, sizeof v);
    out->u.l->n = 3;
    return true;
}
METHOD(m_partition) {
    return UNUSED, partition(st, self, a, false, out);
}
METHOD(m_rpartition) {
    return UNUSED, partition(st, self, a, true, out);
}

METHOD(m_removeprefix) {
    UNUSED;
    struct tpl_str *x = NULL, *s = self->u.s;
    if (!str_arg(st, &a[0], "removeprefix() argument", &x)) return false;
    size_t cut = has_affix(s, 0, s->n, x, true) ? x->n : 0;
    return ig_tpl_sub(st, s, cut, s->n - cut, out);
}
METHOD(m_removesuffix) {
    UNUSED;
    struct tpl_str *x = NULL, *s = self->u.s;
    if (!str_arg(st, &a[0], "removesuffix() argument", &x)) return false;
    return ig_tpl_sub(st, s, 0, s->n - (has_affix(s, 0, s->n, x, false) ? x->n : 0), out);
}

static bool pad(struct tpl_st *st, const struct tpl_val *self, const struct tpl_val *a, int where,
                struct tpl_val *out) {
    int64_t width;
    struct tpl_str *fill = NULL, *s = self->u.s;
    if (!ig_tpl_int_arg(st, &a[0], &width)) return false;
    if (a[1].kind != V_MISSING) {
        if (!str_arg(st, &a[1], "the fill character", &fill)) return false;
        if (ig_tpl_chars(fill) != 1)
            return ig_tpl_raise(st, "The fill character must be exactly one character long");
    }
    int64_t n = (int64_t)ig_tpl_chars(s), gap = width > n ? width - n : 0;
    int64_t left = where < 0 ? 0 : where > 0 ? gap : gap / 2 + (gap & width & 1);
    struct tpl_sb sb;
    ig_tpl_sb_init(&sb, st);
    for (int64_t i = 0; i <= gap && !st->code; i++) {
        if (i == left) ig_tpl_sb_str(&sb, s);
        if (i == gap) break;
        if (fill)
            ig_tpl_sb_str(&sb, fill);
        else
            ig_tpl_sb_z(&sb, " ");
        ig_tpl_step(st);
    }
    return ig_tpl_sb_done(&sb, out);
}
METHOD(m_ljust) {
    return UNUSED, pad(st, self, a, -1, out);
}
METHOD(m_rjust) {
    return UNUSED, pad(st, self, a, 1, out);
}
METHOD(m_center) {
    return UNUSED, pad(st, self, a, 0, out);
}

METHOD(m_zfill) {
    UNUSED;
    int64_t width;
    struct tpl_str *s = self->u.s;
    if (!ig_tpl_int_arg(st, &a[0], &width)) return false;
    struct tpl_sb sb;
    size_t sign = s->n && (s->p[0] == '+' || s->p[0] == '-');
    ig_tpl_sb_init(&sb, st);
    ig_tpl_sb_sub(&sb, s, 0, sign);
    for (int64_t i = (int64_t)ig_tpl_chars(s); i < width && ig_tpl_step(st); i++)
        ig_tpl_sb_z(&sb, "0");
    ig_tpl_sb_sub(&sb, s, sign, s->n - sign);
    return ig_tpl_sb_done(&sb, out);
}

METHOD(m_expandtabs) {
    UNUSED;
    int64_t size = 8, column = 0;
    struct tpl_str *s = self->u.s;
    struct tpl_sb sb;
    if (a[0].kind != V_MISSING && !ig_tpl_int_arg(st, &a[0], &size)) return false;
    ig_tpl_sb_init(&sb, st);
    for (size_t i = 0; i < s->n && !st->code;) {
        uint32_t cp;
        unsigned n = ig_tpl_decode(s->p + i, s->n - i, &cp);
        if (cp == '\t') {
            int64_t fill = size > 0 ? size - column % size : 0;
            for (int64_t k = 0; k < fill && ig_tpl_step(st); k++) ig_tpl_sb_z(&sb, " ");
            column += fill;
        } else {
            ig_tpl_sb_sub(&sb, s, i, n);
            column = cp == '\n' || cp == '\r' ? 0 : column + 1;
        }
        i += n;
    }
    return ig_tpl_sb_done(&sb, out);
}

/* ---- What a string consists of ---- */

static bool all_chars(const struct tpl_val *self, unsigned want, struct tpl_val *out) {
    const struct tpl_str *s = self->u.s;
    bool all = s->n > 0;
    for (size_t i = 0; all && i < s->n;) {
        uint32_t cp;
        i += ig_tpl_decode(s->p + i, s->n - i, &cp);
        all = (ig_tpl_class(cp) & want) != 0;
    }
    *out = tpl_bool(all);
    return true;
}
METHOD(m_isalpha) {
    return UNUSED, all_chars(self, CLASS_ALPHA, out);
}
METHOD(m_isdigit) {
    return UNUSED, all_chars(self, CLASS_DIGIT, out);
}
METHOD(m_isdecimal) {
    return UNUSED, all_chars(self, CLASS_DECIMAL, out);
}
METHOD(m_isnumeric) {
    return UNUSED, all_chars(self, CLASS_NUMERIC, out);
}
METHOD(m_isalnum) {
    return UNUSED, all_chars(self, CLASS_ALPHA | CLASS_DIGIT | CLASS_DECIMAL | CLASS_NUMERIC, out);
}
METHOD(m_isprintable) {
    UNUSED;
    if (!all_chars(self, CLASS_PRINT, out)) return false;
    if (!self->u.s->n) *out = tpl_bool(true);
    return true;
}
METHOD(m_isascii) {
    UNUSED;
    bool all = true;
    for (size_t i = 0; i < self->u.s->n; i++) all &= (unsigned char)self->u.s->p[i] < 0x80;
    *out = tpl_bool(all);
    return true;
}
METHOD(m_isspace) {
    UNUSED;
    *out = tpl_bool(self->u.s->n &&
                    !ig_tpl_trim((struct ig_str){self->u.s->p, self->u.s->n}, true, false).n);
    return true;
}
METHOD(m_isupper) {
    UNUSED;
    struct tpl_args none = {0};
    return ig_tpl_call_func(st, ig_tpl_test(IG_STR("upper")), self, &none, out);
}
METHOD(m_islower) {
    UNUSED;
    struct tpl_args none = {0};
    return ig_tpl_call_func(st, ig_tpl_test(IG_STR("lower")), self, &none, out);
}
METHOD(m_istitle) {
    UNUSED;
    const struct tpl_str *s = self->u.s;
    bool any = false, in_word = false, ok = true;
    for (size_t i = 0; ok && i < s->n;) {
        uint32_t cp;
        i += ig_tpl_decode(s->p + i, s->n - i, &cp);
        unsigned c = ig_tpl_class(cp);
        bool big = (c & (CLASS_UPPER | CLASS_TITLE)) != 0, cased = big || (c & CLASS_LOWER);
        if (cased) ok = big != in_word, any = true;
        in_word = cased;
    }
    *out = tpl_bool(ok && any);
    return true;
}
METHOD(m_isidentifier) {
    UNUSED;
    const struct tpl_str *s = self->u.s;
    bool ok = s->n > 0;
    for (size_t i = 0; ok && i < s->n;) {
        uint32_t cp;
        bool first = i == 0;
        i += ig_tpl_decode(s->p + i, s->n - i, &cp);
        unsigned c = ig_tpl_class(cp);
        ok = cp == '_' || (c & CLASS_ALPHA) || (!first && (c & CLASS_DECIMAL));
    }
    *out = tpl_bool(ok);
    return true;
}

const struct tpl_func ig_tpl_str_methods[] = {
    {"strip", "chars=", m_strip},
    {"lstrip", "chars=", m_lstrip},
    {"rstrip", "chars=", m_rstrip},
    {"split", "sep=,maxsplit=", m_split},
    {"rsplit", "sep=,maxsplit=", m_rsplit},
    {"splitlines", "keepends=", m_splitlines},
    {"replace", "old,new,count=", m_replace},
    {"startswith", "prefix,start=,end=", m_startswith},
    {"endswith", "suffix,start=,end=", m_endswith},
    {"upper", "", m_upper},
    {"lower", "", m_lower},
    {"title", "", m_title},
    {"capitalize", "", m_capitalize},
    {"swapcase", "", m_swapcase},
    {"casefold", "", m_casefold},
    {"join", "iterable", m_join},
    {"find", "sub,start=,end=", m_find},
    {"rfind", "sub,start=,end=", m_rfind},
    {"index", "sub,start=,end=", m_index},
    {"rindex", "sub,start=,end=", m_rindex},
    {"count", "sub,start=,end=", m_count},
    {"format", NULL, m_format},
    {"format_map", "mapping", m_format_map},
    {0},
};

const struct tpl_func ig_tpl_str_methods2[] = {
    {"partition", "sep", m_partition},
    {"rpartition", "sep", m_rpartition},
    {"removeprefix", "prefix", m_removeprefix},
    {"removesuffix", "suffix", m_removesuffix},
    {"ljust", "width,fillchar=", m_ljust},
    {"rjust", "width,fillchar=", m_rjust},
    {"center", "width,fillchar=", m_center},
    {"zfill", "width", m_zfill},
    {"expandtabs", "tabsize=", m_expandtabs},
    {"isalpha", "", m_isalpha},
    {"isdigit", "", m_isdigit},
    {"isdecimal", "", m_isdecimal},
    {"isnumeric", "", m_isnumeric},
    {"isalnum", "", m_isalnum},
    {"isprintable", "", m_isprintable},
    {"isascii", "", m_isascii},
    {"isspace", "", m_isspace},
    {"isupper", "", m_isupper},
    {"islower", "", m_islower},
    {"istitle", "", m_istitle},
    {"isidentifier", "", m_isidentifier},
    {0},
};
