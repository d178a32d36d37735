/* Weights on their way to the device: taken apart into planes in a bounded staging buffer, or,
 * where the device shares the host's memory, wrapped as they lie in the mapped file. A part's
 * weights come when it first runs; raising the flag stops between pieces, and what has arrived
 * stays.
 *
 * A tensor larger than a buffer may be is cut by rows, the same rows of each of its matrices, so
 * that kernels need know nothing of it: a shard is a tensor with fewer rows. The first tensor of
 * each block type is decoded on the device and compared with the host's decoder, because a driver
 * that compiles wrongly should be found before its text is. */
#include "gpu/gpu_impl.h"
#include "gpu/planes.h"

#include <math.h>
#include <string.h>

enum { TEST_ROWS = 4 };

static ingle_status check(const _Atomic bool *cancel, ingle_error *err) {
    if (cancel && atomic_load(cancel)) return ig_fail(err, INGLE_CANCELLED, NULL, "cancelled");
    return INGLE_OK;
}

/* ---- Matrices ---- */

struct loader {
    struct ig_gpu_weights *w;
    const _Atomic bool *cancel;
    uint8_t *staging;
};

static ingle_status get_staging(struct loader *l, ingle_error *err) {
    if (!l->staging) l->staging = ig_alloc(l->w->mem, IG_GPU_STAGING);
    return l->staging ? INGLE_OK : ig_fail_memory(err, IG_GPU_STAGING);
}

/* Row r of a shard, counted over all its matrices. */
static const uint8_t *row_at(const struct ig_mat *m, const struct ig_gpu_shard *s, uint64_t r) {
    return ig_mat_at(m, (uint32_t)(r / s->rows)) + m->row_bytes * (s->from + r % s->rows);
}

static ingle_status fill(struct loader *l, const struct ig_gpu_tensor *t,
                         const struct ig_gpu_shard *s, ingle_error *err) {
    uint64_t rows = (uint64_t)t->mat->count * s->rows;
    size_t bytes = t->shape.row_bytes, most = IG_GPU_STAGING / bytes, at = 0;
    if (!most)
        return ig_fail(err, INGLE_UNSUPPORTED, "run it on the CPU (--device none)",
                       "a row of %zu bytes is too long for devices", bytes);
    IG_TRY(get_staging(l, err));
    for (uint64_t r = 0; r < rows;) {
        size_t n = rows - r < most ? (size_t)(rows - r) : most;
        IG_TRY(check(l->cancel, err));
        for (size_t i = 0; i < n; i++)
            ig_planes_pack(t->mat->type, t->mat->cols, row_at(t->mat, s, r + i),
                           l->staging + i * bytes);
        IG_TRY(l->w->backend->upload(l->w->device, s->mem, at, l->staging, n * bytes, err));
        r += n;
        at += n * bytes;
    }
    return INGLE_OK;
}

/* How many rows of each matrix fit into one buffer. */
static uint32_t rows_that_fit(const struct ig_gpu_weights *w, const struct ig_gpu_tensor *t) {
    uint64_t each = (uint64_t)t->mat->count * t->shape.row_bytes, rows = t->mat->rows;
    if (!w->info.most_alloc || rows * each <= w->info.most_alloc) return t->mat->rows;
    rows = w->info.most_alloc / each;
    return (uint32_t)(rows > IG_MANY_ROWS ? rows / IG_MANY_ROWS * IG_MANY_ROWS : rows);
}

static ingle_status make_shards(struct ig_gpu_weights *w, struct ig_gpu_tensor *t, uint32_t each,
                                ingle_error *err) {
    t->n_shards = (t->mat->rows + each - 1) / each;
    t->shards = ig_calloc(w->mem, t->n_shards, sizeof *t->shards);
    if (!t->shards) return ig_fail_memory(err, t->n_shards * sizeof *t->shards);
    for (uint32_t i = 0; i < t->n_shards; i++) {
        uint32_t left = t->mat->rows - i * each;
        t->shards[i] = (struct ig_gpu_shard){.from = i * each, .rows = left < each ? left : each};
    }
    return INGLE_OK;
}

