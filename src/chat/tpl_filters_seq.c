/* Filters on sequences: map, select, sort, join ... What jinja2 gives as a generator is one here
 * too (it can be read once, has no length and no JSON form), only computed at once. */
#include "chat/tpl.h"

#define FILTER(name)                                                                               \
    static bool name(struct tpl_st *st, const struct tpl_val *v, const struct tpl_args *args,      \
                     const struct tpl_val *a, struct tpl_val *out)
#define UNUSED (void)args, (void)a, (void)st

static bool given(const struct tpl_val *v) {
    return v->kind != V_MISSING;
}

/* ---- Attributes by path: "a.b.0" ---- */

static bool one_part(struct tpl_st *st, struct tpl_val *v, struct ig_str part) {
    struct tpl_val key, got;
    int64_t i = 0;
    bool digits = part.n > 0;
    for (size_t k = 0; k < part.n; k++) digits = digits && part.p[k] >= '0' && part.p[k] <= '9';
    if (digits && ig_str_to_i64(part, &i))
        key = tpl_int(i);
    else if (!ig_tpl_str(st, part.p, part.n, false, &key))
        return false;
    if (!ig_tpl_getitem(st, v, &key, &got)) return false;
    *v = got;
    return true;
}

/* The attribute of `item`; with a given `other` in place of undefined ones. */
static bool attribute(struct tpl_st *st, const struct tpl_val *item, const struct tpl_val *path,
                      const struct tpl_val *other, struct tpl_val *out) {
    *out = *item;
    if (!given(path) || path->kind == V_NONE) return true;
    struct tpl_val got;
    if (path->kind != V_STR) {
        if (!ig_tpl_getitem(st, item, path, &got)) return false;
        *out = got.kind == V_UNDEF && other && given(other) && other->kind != V_NONE ? *other : got;
        return true;
    }
    struct ig_str rest = {path->u.s->p, path->u.s->n};
    for (;;) {
        size_t n = 0;
        while (n < rest.n && rest.p[n] != '.') n++;
        if (!one_part(st, out, (struct ig_str){rest.p, n})) return false;
        if (out->kind == V_UNDEF && other && given(other) && other->kind != V_NONE) *out = *other;
        if (n == rest.n) return true;
        rest = (struct ig_str){rest.p + n + 1, rest.n - n - 1};
    }
}

static bool lowered(struct tpl_st *st, struct tpl_val *v) {
    return v->kind != V_STR || ig_tpl_case(st, v->u.s, CASE_LOWER, v);
}

/* One key for each item; letter case does not count unless asked for. */
static bool keys_of(struct tpl_st *st, const struct tpl_list *l, const struct tpl_val *path,
                    const struct tpl_val *other, bool exact, struct tpl_val **out) {
    *out = ig_tpl_alloc(st, (l->n + 1) * sizeof **out);
    if (!*out) return false;
    for (size_t i = 0; i < l->n; i++) {
        if (!ig_tpl_step(st) || !attribute(st, &l->v[i], path, other, &(*out)[i])) return false;
        if (!exact && !lowered(st, &(*out)[i])) return false;
    }
    return true;
}

static bool copy_list(struct tpl_st *st, const struct tpl_list *l, struct tpl_val *out) {
    if (!ig_tpl_list(st, l->n, V_LIST, out)) return false;
    if (l->n) memcpy(out->u.l->v, l->v, l->n * sizeof *l->v);
    out->u.l->n = l->n;
    return true;
}

/* ---- map, select, reject ---- */

static const struct tpl_val *keyword(const struct tpl_args *args, const char *name) {
    for (size_t i = 0; i < args->n_kw; i++)
        if (ig_str_is(args->kw[i].name, name)) return &args->kw[i].value;
    return NULL;
}

static bool find_func(struct tpl_st *st, const struct tpl_val *name, bool test,
                      const struct tpl_func **out) {
    if (name->kind != V_STR)
        return ig_tpl_raise(st, "the name of a filter or test must be a string");
    struct ig_str s = {name->u.s->p, name->u.s->n};
    *out = test ? ig_tpl_test(s) : ig_tpl_filter(s);
    return *out ||
           ig_tpl_raise(st, "No %s named '%.*s'.", test ? "test" : "filter", (int)(s.n & 127), s.p);
}

