/* The processor and devices by turns. A plan is cut into parts where the executor changes; between
 * two parts the rows that the next one reads are copied to where it looks for them. Knows what a
 * buffer is, not what an operation does.
 *
 * The subtle thing is who holds a buffer's rows. `valid` has a bit for the host and for each
 * device; writing a buffer leaves one bit, copying adds one, so nothing is copied twice in a pass.
 * The host's rows lie where the processor wrote them, or where it would read them. Without devices
 * none of this exists and every call goes straight to the processor's executor. */
#include "engine/exec.h"
#include "engine/place.h"

#include <stdio.h>

enum { HOST = 1, NOBODY = -1 };

struct ig_exec {
    struct ig_mem *mem;
    const struct ig_plan *plan;
    const struct ig_log *log;
    const _Atomic bool *cancel;
    struct ig_exec_gate *gate;
    struct ig_cpu *cpu;
    struct ig_arena arena; /* of the parts */
    struct ig_plan_part *parts;
    int8_t *on; /* [n_parts] a device, or -1 */
    uint32_t n_parts;
    struct ig_gpu *gpu[IG_DEVICE_MOST];
    struct ig_gpu_weights *weights[IG_DEVICE_MOST];
    const struct ig_device_info *info[IG_DEVICE_MOST];
    uint32_t n_devices, alive;
    bool keep_states;

    /* of the last run */
    bool shared;                    /* devices took part */
    uint32_t valid[IG_B_COUNT];     /* who holds the rows: HOST, 2 << device */
    const float *host[IG_B_COUNT];  /* the host's */
    size_t host_stride[IG_B_COUNT]; /* floats */
    float *rows[IG_B_COUNT];        /* results that came from a device */
    size_t room[IG_B_COUNT];        /* floats in them */
};

/* ---- The gate ---- */

void ig_exec_gate_init(struct ig_exec_gate *g) {
    *g = (struct ig_exec_gate){.passing = 0};
    ig_os_mutex_init(&g->lock);
    ig_os_cond_init(&g->cond);
}

void ig_exec_gate_free(struct ig_exec_gate *g) {
    ig_os_cond_free(&g->cond);
    ig_os_mutex_free(&g->lock);
}

void ig_exec_gate_shut(struct ig_exec_gate *g) {
    ig_os_lock(&g->lock);
    g->shut++;
    while (g->passing) ig_os_wait(&g->cond, &g->lock);
    ig_os_unlock(&g->lock);
}

void ig_exec_gate_open(struct ig_exec_gate *g) {
    ig_os_lock(&g->lock);
    g->shut--;
    ig_os_wake_all(&g->cond);
    ig_os_unlock(&g->lock);
}

static void enter(struct ig_exec_gate *g) {
    if (!g) return;
    ig_os_lock(&g->lock);
    while (g->shut) ig_os_wait(&g->cond, &g->lock);
    g->passing++;
    ig_os_unlock(&g->lock);
}

static void leave(struct ig_exec_gate *g) {
    if (!g) return;
    ig_os_lock(&g->lock);
    g->passing--;
    ig_os_wake_all(&g->cond);
    ig_os_unlock(&g->lock);
}

/* ---- Open ---- */

static ingle_status add_part(struct ig_exec *e, uint32_t from, uint32_t to, int8_t on,
                             ingle_error *err) {
    e->on[e->n_parts] = on;
    return ig_plan_part_make(&e->parts[e->n_parts++], e->plan, from, to, &e->arena, err);
}

static ingle_status cut(struct ig_exec *e, const int8_t *where, ingle_error *err) {
    uint32_t n = 1, from = 0, n_ops = e->plan->n_ops;
    for (uint32_t i = 1; i < n_ops; i++) n += where[i] != where[i - 1];
    e->parts = ig_arena_calloc(&e->arena, n, sizeof *e->parts);
    e->on = ig_arena_calloc(&e->arena, n, sizeof *e->on);
    if (!e->parts || !e->on) return ig_fail_memory(err, n * sizeof *e->parts);
    for (uint32_t i = 1; i <= n_ops; i++) {
        if (i < n_ops && where[i] == where[i - 1]) continue;
        IG_TRY(add_part(e, from, i, where[from], err));
        from = i;
    }
    return INGLE_OK;
}

