/* Drivers are asked for their devices once for a model, and not at all where no device can be
 * wanted: some of them take a tenth of a second to wake. A device is opened for a plan when the
 * first session uses it and stays with the model, so that further sessions find its weights there.
 */
#include "engine/gpus.h"
#include "engine/devices.h"
#include "engine/exec.h"
#include "engine/model.h"

#include <stdio.h>

enum {
    SMALL_MODEL = 8 << 20,   /* bytes of weights: no device is worth its latency */
    LARGE_MODEL = 512 << 20, /* from here on the time to measure a device is well spent */
    MOST_OPEN = 2 * IG_DEVICE_MOST,
    PATH = 512
};

struct opened {
    const struct ig_plan *plan;
    uint32_t index; /* in the list */
    struct ig_gpu_weights *w;
};

struct ig_model_devices {
    struct ig_mem *mem;
    const struct ig_log *log;
    struct ig_mutex lock;
    struct ig_exec_gate gate;
    struct ig_device_list *list; /* NULL: not asked for yet */
    struct opened opened[MOST_OPEN];
    uint32_t n;
    char cache[PATH]; /* folder of compiled programs, or empty */
    /* bytes a second; 0: not measured yet, negative: could not be */
    double speed[IG_DEVICE_MOST], processor;
};

/* A GPU of whom it is not clear is worth it where it reads memory so much faster. */
static const double much_faster = 1.25;
static const double measure_seconds = 0.1;

ingle_status ig_model_devices_open(struct ig_model_devices **out, struct ig_mem *mem,
                                   const struct ig_log *log, ingle_error *err) {
    struct ig_model_devices *d = ig_calloc(mem, 1, sizeof *d);
    *out = d;
    if (!d) return ig_fail_memory(err, sizeof *d);
    d->mem = mem;
    d->log = log;
    ig_os_mutex_init(&d->lock);
    ig_exec_gate_init(&d->gate);
    return INGLE_OK;
}

void ig_model_devices_close(struct ig_model_devices *d) {
    if (!d) return;
    for (uint32_t i = 0; i < d->n; i++) ig_gpu_weights_close(d->opened[i].w);
    ig_exec_gate_free(&d->gate);
    ig_os_mutex_free(&d->lock);
    ig_free(d->mem, d->list);
    ig_free(d->mem, d);
}

void ig_model_devices_rest(struct ig_model_devices *d) {
    ig_exec_gate_shut(&d->gate);
    ig_os_lock(&d->lock);
    for (uint32_t i = 0; i < d->n; i++) ig_gpu_rest(d->opened[i].w);
    ig_os_unlock(&d->lock);
    ig_exec_gate_open(&d->gate);
}

struct ig_exec_gate *ig_model_devices_gate(struct ig_model_devices *d) {
    return &d->gate;
}

/* Beside the model store (docs: INGLE_HOME). */
static void find_cache(char out[PATH]) {
    static const char *const places[][2] = {{"INGLE_HOME", "/programs"},
                                            {"LOCALAPPDATA", "/ingle/programs"},
                                            {"HOME", "/.local/share/ingle/programs"}};
    for (size_t i = 0; i < 3; i++) {
        const char *base = ig_os_env(places[i][0]);
        if (!base || !base[0]) continue;
        int n = snprintf(out, PATH, "%s%s", base, places[i][1]);
        if (n < 0 || n >= PATH) out[0] = 0;
        return;
    }
}

/* ---- With the lock held ---- */

static ingle_status list(struct ig_model_devices *d, ingle_error *err) {
    if (d->list) return INGLE_OK;
    d->list = ig_calloc(d->mem, 1, sizeof *d->list);
    if (!d->list) return ig_fail_memory(err, sizeof *d->list);
    ig_devices_list(d->list);
    find_cache(d->cache);
    return INGLE_OK;
}

static struct ig_gpu_weights *find(const struct ig_model_devices *d, const struct ig_plan *plan,
                                   uint32_t index) {
    for (uint32_t i = 0; i < d->n; i++)
        if (d->opened[i].plan == plan && d->opened[i].index == index) return d->opened[i].w;
    return NULL;
}