FILTER(f_map) {
    UNUSED;
    struct tpl_list *l;
    struct tpl_val result, item, missing = {0};
    const struct tpl_val *path = args->n_pos ? NULL : keyword(args, "attribute"),
                         *other = keyword(args, "default");
    const struct tpl_func *f = NULL;
    struct tpl_args rest = *args;
    if (!ig_tpl_truth(v) &&
        v->kind != V_GEN) { /* jinja2 looks at nothing if there is nothing to map */
        if (!ig_tpl_list(st, 0, V_LIST, &result)) return false;
        return ig_tpl_gen(st, result.u.l, "generator", out);
    }
    if (!path) {
        if (!args->n_pos) return ig_tpl_raise(st, "map requires a filter argument");
        rest.pos++;
        rest.n_pos--;
    }
    if (!path && !find_func(st, &args->pos[0], false, &f)) return false;
    if (!ig_tpl_iter(st, v, &l) || !ig_tpl_list(st, l->n, V_LIST, &result)) return false;
    for (size_t i = 0; i < l->n; i++) {
        if (!ig_tpl_step(st)) return false;
        if (!(path ? attribute(st, &l->v[i], path, other ? other : &missing, &item)
                   : ig_tpl_call_func(st, f, &l->v[i], &rest, &item)))
            return false;
        if (!ig_tpl_push(st, result.u.l, &item)) return false;
    }
    return ig_tpl_gen(st, result.u.l, "generator", out);
}

static bool select_items(struct tpl_st *st, const struct tpl_val *v, const struct tpl_args *args,
                         bool by_attr, bool keep, struct tpl_val *out) {
    struct tpl_list *l;
    struct tpl_val result, item, truth;
    const struct tpl_func *f = NULL;
    struct tpl_args rest = *args;
    size_t skip = by_attr;
    if (!ig_tpl_truth(v) && v->kind != V_GEN) {
        if (!ig_tpl_list(st, 0, V_LIST, &result)) return false;
        return ig_tpl_gen(st, result.u.l, "generator", out);
    }
    if (by_attr && !args->n_pos) return ig_tpl_raise(st, "Missing parameter for attribute name");
    if (args->n_pos > skip && !find_func(st, &args->pos[skip++], true, &f)) return false;
    if (skip) rest.pos += skip; /* pos may be NULL */
    rest.n_pos -= skip;
    if (!ig_tpl_iter(st, v, &l) || !ig_tpl_list(st, 0, V_LIST, &result)) return false;
    for (size_t i = 0; i < l->n; i++) {
        item = l->v[i];
        if (!ig_tpl_step(st) || (by_attr && !attribute(st, &l->v[i], &args->pos[0], NULL, &item)))
            return false;
        truth = item;
        if (f && !ig_tpl_call_func(st, f, &item, &rest, &truth)) return false;
        if (ig_tpl_truth(&truth) == keep && !ig_tpl_push(st, result.u.l, &l->v[i])) return false;
    }
    return ig_tpl_gen(st, result.u.l, "generator", out);
}
FILTER(f_select) {
    return UNUSED, select_items(st, v, args, false, true, out);
}
FILTER(f_reject) {
    return UNUSED, select_items(st, v, args, false, false, out);
}
FILTER(f_selectattr) {
    return UNUSED, select_items(st, v, args, true, true, out);
}
FILTER(f_rejectattr) {
    return UNUSED, select_items(st, v, args, true, false, out);
}

/* ---- Ends ---- */

FILTER(f_first) {
    UNUSED;
    struct tpl_list *l;
    if (v->kind == V_GEN && v->u.gen->at < v->u.gen->l->n)
        return *out = v->u.gen->l->v[v->u.gen->at++], true;
    if (!ig_tpl_iter(st, v, &l)) return false;
    if (!l->n) return ig_tpl_undef(st, out, "No first item, sequence was empty.");
    *out = l->v[0];
    return true;
}

FILTER(f_last) {
    UNUSED;
    struct tpl_list *l;
    if (v->kind == V_GEN) return ig_tpl_raise(st, "'%s' object is not reversible", ig_tpl_type(v));
    if (!ig_tpl_iter(st, v, &l)) return false;
    if (!l->n) return ig_tpl_undef(st, out, "No last item, sequence was empty.");
    *out = l->v[l->n - 1];
    return true;
}

