/* A model's weights on one device: opening and closing the device, the table of what each operation
 * reads, kernels by name, and buffers. Knows where everything that lies on the device is, so that
 * it can give it back at any time.
 *
 * The subtle thing is sharing: tied matrices are one tensor here (found by where they lie in the
 * file), so that they go to the device once. */
#include "gpu/gpu_impl.h"

#include <stdio.h>
#include <string.h>

static const double FORGOTTEN = 60; /* seconds behind which no pass is under way */

/* ---- What operations read ---- */

static uint32_t find_tensor(struct ig_gpu_weights *w, const struct ig_mat *m) {
    if (!m->data && !m->parts) return 0;
    for (uint32_t i = 0; i < w->n_tensors; i++) {
        const struct ig_mat *o = w->tensors[i].mat;
        if (o->data == m->data && o->parts == m->parts && o->rows == m->rows && o->cols == m->cols)
            return i + 1;
    }
    w->tensors[w->n_tensors] = (struct ig_gpu_tensor){.mat = m};
    return ++w->n_tensors;
}

static uint32_t find_vector(struct ig_gpu_weights *w, const float *p, uint32_t n) {
    if (!p || !n) return 0;
    for (uint32_t i = 0; i < w->n_vectors; i++)
        if (w->vectors[i].p == p && w->vectors[i].n == n) return i + 1;
    w->vectors[w->n_vectors] = (struct ig_gpu_vector){.p = p, .n = n};
    return ++w->n_vectors;
}

static void survey_op(struct ig_gpu_weights *w, const struct ig_op *op, struct ig_gpu_op *out) {
    for (unsigned i = 0; i < 3; i++) {
        const struct ig_slot *s = op->w[i];
        if (!s) continue;
        out->tensor[i] = find_tensor(w, &s->mat);
        out->bias[i] = find_vector(w, s->bias, s->n_bias);
        out->scale[i] = find_vector(w, s->mat.scale, s->n_scale);
        if (i == 0) out->vec = find_vector(w, s->vec, s->n);
    }
}

static ingle_status survey(struct ig_gpu_weights *w, ingle_error *err) {
    size_t n = w->plan->n_ops;
    w->ops = ig_calloc(w->mem, n, sizeof *w->ops);
    w->tensors = ig_calloc(w->mem, n * 3, sizeof *w->tensors);
    w->vectors = ig_calloc(w->mem, n * 7, sizeof *w->vectors);
    if (!w->ops || !w->tensors || !w->vectors)
        return ig_fail_memory(err, n * 7 * sizeof *w->vectors);
    for (uint32_t i = 0; i < n; i++) survey_op(w, &w->plan->ops[i], &w->ops[i]);
    return INGLE_OK;
}

/* ---- Open and close ---- */

static const struct ig_backend *find_backend(const char *name) {
    const struct ig_backend *b;
    for (uint32_t i = 0; (b = ig_backend_at(i)); i++)
        if (!strcmp(b->name, name)) return b;
    return NULL;
}

static ingle_status open_parts(struct ig_gpu_weights *w, const struct ig_device_config *config,
                               ingle_error *err) {
    w->backend = find_backend(w->info.backend);
    if (!w->backend)
        return ig_fail(err, INGLE_UNSUPPORTED, "see ingle --list-devices",
                       "there is no backend '%s'", w->info.backend);
    IG_TRY(survey(w, err));
    return w->backend->open(&w->device, &w->info, config, err);
}

ingle_status ig_gpu_weights_open(struct ig_gpu_weights **out, struct ig_mem *mem,
                                 const struct ig_plan *plan, const struct ig_device_info *info,
                                 const struct ig_device_config *config, ingle_error *err) {
    struct ig_gpu_weights *w = ig_calloc(mem, 1, sizeof *w);
    *out = NULL;
    if (!w) return ig_fail_memory(err, sizeof *w);
    w->mem = mem;
    w->plan = plan;
    w->info = *info;
    w->native = info->unified;
    ig_os_mutex_init(&w->lock);
    ingle_status status = open_parts(w, config, err);
    if (status != INGLE_OK)
        ig_gpu_weights_close(w);
    else
        *out = w;
    return status;
}

void ig_gpu_tensor_drop(struct ig_gpu_weights *w, struct ig_gpu_tensor *t) {
    for (uint32_t i = 0; t->shards && i < t->n_shards; i++) ig_gpu_free(w, &t->shards[i].mem);
    ig_free(w->mem, t->shards);
    t->shards = NULL;
}

static void drop_weights(struct ig_gpu_weights *w) {
    for (uint32_t i = 0; i < w->n_tensors; i++) ig_gpu_tensor_drop(w, &w->tensors[i]);
    for (uint32_t i = 0; i < w->n_vectors; i++) ig_gpu_free(w, &w->vectors[i].mem);
    w->bytes = 0;
}

void ig_gpu_weights_close(struct ig_gpu_weights *w) {
    if (!w) return;
    if (w->device) {
        drop_weights(w);
        w->backend->close(w->device);
    }
    ig_os_mutex_free(&w->lock);
    ig_free(w->mem, w->ops);
    ig_free(w->mem, w->tensors);
    ig_free(w->mem, w->vectors);
    ig_free(w->mem, w);
}

