/* Making values: lists, dicts, undefined values, JSON in. A dict keeps insertion order; from nine
 * entries on it has a hash index. Numbers that are equal are the same key, as in Python (1, 1.0,
 * True). */
#include "chat/tpl.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/hash.h"

const char *ig_tpl_type(const struct tpl_val *v) {
    switch ((enum tpl_kind)v->kind) {
    case V_MISSING: return "missing";
    case V_UNDEF: return "Undefined";
    case V_NONE: return "NoneType";
    case V_BOOL: return "bool";
    case V_INT: return "int";
    case V_FLOAT: return "float";
    case V_STR: return v->u.s->safe ? "Markup" : "str";
    case V_LIST: return "list";
    case V_TUPLE: return "tuple";
    case V_DICT: return "dict";
    case V_VIEW:
        return v->u.view->what == VIEW_ITEMS  ? "dict_items"
               : v->u.view->what == VIEW_KEYS ? "dict_keys"
                                              : "dict_values";
    case V_GEN: return v->u.gen->type;
    case V_RANGE: return "range";
    case V_NS: return "Namespace";
    case V_MACRO: return "Macro";
    case V_METHOD: return "builtin_function_or_method";
    case V_FUNC: return "function";
    case V_LOOP: return "LoopContext";
    case V_CYCLER: return "Cycler";
    case V_JOINER: return "Joiner";
    }
    return "object";
}

bool ig_tpl_truth(const struct tpl_val *v) {
    switch ((enum tpl_kind)v->kind) {
    case V_MISSING:
    case V_UNDEF:
    case V_NONE: return false;
    case V_BOOL: return v->u.b;
    case V_INT: return v->u.i != 0;
    case V_FLOAT: return v->u.f != 0;
    case V_STR: return v->u.s->n != 0;
    case V_LIST:
    case V_TUPLE: return v->u.l->n != 0;
    case V_DICT: return v->u.d->n != 0;
    case V_VIEW: return v->u.view->d->n != 0;
    case V_RANGE: return v->u.range->n != 0;
    case V_GEN:
    case V_NS:
    case V_MACRO:
    case V_METHOD:
    case V_FUNC:
    case V_LOOP:
    case V_CYCLER:
    case V_JOINER: return true;
    }
    return true;
}

/* ---- Lists ---- */

bool ig_tpl_list(struct tpl_st *st, size_t cap, uint8_t kind, struct tpl_val *out) {
    struct tpl_list *l = ig_tpl_alloc(st, sizeof *l);
    if (!l) return false;
    *l = (struct tpl_list){.cap = cap};
    size_t bytes;
    if (!ig_mul(cap, sizeof *l->v, &bytes)) return ig_tpl_raise(st, "a list is too long");
    if (cap && !(l->v = ig_tpl_alloc(st, bytes))) return false;
    *out = (struct tpl_val){.kind = kind, .u.l = l};
    return true;
}

bool ig_tpl_push(struct tpl_st *st, struct tpl_list *l, const struct tpl_val *v) {
    if (l->n == l->cap) {
        size_t cap = l->cap < 4 ? 8 : l->cap * 2;
        struct tpl_val *more = ig_tpl_alloc(st, cap * sizeof *more);
        if (!more) return false;
        if (l->n) memcpy(more, l->v, l->n * sizeof *more);
        l->v = more;
        l->cap = cap;
    }
    l->v[l->n++] = *v;
    return true;
}

bool ig_tpl_pair(struct tpl_st *st, const struct tpl_val *a, const struct tpl_val *b,
                 struct tpl_val *out) {
    if (!ig_tpl_list(st, 2, V_TUPLE, out)) return false;
    out->u.l->v[0] = *a;
    out->u.l->v[1] = *b;
    out->u.l->n = 2;
    return true;
}

bool ig_tpl_gen(struct tpl_st *st, struct tpl_list *l, const char *type, struct tpl_val *out) {
    struct tpl_gen *g = ig_tpl_alloc(st, sizeof *g);
    if (!g) return false;
    *g = (struct tpl_gen){.l = l, .type = type};
    *out = (struct tpl_val){.kind = V_GEN, .u.gen = g};
    return true;
}

