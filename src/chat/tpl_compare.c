/* Python's ==, <, in, iteration, len and a stable sort over them. */
#include "chat/tpl.h"

#include <math.h>

static bool equal_numbers(const struct tpl_val *a, const struct tpl_val *b) {
    if (tpl_is_int(a) && tpl_is_int(b)) return tpl_as_int(a) == tpl_as_int(b);
    if (a->kind == V_FLOAT && b->kind == V_FLOAT) return a->u.f == b->u.f;
    double f = a->kind == V_FLOAT ? a->u.f : b->u.f;
    int64_t i = a->kind == V_FLOAT ? tpl_as_int(b) : tpl_as_int(a);
    return f == floor(f) && f >= -9223372036854775808.0 && f < 9223372036854775808.0 &&
           (int64_t)f == i;
}

static bool equal_lists(struct tpl_st *st, const struct tpl_list *a, const struct tpl_list *b,
                        bool *out) {
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++)
        if (!ig_tpl_equal(st, &a->v[i], &b->v[i], out)) return false;
    return true;
}

static bool equal_dicts(struct tpl_st *st, const struct tpl_dict *a, const struct tpl_dict *b,
                        bool *out) {
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++) {
        const struct tpl_val *other = ig_tpl_dict_get(st, b, &a->v[i].key);
        if (st->code) return false;
        if (!other)
            *out = false;
        else if (!ig_tpl_equal(st, &a->v[i].value, other, out))
            return false;
    }
    return true;
}

bool ig_tpl_equal(struct tpl_st *st, const struct tpl_val *a, const struct tpl_val *b, bool *out) {
    *out = false;
    if (tpl_is_number(a) && tpl_is_number(b)) return *out = equal_numbers(a, b), true;
    if (a->kind != b->kind) return true;
    switch ((enum tpl_kind)a->kind) {
    case V_UNDEF:
    case V_NONE: return *out = true;
    case V_STR: {
        const struct tpl_str *x = a->u.s, *y = b->u.s;
        *out = x->n == y->n && memcmp(x->p, y->p, x->n) == 0;
        return x->n == y->n && x->n > 1024 ? ig_tpl_work(st, x->n / 1024) : true;
    }
    case V_RANGE: {
        const struct tpl_range *x = a->u.range, *y = b->u.range;
        *out =
            x->n == y->n && (!x->n || (x->start == y->start && (x->n == 1 || x->step == y->step)));
        return true;
    }
    case V_LIST:
    case V_TUPLE:
    case V_DICT: break;
    case V_METHOD:
        *out = a->u.method->func == b->u.method->func &&
               a->u.method->self.u.s == b->u.method->self.u.s;
        return true;
    default: *out = a->u.s == b->u.s; return true; /* identity */
    }
    if (a->u.l == b->u.l) return *out = true;
    if (!ig_tpl_enter(st)) return false;
    bool ok = a->kind == V_DICT ? equal_dicts(st, a->u.d, b->u.d, out)
                                : equal_lists(st, a->u.l, b->u.l, out);
    st->depth--;
    return ok;
}

static bool no_order(struct tpl_st *st, const struct tpl_val *a, const struct tpl_val *b,
                     const char *op) {
    if (a->kind == V_UNDEF) return ig_tpl_raise(st, "%s", a->u.undef->message);
    if (b->kind == V_UNDEF) return ig_tpl_raise(st, "%s", b->u.undef->message);
    return ig_tpl_raise(st, "'%s' not supported between instances of '%s' and '%s'", op,
                        ig_tpl_type(a), ig_tpl_type(b));
}

/* a < b, or for ">" "<=" ">=" that relation */
static bool relation(const char *op, int c) {
    return op[0] == '<' ? c < 0 || (op[1] && c == 0) : c > 0 || (op[1] && c == 0);
}

static bool less_lists(struct tpl_st *st, const struct tpl_list *a, const struct tpl_list *b,
                       const char *op, bool *out) {
    size_t n = a->n < b->n ? a->n : b->n;
    for (size_t i = 0; i < n; i++) {
        bool same;
        if (!ig_tpl_equal(st, &a->v[i], &b->v[i], &same)) return false;
        if (!same) return ig_tpl_less(st, &a->v[i], &b->v[i], op, out);
    }
    *out = relation(op, (a->n > b->n) - (a->n < b->n));
    return true;
}