const struct ig_device_info *ig_gpu_weights_info(const struct ig_gpu_weights *w) {
    return &w->info;
}

uint64_t ig_gpu_weights_free(struct ig_gpu_weights *w) {
    ig_os_lock(&w->lock);
    uint64_t n = w->backend->memory_free(w->device);
    n = n ? n + w->bytes : w->info.memory_free; /* unknown: as it was found, our weights and all */
    ig_os_unlock(&w->lock);
    return n;
}

uint64_t ig_gpu_weights_held(struct ig_gpu_weights *w) {
    ig_os_lock(&w->lock);
    uint64_t n = w->bytes;
    ig_os_unlock(&w->lock);
    return n;
}

void ig_gpu_rest(struct ig_gpu_weights *w) {
    ig_os_lock(&w->lock);
    w->backend->sync(w->device, NULL); /* a fault shows at the next pass */
    drop_weights(w);
    for (struct ig_gpu_mirror *m = w->mirrors; m; m = m->next) ig_gpu_mirror_drop(m);
    for (struct ig_gpu *g = w->sessions; g; g = g->next)
        if (!g->busy || ig_os_seconds() - g->used > FORGOTTEN) ig_gpu_scratch_free(g);
    ig_os_unlock(&w->lock);
}

/* ---- Kernels and buffers ---- */

ingle_status ig_gpu_kernel_get(struct ig_gpu_weights *w, enum ig_gpu_kernel id,
                               struct ig_dev_kernel **out, ingle_error *err) {
#define K(name, module, kernel) {module, kernel},
    static const char *const names[IG_GK_COUNT][2] = {IG_GPU_KERNELS(K)};
#undef K
    if (!w->kernel[id])
        IG_TRY(w->backend->kernel(w->device, &w->kernel[id], names[id][0], names[id][1], err));
    *out = w->kernel[id];
    return INGLE_OK;
}

static void type_name(const struct ig_quant *t, char out[24]) {
    size_t i = 0;
    for (; t->name[i] && i < 23; i++) {
        char c = t->name[i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    out[i] = 0;
}

/* Kernels that read rows as in the file read planes too, so that one module does where memory is
 * shared. */
static ingle_status find_typed(struct ig_gpu_weights *w, const struct ig_quant *t, const char *name,
                               struct ig_dev_kernel **k, ingle_error *err) {
    char type[24], module[48], full[48];
    type_name(t, type);
    snprintf(full, sizeof full, "%s_%s", name, type);
    if (w->native && !w->plain[t->id]) {
        snprintf(module, sizeof module, "linear_%s:native", type);
        ingle_status status = w->backend->kernel(w->device, k, module, full, err);
        if (status != INGLE_UNSUPPORTED) return status;
        w->plain[t->id] = true;
    }
    snprintf(module, sizeof module, "linear_%s", type);
    return w->backend->kernel(w->device, k, module, full, err);
}

ingle_status ig_gpu_typed_get(struct ig_gpu_weights *w, const struct ig_quant *t,
                              enum ig_gpu_typed id, struct ig_dev_kernel **out, ingle_error *err) {
    static const char *const names[IG_GT_COUNT] = {"few1", "few2", "few4", "few8", "many", "embed"};
    if (t->id >= IG_GPU_TYPES)
        return ig_fail(err, INGLE_UNSUPPORTED, NULL, "type %s has no kernels on devices", t->name);
    if (!w->typed[t->id][id]) IG_TRY(find_typed(w, t, names[id], &w->typed[t->id][id], err));
    *out = w->typed[t->id][id];
    return INGLE_OK;
}

void ig_gpu_free(struct ig_gpu_weights *w, struct ig_dev_mem **m) {
    if (!*m) return;
    w->backend->free(w->device, *m);
    w->generation++;
    *m = NULL;
}

void ig_gpu_buffer_free(struct ig_gpu_weights *w, struct ig_gpu_buffer *b) {
    ig_gpu_free(w, &b->mem);
    b->bytes = 0;
}

static ingle_status clear(struct ig_gpu_weights *w, struct ig_dev_mem *m, size_t bytes,
                          ingle_error *err) {
    size_t piece = bytes < 65536 ? bytes : 65536;
    void *zeros = ig_calloc(w->mem, piece, 1);
    ingle_status status = zeros ? INGLE_OK : ig_fail_memory(err, piece);
    for (size_t at = 0; at < bytes && status == INGLE_OK; at += piece)
        status = w->backend->upload(w->device, m, at, zeros,
                                    bytes - at < piece ? bytes - at : piece, err);
    ig_free(w->mem, zeros);
    return status;
}

ingle_status ig_gpu_buffer_grow(struct ig_gpu_weights *w, struct ig_gpu_buffer *b, size_t bytes,
                                bool zero, ingle_error *err) {
    if (b->mem && b->bytes >= bytes) return INGLE_OK;
    if (bytes < b->bytes + b->bytes / 2) bytes = b->bytes + b->bytes / 2; /* seldom again */
    ig_gpu_buffer_free(w, b);
    if (!bytes) bytes = 16;
    IG_TRY(w->backend->alloc(w->device, &b->mem, bytes, NULL, err));
    b->bytes = bytes;
    return zero ? clear(w, b->mem, bytes, err) : INGLE_OK;
}