/* ---- Dicts ---- */

bool ig_tpl_dict(struct tpl_st *st, uint8_t kind, struct tpl_val *out) {
    struct tpl_dict *d = ig_tpl_alloc(st, sizeof *d);
    if (!d) return false;
    *d = (struct tpl_dict){0};
    *out = (struct tpl_val){.kind = kind, .u.d = d};
    return true;
}

static bool hash_of(struct tpl_st *st, const struct tpl_val *key, uint64_t *out) {
    switch ((enum tpl_kind)key->kind) {
    case V_STR: *out = ig_hash(key->u.s->p, key->u.s->n, st->seed); return true;
    case V_BOOL:
    case V_INT: {
        int64_t i = tpl_as_int(key);
        *out = ig_hash(&i, sizeof i, st->seed + 1);
        return true;
    }
    case V_FLOAT: {
        double f = key->u.f;
        if (f == floor(f) && f >= -9.2e18 && f <= 9.2e18) {
            int64_t i = (int64_t)f;
            *out = ig_hash(&i, sizeof i, st->seed + 1);
        } else {
            *out = ig_hash(&f, sizeof f, st->seed + 2);
        }
        return true;
    }
    case V_NONE: *out = st->seed + 3; return true;
    case V_UNDEF: *out = st->seed + 4; return true;
    case V_TUPLE: {
        if (!ig_tpl_enter(st)) return false;
        uint64_t h = st->seed + 5, one;
        bool ok = true;
        for (size_t i = 0; ok && i < key->u.l->n; i++) {
            ok = hash_of(st, &key->u.l->v[i], &one);
            if (ok) h = ig_hash(&one, sizeof one, h);
        }
        st->depth--;
        *out = h;
        return ok;
    }
    case V_LIST:
    case V_DICT: return ig_tpl_raise(st, "unhashable type: '%s'", ig_tpl_type(key));
    default: *out = ig_hash(&key->u, sizeof(void *), st->seed + 6); return true;
    }
}

static bool find(struct tpl_st *st, const struct tpl_dict *d, const struct tpl_val *key,
                 uint64_t hash, size_t *at) {
    *at = SIZE_MAX;
    bool same = false;
    if (!d->index) {
        for (size_t i = 0; i < d->n; i++) {
            if (d->v[i].hash != hash) continue;
            if (!ig_tpl_equal(st, &d->v[i].key, key, &same)) return false;
            if (same) return *at = i, true;
        }
        return true;
    }
    size_t mask = d->n_index - 1;
    for (size_t k = hash & mask; d->index[k]; k = (k + 1) & mask) {
        size_t i = d->index[k] - 1;
        if (!ig_tpl_step(st)) return false;
        if (d->v[i].hash != hash) continue;
        if (!ig_tpl_equal(st, &d->v[i].key, key, &same)) return false;
        if (same) return *at = i, true;
    }
    return true;
}

static void index_put(struct tpl_dict *d, size_t i) {
    size_t mask = d->n_index - 1, k = d->v[i].hash & mask;
    while (d->index[k]) k = (k + 1) & mask;
    d->index[k] = (uint32_t)i + 1;
}

static bool grow(struct tpl_st *st, struct tpl_dict *d) {
    size_t cap = d->cap ? d->cap * 2 : 4;
    if (cap > UINT32_MAX / 4) return ig_tpl_raise(st, "a dict is too big");
    struct tpl_pair *v = ig_tpl_alloc(st, cap * sizeof *v);
    if (!v) return false;
    if (d->n) memcpy(v, d->v, d->n * sizeof *v);
    d->v = v;
    d->cap = cap;
    if (cap <= 8) return true;
    d->n_index = cap * 2;
    d->index = ig_tpl_alloc(st, d->n_index * sizeof *d->index);
    if (!d->index) return false;
    memset(d->index, 0, d->n_index * sizeof *d->index);
    for (size_t i = 0; i < d->n; i++) index_put(d, i);
    return true;
}

