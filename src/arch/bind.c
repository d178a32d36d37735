/* Tensors -> slots. Strict: a tensor that no role takes and no list ignores fails the load with its
 * name, because a norm that is silently dropped gives plausible nonsense. Matrices stay where they
 * lie in the file; vectors (norms, biases) become f32 copies; the few stored in another order than
 * ours are rewritten once. */
#include "arch/arch.h"

#include <math.h>
#include <stdio.h>

struct binder {
    struct ig_arch *a;
    struct ig_arena *arena;
    const struct ig_view *view;
    ingle_error *err;
};

static ingle_status bad_tensor(const struct binder *b, const struct ig_tensor *t, ingle_status code,
                               const char *hint, const char *what) {
    return ig_fail(b->err, code, hint, "%s: tensor '%.*s' %s", b->view->path,
                   (int)(t->name.n < 120 ? t->name.n : 120), t->name.p, what);
}

static const char *const damaged =
    "the file is damaged or made by a faulty converter: get another copy";

static uint64_t elements(const struct ig_tensor *t) {
    return t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
}

/* A vector of any float type as f32, `add` added to each value. */
static ingle_status read_vector(const struct binder *b, const struct ig_tensor *t, float add,
                                const float **out, uint32_t *n) {
    const struct ig_quant *q = ig_quant_by_id(t->type);
    uint64_t count = elements(t);
    if (!q || q->kind != IG_QUANT_FLOAT)
        return bad_tensor(b, t, INGLE_UNSUPPORTED, "norms and biases must be F32, F16 or BF16",
                          "has a block type where floats are needed");
    if (count > 1u << 28)
        return bad_tensor(b, t, INGLE_BAD_FILE, damaged, "is too large for its role");
    float *v = ig_arena_alloc(b->arena, (size_t)count * sizeof *v);
    if (!v) return ig_fail_memory(b->err, (size_t)count * sizeof *v);
    q->decode(t->data, v, (size_t)count);
    for (uint64_t i = 0; i < count && (add > 0 || add < 0); i++) v[i] += add;
    *out = v;
    *n = (uint32_t)count;
    return INGLE_OK;
}

/* [count][in][out] -> [count][out][in] for elements of `size` bytes. */
static void transpose(uint8_t *dst, const uint8_t *src, uint64_t count, uint64_t in, uint64_t out,
                      size_t size) {
    for (uint64_t c = 0; c < count; c++)
        for (uint64_t i = 0; i < in; i++)
            for (uint64_t o = 0; o < out; o++)
                memcpy(dst + ((c * out + o) * in + i) * size, src + ((c * in + i) * out + o) * size,
                       size);
}

/* The row a rewritten matrix takes as its row r. */
static uint64_t source_row(const struct ig_hparams *hp, const struct ig_place *p, uint64_t r,
                           uint64_t rows) {
    if (p->transform & IG_T_INTERLEAVED) return r < rows / 2 ? 2 * r : 2 * (r - rows / 2) + 1;
    const struct ig_layer_params *l = &hp->layer[p->layer];
    uint64_t per = l->n_head / l->n_head_kv, hk = l->head_k, group_rows = (per + 2) * hk,
             nq = l->n_head * hk;
    if (r < nq) return r / (per * hk) * group_rows + r % (per * hk);
    uint64_t kv = r < nq + l->n_head_kv * hk ? 0 : 1, i = r - nq - kv * l->n_head_kv * hk;
    return i / hk * group_rows + (per + kv) * hk + i % hk;
}

static void reorder(const struct ig_hparams *hp, const struct ig_place *p, uint8_t *dst,
                    const uint8_t *src, uint64_t count, uint64_t rows, size_t row_bytes) {
    for (uint64_t c = 0; c < count; c++)
        for (uint64_t r = 0; r < rows; r++)
            memcpy(dst + (c * rows + r) * row_bytes,
                   src + (c * rows + source_row(hp, p, r, rows)) * row_bytes, row_bytes);
}

