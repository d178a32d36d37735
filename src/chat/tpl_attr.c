/* a.name, a[key] and slices. A dot finds a method of Python's type first and the item second;
 * brackets the other way round. There is nothing else to reach: no attribute leads out of the
 * values. */
#include "chat/tpl.h"

#include <stdio.h>

static bool method(struct tpl_st *st, const struct tpl_val *v, const struct tpl_func *f,
                   struct tpl_val *out) {
    struct tpl_method *m = ig_tpl_alloc(st, sizeof *m);
    if (!m) return false;
    *m = (struct tpl_method){.self = *v, .func = f};
    *out = (struct tpl_val){.kind = V_METHOD, .u.method = m};
    return true;
}

/* What transformers' sandbox refuses: whatever begins with two underscores, and what changes lists
 * and dicts. */
static bool is_unsafe(const struct tpl_val *v, struct ig_str name) {
    static const char *const of_list[] = {"append", "clear",  "pop",    "reverse", "insert",
                                          "sort",   "extend", "remove", NULL};
    static const char *const of_dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    static const char *const dunder[] = {"__class__",
                                         "__doc__",
                                         "__init__",
                                         "__dict__",
                                         "__len__",
                                         "__getattribute__",
                                         "__reduce__",
                                         "__new__",
                                         "__eq__",
                                         "__str__",
                                         "__repr__",
                                         "__hash__",
                                         "__sizeof__",
                                         "__dir__",
                                         "__subclasshook__",
                                         "__init_subclass__",
                                         "__setattr__",
                                         "__delattr__",
                                         "__format__",
                                         "__ne__",
                                         "__lt__",
                                         "__gt__",
                                         "__ge__",
                                         "__le__",
                                         "__globals__",
                                         "__code__",
                                         "__builtins__",
                                         "__self__",
                                         "__module__",
                                         "__reduce_ex__",
                                         "__getitem__",
                                         "__contains__",
                                         "__iter__",
                                         "__add__",
                                         NULL};
    if (ig_str_starts(name, IG_STR("__"))) {
        for (const char *const *p = dunder; *p; p++)
            if (ig_str_is(name, *p)) return true;
    }
    const char *const *list = v->kind == V_LIST ? of_list : v->kind == V_DICT ? of_dict : NULL;
    for (; list && *list; list++)
        if (ig_str_is(name, *list)) return true;
    return false;
}

static const char *type_words(const struct tpl_val *v, char *buf, size_t cap) {
    if (v->kind == V_NONE) return "None";
    if (v->kind == V_NS) return "jinja2.utils.Namespace object";
    snprintf(buf, cap, "%s object", ig_tpl_type(v));
    return buf;
}

static bool no_attr(struct tpl_st *st, const struct tpl_val *v, struct ig_str name,
                    struct tpl_val *out) {
    char buf[64];
    int n = name.n < 150 ? (int)name.n : 150;
    return ig_tpl_undef(st, out, "'%s' has no attribute '%.*s'", type_words(v, buf, sizeof buf), n,
                        name.p);
}

static bool no_item(struct tpl_st *st, const struct tpl_val *v, const struct tpl_val *key,
                    struct tpl_val *out) {
    char buf[64];
    if (key->kind == V_STR) return no_attr(st, v, (struct ig_str){key->u.s->p, key->u.s->n}, out);
    struct tpl_sb sb;
    struct tpl_val text;
    ig_tpl_sb_init(&sb, st);
    ig_tpl_put_repr(&sb, key);
    if (!ig_tpl_sb_done(&sb, &text)) return false;
    int n = text.u.s->n < 150 ? (int)text.u.s->n : 150;
    return ig_tpl_undef(st, out, "%s has no element %.*s", type_words(v, buf, sizeof buf), n,
                        text.u.s->p);
}

