/* Metadata under one set of names. A GGUF file's keys are read where they lie; a folder's were made
 * by hf.c. Numbers travel as doubles: every integer a configuration holds fits 53 bits. */
#include "arch/arch.h"

#include <math.h>
#include <stdio.h>

static const struct ig_key *find_made(const struct ig_keys *k, const char *name) {
    for (size_t i = k->n_made; i > 0; i--)
        if (strcmp(k->made[i - 1].name, name) == 0) return &k->made[i - 1];
    return NULL;
}

static const struct ig_kv *find_kv(const struct ig_keys *k, const char *name) {
    char full[160];
    if (k->view->folder || k->family.n > 64) return NULL;
    int n = snprintf(full, sizeof full, "%.*s.%s", (int)k->family.n, k->family.p, name);
    if (n <= 0 || (size_t)n >= sizeof full) return NULL;
    const struct ig_kv *kv = ig_view_kv(k->view, full);
    bool bare = !kv && strncmp(name, "xielu.", 6) == 0; /* the one group without a prefix */
    return bare ? ig_view_kv(k->view, name) : kv;
}

bool ig_key_f64(const struct ig_keys *k, const char *name, uint64_t index, double *out) {
    const struct ig_key *made = find_made(k, name);
    if (made) {
        uint64_t at = made->count == 1 ? 0 : index;
        if (!made->number || at >= made->count) return false;
        *out = made->number[at];
        return true;
    }
    const struct ig_kv *kv = find_kv(k, name);
    bool truth;
    if (!kv) return false;
    if (kv->type != IG_KV_ARRAY) index = 0;
    if (ig_kv_f64(kv, index, out)) return true;
    if (!ig_kv_bool(kv, index, &truth)) return false;
    *out = truth;
    return true;
}

bool ig_key_i64(const struct ig_keys *k, const char *name, uint64_t index, int64_t *out) {
    double v;
    if (!ig_key_f64(k, name, index, &v) || !(fabs(v) < 9e15) || floor(v) < v) return false;
    *out = (int64_t)v;
    return true;
}

bool ig_key_bool(const struct ig_keys *k, const char *name, uint64_t index, bool *out) {
    double v;
    if (!ig_key_f64(k, name, index, &v)) return false;
    *out = v > 0 || v < 0;
    return true;
}

bool ig_key_str(const struct ig_keys *k, const char *name, struct ig_str *out) {
    const struct ig_key *made = find_made(k, name);
    if (made) {
        *out = made->text;
        return made->text.p != NULL;
    }
    const struct ig_kv *kv = find_kv(k, name);
    return kv && ig_kv_str(kv, out);
}

uint64_t ig_key_count(const struct ig_keys *k, const char *name) {
    const struct ig_key *made = find_made(k, name);
    if (made) return made->text.p ? 1 : made->count;
    const struct ig_kv *kv = find_kv(k, name);
    return kv ? kv->count : 0;
}

static ingle_status put(struct ig_keys *k, struct ig_key key, ingle_error *err) {
    if (k->n_made == k->cap_made) {
        size_t cap = k->cap_made ? k->cap_made * 2 : 64;
        struct ig_key *more = ig_arena_calloc(k->arena, cap, sizeof *more);
        if (!more) return ig_fail_memory(err, cap * sizeof *more);
        if (k->n_made) memcpy(more, k->made, k->n_made * sizeof *more);
        k->made = more;
        k->cap_made = cap;
    }
    k->made[k->n_made++] = key;
    return INGLE_OK;
}

ingle_status ig_key_put_list(struct ig_keys *k, const char *name, const double *values, uint64_t n,
                             ingle_error *err) {
    double *copy = ig_arena_calloc(k->arena, (size_t)n ? (size_t)n : 1, sizeof *copy);
    if (!copy) return ig_fail_memory(err, (size_t)n * sizeof *copy);
    if (n) memcpy(copy, values, (size_t)n * sizeof *copy);
    return put(k, (struct ig_key){name, copy, n, {NULL, 0}}, err);
}

ingle_status ig_key_put(struct ig_keys *k, const char *name, double value, ingle_error *err) {
    return ig_key_put_list(k, name, &value, 1, err);
}

ingle_status ig_key_put_str(struct ig_keys *k, const char *name, struct ig_str value,
                            ingle_error *err) {
    if (!value.p) value = IG_STR("");
    return put(k, (struct ig_key){name, NULL, 0, value}, err);
}