static ingle_status check_groups(const struct binder *b, const struct ig_tensor *t,
                                 const struct ig_place *p, uint64_t rows) {
    if (p->transform & IG_T_INTERLEAVED && rows % 2)
        return bad_tensor(b, t, INGLE_BAD_FILE, damaged, "has an odd number of rows");
    if (!(p->transform & IG_T_QKV_GROUPS)) return INGLE_OK;
    const struct ig_layer_params *l = &b->a->hp.layer[p->layer];
    if (rows != (uint64_t)(l->n_head + 2 * l->n_head_kv) * l->head_k)
        return bad_tensor(b, t, INGLE_BAD_FILE, damaged,
                          "does not have the rows its head counts ask for");
    return INGLE_OK;
}

/* Copies of a matrix whose stored order is not ours. */
static ingle_status rewrite(const struct binder *b, const struct ig_tensor *t,
                            const struct ig_place *p, struct ig_mat *m) {
    size_t size = m->type->bytes;
    if (p->transform & IG_T_TRANSPOSE) {
        if (m->type->kind != IG_QUANT_FLOAT)
            return bad_tensor(b, t, INGLE_UNSUPPORTED, "use a GGUF of this model",
                              "is quantised and stored transposed");
        uint8_t *copy = ig_arena_alloc(b->arena, (size_t)t->bytes);
        if (!copy) return ig_fail_memory(b->err, (size_t)t->bytes);
        transpose(copy, m->data, m->count, m->rows, m->cols, size);
        uint32_t cols = m->cols;
        m->cols = m->rows;
        m->rows = cols;
        m->row_bytes = m->cols * size;
        m->data = copy;
        b->a->copied_bytes += (size_t)t->bytes;
    }
    if (!(p->transform & (IG_T_QKV_GROUPS | IG_T_INTERLEAVED))) return INGLE_OK;
    IG_TRY(check_groups(b, t, p, m->rows));
    uint8_t *copy = ig_arena_alloc(b->arena, (size_t)t->bytes);
    if (!copy) return ig_fail_memory(b->err, (size_t)t->bytes);
    reorder(&b->a->hp, p, copy, m->data, m->count, m->rows, m->row_bytes);
    m->data = copy;
    b->a->copied_bytes += (size_t)t->bytes;
    return INGLE_OK;
}

static ingle_status read_matrix(const struct binder *b, const struct ig_tensor *t,
                                const struct ig_place *p, struct ig_mat *m) {
    const struct ig_quant *q = ig_quant_by_id(t->type);
    if (!q || (q->kind != IG_QUANT_FLOAT && q->kind != IG_QUANT_A32 && q->kind != IG_QUANT_A256)) {
        char what[80];
        snprintf(what, sizeof what, "has type %.*s, which cannot hold weights here",
                 (int)(t->dtype.n < 24 ? t->dtype.n : 24), t->dtype.p);
        return bad_tensor(b, t, INGLE_UNSUPPORTED,
                          "use a GGUF of this model, or F32, F16 or BF16 safetensors", what);
    }
    if (t->ne[3] != 1 || t->ne[0] > 1u << 28 || t->ne[1] > 1u << 28 || t->ne[2] > 1u << 16 ||
        t->ne[0] % q->block)
        return bad_tensor(b, t, INGLE_BAD_FILE, damaged, "has a shape no weight has");
    *m = (struct ig_mat){.type = q,
                         .data = t->data,
                         .cols = (uint32_t)t->ne[0],
                         .rows = (uint32_t)t->ne[1],
                         .count = (uint32_t)t->ne[2]};
    m->row_bytes = m->cols / q->block * (size_t)q->bytes;
    IG_TRY(rewrite(b, t, p, m));
    m->stride = m->row_bytes * m->rows;
    return INGLE_OK;
}