static bool number_attr(const struct tpl_val *v, struct ig_str name, struct tpl_val *out) {
    bool is_int = tpl_is_int(v);
    if (ig_str_is(name, "real") || (is_int && ig_str_is(name, "numerator")))
        *out = is_int ? tpl_int(tpl_as_int(v)) : *v;
    else if (ig_str_is(name, "imag"))
        *out = is_int ? tpl_int(0) : tpl_float(0);
    else if (is_int && ig_str_is(name, "denominator"))
        *out = tpl_int(1);
    else
        return false;
    return true;
}

static bool macro_attr(struct tpl_st *st, const struct tpl_macro *m, struct ig_str name,
                       struct tpl_val *out, bool *found) {
    const struct tpl_node *n = m->node;
    *found = true;
    if (ig_str_is(name, "name")) {
        if (n->kind == N_CALLBLOCK) return *out = tpl_none(), true;
        return ig_tpl_str(st, n->text.p, n->text.n, false, out);
    }
    if (ig_str_is(name, "catch_varargs")) return *out = tpl_bool(n->flag), true;
    if (ig_str_is(name, "catch_kwargs")) return *out = tpl_bool(n->flag2), true;
    if (ig_str_is(name, "caller")) return *out = tpl_bool(n->flag3), true;
    *found = ig_str_is(name, "arguments");
    if (!*found) return true;
    if (!ig_tpl_list(st, 0, V_TUPLE, out)) return false;
    for (const struct tpl_node *p = n->list; p; p = p->next) {
        struct tpl_val s;
        if (!ig_tpl_str(st, p->text.p, p->text.n, false, &s) || !ig_tpl_push(st, out->u.l, &s))
            return false;
    }
    return true;
}

/* Python's getattr: *found says whether there is one. */
static bool attribute(struct tpl_st *st, const struct tpl_val *v, struct ig_str name,
                      struct tpl_val *out, bool *found) {
    *found = true;
    if (is_unsafe(v, name))
        return ig_tpl_undef(st, out, "access to attribute '%.*s' of '%s' object is unsafe.",
                            (int)(name.n & 127), name.p, ig_tpl_type(v));
    if (v->kind == V_UNDEF) {
        *found = false; /* the item raises */
        if (ig_str_starts(name, IG_STR("__"))) return true;
        return ig_tpl_raise(st, "%s", v->u.undef->message);
    }
    if (v->kind == V_NS) {
        const struct tpl_val *got = ig_tpl_dict_get_z(st, v->u.d, name);
        if (got) *out = *got;
        *found = got != NULL;
        return !st->code;
    }
    if (tpl_is_number(v) && number_attr(v, name, out)) return true;
    if (v->kind == V_RANGE) {
        const struct tpl_range *r = v->u.range;
        if (ig_str_is(name, "start")) return *out = tpl_int(r->start), true;
        if (ig_str_is(name, "stop")) return *out = tpl_int(r->stop), true;
        if (ig_str_is(name, "step")) return *out = tpl_int(r->step), true;
    }
    if (v->kind == V_CYCLER && ig_str_is(name, "current"))
        return *out = v->u.cycler->items.u.l->v[v->u.cycler->at], true;
    if (v->kind == V_LOOP && ig_tpl_loop_attr(st, v->u.loop, name, out)) return true;
    if (st->code) return false;
    if (v->kind == V_MACRO) return macro_attr(st, v->u.macro, name, out, found);
    const struct tpl_func *f = ig_tpl_method(v->kind, name);
    if (f) return method(st, v, f, out);
    *found = false;
    return true;
}

static bool index_of(const struct tpl_val *key, size_t n, size_t *out) {
    int64_t i = tpl_as_int(key);
    if (i < 0) i += (int64_t)n;
    if (i < 0 || (uint64_t)i >= n) return false;
    *out = (size_t)i;
    return true;
}