static ingle_status open_device(struct ig_model_devices *d, const struct ig_plan *plan,
                                uint32_t index, struct ig_gpu_weights **out, ingle_error *err) {
    struct ig_device_config config = {.mem = d->mem, .log = d->log, .cache = d->cache};
    *out = find(d, plan, index);
    if (*out) return INGLE_OK;
    if (!d->cache[0]) config.cache = NULL;
    if (d->n == MOST_OPEN) return ig_fail(err, INGLE_LIMIT, NULL, "too many devices are open");
    IG_TRY(ig_gpu_weights_open(out, d->mem, plan, &d->list->device[index], &config, err));
    d->opened[d->n++] = (struct opened){plan, index, *out};
    return INGLE_OK;
}

/* Speeds, of those devices only whose use depends on it. */
static double speed(void *ud, const struct ig_device_info *info) {
    struct ig_model_devices *d = ud;
    struct ig_device_speed s;
    if (!info) {
        if (d->processor == 0) d->processor = ig_processor_speed(d->mem, ig_os_core_count());
        return d->processor * much_faster;
    }
    double *known = &d->speed[info - d->list->device];
    if (!info->usable || info->software || !ig_place_not_auto(info)) return 0;
    if (*known == 0) {
        ig_device_measure(d->mem, info, measure_seconds, &s);
        *known = s.memory > 0 ? s.memory : -1;
        ig_log(d->log, INGLE_LOG_INFO, "%s%u (%s) reads %.1f GB/s, the processor %.1f GB/s",
               info->backend, info->index, info->name, s.memory / 1e9, d->processor / 1e9);
    }
    return *known > 0 ? *known : 0;
}

static bool has_doubtful(const struct ig_device_list *l) {
    bool doubtful = false;
    for (uint32_t i = 0; i < l->n; i++) {
        if (!ig_place_not_auto(&l->device[i])) return false;
        doubtful |= l->device[i].usable && !l->device[i].software;
    }
    return doubtful;
}

/* ---- Placing ---- */

struct placing {
    struct ig_placed *out;
    struct ig_model_devices *devices;
    const struct ig_plan *plan;
    struct ig_place_choice choice;
    struct ig_place_wish wish;
    const struct ig_placement *beside;
    bool named; /* the user named the devices */
};

/* Bytes for this plan on a device: what another plan will take there is taken off. */
static uint64_t free_bytes(const struct placing *p, uint32_t index) {
    const struct ig_device_info *info = &p->devices->list->device[index];
    struct ig_gpu_weights *own = find(p->devices, p->plan, index);
    if (own) return ig_gpu_weights_free(own);
    uint64_t bytes = info->memory_free, taken = 0;
    for (uint32_t i = 0; i < p->devices->n; i++)
        if (p->devices->opened[i].index == index)
            bytes = ig_gpu_weights_free(p->devices->opened[i].w);
    for (uint32_t d = 0; p->beside && d < IG_DEVICE_MOST; d++)
        if (p->beside->on[d] && ig_place_same(p->beside->on[d], info)) taken = p->beside->bytes[d];
    return bytes > taken ? bytes - taken : 0;
}

static ingle_status place(struct placing *p, ingle_error *err) {
    struct ig_place_device device[IG_DEVICE_MOST];
    for (uint32_t i = 0; i < p->choice.n; i++) {
        uint32_t index = p->choice.index[i];
        device[i].info = &p->devices->list->device[index];
        device[i].free = free_bytes(p, index);
    }
    p->wish.devices = device;
    p->wish.n_devices = p->choice.n;
    IG_TRY(ig_place_make(&p->out->place, &p->out->arena, p->plan, &p->wish, err));
    p->wish.devices = NULL;
    return INGLE_OK;
}

static bool in_use(const struct placing *p, uint32_t device) {
    for (uint32_t i = 0; i < p->plan->n_ops; i++)
        if (p->out->place.where[i] == (int8_t)device) return true;
    return false;
}

static void renumber(struct placing *p, uint32_t from, uint32_t to) {
    for (uint32_t i = 0; i < p->plan->n_ops; i++)
        if (p->out->place.where[i] == (int8_t)from) p->out->place.where[i] = (int8_t)to;
}