FILTER(f_reverse) {
    UNUSED;
    struct tpl_list *l;
    struct tpl_val copy, none = tpl_none(), back = tpl_int(-1);
    if (v->kind == V_STR) return ig_tpl_slice(st, v, &none, &none, &back, out);
    if (v->kind == V_NONE || tpl_is_number(v)) return ig_tpl_raise(st, "argument must be iterable");
    if (!ig_tpl_iter(st, v, &l) || !copy_list(st, l, &copy)) return false;
    for (size_t i = 0; i < l->n; i++) copy.u.l->v[i] = l->v[l->n - 1 - i];
    if (v->kind == V_GEN) return *out = copy, true;
    const char *type = v->kind == V_LIST    ? "list_reverseiterator"
                       : v->kind == V_DICT  ? "dict_reversekeyiterator"
                       : v->kind == V_RANGE ? "range_iterator"
                                            : "reversed";
    return ig_tpl_gen(st, copy.u.l, type, out);
}

/* ---- Order ---- */

/* Several attributes "a,b" compare as a list, and one as a list of one: equal things need no order
 * then. */
static bool sort_keys(struct tpl_st *st, const struct tpl_list *l, const struct tpl_val *path,
                      bool exact, struct tpl_val **out) {
    struct tpl_str comma = {.p = ",", .n = 1, .chars = 1};
    struct tpl_val names, key;
    *out = ig_tpl_alloc(st, (l->n + 1) * sizeof **out);
    if (!*out) return false;
    if (path->kind == V_STR && !ig_tpl_split(st, path->u.s, &comma, -1, false, &names))
        return false;
    if (path->kind != V_STR &&
        !(ig_tpl_list(st, 1, V_LIST, &names) && ig_tpl_push(st, names.u.l, path)))
        return false;
    for (size_t i = 0; i < l->n; i++) {
        if (!ig_tpl_list(st, names.u.l->n, V_LIST, &(*out)[i])) return false;
        for (size_t k = 0; k < names.u.l->n; k++) {
            if (!ig_tpl_step(st) || !attribute(st, &l->v[i], &names.u.l->v[k], NULL, &key))
                return false;
            if ((!exact && !lowered(st, &key)) || !ig_tpl_push(st, (*out)[i].u.l, &key))
                return false;
        }
    }
    return true;
}

/* `reverse` of Python's sort is a number, not any truth. */
static bool order_arg(struct tpl_st *st, const struct tpl_val *v, int64_t *out) {
    *out = 0;
    if (!given(v)) return true;
    if (v->kind != V_UNDEF) return ig_tpl_int_arg(st, v, out);
    return ig_tpl_raise(st, "'Undefined' object cannot be interpreted as an integer");
}

FILTER(f_sort) {
    UNUSED;
    struct tpl_list *l;
    struct tpl_val *keys;
    bool exact = given(&a[1]) && ig_tpl_truth(&a[1]);
    int64_t reverse;
    return order_arg(st, &a[0], &reverse) && ig_tpl_iter(st, v, &l) && copy_list(st, l, out) &&
           sort_keys(st, l, &a[2], exact, &keys) &&
           ig_tpl_sort(st, out->u.l->v, keys, l->n, reverse != 0);
}

FILTER(f_dictsort) {
    UNUSED;
    struct tpl_list *l;
    struct tpl_val *keys, at = tpl_int(0), view_value;
    bool exact = given(&a[0]) && ig_tpl_truth(&a[0]);
    int64_t reverse;
    struct tpl_view view = {.what = VIEW_ITEMS};
    if (given(&a[1])) {
        struct ig_str by =
            a[1].kind == V_STR ? (struct ig_str){a[1].u.s->p, a[1].u.s->n} : IG_STR("");
        if (ig_str_is(by, "value"))
            at = tpl_int(1);
        else if (!ig_str_is(by, "key"))
            return ig_tpl_raise(st, "You can only sort by either \"key\" or \"value\"");
    }
    if (v->kind == V_UNDEF) return ig_tpl_raise(st, "%s", v->u.undef->message);
    if (v->kind != V_DICT)
        return ig_tpl_raise(st, "'%s' object has no attribute 'items'", ig_tpl_type(v));
    if (!order_arg(st, &a[2], &reverse)) return false;
    view.d = v->u.d;
    view_value = (struct tpl_val){.kind = V_VIEW, .u.view = &view};
    if (!ig_tpl_iter(st, &view_value, &l) || !keys_of(st, l, &at, NULL, exact, &keys)) return false;
    *out = (struct tpl_val){.kind = V_LIST, .u.l = l};
    return ig_tpl_sort(st, l->v, keys, l->n, reverse != 0);
}