/* Python's v[key]: *found says whether there is one. */
static bool item(struct tpl_st *st, const struct tpl_val *v, const struct tpl_val *key,
                 struct tpl_val *out, bool *found) {
    size_t i;
    *found = false;
    if (v->kind == V_DICT) {
        if (key->kind == V_LIST || key->kind == V_DICT) return true; /* TypeError: no such item */
        const struct tpl_val *got = ig_tpl_dict_get(st, v->u.d, key);
        if (got) *out = *got;
        *found = got != NULL;
        return !st->code;
    }
    if (v->kind == V_UNDEF) return ig_tpl_raise(st, "%s", v->u.undef->message);
    if (!tpl_is_int(key)) return true;
    if (tpl_is_seq(v) && index_of(key, v->u.l->n, &i)) {
        *out = v->u.l->v[i];
        *found = true;
    } else if (v->kind == V_STR && index_of(key, ig_tpl_chars(v->u.s), &i)) {
        size_t at = ig_tpl_offset(v->u.s, i);
        uint32_t cp;
        *found = true;
        if (!ig_tpl_work(st, v->u.s->chars == v->u.s->n ? 0 : at / 1024)) return false;
        return ig_tpl_sub(st, v->u.s, at, ig_tpl_decode(v->u.s->p + at, v->u.s->n - at, &cp), out);
    } else if (v->kind == V_RANGE && index_of(key, v->u.range->n, &i)) {
        *out = tpl_int(v->u.range->start + (int64_t)i * v->u.range->step);
        *found = true;
    }
    return true;
}

bool ig_tpl_getattr(struct tpl_st *st, const struct tpl_val *v, struct ig_str name,
                    struct tpl_val *out) {
    bool found;
    if (!attribute(st, v, name, out, &found)) return false;
    if (found) return true;
    struct tpl_str s = {.p = name.p, .n = name.n, .chars = SIZE_MAX};
    struct tpl_val key = {.kind = V_STR, .u.s = &s};
    if (!item(st, v, &key, out, &found)) return false;
    return found || no_attr(st, v, name, out);
}

bool ig_tpl_getitem(struct tpl_st *st, const struct tpl_val *v, const struct tpl_val *key,
                    struct tpl_val *out) {
    bool found;
    if (!item(st, v, key, out, &found)) return false;
    if (found) return true;
    if (key->kind == V_STR) {
        struct ig_str name = {key->u.s->p, key->u.s->n};
        if (!attribute(st, v, name, out, &found)) return false;
        if (found) return true;
    }
    return no_item(st, v, key, out);
}

/* ---- Slices ---- */

static bool bound(struct tpl_st *st, const struct tpl_val *v, int64_t n, int64_t none, bool down,
                  int64_t *out) {
    if (v->kind == V_NONE) return *out = none, true;
    if (!tpl_is_int(v)) {
        if (v->kind == V_UNDEF)
            return ig_tpl_raise(
                st, "slice indices must be integers or None or have an __index__ method");
        return ig_tpl_raise(st,
                            "slice indices must be integers or None or have an __index__ method");
    }
    int64_t i = tpl_as_int(v);
    if (i < 0) i += n;
    if (i < 0) i = down ? -1 : 0;
    if (i >= n) i = down ? n - 1 : n;
    *out = i;
    return true;
}

static bool slice_str(struct tpl_st *st, struct tpl_str *s, int64_t start, int64_t step, size_t n,
                      struct tpl_val *out) {
    if (step == 1) {
        size_t from = ig_tpl_offset(s, (size_t)start), to = ig_tpl_offset(s, (size_t)start + n);
        if (s->chars != s->n && !ig_tpl_work(st, to / 1024)) return false;
        return ig_tpl_sub(st, s, from, to - from, out);
    }
    struct tpl_val whole = {.kind = V_STR, .u.s = s};
    struct tpl_list *chars;
    struct tpl_sb sb;
    ig_tpl_sb_init(&sb, st);
    if (n && !ig_tpl_iter(st, &whole, &chars)) return false;
    for (size_t i = 0; i < n; i++) ig_tpl_sb_str(&sb, chars->v[start + (int64_t)i * step].u.s);
    return ig_tpl_sb_done(&sb, out);
}