/* Opens those in use and numbers them anew. *again: one could not be opened and was taken out. */
static ingle_status open_used(struct placing *p, bool *again, ingle_error *err) {
    ingle_error why;
    *again = false;
    p->out->n = 0;
    for (uint32_t i = 0; i < p->choice.n; i++) {
        uint32_t n = p->out->n;
        if (!in_use(p, i)) continue;
        ingle_status status =
            open_device(p->devices, p->plan, p->choice.index[i], &p->out->devices[n], &why);
        if (status != INGLE_OK && p->named) {
            if (err) *err = why;
            return status;
        }
        if (status != INGLE_OK) {
            const struct ig_device_info *info = &p->devices->list->device[p->choice.index[i]];
            ig_log(p->devices->log, INGLE_LOG_WARN, "%s%u (%s) is not used: %s", info->backend,
                   info->index, info->name, why.message);
            snprintf(p->out->why, sizeof p->out->why, "%.200s", why.message);
            for (uint32_t k = i + 1; k < p->choice.n; k++)
                p->choice.index[k - 1] = p->choice.index[k];
            p->choice.n--;
            *again = true;
            return INGLE_OK;
        }
        renumber(p, i, n);
        p->out->n++;
    }
    return INGLE_OK;
}

static ingle_status place_and_open(struct placing *p, bool open, ingle_error *err) {
    bool again = true;
    while (again) {
        IG_TRY(place(p, err));
        again = false;
        if (p->out->place.where && open) IG_TRY(open_used(p, &again, err));
    }
    return INGLE_OK;
}

static void say(const struct placing *p, const ingle_options *o) {
    const struct ig_log *log = p->devices->log;
    const struct ig_placed *out = p->out;
    bool wished = p->named || ig_options_int(o, IG_OPT_GPU_LAYERS) != IG_LAYERS_AUTO;
    if (out->place.where)
        ig_log(log, out->place.fits ? INGLE_LOG_INFO : INGLE_LOG_WARN, "%s%s", out->place.text,
               out->place.fits ? "" : ": more than is free there");
    else if (out->why[0])
        ig_log(log, wished ? INGLE_LOG_WARN : INGLE_LOG_INFO, "no GPU is used: %s", out->why);
}

static void explain(struct placing *p) {
    struct ig_placed *out = p->out;
    const struct ig_device_list *l = p->devices->list;
    if (out->place.where || out->why[0]) return;
    snprintf(out->why, sizeof out->why, "%s", p->choice.why);
    if (p->choice.n) snprintf(out->why, sizeof out->why, "no layer fits the memory that is free");
    for (int i = 0; i < 3 && !l->n && !out->why[0]; i++)
        snprintf(out->why, sizeof out->why, "%s", l->why[i]);
    if (!out->why[0]) snprintf(out->why, sizeof out->why, "there is none");
}

ingle_status ig_model_place(struct ig_placed *out, const struct ingle_model *m,
                            const struct ig_plan *plan, struct ig_mem *mem, const ingle_options *o,
                            const struct ig_place_room *room, bool open, ingle_error *err) {
    const char *device = ingle_options_get(o, "device");
    struct placing p = {
        .out = out,
        .devices = m->devices,
        .plan = plan,
        .wish = {.layers = ig_options_int(o, IG_OPT_GPU_LAYERS),
                 .context = room->context,
                 .batch = room->batch,
                 .kv = (enum ig_cache_type)ig_options_choice(o, IG_OPT_KV)},
        .beside = room->beside,
        .named = ig_place_named(device),
    };
    *out = (struct ig_placed){.arena = {.mem = mem}};
    if (!p.wish.layers || (!p.named && strcmp(device, "auto") != 0)) return INGLE_OK;
    if (!p.named && p.wish.layers == IG_LAYERS_AUTO && ig_model_weight_bytes(m) < SMALL_MODEL) {
        snprintf(out->why, sizeof out->why, "the model is too small to gain by it");
        return INGLE_OK;
    }
    ig_os_lock(&p.devices->lock);
    ingle_status status = list(p.devices, err);
    if (status == INGLE_OK) {
        bool measure = ig_model_weight_bytes(m) >= LARGE_MODEL && has_doubtful(p.devices->list);
        status = ig_place_choose(&p.choice, p.devices->list, device, measure ? speed : NULL,
                                 p.devices, err);
    }
    if (status == INGLE_OK) status = place_and_open(&p, open, err);
    if (status == INGLE_OK) explain(&p);
    ig_os_unlock(&p.devices->lock);
    if (status == INGLE_OK && open) say(&p, o);
    if (status != INGLE_OK) ig_placed_free(out);
    return status;
}

void ig_placed_free(struct ig_placed *p) {
    if (p->arena.mem) ig_arena_free(&p->arena);
    p->place.where = NULL;
    p->n = 0;
}