/* One of several tensors that together are a stack of experts. */
static ingle_status add_expert(const struct binder *b, const struct ig_tensor *t,
                               const struct ig_place *p, struct ig_slot *s) {
    struct ig_mat m;
    uint32_t n = b->a->hp.n_expert;
    IG_TRY(read_matrix(b, t, p, &m));
    if ((uint32_t)p->expert >= n || m.count != 1)
        return bad_tensor(b, t, INGLE_BAD_FILE, damaged, "is beyond the number of experts");
    if (!s->mat.parts) {
        const uint8_t **parts = ig_arena_calloc(b->arena, n, sizeof *parts);
        if (!parts) return ig_fail_memory(b->err, n * sizeof *parts);
        s->mat = m;
        s->mat.data = NULL;
        s->mat.count = n;
        s->mat.parts = parts;
    }
    const uint8_t **parts = (const uint8_t **)(uintptr_t)s->mat.parts;
    if (m.type != s->mat.type || m.cols != s->mat.cols || m.rows != s->mat.rows)
        return bad_tensor(b, t, INGLE_BAD_FILE, damaged,
                          "differs in shape or type from the other experts");
    if (parts[p->expert]) return bad_tensor(b, t, INGLE_BAD_FILE, damaged, "appears twice");
    parts[p->expert] = m.data;
    return INGLE_OK;
}

static bool is_vector_role(uint8_t role) {
    static const char kinds[] = {
#define ROLE(id, name, kind) #kind[0],
#include "arch/roles.def"
#undef ROLE
    };
    return kinds[role] == 'V';
}

static ingle_status read_bias(const struct binder *b, const struct ig_tensor *t,
                              const struct ig_place *p, struct ig_slot *s) {
    if (s->bias) return bad_tensor(b, t, INGLE_BAD_FILE, damaged, "appears twice");
    IG_TRY(read_vector(b, t, 0, &s->bias, &s->n_bias));
    if (!(p->transform & (IG_T_QKV_GROUPS | IG_T_INTERLEAVED))) return INGLE_OK;
    uint64_t count = t->ne[1], rows = t->ne[0];
    IG_TRY(check_groups(b, t, p, rows));
    float *copy = ig_arena_alloc(b->arena, s->n_bias * sizeof *copy);
    if (!copy) return ig_fail_memory(b->err, s->n_bias * sizeof *copy);
    reorder(&b->a->hp, p, (uint8_t *)copy, (const uint8_t *)s->bias, count, rows, sizeof *copy);
    s->bias = copy;
    return INGLE_OK;
}

/* One head's vector of a stack of them (stablelm's q and k norms). */
static ingle_status add_head(const struct binder *b, const struct ig_tensor *t,
                             const struct ig_place *p, struct ig_slot *s) {
    const struct ig_layer_params *l = &b->a->hp.layer[p->layer];
    uint32_t n, heads = p->role == IG_R_attn_q_norm ? l->n_head : l->n_head_kv;
    const float *v;
    IG_TRY(read_vector(b, t, 0, &v, &n));
    if (n != l->head_k || (uint32_t)p->expert >= heads)
        return bad_tensor(b, t, INGLE_BAD_FILE, damaged, "does not fit the heads of its layer");
    if (!s->vec) {
        s->vec = ig_arena_calloc(b->arena, (size_t)heads * n, sizeof *v);
        if (!s->vec) return ig_fail_memory(b->err, (size_t)heads * n * sizeof *v);
        s->n = heads * n;
    }
    memcpy((float *)(uintptr_t)s->vec + (size_t)p->expert * n, v, n * sizeof *v);
    return INGLE_OK;
}