bool ig_tpl_less(struct tpl_st *st, const struct tpl_val *a, const struct tpl_val *b,
                 const char *op, bool *out) {
    if (!ig_tpl_step(st)) return false;
    if (tpl_is_int(a) && tpl_is_int(b)) {
        int64_t x = tpl_as_int(a), y = tpl_as_int(b);
        return *out = relation(op, (x > y) - (x < y)), true;
    }
    if (tpl_is_number(a) && tpl_is_number(b)) {
        double x = tpl_as_f64(a), y = tpl_as_f64(b);
        if (isnan(x) || isnan(y)) return *out = false, true;
        return *out = relation(op, (x > y) - (x < y)), true;
    }
    if (a->kind == V_STR && b->kind == V_STR) {
        struct ig_str x = {a->u.s->p, a->u.s->n}, y = {b->u.s->p, b->u.s->n};
        *out = relation(op, ig_str_cmp(x, y));
        return ig_tpl_work(st, (x.n < y.n ? x.n : y.n) / 1024);
    }
    if (a->kind != b->kind || !tpl_is_seq(a)) return no_order(st, a, b, op);
    if (!ig_tpl_enter(st)) return false;
    bool ok = less_lists(st, a->u.l, b->u.l, op, out);
    st->depth--;
    return ok;
}

static bool in_items(struct tpl_st *st, const struct tpl_val *v, size_t n,
                     const struct tpl_val *what, bool *out) {
    *out = false;
    for (size_t i = 0; i < n && !*out; i++)
        if (!ig_tpl_step(st) || !ig_tpl_equal(st, &v[i], what, out)) return false;
    return true;
}

bool ig_tpl_contains(struct tpl_st *st, const struct tpl_val *in, const struct tpl_val *what,
                     bool *out) {
    *out = false;
    switch ((enum tpl_kind)in->kind) {
    case V_STR:
        if (what->kind != V_STR) {
            if (what->kind == V_UNDEF)
                return ig_tpl_raise(st,
                                    "'in <string>' requires string as left operand, not Undefined");
            return ig_tpl_raise(st, "'in <string>' requires string as left operand, not %s",
                                ig_tpl_type(what));
        }
        *out = ig_tpl_find(st, in->u.s, 0, what->u.s) != SIZE_MAX;
        return !st->code;
    case V_LIST:
    case V_TUPLE: return in_items(st, in->u.l->v, in->u.l->n, what, out);
    case V_DICT: *out = ig_tpl_dict_get(st, in->u.d, what) != NULL; return !st->code;
    case V_RANGE: {
        const struct tpl_range *r = in->u.range;
        if (!tpl_is_number(what) || tpl_as_f64(what) != floor(tpl_as_f64(what))) return true;
        double k = (tpl_as_f64(what) - (double)r->start) / (double)r->step;
        *out = k == floor(k) && k >= 0 && k < (double)r->n;
        return true;
    }
    case V_UNDEF: return true;
    case V_VIEW:
        if (in->u.view->what == VIEW_KEYS) {
            *out = ig_tpl_dict_get(st, in->u.view->d, what) != NULL;
            return !st->code;
        }
        break;
    case V_GEN: break;
    default: return ig_tpl_raise(st, "argument of type '%s' is not iterable", ig_tpl_type(in));
    }
    struct tpl_list *l;
    return ig_tpl_iter(st, in, &l) && in_items(st, l->v, l->n, what, out);
}

/* ---- Iteration ---- */

static bool chars_of(struct tpl_st *st, struct tpl_str *s, struct tpl_list *l) {
    for (size_t i = 0; i < s->n;) {
        uint32_t cp;
        unsigned n = ig_tpl_decode(s->p + i, s->n - i, &cp);
        struct tpl_val c;
        if (!ig_tpl_sub(st, s, i, n, &c) || !ig_tpl_push(st, l, &c)) return false;
        i += n;
    }
    return true;
}

static bool view_items(struct tpl_st *st, const struct tpl_dict *d, enum tpl_view_kind what,
                       struct tpl_list *l) {
    for (size_t i = 0; i < d->n; i++) {
        struct tpl_val pair;
        if (what == VIEW_ITEMS && !ig_tpl_pair(st, &d->v[i].key, &d->v[i].value, &pair))
            return false;
        const struct tpl_val *v = what == VIEW_ITEMS  ? &pair
                                  : what == VIEW_KEYS ? &d->v[i].key
                                                      : &d->v[i].value;
        if (!ig_tpl_push(st, l, v)) return false;
    }
    return true;
}

