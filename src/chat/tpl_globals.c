/* The functions every template knows (range, dict, namespace, cycler, joiner, raise_exception,
 * strftime_now) and the methods of everything that is not a string. */
#include "chat/tpl.h"

#include <math.h>

#define FUNC(name)                                                                                 \
    static bool name(struct tpl_st *st, const struct tpl_val *self, const struct tpl_args *args,   \
                     const struct tpl_val *a, struct tpl_val *out)
#define UNUSED (void)self, (void)args, (void)a, (void)st

FUNC(f_range) {
    UNUSED;
    int64_t start = 0, stop, step = 1;
    if (args->n_pos > 1 && !ig_tpl_int_arg(st, &a[0], &start)) return false;
    if (!ig_tpl_int_arg(st, &a[args->n_pos > 1], &stop)) return false;
    if (args->n_pos > 2 && !ig_tpl_int_arg(st, &a[2], &step)) return false;
    if (!step) return ig_tpl_raise(st, "range() arg 3 must not be zero");
    uint64_t n = 0, width = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
    if (step > 0 && stop > start) n = ((uint64_t)stop - (uint64_t)start - 1) / width + 1;
    if (step < 0 && stop < start) n = ((uint64_t)start - (uint64_t)stop - 1) / width + 1;
    if (n > 100000)
        return ig_tpl_raise(
            st, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
    struct tpl_range *r = ig_tpl_alloc(st, sizeof *r);
    if (!r) return false;
    *r = (struct tpl_range){start, stop, step, (size_t)n};
    *out = (struct tpl_val){.kind = V_RANGE, .u.range = r};
    return true;
}

static bool update(struct tpl_st *st, struct tpl_dict *d, const struct tpl_val *from) {
    struct tpl_list *l, *pair;
    if (from->kind == V_DICT) {
        for (size_t i = 0; i < from->u.d->n; i++)
            if (!ig_tpl_dict_set(st, d, &from->u.d->v[i].key, &from->u.d->v[i].value)) return false;
        return true;
    }
    if (!ig_tpl_iter(st, from, &l)) return false;
    for (size_t i = 0; i < l->n; i++) {
        if (!ig_tpl_iter(st, &l->v[i], &pair)) return false;
        if (pair->n != 2)
            return ig_tpl_raise(
                st, "dictionary update sequence element #%zu has length %zu; 2 is required", i,
                pair->n);
        if (!ig_tpl_dict_set(st, d, &pair->v[0], &pair->v[1])) return false;
    }
    return true;
}

static bool from_args(struct tpl_st *st, uint8_t kind, const struct tpl_args *args,
                      struct tpl_val *out) {
    if (args->n_pos > 1)
        return ig_tpl_raise(st, "dict expected at most 1 argument, got %zu", args->n_pos);
    if (!ig_tpl_dict(st, kind, out)) return false;
    if (args->n_pos && !update(st, out->u.d, &args->pos[0])) return false;
    for (size_t i = 0; i < args->n_kw; i++) {
        struct tpl_val key;
        if (!ig_tpl_str(st, args->kw[i].name.p, args->kw[i].name.n, false, &key) ||
            !ig_tpl_dict_set(st, out->u.d, &key, &args->kw[i].value))
            return false;
    }
    return true;
}

FUNC(f_dict) {
    return UNUSED, from_args(st, V_DICT, args, out);
}
FUNC(f_namespace) {
    return UNUSED, from_args(st, V_NS, args, out);
}

FUNC(f_raise) {
    UNUSED, (void)out;
    struct tpl_val text;
    if (!ig_tpl_to_str(st, &a[0], &text)) return false;
    return ig_tpl_raise_text(st, (struct ig_str){text.u.s->p, text.u.s->n});
}

FUNC(f_strftime) {
    UNUSED;
    if (a[0].kind != V_STR)
        return ig_tpl_raise(st, "strftime() argument 1 must be str, not %s", ig_tpl_type(&a[0]));
    return ig_tpl_strftime(st, a[0].u.s, out);
}

static bool make_cycler(struct tpl_st *st, uint8_t kind, const struct tpl_val *items,
                        struct tpl_val *out) {
    struct tpl_cycler *c = ig_tpl_alloc(st, sizeof *c);
    if (!c) return false;
    *c = (struct tpl_cycler){.items = *items};
    *out = (struct tpl_val){.kind = kind, .u.cycler = c};
    return true;
}

FUNC(f_cycler) {
    UNUSED;
    struct tpl_val items;
    if (!args->n_pos) return ig_tpl_raise(st, "at least one item has to be provided");
    if (!ig_tpl_list(st, 0, V_TUPLE, &items)) return false;
    for (size_t i = 0; i < args->n_pos; i++)
        if (!ig_tpl_push(st, items.u.l, &args->pos[i])) return false;
    return make_cycler(st, V_CYCLER, &items, out);
}

FUNC(f_joiner) {
    UNUSED;
    struct tpl_val sep = a[0];
    if (sep.kind == V_MISSING && !ig_tpl_str(st, ", ", 2, false, &sep)) return false;
    return make_cycler(st, V_JOINER, &sep, out);
}

static const struct tpl_func globals[] = {
    {"range", "start,stop=,step=", f_range},
    {"dict", NULL, f_dict},
    {"namespace", NULL, f_namespace},
    {"cycler", NULL, f_cycler},
    {"joiner", "sep=", f_joiner},
    {"raise_exception", "message", f_raise},
    {"strftime_now", "format", f_strftime},
};

const struct tpl_func *ig_tpl_global(struct ig_str name) {
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
        if (ig_str_is(name, globals[i].name)) return &globals[i];
    return NULL;
}

/* ---- Methods of dicts ---- */

FUNC(m_get) {
    UNUSED;
    const struct tpl_val *got = ig_tpl_dict_get(st, self->u.d, &a[0]);
    if (st->code) return false;
    *out = got ? *got : a[1].kind == V_MISSING ? tpl_none() : a[1];
    return true;
}

static bool view(struct tpl_st *st, const struct tpl_val *self, enum tpl_view_kind what,
                 struct tpl_val *out) {
    struct tpl_view *v = ig_tpl_alloc(st, sizeof *v);
    if (!v) return false;
    *v = (struct tpl_view){self->u.d, what};
    *out = (struct tpl_val){.kind = V_VIEW, .u.view = v};
    return true;
}

FUNC(m_items) {
    return UNUSED, view(st, self, VIEW_ITEMS, out);
}
FUNC(m_keys) {
    return UNUSED, view(st, self, VIEW_KEYS, out);
}
FUNC(m_values) {
    return UNUSED, view(st, self, VIEW_VALUES, out);
}
FUNC(m_dict_copy) {
    UNUSED;
    return ig_tpl_dict(st, V_DICT, out) && update(st, out->u.d, self);
}

static const struct tpl_func dict_methods[] = {
    {"get", "key,default=", m_get}, {"items", "", m_items},    {"keys", "", m_keys},
    {"values", "", m_values},       {"copy", "", m_dict_copy}, {0},
};

/* ---- Methods of lists and tuples ---- */

FUNC(m_count) {
    UNUSED;
    int64_t n = 0;
    for (size_t i = 0; i < self->u.l->n; i++) {
        bool same;
        if (!ig_tpl_step(st) || !ig_tpl_equal(st, &self->u.l->v[i], &a[0], &same)) return false;
        n += same;
    }
    *out = tpl_int(n);
    return true;
}

FUNC(m_index) {
    UNUSED;
    int64_t from = 0, to = (int64_t)self->u.l->n, n = to;
    if (a[1].kind != V_MISSING && !ig_tpl_int_arg(st, &a[1], &from)) return false;
    if (a[2].kind != V_MISSING && !ig_tpl_int_arg(st, &a[2], &to)) return false;
    if (from < 0) from = from + n < 0 ? 0 : from + n;
    if (to < 0) to += n;
    for (int64_t i = from; i < to && i < n; i++) {
        bool same;
        if (!ig_tpl_step(st) || !ig_tpl_equal(st, &self->u.l->v[i], &a[0], &same)) return false;
        if (same) return *out = tpl_int(i), true;
    }
    return ig_tpl_raise(st, "%s",
                        self->kind == V_TUPLE ? "tuple.index(x): x not in tuple"
                                              : "the value is not in list");
}

FUNC(m_list_copy) {
    UNUSED;
    *out = *self; /* lists never change */
    return true;
}

static const struct tpl_func list_methods[] = {{"count", "value", m_count},
                                               {"index", "value,start=,stop=", m_index},
                                               {"copy", "", m_list_copy},
                                               {0}};
static const struct tpl_func tuple_methods[] = {
    {"count", "value", m_count}, {"index", "value,start=,stop=", m_index}, {0}};

/* ---- Numbers, loops, cyclers ---- */

FUNC(m_is_integer) {
    UNUSED;
    *out = tpl_bool(isfinite(self->u.f) && self->u.f == floor(self->u.f));
    return true;
}
FUNC(m_bit_length) {
    UNUSED;
    int64_t i = tpl_as_int(self), n = 0;
    for (uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i; u; u >>= 1) n++;
    *out = tpl_int(n);
    return true;
}
static const struct tpl_func float_methods[] = {{"is_integer", "", m_is_integer}, {0}};
static const struct tpl_func int_methods[] = {{"bit_length", "", m_bit_length}, {0}};

FUNC(m_cycle) {
    UNUSED;
    if (!args->n_pos) return ig_tpl_raise(st, "no items for cycling given");
    *out = args->pos[self->u.loop->at % args->n_pos];
    return true;
}

FUNC(m_changed) {
    UNUSED;
    struct tpl_loop *loop = self->u.loop;
    struct tpl_val now;
    bool same = false;
    if (!ig_tpl_list(st, 0, V_TUPLE, &now)) return false;
    for (size_t i = 0; i < args->n_pos; i++)
        if (!ig_tpl_push(st, now.u.l, &args->pos[i])) return false;
    if (loop->changed.kind == V_TUPLE && !ig_tpl_equal(st, &loop->changed, &now, &same))
        return false;
    loop->changed = now;
    *out = tpl_bool(!same);
    return true;
}
static const struct tpl_func loop_methods[] = {
    {"cycle", NULL, m_cycle}, {"changed", NULL, m_changed}, {0}};

FUNC(m_next) {
    UNUSED;
    struct tpl_cycler *c = self->u.cycler;
    *out = c->items.u.l->v[c->at];
    c->at = (c->at + 1) % c->items.u.l->n;
    return true;
}
FUNC(m_reset) {
    UNUSED;
    self->u.cycler->at = 0;
    *out = tpl_none();
    return true;
}
static const struct tpl_func cycler_methods[] = {{"next", "", m_next}, {"reset", "", m_reset}, {0}};

const struct tpl_func *ig_tpl_method(uint8_t kind, struct ig_str name) {
    const struct tpl_func *tables[2] = {NULL, NULL};
    switch ((enum tpl_kind)kind) {
    case V_DICT: tables[0] = dict_methods; break;
    case V_LIST: tables[0] = list_methods; break;
    case V_TUPLE:
    case V_RANGE: tables[0] = kind == V_TUPLE ? tuple_methods : NULL; break;
    case V_FLOAT: tables[0] = float_methods; break;
    case V_BOOL:
    case V_INT: tables[0] = int_methods; break;
    case V_LOOP: tables[0] = loop_methods; break;
    case V_CYCLER: tables[0] = cycler_methods; break;
    case V_STR:
        tables[0] = ig_tpl_str_methods;
        tables[1] = ig_tpl_str_methods2;
        break;
    default: break;
    }
    for (int i = 0; i < 2; i++)
        for (const struct tpl_func *f = tables[i]; f && f->name; f++)
            if (ig_str_is(name, f->name)) return f;
    return NULL;
}