static ingle_status load_shards(struct loader *l, struct ig_gpu_tensor *t, ingle_error *err) {
    struct ig_gpu_weights *w = l->w;
    t->shape = ig_planes_shape(t->mat->type, t->mat->cols, false);
    uint32_t each = rows_that_fit(w, t);
    if (!each)
        return ig_fail(err, INGLE_UNSUPPORTED, "run it on the CPU (--device none)",
                       "%u matrices of %u columns are too large for one buffer of %llu bytes",
                       t->mat->count, t->mat->cols, (unsigned long long)w->info.most_alloc);
    IG_TRY(make_shards(w, t, each, err));
    for (uint32_t i = 0; i < t->n_shards; i++) {
        struct ig_gpu_shard *s = &t->shards[i];
        size_t bytes = (size_t)t->mat->count * s->rows * t->shape.row_bytes;
        IG_TRY(w->backend->alloc(w->device, &s->mem, bytes, NULL, err));
        w->bytes += bytes;
        IG_TRY(fill(l, t, s, err));
    }
    return INGLE_OK;
}

/* The pages in which the whole tensor lies, used in place as they are; *done false if that cannot
 * be. */
static ingle_status wrap(struct ig_gpu_weights *w, struct ig_gpu_tensor *t, bool *done,
                         ingle_error *err) {
    const struct ig_mat *m = t->mat;
    struct ig_dev_kernel *k;
    uint64_t bytes = (uint64_t)m->count * m->rows * m->row_bytes;
    uintptr_t page = ig_os_page_size(), p = (uintptr_t)m->data, from = p / page * page,
              end = (p + (uintptr_t)bytes + page - 1) / page * page;
    *done = false;
    if (!w->native || m->parts || (m->count > 1 && m->stride != (size_t)m->rows * m->row_bytes))
        return INGLE_OK;
    if (w->info.most_alloc && end - from > w->info.most_alloc) return INGLE_OK;
    IG_TRY(ig_gpu_typed_get(w, m->type, IG_GT_EMBED, &k, err));
    if (w->plain[m->type->id]) return INGLE_OK;
    IG_TRY(make_shards(w, t, m->rows, err));
    t->shape = ig_planes_shape(m->type, m->cols, true);
    t->shape.main_at += (uint32_t)(p - from);
    t->shape.rest_at += (uint32_t)(p - from);
    *done = w->backend->alloc(w->device, &t->shards[0].mem, end - from, (const void *)from, NULL) ==
            INGLE_OK;
    return INGLE_OK;
}

/* ---- Does the device decode as we do? ---- */

static ingle_status run_embed(struct ig_gpu_weights *w, const struct ig_gpu_tensor *t,
                              uint32_t rows, struct ig_gpu_buffer *tokens,
                              struct ig_gpu_buffer *out, ingle_error *err) {
    struct ig_token tok[TEST_ROWS] = {{0}};
    uint32_t cols = t->mat->cols;
    for (uint32_t i = 0; i < rows; i++) tok[i].id = i;
    IG_TRY(ig_gpu_buffer_grow(w, tokens, sizeof tok, false, err));
    IG_TRY(ig_gpu_buffer_grow(w, out, (size_t)rows * cols * sizeof(float), false, err));
    IG_TRY(w->backend->upload(w->device, tokens->mem, 0, tok, sizeof tok, err));
    struct ig_embed_args a = {
        .m = t->shape, .n = cols, .dst_stride = cols, .rows = t->shards[0].rows, .f = 1.0f};
    struct ig_launch l = {.groups = {(cols + 255) / 256, rows, 1},
                          .buffer = {t->shards[0].mem, tokens->mem, out->mem},
                          .n_buffers = 3,
                          .args = &a,
                          .args_bytes = sizeof a};
    IG_TRY(ig_gpu_typed_get(w, t->mat->type, IG_GT_EMBED, &l.kernel, err));
    return w->backend->launch(w->device, &l, err);
}

static bool alike(const float *want, const float *got, size_t n) {
    double wrong = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        double x = (double)want[i], d = (double)got[i] - x;
        if (!isfinite(x)) continue;
        wrong += d * d;
        all += x * x;
    }
    return wrong <= all * 1e-6; /* not if NaN */
}

