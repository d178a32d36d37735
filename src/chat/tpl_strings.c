/* What string methods and filters have in common: letter case, strip, replace, split, join. Each
 * byte of a result keeps the origin it had. */
#include "chat/tpl.h"

#include "base/utf8.h"

bool ig_tpl_int_arg(struct tpl_st *st, const struct tpl_val *v, int64_t *out) {
    if (tpl_is_int(v)) return *out = tpl_as_int(v), true;
    if (v->kind == V_UNDEF) return ig_tpl_raise(st, "%s", v->u.undef->message);
    return ig_tpl_raise(st, "'%s' object cannot be interpreted as an integer", ig_tpl_type(v));
}

/* ---- Letter case ---- */

/* Sigma at the end of a word becomes the final form, as in Python. */
static bool final_sigma(const struct tpl_str *s, size_t at, size_t next) {
    bool before = false;
    uint32_t cp;
    for (size_t i = at; i > 0 && !before;) {
        do i--;
        while (i && ((unsigned char)s->p[i] & 0xc0) == 0x80);
        ig_tpl_decode(s->p + i, s->n - i, &cp);
        unsigned c = ig_tpl_class(cp);
        before = (c & (CLASS_UPPER | CLASS_LOWER | CLASS_TITLE)) != 0;
        if (!before && cp != '\'' && cp != 0xad && cp != 0x2019 && (c & CLASS_PRINT)) break;
    }
    if (!before) return false;
    if (next >= s->n) return true;
    ig_tpl_decode(s->p + next, s->n - next, &cp);
    return !(ig_tpl_class(cp) & (CLASS_UPPER | CLASS_LOWER | CLASS_TITLE));
}

static unsigned fold(uint32_t cp, uint32_t to[3]) {
    if (cp == 0xdf || cp == 0x1e9e) return to[0] = to[1] = 's', 2;
    uint32_t up[3];
    unsigned n = cp > 0x7f ? ig_tpl_upper(cp, up) : 0;
    if (n == 1) return ig_tpl_lower(up[0], to);
    return ig_tpl_lower(cp, to);
}

static unsigned map_cp(const struct tpl_str *s, size_t at, size_t next, uint32_t cp,
                       enum tpl_case how, bool start, uint32_t to[3]) {
    if (how == CASE_UPPER) return ig_tpl_upper(cp, to);
    if (how == CASE_FOLD) return fold(cp, to);
    if (how == CASE_SWAP && (ig_tpl_class(cp) & CLASS_LOWER)) return ig_tpl_upper(cp, to);
    if (how == CASE_SWAP && !(ig_tpl_class(cp) & CLASS_UPPER)) return to[0] = cp, 1;
    if (start && (how == CASE_TITLE || how == CASE_CAPITAL)) return ig_tpl_title(cp, to);
    if (cp == 0x3a3) return to[0] = final_sigma(s, at, next) ? 0x3c2 : 0x3c3, 1;
    return ig_tpl_lower(cp, to);
}

bool ig_tpl_case(struct tpl_st *st, const struct tpl_str *s, enum tpl_case how,
                 struct tpl_val *out) {
    struct tpl_sb sb;
    bool start = true;
    ig_tpl_sb_init(&sb, st);
    for (size_t i = 0; i < s->n;) {
        uint32_t cp, to[3] = {0};
        unsigned n = ig_tpl_decode(s->p + i, s->n - i, &cp);
        unsigned count = map_cp(s, i, i + n, cp, how, start, to);
        bool input = s->marks ? s->marks[i] : s->input;
        for (unsigned k = 0; k < count; k++) {
            char bytes[4];
            unsigned len = ig_utf8_encode(to[k], bytes);
            ig_tpl_sb_add(&sb, bytes, len, input);
        }
        start =
            how == CASE_TITLE && !(ig_tpl_class(cp) & (CLASS_UPPER | CLASS_LOWER | CLASS_TITLE));
        i += n;
        if (st->code) return false;
    }
    if (!ig_tpl_sb_done(&sb, out)) return false;
    out->u.s->safe = s->safe;
    return true;
}

/* ---- Strip ---- */

static bool in_set(const struct tpl_str *set, uint32_t cp) {
    for (size_t i = 0; i < set->n;) {
        uint32_t one;
        i += ig_tpl_decode(set->p + i, set->n - i, &one);
        if (one == cp) return true;
    }
    return false;
}