static bool extreme(struct tpl_st *st, const struct tpl_val *v, const struct tpl_val *a,
                    const char *op, struct tpl_val *out) {
    struct tpl_list *l;
    struct tpl_val *keys;
    size_t best = 0;
    bool exact = given(&a[0]) && ig_tpl_truth(&a[0]), better;
    if (!ig_tpl_iter(st, v, &l)) return false;
    if (!l->n) return ig_tpl_undef(st, out, "No aggregated item, sequence was empty.");
    if (!keys_of(st, l, &a[1], NULL, exact, &keys)) return false;
    for (size_t i = 1; i < l->n; i++) {
        if (!ig_tpl_less(st, &keys[i], &keys[best], op, &better)) return false;
        if (better) best = i;
    }
    *out = l->v[best];
    return true;
}
FILTER(f_min) {
    return UNUSED, extreme(st, v, a, "<", out);
}
FILTER(f_max) {
    return UNUSED, extreme(st, v, a, ">", out);
}

FILTER(f_unique) {
    UNUSED;
    struct tpl_list *l;
    struct tpl_val *keys, seen, result, yes = tpl_bool(true);
    bool exact = given(&a[0]) && ig_tpl_truth(&a[0]);
    if (!ig_tpl_iter(st, v, &l) || !keys_of(st, l, &a[1], NULL, exact, &keys)) return false;
    if (!ig_tpl_dict(st, V_DICT, &seen) || !ig_tpl_list(st, 0, V_LIST, &result)) return false;
    for (size_t i = 0; i < l->n; i++) {
        if (ig_tpl_dict_get(st, seen.u.d, &keys[i])) continue;
        if (st->code || !ig_tpl_dict_set(st, seen.u.d, &keys[i], &yes) ||
            !ig_tpl_push(st, result.u.l, &l->v[i]))
            return false;
    }
    return ig_tpl_gen(st, result.u.l, "generator", out);
}

FILTER(f_groupby) {
    UNUSED;
    struct tpl_list *l;
    struct tpl_val *keys, sorted, group, pair;
    bool exact = given(&a[2]) && ig_tpl_truth(&a[2]), same;
    if (!ig_tpl_iter(st, v, &l) || !copy_list(st, l, &sorted) ||
        !keys_of(st, l, &a[0], &a[1], exact, &keys) ||
        !ig_tpl_sort(st, sorted.u.l->v, keys, l->n, false) || !ig_tpl_list(st, 0, V_LIST, out))
        return false;
    for (size_t i = 0; i < l->n;) {
        size_t k = i;
        struct tpl_val name;
        if (!attribute(st, &sorted.u.l->v[i], &a[0], &a[1], &name) ||
            !ig_tpl_list(st, 0, V_LIST, &group))
            return false;
        for (; k < l->n; k++) {
            if (!ig_tpl_equal(st, &keys[i], &keys[k], &same)) return false;
            if (!same) break;
            if (!ig_tpl_push(st, group.u.l, &sorted.u.l->v[k])) return false;
        }
        if (!ig_tpl_pair(st, &name, &group, &pair) || !ig_tpl_push(st, out->u.l, &pair))
            return false;
        i = k;
    }
    return true;
}

/* ---- Pieces and sums ---- */

FILTER(f_join) {
    UNUSED;
    struct tpl_list *l;
    struct tpl_val sep, *items;
    if (!given(&a[0])) {
        if (!ig_tpl_str(st, "", 0, false, &sep)) return false;
    } else if (!ig_tpl_to_str(st, &a[0], &sep)) {
        return false;
    }
    if (!ig_tpl_iter(st, v, &l)) return false;
    if (given(&a[1]) && a[1].kind != V_NONE) {
        struct tpl_val list;
        if (!keys_of(st, l, &a[1], NULL, true, &items) || !ig_tpl_list(st, 0, V_LIST, &list))
            return false;
        list.u.l->v = items;
        list.u.l->n = list.u.l->cap = l->n;
        l = list.u.l;
    }
    return ig_tpl_join(st, sep.u.s, l, false, out);
}