/* Without a step: any object may refuse slicing as Python does. */
bool ig_tpl_slice(struct tpl_st *st, const struct tpl_val *v, const struct tpl_val *from,
                  const struct tpl_val *to, const struct tpl_val *by, struct tpl_val *out) {
    size_t len = 0;
    if (v->kind == V_UNDEF) return ig_tpl_raise(st, "%s", v->u.undef->message);
    if (v->kind == V_DICT) return ig_tpl_raise(st, "unhashable type: 'slice'");
    if (v->kind != V_STR && v->kind != V_RANGE && !tpl_is_seq(v))
        return ig_tpl_raise(st, "'%s' object is not subscriptable", ig_tpl_type(v));
    if (!ig_tpl_length(st, v, &len)) return false;
    int64_t n = (int64_t)len, step = 1, start = 0, stop = 0;
    if (by->kind != V_NONE) {
        if (!tpl_is_int(by))
            return ig_tpl_raise(
                st, "slice indices must be integers or None or have an __index__ method");
        step = tpl_as_int(by);
        if (!step) return ig_tpl_raise(st, "slice step cannot be zero");
        if (step > INT32_MAX) step = INT32_MAX;
        if (step < -INT32_MAX) step = -INT32_MAX;
    }
    if (!bound(st, from, n, step > 0 ? 0 : n - 1, step < 0, &start) ||
        !bound(st, to, n, step > 0 ? n : -1, step < 0, &stop))
        return false;
    int64_t span = step > 0 ? stop - start : start - stop, width = step > 0 ? step : -step;
    size_t count = span > 0 ? (size_t)((span + width - 1) / width) : 0;
    if (v->kind == V_STR) return slice_str(st, v->u.s, start, step, count, out);
    if (v->kind == V_RANGE) {
        struct tpl_range *r = ig_tpl_alloc(st, sizeof *r);
        if (!r) return false;
        const struct tpl_range *old = v->u.range;
        *r = (struct tpl_range){old->start + start * old->step, old->start + stop * old->step,
                                old->step * step, count};
        *out = (struct tpl_val){.kind = V_RANGE, .u.range = r};
        return true;
    }
    if (!ig_tpl_list(st, count, v->kind, out)) return false;
    for (size_t i = 0; i < count; i++) out->u.l->v[i] = v->u.l->v[start + (int64_t)i * step];
    out->u.l->n = count;
    return true;
}

/* ---- loop.index and its kin ---- */

static size_t items_left(const struct tpl_loop *l) {
    return l->items->n - l->at;
}

bool ig_tpl_loop_attr(struct tpl_st *st, struct tpl_loop *l, struct ig_str name,
                      struct tpl_val *out) {
    int64_t at = (int64_t)l->at;
    if (ig_str_is(name, "index0")) return *out = tpl_int(at), true;
    if (ig_str_is(name, "index")) return *out = tpl_int(at + 1), true;
    if (ig_str_is(name, "first")) return *out = tpl_bool(at == 0), true;
    if (ig_str_is(name, "last")) return *out = tpl_bool(l->at + 1 >= l->items->n), true;
    if (ig_str_is(name, "length")) return *out = tpl_int((int64_t)l->items->n), true;
    if (ig_str_is(name, "revindex")) return *out = tpl_int((int64_t)items_left(l)), true;
    if (ig_str_is(name, "revindex0")) return *out = tpl_int((int64_t)items_left(l) - 1), true;
    if (ig_str_is(name, "depth0")) return *out = tpl_int((int64_t)l->depth0), true;
    if (ig_str_is(name, "depth")) return *out = tpl_int((int64_t)l->depth0 + 1), true;
    if (ig_str_is(name, "previtem")) {
        if (l->at) return *out = l->items->v[l->at - 1], true;
        return ig_tpl_undef(st, out, "there is no previous item");
    }
    if (ig_str_is(name, "nextitem")) {
        if (l->at + 1 < l->items->n) return *out = l->items->v[l->at + 1], true;
        return ig_tpl_undef(st, out, "there is no next item");
    }
    return false;
}