bool ig_tpl_strip(struct tpl_st *st, struct tpl_str *s, struct tpl_str *chars, bool left,
                  bool right, struct tpl_val *out) {
    size_t from = 0, to = s->n;
    uint32_t cp;
    if (!chars) {
        struct ig_str t = ig_tpl_trim((struct ig_str){s->p, s->n}, left, right);
        return ig_tpl_sub(st, s, (size_t)(t.p - s->p), t.n, out);
    }
    while (left && from < to) {
        unsigned n = ig_tpl_decode(s->p + from, to - from, &cp);
        if (!in_set(chars, cp)) break;
        if (!ig_tpl_work(st, chars->n / 256)) return false;
        from += n;
    }
    while (right && from < to) {
        size_t at = to - 1;
        while (at > from && ((unsigned char)s->p[at] & 0xc0) == 0x80) at--;
        ig_tpl_decode(s->p + at, to - at, &cp);
        if (!in_set(chars, cp)) break;
        if (!ig_tpl_work(st, chars->n / 256)) return false;
        to = at;
    }
    return ig_tpl_sub(st, s, from, to - from, out);
}

/* ---- Replace ---- */

/* An empty `old` matches before each character and at the end. */
static bool replace_empty(struct tpl_st *st, const struct tpl_str *s, const struct tpl_str *with,
                          int64_t max, struct tpl_val *out) {
    struct tpl_sb sb;
    ig_tpl_sb_init(&sb, st);
    for (size_t i = 0;;) {
        if (max-- > 0) ig_tpl_sb_str(&sb, with);
        if (i >= s->n || !ig_tpl_step(st)) break;
        uint32_t cp;
        unsigned n = ig_tpl_decode(s->p + i, s->n - i, &cp);
        ig_tpl_sb_sub(&sb, s, i, n);
        i += n;
    }
    return ig_tpl_sb_done(&sb, out);
}

bool ig_tpl_replace(struct tpl_st *st, const struct tpl_str *s, const struct tpl_str *old,
                    const struct tpl_str *with, int64_t max, struct tpl_val *out) {
    if (max < 0) max = INT64_MAX;
    if (!old->n) return replace_empty(st, s, with, max, out);
    size_t at = max ? ig_tpl_find(st, s, 0, old) : SIZE_MAX, from = 0;
    if (at == SIZE_MAX) return !st->code && ig_tpl_sub(st, s, 0, s->n, out);
    struct tpl_sb sb;
    ig_tpl_sb_init(&sb, st);
    for (; at != SIZE_MAX && max-- > 0 && !st->code; at = ig_tpl_find(st, s, from, old)) {
        ig_tpl_sb_sub(&sb, s, from, at - from);
        ig_tpl_sb_str(&sb, with);
        from = at + old->n;
        if (!ig_tpl_step(st)) return false;
    }
    ig_tpl_sb_sub(&sb, s, from, s->n - from);
    return ig_tpl_sb_done(&sb, out);
}

/* ---- Split ---- */

static bool push_sub(struct tpl_st *st, struct tpl_list *l, const struct tpl_str *s, size_t from,
                     size_t to) {
    struct tpl_val v;
    return ig_tpl_step(st) && ig_tpl_sub(st, s, from, to - from, &v) && ig_tpl_push(st, l, &v);
}

static void reverse(struct tpl_list *l) {
    for (size_t i = 0; i < l->n / 2; i++) {
        struct tpl_val v = l->v[i];
        l->v[i] = l->v[l->n - 1 - i];
        l->v[l->n - 1 - i] = v;
    }
}

static bool split_right(struct tpl_st *st, const struct tpl_str *s, const struct tpl_str *sep,
                        int64_t max, struct tpl_list *l) {
    size_t to = s->n;
    for (size_t at = to < sep->n ? SIZE_MAX : to - sep->n; at != SIZE_MAX && max > 0; at--) {
        if (at + sep->n > to || memcmp(s->p + at, sep->p, sep->n) != 0) continue;
        if (!push_sub(st, l, s, at + sep->n, to)) return false;
        to = at;
        max--;
    }
    if (!ig_tpl_work(st, s->n / 256) || !push_sub(st, l, s, 0, to)) return false;
    reverse(l);
    return true;
}