FILTER(f_sum) {
    UNUSED;
    struct tpl_list *l;
    struct tpl_val item, total = given(&a[1]) ? a[1] : tpl_int(0);
    if (total.kind == V_STR)
        return ig_tpl_raise(st, "sum() can't sum strings [use ''.join(seq) instead]");
    if (!ig_tpl_iter(st, v, &l)) return false;
    for (size_t i = 0; i < l->n; i++) {
        if (!attribute(st, &l->v[i], &a[0], NULL, &item) ||
            !ig_tpl_arith(st, OP_ADD, &total, &item, out))
            return false;
        total = *out;
    }
    *out = total;
    return true;
}

FILTER(f_slice) {
    UNUSED;
    struct tpl_list *l;
    struct tpl_val result, piece;
    int64_t slices;
    if (!ig_tpl_int_arg(st, &a[0], &slices) || !ig_tpl_iter(st, v, &l) ||
        !ig_tpl_list(st, 0, V_LIST, &result))
        return false;
    if (slices == 0) return ig_tpl_raise(st, "integer division or modulo by zero");
    if (slices < 0) slices = 0;
    size_t per = slices ? l->n / (size_t)slices : 0, more = slices ? l->n % (size_t)slices : 0,
           at = 0;
    for (size_t i = 0; i < (size_t)slices; i++) {
        size_t n = per + (i < more);
        if (!ig_tpl_step(st) || !ig_tpl_list(st, n + 1, V_LIST, &piece)) return false;
        for (size_t k = 0; k < n; k++) ig_tpl_push(st, piece.u.l, &l->v[at++]);
        if (given(&a[1]) && a[1].kind != V_NONE && i >= more) ig_tpl_push(st, piece.u.l, &a[1]);
        if (!ig_tpl_push(st, result.u.l, &piece)) return false;
    }
    return ig_tpl_gen(st, result.u.l, "generator", out);
}

FILTER(f_batch) {
    UNUSED;
    struct tpl_list *l;
    struct tpl_val result, piece = {0};
    int64_t width;
    if (!ig_tpl_int_arg(st, &a[0], &width) || !ig_tpl_iter(st, v, &l) ||
        !ig_tpl_list(st, 0, V_LIST, &result))
        return false;
    for (size_t i = 0; i < l->n; i++) {
        if (!ig_tpl_step(st)) return false;
        if (piece.kind == V_MISSING || (int64_t)piece.u.l->n == width) {
            if (!ig_tpl_list(st, 0, V_LIST, &piece) || !ig_tpl_push(st, result.u.l, &piece))
                return false;
        }
        if (!ig_tpl_push(st, piece.u.l, &l->v[i])) return false;
    }
    if (given(&a[1]) && a[1].kind != V_NONE && piece.kind == V_LIST)
        while ((int64_t)piece.u.l->n < width)
            if (!ig_tpl_step(st) || !ig_tpl_push(st, piece.u.l, &a[1])) return false;
    return ig_tpl_gen(st, result.u.l, "generator", out);
}

const struct tpl_func ig_tpl_filters_seq[] = {
    {"map", NULL, f_map},
    {"select", NULL, f_select},
    {"reject", NULL, f_reject},
    {"selectattr", NULL, f_selectattr},
    {"rejectattr", NULL, f_rejectattr},
    {"first", "", f_first},
    {"last", "", f_last},
    {"reverse", "", f_reverse},
    {"sort", "reverse=,case_sensitive=,attribute=", f_sort},
    {"dictsort", "case_sensitive=,by=,reverse=", f_dictsort},
    {"min", "case_sensitive=,attribute=", f_min},
    {"max", "case_sensitive=,attribute=", f_max},
    {"unique", "case_sensitive=,attribute=", f_unique},
    {"groupby", "attribute,default=,case_sensitive=", f_groupby},
    {"join", "d=,attribute=", f_join},
    {"sum", "attribute=,start=", f_sum},
    {"slice", "slices,fill_with=", f_slice},
    {"batch", "linecount,fill_with=", f_batch},
    {0},
};
