/* Layers go to devices from the end, together with the output, so that what stays with the
 * processor is one run of operations in front. If not all layers fit and the model has experts, the
 * experts of some layers stay instead: they are most of the weights and few of them are read for a
 * token.
 *
 * Sizes are those the executor reports; a margin is left for others. The subtle thing: layers that
 * use another layer's keys and values must be where those are, so a device may not begin anywhere.
 */
#include "engine/place.h"

#include <stdio.h>
#include <string.h>

enum {
    LEAST_MARGIN = 256 << 20,
    MARGIN_PARTS = 20, /* 5 % */
    FEW_UNITS = 3      /* GPUs that are there to show pictures have no more */
};

/* ---- Which devices ---- */

bool ig_place_same(const struct ig_device_info *a, const struct ig_device_info *b) {
    return !strcmp(a->backend, b->backend) && a->index == b->index;
}

bool ig_place_named(const char *text) {
    return strcmp(text, "auto") != 0 && strcmp(text, "none") != 0 && strcmp(text, "cpu") != 0 &&
           *text;
}

static void explain(char why[256], const struct ig_device_info *d, const char *what) {
    if (!why[0]) snprintf(why, 256, "%s%u (%s): %s", d->backend, d->index, d->name, what);
}

const char *ig_place_not_auto(const struct ig_device_info *d) {
    if (!d->usable) return d->why;
    if (d->software) return "it computes on the processor, which is faster without it";
    if (!strcmp(d->backend, "metal")) return NULL;
    if (d->unified) return "it reads the processor's memory and is no faster at that";
    if (d->units && d->units <= FEW_UNITS) return "it is too small to be faster than the processor";
    return NULL;
}

static void choose_auto(struct ig_place_choice *out, const struct ig_device_list *list,
                        ig_place_speed_fn speed, void *ud) {
    double processor = speed ? speed(ud, NULL) : 0;
    for (int unified = 0; unified < 2 && !out->n; unified++)
        for (uint32_t i = 0; i < list->n; i++) {
            const struct ig_device_info *d = &list->device[i];
            double own = speed && d->usable && !d->software ? speed(ud, d) : 0;
            if (d->unified != (bool)unified) continue;
            bool faster = own > 0 && own >= processor, slower = own > 0 && !faster;
            const char *why = slower   ? "it is slower than the processor"
                              : faster ? NULL
                                       : ig_place_not_auto(d);
            if (why)
                explain(out->why, d, why);
            else
                out->index[out->n++] = (uint8_t)i;
        }
    if (out->n) out->why[0] = 0;
}

static void list_names(const struct ig_device_list *list, char *out, size_t cap) {
    int n = snprintf(out, cap, "there %s", list->n ? "are:" : "are no devices");
    for (uint32_t i = 0; i < list->n && n > 0 && (size_t)n < cap; i++)
        n += snprintf(out + n, cap - (size_t)n, " %s%u", list->device[i].backend,
                      list->device[i].index);
    for (int i = 0; i < 3 && !list->n && n > 0 && (size_t)n < cap; i++)
        if (list->why[i][0]) n += snprintf(out + n, cap - (size_t)n, "; %s", list->why[i]);
}

static ingle_status choose_one(struct ig_place_choice *out, const struct ig_device_list *list,
                               const char *name, size_t n, ingle_error *err) {
    char hint[256], id[64];
    for (uint32_t i = 0; i < list->n; i++) {
        const struct ig_device_info *d = &list->device[i];
        snprintf(id, sizeof id, "%s%u", d->backend, d->index);
        if (strlen(id) != n || strncmp(id, name, n) != 0) continue;
        if (!d->usable)
            return ig_fail(err, INGLE_DEVICE, d->why, "%s (%s) cannot be used", id, d->name);
        for (uint32_t k = 0; k < out->n; k++)
            if (out->index[k] == i) return INGLE_OK;
        out->index[out->n++] = (uint8_t)i;
        return INGLE_OK;
    }
    list_names(list, hint, sizeof hint);
    return ig_fail(err, INGLE_NOT_FOUND, hint, "there is no device '%.*s'", (int)(n < 64 ? n : 64),
                   name);
}

