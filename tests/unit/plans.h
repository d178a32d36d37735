/* Models opened as plans, caches for them, and every golden model one after another: for tests below the engine. Include
 * after cmocka.h. */
#ifndef PLANS_H
#define PLANS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/cache.h"
#include "plan/plan.h"

static inline bool plan_type_size(uint32_t type, uint32_t *weights, uint32_t *bytes,
                                  const char **name, const char **why) {
    const struct ig_quant *q = ig_quant_by_id(type);
    *why = NULL;
    if (!q) return false;
    *weights = q->block;
    *bytes = q->bytes;
    *name = q->name;
    return true;
}

struct model {
    struct ig_mem mem;
    struct ig_view view;
    struct ig_arena arena;
    struct ig_arch arch;
    struct ig_plan plan;
};

/* False: not a model that is run; nothing is left then. */
static inline bool plan_open(struct model *m, const char *path, ingle_error *err) {
    memset(m, 0, sizeof *m);
    m->arena.mem = &m->mem;
    if (ig_view_open(&m->view, &m->mem, path, plan_type_size, NULL, err)) return false;
    if (!ig_arch_open(&m->arch, &m->arena, &m->view, NULL, err) &&
        !ig_plan_make(&m->plan, &m->arena, &m->arch, err))
        return true;
    ig_arena_free(&m->arena);
    ig_view_close(&m->view);
    assert_int_equal(ig_mem_used(&m->mem), 0);
    return false;
}

static inline void plan_close(struct model *m) {
    ig_arena_free(&m->arena);
    ig_view_close(&m->view);
    assert_int_equal(ig_mem_used(&m->mem), 0);
}

/* Empty; ig_cache_reserve makes room. */
static inline void plan_cache(struct ig_cache *cache, struct ig_mem *mem,
                              const struct ig_hparams *hp, enum ig_cache_type type,
                              uint32_t context, uint32_t batch) {
    struct ig_cache_want *want = calloc(hp->n_layer, sizeof *want);
    ingle_error err;
    for (uint32_t i = 0; i < hp->n_layer; i++) {
        const struct ig_layer_params *l = &hp->layer[i];
        want[i] =
            (struct ig_cache_want){l->n_head_kv, l->head_k, l->head_v, l->window, l->kv_layer};
    }
    if (ig_cache_open(cache, mem, want, hp->n_layer, type, context, batch, &err))
        fail_msg("%s", err.message);
    free(want);
}

/* Where golden data lies: 0 as committed, 1 unpacked. */
static inline const char *plan_root(int i) {
    static const char *const variables[] = {"INGLE_GOLDEN", "INGLE_GOLDEN_BUILD"},
                             *const defaults[] = {"tests/golden", "build/golden"};
    return getenv(variables[i]) ? getenv(variables[i]) : defaults[i];
}

/* One of so many models of each folder, or those of these names (n = 0: no names). */
struct plan_choice {
    char *const *names;
    int n;
    uint32_t thin;
};
static inline bool plan_chosen(const struct plan_choice *c, const char *name, uint32_t i) {
    for (int k = 0; k < c->n; k++)
        if (!strcmp(c->names[k], name)) return true;
    return !c->n && i % c->thin == 0;
}

static inline int plan_by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Checks the chosen models of a folder and counts those that are run; returns how many are bad. A check's answer is -1
 * for what is not run, else whether it is bad. -1: there is no such folder. */
static inline int plan_folder(const char *folder, const struct plan_choice *c,
                              int (*check)(const char *path, const char *name), int *count) {
    DIR *d = opendir(folder);
    char *names[512], path[1400];
    uint32_t n = 0;
    int bad = 0;
    if (!d) return -1;
    for (struct dirent *e; n < 512 && (e = readdir(d));)
        if (e->d_name[0] != '.') names[n++] = strdup(e->d_name);
    closedir(d);
    qsort(names, n, sizeof *names, plan_by_name);
    for (uint32_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        int result = plan_chosen(c, names[i], i) ? check(path, names[i]) : -1;
        *count += result >= 0;
        bad += result > 0;
        free(names[i]);
    }
    return bad;
}

#endif