/* baichuan2: every row of the output matrix divided by its length, as f32. */
static ingle_status unit_rows(const struct binder *b, const struct ig_tensor *t, struct ig_mat *m) {
    size_t n = (size_t)m->rows * m->cols;
    if (m->type->kind != IG_QUANT_FLOAT || m->count != 1)
        return bad_tensor(b, t, INGLE_UNSUPPORTED, "use a GGUF of this model", "is quantised");
    float *copy = ig_arena_alloc(b->arena, n * sizeof *copy);
    if (!copy) return ig_fail_memory(b->err, n * sizeof *copy);
    m->type->decode(m->data, copy, n);
    for (uint32_t r = 0; r < m->rows; r++) {
        float *row = copy + (size_t)r * m->cols;
        double sum = 0;
        for (uint32_t i = 0; i < m->cols; i++) sum += (double)row[i] * row[i];
        double length = sqrt(sum) > 1e-7 ? sqrt(sum) : 1e-7;
        for (uint32_t i = 0; i < m->cols; i++) row[i] = (float)(row[i] / length);
    }
    m->type = ig_quant_by_name("F32", 3);
    m->data = (const uint8_t *)copy;
    m->row_bytes = m->cols * sizeof *copy;
    m->stride = m->row_bytes * m->rows;
    b->a->copied_bytes += n * sizeof *copy;
    return INGLE_OK;
}

static ingle_status bind_one(const struct binder *b, const struct ig_tensor *t) {
    struct ig_hparams *hp = &b->a->hp;
    struct ig_place p;
    bool known = b->view->folder ? ig_place_hf(hp, t->name, &p) : ig_place_gguf(hp, t->name, &p);
    if (!known)
        return bad_tensor(
            b, t, INGLE_UNSUPPORTED,
            "the model has a part this version does not run; update ingle or choose another model",
            "has no role in its family");
    if (p.part == IG_PART_IGNORE) return INGLE_OK;
    if (p.layer >= (int32_t)hp->n_layer_file)
        return bad_tensor(b, t, INGLE_BAD_FILE, damaged,
                          "belongs to a layer the model does not have");
    if (p.layer >= (int32_t)(hp->n_layer + hp->n_predict)) return INGLE_OK;
    struct ig_slot *s = p.layer < 0 ? &b->a->w.global[p.role] : &b->a->w.layer[p.layer][p.role];
    if (p.part == IG_PART_BIAS) return read_bias(b, t, &p, s);
    if (p.part == IG_PART_SCALE) return read_vector(b, t, 0, &s->mat.scale, &s->n_scale);
    if (p.expert >= 0 && is_vector_role(p.role)) return add_head(b, t, &p, s);
    if (p.expert >= 0) return add_expert(b, t, &p, s);
    bool freqs = p.role == IG_R_rope_freqs;
    if (ig_slot_has(s))
        return freqs ? INGLE_OK
                     : bad_tensor(b, t, INGLE_BAD_FILE, damaged,
                                  "takes a role that another tensor has");
    if (is_vector_role(p.role))
        return read_vector(b, t, p.transform & IG_T_ADD_ONE ? 1.0f : 0.0f, &s->vec, &s->n);
    const float *scale = s->mat.scale;
    IG_TRY(read_matrix(b, t, &p, &s->mat));
    s->mat.scale = scale;
    return p.role == IG_R_output && hp->unit_rows ? unit_rows(b, t, &s->mat) : INGLE_OK;
}

ingle_status ig_arch_bind(struct ig_arch *a, struct ig_arena *arena, const struct ig_view *view,
                          const struct ig_log *log, ingle_error *err) {
    struct binder b = {a, arena, view, err};
    size_t layers = a->hp.n_layer + a->hp.n_predict;
    a->w.layer = ig_arena_calloc(arena, layers, sizeof *a->w.layer);
    if (!a->w.layer) return ig_fail_memory(err, layers * sizeof *a->w.layer);
    for (size_t i = 0; i < view->n_tensors; i++) IG_TRY(bind_one(&b, &view->tensors[i]));
    if (a->copied_bytes)
        ig_log(log, INGLE_LOG_INFO, "%zu MB of weights are stored in another order and were copied",
               a->copied_bytes >> 20);
    return INGLE_OK;
}