ingle_status ig_place_choose(struct ig_place_choice *out, const struct ig_device_list *list,
                             const char *text, ig_place_speed_fn speed, void *ud,
                             ingle_error *err) {
    *out = (struct ig_place_choice){.n = 0};
    if (!strcmp(text, "auto")) choose_auto(out, list, speed, ud);
    if (!ig_place_named(text)) return INGLE_OK;
    for (const char *at = text; *at; at += *at == ',') {
        size_t n = strcspn(at, ",");
        if (n) IG_TRY(choose_one(out, list, at, n, err));
        at += n;
    }
    return INGLE_OK;
}

/* ---- Sizes ---- */

struct layer {
    uint32_t first, end;           /* operations */
    uint32_t experts, experts_end; /* of them those between choosing and summing; none: equal */
    uint64_t dense, expert_bytes, kv;
    bool cut; /* a device may begin here */
};

struct placer {
    const struct ig_plan *plan;
    const struct ig_place_wish *wish;
    struct ig_placement *out;
    struct layer *layer; /* [n] */
    uint32_t n;
    uint64_t head, budget[IG_DEVICE_MOST]; /* budget: bytes for weights, keys and values */
    bool head_runs;                        /* a device can compute the output */
    uint32_t lowest;                       /* layers below must stay with the processor */
    uint32_t start[IG_DEVICE_MOST]; /* device d has layers [start[d], start[d - 1]), 0 the last */
    uint32_t k;                     /* devices in use */
};

static void measure_layer(struct placer *p, uint32_t il) {
    const struct ig_plan *plan = p->plan;
    struct layer *l = &p->layer[il];
    uint32_t i = il ? p->layer[il - 1].end : 0;
    while (i < plan->n_ops && plan->ops[i].layer != (int)il) i++;
    l->first = i;
    while (i < plan->n_ops && plan->ops[i].layer == (int)il) i++;
    l->end = l->experts = l->experts_end = i;
    for (i = l->end; i-- > l->first;) {
        if (plan->ops[i].kind == IG_OP_COMBINE && l->experts_end == l->end) l->experts_end = i + 1;
        if (plan->ops[i].kind == IG_OP_ROUTE) l->experts = i;
    }
    if (l->experts == l->end) l->experts_end = l->end;
    l->expert_bytes = ig_gpu_weight_bytes(plan, l->experts, l->experts_end);
    l->dense = ig_gpu_weight_bytes(plan, l->first, l->experts) +
               ig_gpu_weight_bytes(plan, l->experts_end, l->end);
    l->kv = ig_gpu_kv_bytes(plan, il, p->wish->kv, p->wish->context, p->wish->batch);
    l->cut = true;
    if (ig_gpu_can_run(plan, l->first, l->end) < l->end) p->lowest = il + 1;
}

static uint64_t budget_of(const struct placer *p, const struct ig_place_device *d) {
    uint64_t margin = d->info->memory / MARGIN_PARTS, free = d->free;
    if (margin < LEAST_MARGIN) margin = LEAST_MARGIN;
    margin += ig_gpu_scratch_bytes(p->plan, p->wish->context, p->wish->batch);
    return free > margin ? free - margin : 0;
}

static void measure(struct placer *p) {
    const struct ig_hparams *hp = p->plan->hp;
    for (uint32_t il = 0; il < p->n; il++) measure_layer(p, il);
    for (uint32_t il = 0; il < p->n; il++)
        for (uint32_t c = hp->layer[il].kv_layer + 1; c <= il; c++) p->layer[c].cut = false;
    p->head = ig_gpu_weight_bytes(p->plan, p->plan->gather, p->plan->n_ops);
    p->head_runs = ig_gpu_can_run(p->plan, p->plan->gather, p->plan->n_ops) == p->plan->n_ops;
    if (!p->head_runs) p->head = 0;
    for (uint32_t d = 0; d < p->wish->n_devices; d++)
        p->budget[d] = budget_of(p, &p->wish->devices[d]);
}