bool ig_tpl_dict_set(struct tpl_st *st, struct tpl_dict *d, const struct tpl_val *key,
                     const struct tpl_val *value) {
    uint64_t hash = 0;
    size_t at;
    if (!hash_of(st, key, &hash) || !find(st, d, key, hash, &at)) return false;
    if (at != SIZE_MAX) {
        d->v[at].value = *value;
        return true;
    }
    if (d->n == d->cap && !grow(st, d)) return false;
    d->v[d->n] = (struct tpl_pair){.key = *key, .value = *value, .hash = hash};
    if (d->index) index_put(d, d->n);
    d->n++;
    return true;
}

struct tpl_val *ig_tpl_dict_get(struct tpl_st *st, const struct tpl_dict *d,
                                const struct tpl_val *key) {
    uint64_t hash = 0;
    size_t at;
    if (!hash_of(st, key, &hash) || !find(st, d, key, hash, &at) || at == SIZE_MAX) return NULL;
    return &d->v[at].value;
}

struct tpl_val *ig_tpl_dict_get_z(struct tpl_st *st, const struct tpl_dict *d, struct ig_str key) {
    struct tpl_str s = {.p = key.p, .n = key.n, .chars = SIZE_MAX};
    struct tpl_val v = {.kind = V_STR, .u.s = &s};
    return ig_tpl_dict_get(st, d, &v);
}

/* ---- Undefined ---- */

bool ig_tpl_undef(struct tpl_st *st, struct tpl_val *out, const char *fmt, ...) {
    char what[300];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    struct tpl_undef *u = ig_tpl_alloc(st, sizeof *u);
    char *copy = u ? ig_tpl_alloc(st, strlen(what) + 1) : NULL;
    if (!copy) return false;
    strcpy(copy, what);
    u->message = copy;
    *out = (struct tpl_val){.kind = V_UNDEF, .u.undef = u};
    return true;
}

/* ---- JSON ---- */

static bool is_role(struct ig_str s) {
    static const char *const roles[] = {"system",      "user",
                                        "assistant",   "tool",
                                        "developer",   "function",
                                        "environment", "ipython",
                                        "context",     "documents",
                                        "model",       "tool_response",
                                        "observation", "function_response"};
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
        if (ig_str_is(s, roles[i])) return true;
    return false;
}

static bool number_from_json(struct tpl_st *st, const struct ig_json *j, struct tpl_val *out) {
    (void)st;
    int64_t i = 0;
    if (j->integer && ig_str_to_i64(j->text, &i))
        *out = tpl_int(i);
    else
        *out = tpl_float(ig_json_f64(j, 0));
    return true;
}

/* Recursion is bounded by the JSON reader's own depth limit and checked again here. */
bool ig_tpl_from_json(struct tpl_st *st, const struct ig_json *j, bool input, struct tpl_val *out) {
    struct tpl_val item, key;
    switch (j->kind) {
    case IG_JSON_NULL: *out = tpl_none(); return true;
    case IG_JSON_BOOL: *out = tpl_bool(j->truth); return true;
    case IG_JSON_NUMBER: return number_from_json(st, j, out);
    case IG_JSON_STRING: return ig_tpl_str(st, j->text.p, j->text.n, input, out);
    default: break;
    }
    if (!ig_tpl_enter(st)) return false;
    bool ok = j->kind == IG_JSON_ARRAY ? ig_tpl_list(st, j->count, V_LIST, out)
                                       : ig_tpl_dict(st, V_DICT, out);
    for (const struct ig_json *c = j->child; ok && c; c = c->next) {
        bool role = ig_str_is(c->key, "role") && c->kind == IG_JSON_STRING && is_role(c->text);
        ok = ig_tpl_from_json(st, c, input && !role, &item);
        if (ok && j->kind == IG_JSON_ARRAY)
            ok = ig_tpl_push(st, out->u.l, &item);
        else if (ok)
            ok = ig_tpl_str(st, c->key.p, c->key.n, input, &key) &&
                 ig_tpl_dict_set(st, out->u.d, &key, &item);
    }
    st->depth--;
    return ok;
}