static bool split_space(struct tpl_st *st, const struct tpl_str *s, int64_t max,
                        struct tpl_list *l) {
    struct ig_str rest = ig_tpl_trim((struct ig_str){s->p, s->n}, true, false);
    while (rest.n) {
        size_t n = 0;
        uint32_t cp;
        if (max-- <= 0) {
            return push_sub(st, l, s, (size_t)(rest.p - s->p), (size_t)(rest.p - s->p) + rest.n);
        }
        while (n < rest.n) {
            unsigned len = ig_tpl_decode(rest.p + n, rest.n - n, &cp);
            if (ig_tpl_is_space(cp)) break;
            n += len;
        }
        size_t from = (size_t)(rest.p - s->p);
        if (!push_sub(st, l, s, from, from + n)) return false;
        rest = ig_tpl_trim((struct ig_str){rest.p + n, rest.n - n}, true, false);
    }
    return true;
}

static bool rsplit_space(struct tpl_st *st, const struct tpl_str *s, int64_t max,
                         struct tpl_list *l) {
    struct ig_str rest = ig_tpl_trim((struct ig_str){s->p, s->n}, false, true);
    size_t base = (size_t)(rest.p - s->p);
    while (rest.n) {
        uint32_t cp;
        if (max-- <= 0) {
            if (!push_sub(st, l, s, base, base + rest.n)) return false;
            break;
        }
        size_t from = rest.n;
        while (from) {
            size_t at = from - 1;
            while (at && ((unsigned char)rest.p[at] & 0xc0) == 0x80) at--;
            ig_tpl_decode(rest.p + at, rest.n - at, &cp);
            if (ig_tpl_is_space(cp)) break;
            from = at;
        }
        if (!push_sub(st, l, s, base + from, base + rest.n)) return false;
        rest = ig_tpl_trim((struct ig_str){rest.p, from}, false, true);
    }
    reverse(l);
    return true;
}

/* sep NULL: runs of white space */
bool ig_tpl_split(struct tpl_st *st, const struct tpl_str *s, const struct tpl_str *sep,
                  int64_t max, bool right, struct tpl_val *out) {
    if (max < 0) max = INT64_MAX;
    if (!ig_tpl_list(st, 0, V_LIST, out)) return false;
    struct tpl_list *l = out->u.l;
    if (!sep) return right ? rsplit_space(st, s, max, l) : split_space(st, s, max, l);
    if (!sep->n) return ig_tpl_raise(st, "empty separator");
    if (right) return split_right(st, s, sep, max, l);
    size_t from = 0;
    while (max-- > 0) {
        size_t at = ig_tpl_find(st, s, from, sep);
        if (at == SIZE_MAX) break;
        if (!push_sub(st, l, s, from, at)) return false;
        from = at + sep->n;
    }
    return !st->code && push_sub(st, l, s, from, s->n);
}

static bool is_line_end(uint32_t cp) {
    return (cp >= 10 && cp <= 13) || (cp >= 0x1c && cp <= 0x1e) || cp == 0x85 || cp == 0x2028 ||
           cp == 0x2029;
}

bool ig_tpl_splitlines(struct tpl_st *st, const struct tpl_str *s, bool keep, struct tpl_val *out) {
    if (!ig_tpl_list(st, 0, V_LIST, out)) return false;
    size_t from = 0;
    for (size_t i = 0; i < s->n;) {
        uint32_t cp;
        unsigned n = ig_tpl_decode(s->p + i, s->n - i, &cp);
        size_t next = i + n;
        if (is_line_end(cp)) {
            if (cp == '\r' && next < s->n && s->p[next] == '\n') next++;
            if (!push_sub(st, out->u.l, s, from, keep ? next : i)) return false;
            from = next;
        }
        i = next;
    }
    return from >= s->n || push_sub(st, out->u.l, s, from, s->n);
}

/* strict: str.join, which takes strings only; else the filter */
bool ig_tpl_join(struct tpl_st *st, const struct tpl_str *sep, const struct tpl_list *items,
                 bool strict, struct tpl_val *out) {
    struct tpl_sb sb;
    ig_tpl_sb_init(&sb, st);
    for (size_t i = 0; i < items->n; i++) {
        if (strict && items->v[i].kind != V_STR)
            return ig_tpl_raise(st, "sequence item %zu: expected str instance, %s found", i,
                                ig_tpl_type(&items->v[i]));
        if (i) ig_tpl_sb_str(&sb, sep);
        ig_tpl_put_str(&sb, &items->v[i]);
        if (!ig_tpl_step(st)) return false;
    }
    return ig_tpl_sb_done(&sb, out);
}