/* ---- Sharing layers out ---- */

struct way {
    uint32_t from; /* layers [from, n) and the output go to devices */
    uint32_t k;    /* the first k devices */
    bool experts;  /* with their experts */
    bool evenly;   /* each its share by memory, else each as much as it can hold */
    bool over;     /* also if it does not fit */
};

static uint64_t need(const struct placer *p, uint32_t il, const struct way *w) {
    const struct layer *l = &p->layer[il];
    return l->dense + l->kv + (w->experts ? l->expert_bytes : 0);
}

static double share_of(const struct placer *p, const struct way *w, uint32_t d) {
    double total = (double)p->head, sum = 0;
    for (uint32_t il = w->from; il < p->n; il++) total += (double)need(p, il, w);
    for (uint32_t i = 0; i < w->k; i++) sum += (double)p->budget[i];
    if (!w->evenly) return (double)p->budget[d];
    return sum > 0 ? total * (double)p->budget[d] / sum : total / w->k;
}

/* Layers down from `at` for device d; returns its first. */
static uint32_t fill(struct placer *p, const struct way *w, uint32_t d, uint32_t at) {
    double share = share_of(p, w, d);
    uint64_t used = d ? 0 : p->head;
    uint32_t good = at;
    bool last = d + 1 == w->k;
    if (!w->over && used > p->budget[d]) return at;
    while (at > w->from) {
        uint64_t more = need(p, at - 1, w);
        if (!w->over && used + more > p->budget[d]) break;
        if (!last && (double)used + (double)more / 2 > share) break;
        used += more;
        if (p->layer[--at].cut) good = at;
    }
    return good;
}

static bool share(struct placer *p, const struct way *w) {
    uint32_t at = p->n;
    for (uint32_t d = 0; d < w->k; d++) at = p->start[d] = fill(p, w, d, at);
    p->k = w->k;
    return at == w->from && (w->over || p->head <= p->budget[0]);
}

/* On as few devices as can hold them. */
static bool try_from(struct placer *p, uint32_t from, bool experts) {
    for (uint32_t k = 1; k <= p->wish->n_devices; k++)
        for (int evenly = 1; evenly >= 0; evenly--)
            if (share(p, &(struct way){from, k, experts, evenly != 0, false})) return true;
    return false;
}

/* The first layer that goes to a device; n: none. *experts: with all of their experts. */
static uint32_t choose_auto_layers(struct placer *p, bool *experts) {
    uint32_t from = p->lowest;
    *experts = true;
    if (p->n && from == 0 && try_from(p, 0, true)) return 0;
    if (p->n && from == 0 && p->layer[p->n - 1].expert_bytes && try_from(p, 0, false)) {
        *experts = false;
        return 0;
    }
    for (; from < p->n; from++)
        if (p->layer[from].cut && try_from(p, from, true)) return from;
    return p->n;
}

static uint32_t choose_layers(struct placer *p, bool *experts) {
    int64_t layers = p->wish->layers;
    if (layers == IG_LAYERS_AUTO) return choose_auto_layers(p, experts);
    uint32_t from = layers == IG_LAYERS_ALL || layers > p->n ? 0 : p->n - (uint32_t)layers;
    *experts = true;
    if (from < p->lowest) from = p->lowest;
    while (from < p->n && !p->layer[from].cut) from++;
    if (from == p->n || try_from(p, from, true)) return from;
    share(p, &(struct way){from, p->wish->n_devices, true, true, true});
    return from;
}

/* ---- Writing it down ---- */

/* In front of the layers: looking up embeddings is the processor's, who has the table anyway; the
 * rest is the first layer's device's. A table that the device has for the output is looked up
 * there. */