/* The device is of no more use to this executor: its parts are the processor's. Its memory may be
 * what was short: it is given back, and other executors bring there again what they need. */
static void drop(struct ig_exec *e, int device, const ingle_error *why) {
    const struct ig_device_info *info = e->info[device];
    ig_log(e->log, INGLE_LOG_WARN, "%s%u (%s) is not used any more, the processor goes on: %s",
           info->backend, info->index, info->name, why->message);
    for (uint32_t i = 0; i < e->n_parts; i++)
        if (e->on[i] == device) e->on[i] = NOBODY;
    ig_gpu_close(e->gpu[device]);
    e->gpu[device] = NULL;
    e->alive--;
    if (e->gate) ig_exec_gate_shut(e->gate);
    ig_gpu_rest(e->weights[device]);
    if (e->gate) ig_exec_gate_open(e->gate);
}

static void open_devices(struct ig_exec *e, const struct ig_exec_config *config) {
    struct ig_gpu_config c = {.context = config->cpu.context,
                              .batch = config->batch,
                              .cancel = config->cpu.cancel,
                              .log = config->log,
                              .to_f16 = ig_cpu_to_f16(e->cpu)};
    ingle_error err;
    e->n_devices = e->alive = config->n_devices;
    for (uint32_t i = 0; i < e->n_devices; i++) {
        e->weights[i] = config->devices[i];
        e->info[i] = ig_gpu_weights_info(config->devices[i]);
    }
    for (uint32_t i = 0; i < e->n_devices; i++)
        if (ig_gpu_open(&e->gpu[i], e->mem, config->devices[i], &c, &err) != INGLE_OK)
            drop(e, (int)i, &err);
}

static ingle_status open_parts(struct ig_exec *e, const struct ig_exec_config *config,
                               ingle_error *err) {
    struct ig_cpu_config cpu = config->cpu;
    if (config->where && config->n_devices) {
        IG_TRY(cut(e, config->where, err));
        cpu.parts = e->parts;
        cpu.n_parts = e->n_parts;
    }
    IG_TRY(ig_cpu_open(&e->cpu, e->mem, e->plan, &cpu, err));
    if (e->n_parts) open_devices(e, config);
    return INGLE_OK;
}

ingle_status ig_exec_open(struct ig_exec **out, struct ig_mem *mem, const struct ig_plan *plan,
                          const struct ig_exec_config *config, ingle_error *err) {
    struct ig_exec *e = ig_calloc(mem, 1, sizeof *e);
    *out = NULL;
    if (!e) return ig_fail_memory(err, sizeof *e);
    e->mem = e->arena.mem = mem;
    e->plan = plan;
    e->log = config->log;
    e->cancel = config->cpu.cancel;
    e->gate = config->gate;
    ingle_status status = open_parts(e, config, err);
    if (status != INGLE_OK)
        ig_exec_close(e);
    else
        *out = e;
    return status;
}

void ig_exec_close(struct ig_exec *e) {
    if (!e) return;
    for (uint32_t i = 0; i < e->n_devices; i++) ig_gpu_close(e->gpu[i]);
    for (unsigned b = 0; b < IG_B_COUNT; b++) ig_free(e->mem, e->rows[b]);
    ig_cpu_close(e->cpu);
    ig_arena_free(&e->arena);
    ig_free(e->mem, e);
}

/* ---- Rows ---- */

static uint32_t holder_bit(int device) {
    return device == NOBODY ? (uint32_t)HOST : (uint32_t)HOST << (device + 1);
}

static int holder(const struct ig_exec *e, unsigned buffer) {
    int device = 0;
    while (!(e->valid[buffer] >> (device + 1) & 1)) device++;
    return device;
}