static ingle_status compare(struct ig_gpu_weights *w, const struct ig_gpu_tensor *t, uint32_t rows,
                            struct ig_gpu_buffer *out, ingle_error *err) {
    const struct ig_mat *m = t->mat;
    size_t n = (size_t)rows * m->cols;
    float *both = ig_alloc(w->mem, 2 * n * sizeof *both);
    if (!both) return ig_fail_memory(err, 2 * n * sizeof *both);
    ingle_status status =
        w->backend->download(w->device, out->mem, 0, both + n, n * sizeof *both, err);
    for (uint32_t r = 0; r < rows; r++)
        m->type->decode(ig_mat_at(m, 0) + m->row_bytes * r, both + (size_t)r * m->cols,
                        m->cols / m->type->block);
    if (status == INGLE_OK && !alike(both, both + n, n))
        status = ig_fail(err, INGLE_DEVICE, "update the driver, or use another device (--device)",
                         "%s decodes weights of type %s wrongly", w->info.name, m->type->name);
    ig_free(w->mem, both);
    return status;
}

static ingle_status self_test(struct ig_gpu_weights *w, const struct ig_gpu_tensor *t,
                              ingle_error *err) {
    struct ig_gpu_buffer tokens = {0}, out = {0};
    uint32_t id = t->mat->type->id,
             rows = t->shards[0].rows < TEST_ROWS ? t->shards[0].rows : TEST_ROWS;
    if (id < IG_GPU_TYPES && w->tested[id]) return INGLE_OK;
    ingle_status status = run_embed(w, t, rows, &tokens, &out, err);
    if (status == INGLE_OK) status = compare(w, t, rows, &out, err);
    ig_gpu_buffer_free(w, &tokens);
    ig_gpu_buffer_free(w, &out);
    if (status == INGLE_OK) w->tested[id] = true;
    return status;
}

/* ---- A part's ---- */

static ingle_status load_tensor(struct loader *l, uint32_t index, ingle_error *err) {
    if (!index || l->w->tensors[index - 1].shards) return INGLE_OK;
    struct ig_gpu_tensor *t = &l->w->tensors[index - 1];
    uint64_t before = l->w->bytes;
    bool wrapped;
    ingle_status status = wrap(l->w, t, &wrapped, err);
    if (status == INGLE_OK && !wrapped) {
        ig_gpu_tensor_drop(l->w, t);
        status = load_shards(l, t, err);
    }
    if (status == INGLE_OK) status = self_test(l->w, t, err);
    if (status == INGLE_OK) return status;
    ig_gpu_tensor_drop(l->w, t);
    l->w->bytes = before;
    return status;
}

static ingle_status load_vector(struct ig_gpu_weights *w, uint32_t index, ingle_error *err) {
    if (!index || w->vectors[index - 1].mem) return INGLE_OK;
    struct ig_gpu_vector *v = &w->vectors[index - 1];
    size_t bytes = v->n * sizeof *v->p;
    IG_TRY(w->backend->alloc(w->device, &v->mem, bytes, NULL, err));
    ingle_status status = w->backend->upload(w->device, v->mem, 0, v->p, bytes, err);
    if (status != INGLE_OK)
        ig_gpu_free(w, &v->mem);
    else
        w->bytes += bytes;
    return status;
}

static ingle_status load_op(struct loader *l, const struct ig_gpu_op *o, ingle_error *err) {
    for (unsigned i = 0; i < 3; i++) {
        IG_TRY(load_tensor(l, o->tensor[i], err));
        IG_TRY(load_vector(l->w, o->bias[i], err));
        IG_TRY(load_vector(l->w, o->scale[i], err));
    }
    return load_vector(l->w, o->vec, err);
}

ingle_status ig_gpu_load(struct ig_gpu_weights *w, uint32_t from, uint32_t to,
                         const _Atomic bool *cancel, ingle_error *err) {
    struct loader l = {w, cancel, NULL};
    ingle_status status = INGLE_OK;
    for (uint32_t i = from; i < to && status == INGLE_OK; i++)
        status = load_op(&l, &w->ops[i], err);
    ig_free(w->mem, l.staging);
    return status;
}