bool ig_tpl_iter(struct tpl_st *st, const struct tpl_val *v, struct tpl_list **out) {
    struct tpl_val l;
    if (tpl_is_seq(v)) return *out = v->u.l, true;
    if (v->kind == V_GEN) {
        struct tpl_gen *g = v->u.gen;
        if (g->at == 0) {
            *out = g->l;
        } else {
            if (!ig_tpl_list(st, 0, V_LIST, &l)) return false;
            l.u.l->v = g->l->v + g->at;
            l.u.l->n = l.u.l->cap = g->l->n - g->at;
            *out = l.u.l;
        }
        g->at = g->l->n;
        return true;
    }
    if (v->kind == V_NONE || v->kind == V_BOOL || tpl_is_number(v) || v->kind == V_NS ||
        v->kind == V_MACRO || v->kind == V_METHOD || v->kind == V_FUNC || v->kind == V_LOOP ||
        v->kind == V_CYCLER || v->kind == V_JOINER)
        return ig_tpl_raise(st, "'%s' object is not iterable", ig_tpl_type(v));
    if (!ig_tpl_list(st, v->kind == V_RANGE ? v->u.range->n : 0, V_LIST, &l)) return false;
    *out = l.u.l;
    if (v->kind == V_STR) return chars_of(st, v->u.s, l.u.l);
    if (v->kind == V_DICT) return view_items(st, v->u.d, VIEW_KEYS, l.u.l);
    if (v->kind == V_VIEW) return view_items(st, v->u.view->d, v->u.view->what, l.u.l);
    if (v->kind == V_RANGE) {
        const struct tpl_range *r = v->u.range;
        for (size_t i = 0; i < r->n; i++) l.u.l->v[i] = tpl_int(r->start + (int64_t)i * r->step);
        l.u.l->n = r->n;
    }
    return true; /* undefined: nothing */
}

bool ig_tpl_length(struct tpl_st *st, const struct tpl_val *v, size_t *out) {
    switch ((enum tpl_kind)v->kind) {
    case V_STR: *out = ig_tpl_chars(v->u.s); return true;
    case V_LIST:
    case V_TUPLE: *out = v->u.l->n; return true;
    case V_DICT: *out = v->u.d->n; return true;
    case V_VIEW: *out = v->u.view->d->n; return true;
    case V_RANGE: *out = v->u.range->n; return true;
    case V_UNDEF: *out = 0; return true;
    case V_LOOP: *out = v->u.loop->items->n; return true;
    default: return ig_tpl_raise(st, "object of type '%s' has no len()", ig_tpl_type(v));
    }
}

/* Merge sort, bottom up. */
bool ig_tpl_sort(struct tpl_st *st, struct tpl_val *items, struct tpl_val *keys, size_t n,
                 bool reverse) {
    if (n < 2) return true;
    size_t *from = ig_tpl_alloc(st, n * sizeof *from),
           *to = from ? ig_tpl_alloc(st, n * sizeof *to) : NULL;
    struct tpl_val *copy = to ? ig_tpl_alloc(st, n * sizeof *copy) : NULL;
    if (!copy) return false;
    for (size_t i = 0; i < n; i++) from[i] = i;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t lo = 0; lo < n; lo += 2 * width) {
            size_t mid = lo + width < n ? lo + width : n, hi = mid + width < n ? mid + width : n;
            size_t a = lo, b = mid;
            for (size_t k = lo; k < hi; k++) {
                bool second = a == mid;
                /* the second half's element goes first only if it is really smaller: stable both
                 * ways */
                if (a < mid && b < hi) {
                    const struct tpl_val *x = &keys[from[a]], *y = &keys[from[b]];
                    if (!(reverse ? ig_tpl_less(st, x, y, "<", &second)
                                  : ig_tpl_less(st, y, x, "<", &second)))
                        return false;
                }
                to[k] = second ? from[b++] : from[a++];
            }
        }
        size_t *swap = from;
        from = to;
        to = swap;
    }
    memcpy(copy, items, n * sizeof *copy);
    for (size_t i = 0; i < n; i++) items[i] = copy[from[i]];
    memcpy(copy, keys, n * sizeof *copy);
    for (size_t i = 0; i < n; i++) keys[i] = copy[from[i]];
    return true;
}