/* Rows of a buffer to the host, where the processor reads them. *failed: the device that did. */
static ingle_status to_host(struct ig_exec *e, unsigned buffer, uint32_t rows, int *failed,
                            ingle_error *err) {
    size_t stride;
    float *to = ig_cpu_in(e->cpu, buffer, &stride);
    if (!(e->valid[buffer] & HOST)) {
        *failed = holder(e, buffer);
        IG_TRY(ig_gpu_get(e->gpu[*failed], buffer, 0, rows, to, stride, err));
        e->host[buffer] = to;
        e->host_stride[buffer] = stride;
        e->valid[buffer] |= HOST;
    }
    return INGLE_OK;
}

/* What a part of the processor's reads lies in the common buffers, also what a thread made for
 * itself. */
static ingle_status give_host(struct ig_exec *e, unsigned buffer, uint32_t rows, int *failed,
                              ingle_error *err) {
    size_t stride;
    float *to = ig_cpu_in(e->cpu, buffer, &stride);
    IG_TRY(to_host(e, buffer, rows, failed, err));
    if (e->host[buffer] == to) return INGLE_OK;
    memcpy(to, e->host[buffer], rows * stride * sizeof *to);
    e->host[buffer] = to;
    return INGLE_OK;
}

static ingle_status give_device(struct ig_exec *e, int device, unsigned buffer, uint32_t rows,
                                int *failed, ingle_error *err) {
    if (e->valid[buffer] & holder_bit(device)) return INGLE_OK;
    IG_TRY(to_host(e, buffer, rows, failed, err));
    *failed = device;
    IG_TRY(ig_gpu_put(e->gpu[device], buffer, rows, e->host[buffer], e->host_stride[buffer], err));
    e->valid[buffer] |= holder_bit(device);
    return INGLE_OK;
}

static void take(struct ig_exec *e, uint64_t out, int device) {
    for (unsigned b = 1; b < IG_B_COUNT; b++) {
        if (!(out >> b & 1)) continue;
        e->valid[b] = holder_bit(device);
        if (device == NOBODY) e->host[b] = ig_cpu_out(e->cpu, b, &e->host_stride[b]);
    }
}

/* Results that a device holds, into rows of our own: the processor may not even have buffers. */
static ingle_status fetch(struct ig_exec *e, const struct ig_pass *pass, unsigned buffer,
                          int *failed, ingle_error *err) {
    size_t width = e->plan->width[buffer], rows = ig_pass_rows(e->plan, pass, buffer);
    *failed = NOBODY;
    if (e->valid[buffer] & HOST || !rows) return INGLE_OK;
    if (e->room[buffer] < rows * width) {
        ig_free(e->mem, e->rows[buffer]);
        e->room[buffer] = 0;
        e->rows[buffer] = ig_alloc(e->mem, rows * width * sizeof(float));
        if (!e->rows[buffer]) return ig_fail_memory(err, rows * width * sizeof(float));
        e->room[buffer] = rows * width;
    }
    *failed = holder(e, buffer);
    IG_TRY(ig_gpu_get(e->gpu[*failed], buffer, 0, (uint32_t)rows, e->rows[buffer], width, err));
    e->host[buffer] = e->rows[buffer];
    e->host_stride[buffer] = width;
    e->valid[buffer] |= HOST;
    return INGLE_OK;
}

/* ---- Run ---- */

static ingle_status run_part(struct ig_exec *e, uint32_t i, const struct ig_pass *pass, int *failed,
                             ingle_error *err) {
    const struct ig_plan_part *part = &e->parts[i];
    int on = e->on[i];
    for (unsigned b = 1; b < IG_B_COUNT; b++) {
        uint32_t rows = part->in >> b & 1 ? ig_pass_rows(e->plan, pass, b) : 0;
        if (rows && on == NOBODY) IG_TRY(give_host(e, b, rows, failed, err));
        if (rows && on != NOBODY) IG_TRY(give_device(e, on, b, rows, failed, err));
    }
    *failed = on;
    if (on == NOBODY)
        IG_TRY(ig_cpu_run_part(e->cpu, part, err));
    else
        IG_TRY(ig_gpu_run(e->gpu[on], part, pass, err));
    take(e, part->out, on);
    *failed = NOBODY;
    return INGLE_OK;
}