static void place_front(struct placer *p, int8_t device, bool has_head) {
    const struct ig_plan *plan = p->plan;
    uint32_t from = 0, end = p->layer[0].first;
    const struct ig_op *output = NULL;
    for (uint32_t i = plan->gather; i < plan->n_ops; i++)
        if (plan->ops[i].kind == IG_OP_LINEAR) output = &plan->ops[i];
    for (uint32_t i = 0; i < end; i++) {
        const struct ig_op *op = &plan->ops[i];
        bool tied = op->kind == IG_OP_EMBED && has_head && output &&
                    op->w[0]->mat.data == output->w[0]->mat.data;
        if ((op->kind == IG_OP_EMBED || op->kind == IG_OP_JOIN) && !tied) from = i + 1;
    }
    if (ig_gpu_can_run(plan, from, end) < end) return;
    for (uint32_t i = from; i < end; i++) p->out->where[i] = device;
    p->out->bytes[device] += ig_gpu_weight_bytes(plan, from, end);
}

static void place_layers(struct placer *p, bool experts) {
    struct ig_placement *out = p->out;
    for (uint32_t d = 0; d < p->k; d++) {
        uint32_t end = d ? p->start[d - 1] : p->n;
        uint64_t used = d ? 0 : p->head;
        for (uint32_t il = p->start[d]; il < end; il++)
            used += p->layer[il].dense + p->layer[il].kv;
        for (uint32_t il = end; il-- > p->start[d];) {
            const struct layer *l = &p->layer[il];
            bool with = experts || (p->wish->layers == IG_LAYERS_AUTO &&
                                    used + l->expert_bytes <= p->budget[d]);
            if (with) used += l->expert_bytes;
            for (uint32_t i = l->first; i < l->end; i++)
                if (with || i < l->experts || i >= l->experts_end) out->where[i] = (int8_t)d;
            out->layers++;
            out->experts += with;
        }
        out->bytes[d] = used;
        if (used > p->budget[d]) out->fits = false;
    }
    for (uint32_t i = p->plan->gather; i < p->plan->n_ops && p->head_runs; i++) out->where[i] = 0;
    if (p->start[p->k - 1] == 0) place_front(p, (int8_t)(p->k - 1), p->k == 1 && p->head_runs);
}

static void say(const struct placer *p) {
    struct ig_placement *out = p->out;
    size_t cap = sizeof out->text;
    int n = 0;
    for (uint32_t d = 0; d < p->k && n >= 0 && (size_t)n < cap; d++) {
        const struct ig_place_device *device = &p->wish->devices[d];
        uint32_t layers = (d ? p->start[d - 1] : p->n) - p->start[d];
        n += snprintf(out->text + n, cap - (size_t)n,
                      "%s%u of %u layers%s on %s%u (%s, %.1f of %.1f GB free)", n ? ", " : "",
                      layers, p->n, d || !p->head_runs ? "" : " and the output",
                      device->info->backend, device->info->index, device->info->name,
                      (double)out->bytes[d] / 1e9, (double)device->free / 1e9);
    }
    if (out->experts < out->layers && n >= 0 && (size_t)n < cap)
        snprintf(out->text + n, cap - (size_t)n, "; the experts of %u layers on the processor",
                 out->layers - out->experts);
}

ingle_status ig_place_make(struct ig_placement *out, struct ig_arena *arena,
                           const struct ig_plan *plan, const struct ig_place_wish *wish,
                           ingle_error *err) {
    uint32_t n = plan->hp->n_layer;
    struct placer p = {.plan = plan, .wish = wish, .out = out, .n = n};
    bool experts;
    *out = (struct ig_placement){.fits = true};
    if (!wish->n_devices || !wish->layers || !n) return INGLE_OK;
    p.layer = ig_arena_calloc(arena, n, sizeof *p.layer);
    int8_t *where = ig_arena_alloc(arena, plan->n_ops);
    if (!p.layer || !where) return ig_fail_memory(err, n * sizeof *p.layer);
    memset(where, -1, plan->n_ops);
    for (uint32_t d = 0; d < wish->n_devices; d++) out->on[d] = wish->devices[d].info;
    measure(&p);
    if (choose_layers(&p, &experts) == n) return INGLE_OK;
    out->where = where;
    place_layers(&p, experts);
    say(&p);
    return INGLE_OK;
}