/* Has the processor a part in the pass, or does it pass rows on between two devices? */
static bool needs_host(const struct ig_exec *e, uint32_t end) {
    for (uint32_t i = 0; i < e->n_parts && e->parts[i].from < end; i++)
        if (e->on[i] == NOBODY || i) return true;
    return false;
}

static ingle_status run_parts(struct ig_exec *e, const struct ig_pass *pass, int *failed,
                              ingle_error *err) {
    uint32_t end = ig_pass_end(e->plan, pass);
    memset(e->valid, 0, sizeof e->valid);
    if (needs_host(e, end)) IG_TRY(ig_cpu_begin(e->cpu, pass, err));
    for (uint32_t i = 0; i < e->n_parts && e->parts[i].from < end; i++) {
        if (atomic_load(e->cancel)) return ig_fail(err, INGLE_CANCELLED, NULL, "cancelled");
        IG_TRY(run_part(e, i, pass, failed, err));
    }
    if (pass->n_wanted) IG_TRY(fetch(e, pass, pass->hidden ? IG_B_XO : IG_B_LOGITS, failed, err));
    return e->keep_states ? fetch(e, pass, e->plan->ops[e->plan->gather].a, failed, err) : INGLE_OK;
}

/* What devices hold of these positions is about to be old. */
static void forget_mirrors(const struct ig_pass *pass) {
    for (uint32_t i = 0; i < pass->n; i++)
        if (pass->tokens[i].cache->mirrors)
            ig_cache_mirrors_keep(pass->tokens[i].cache, pass->tokens[i].position);
}

ingle_status ig_exec_run(struct ig_exec *e, const struct ig_pass *pass, ingle_error *err) {
    ingle_error why;
    while ((e->shared = e->alive > 0)) {
        int failed = NOBODY;
        enter(e->gate);
        ingle_status status = run_parts(e, pass, &failed, &why);
        leave(e->gate);
        if (status == INGLE_OK) return status;
        if (status == INGLE_CANCELLED || failed == NOBODY) {
            if (err) *err = why;
            return status;
        }
        drop(e, failed, &why);
        forget_mirrors(pass);
    }
    forget_mirrors(pass);
    return ig_cpu_run(e->cpu, pass, err);
}

/* ---- Results ---- */

const float *ig_exec_logits(const struct ig_exec *e, uint32_t i) {
    if (!e->shared) return ig_cpu_logits(e->cpu, i);
    return e->host[IG_B_LOGITS] + e->host_stride[IG_B_LOGITS] * i;
}

const float *ig_exec_hidden(const struct ig_exec *e, uint32_t i) {
    if (!e->shared) return ig_cpu_hidden(e->cpu, i);
    return e->host[IG_B_XO] + e->host_stride[IG_B_XO] * i;
}

void ig_exec_keep_states(struct ig_exec *e) {
    e->keep_states = true;
}

void ig_exec_state(const struct ig_exec *e, uint32_t i, float *out) {
    uint8_t x = e->plan->ops[e->plan->gather].a;
    if (e->shared)
        ig_cpu_state_of(e->cpu, e->host[x] + e->host_stride[x] * i, out);
    else
        ig_cpu_state(e->cpu, i, out);
}

uint64_t ig_exec_held(const struct ig_exec *e, const struct ig_device_info *device) {
    for (uint32_t i = 0; i < e->n_devices; i++)
        if (ig_place_same(e->info[i], device)) return ig_gpu_weights_held(e->weights[i]);
    return 0;
}

const char *ig_exec_kernels_name(const struct ig_exec *e) {
    return ig_cpu_kernels_name(e->cpu);
}

void ig_exec_name(const struct ig_exec *e, char *out, size_t cap) {
    int n = snprintf(out, cap, "%s", ig_cpu_kernels_name(e->cpu));
    for (uint32_t i = 0; i < e->n_devices && n >= 0 && (size_t)n < cap; i++)
        if (e->gpu[i])
            n += snprintf(out + n, cap - (size_t)n, " + %s%u", e->info[i]->backend,
                          e->info[i]->index);
}
