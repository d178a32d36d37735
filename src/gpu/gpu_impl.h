/* Inside of the GPU executor: what its files share. A model's weights on a device own the device,
 * its kernels and its lock; a session's executor owns buffers; a mirror owns one timeline's keys
 * and values. All of them are lists of the weights, so that ig_gpu_rest finds everything that lies
 * on the device.
 *
 * Everything is called with the weights' lock held unless said otherwise. */
#ifndef IG_GPU_IMPL_H
#define IG_GPU_IMPL_H

#include "gpu/gpu.h"
#include "gpu/kv_shape.h"
#include "gpu/planes.h"
#include "kv/put.h"
#include "os/os.h"
#include "plan/rope.h"

enum {
    IG_GPU_TYPES = 64,         /* ids of block types lie below */
    IG_GPU_STAGING = 16 << 20, /* bytes of weights on their way */
    IG_GPU_STAGE =
        32 << 20, /* bytes of new keys and values before they go to the host in between */
    IG_GPU_PARTS = 64 << 20, /* bytes of parts of attention at a time */
    IG_GPU_FEW = 8,          /* inputs for which each row of weights is read once for all */
    IG_GPU_CHUNK = 256       /* positions of a chunk of attention */
};

/* Kernels that are there once: module and name; of those that differ by the cache's type three in a
 * row, in the order of enum ig_cache_type. Then those that each block type has. */
#define IG_GPU_KERNELS(K)                                                                          \
    K(NORM, "rows", "norm")                                                                        \
    K(NORM_HEADS, "rows", "norm_heads")                                                            \
    K(QUANTIZE, "rows", "quantize")                                                                \
    K(ADD_NORM_QUANTIZE, "rows", "add_norm_quantize")                                              \
    K(GLU_QUANTIZE, "rows", "glu_quantize")                                                        \
    K(ELEMENT, "rows", "element")                                                                  \
    K(ROPE, "rows", "rope")                                                                        \
    K(TEMPERATURE, "rows", "temperature")                                                          \
    K(GATHER, "rows", "gather")                                                                    \
    K(KV_PUT, "attend", "kv_put_f16")                                                              \
    K(KV_PUT_F32, "attend", "kv_put_f32")                                                          \
    K(KV_PUT_Q8, "attend", "kv_put_q8")                                                            \
    K(ROPE_PUT, "attend", "rope_put_f16")                                                          \
    K(ROPE_PUT_F32, "attend", "rope_put_f32")                                                      \
    K(ROPE_PUT_Q8, "attend", "rope_put_q8")                                                        \
    K(KV_LOAD, "attend", "kv_load")                                                                \
    K(ATTEND_FEW, "attend", "attend_few_f16")                                                      \
    K(ATTEND_FEW_F32, "attend", "attend_few_f32")                                                  \
    K(ATTEND_FEW_Q8, "attend", "attend_few_q8")                                                    \
    K(ATTEND_MANY, "attend", "attend_many_f16")                                                    \
    K(ATTEND_MANY_F32, "attend", "attend_many_f32")                                                \
    K(ATTEND_MANY_Q8, "attend", "attend_many_q8")                                                  \
    K(ATTEND_MERGE, "attend", "attend_merge")                                                      \
    K(ROUTE_CHOOSE, "route", "route_choose")                                                       \
    K(ROUTE_MIXER, "route", "route_mixer")                                                         \
    K(ROUTE_SORT, "route", "route_sort")                                                           \
    K(SPREAD, "route", "spread")                                                                   \
    K(COMBINE, "route", "combine")

enum ig_gpu_kernel {
#define K(id, module, name) IG_GK_##id,
    IG_GPU_KERNELS(K)
#undef K
        IG_GK_COUNT
};
enum ig_gpu_typed {
    IG_GT_FEW1,
    IG_GT_FEW2,
    IG_GT_FEW4,
    IG_GT_FEW8,
    IG_GT_MANY,
    IG_GT_EMBED,
    IG_GT_COUNT
};

/* Rows [from, from + rows) of each matrix of a tensor, in a buffer of their own where all do not
 * fit into one. */
struct ig_gpu_shard {
    struct ig_dev_mem *mem;
    uint32_t from, rows;
};

struct ig_gpu_tensor { /* one or several matrices */
    const struct ig_mat *mat;
    struct ig_mat_shape shape;
    struct ig_gpu_shard *shards; /* NULL: not on the device */
    uint32_t n_shards;
};

struct ig_gpu_vector {
    const float *p;
    uint32_t n;
    struct ig_dev_mem *mem; /* NULL: not on the device */
};

/* What an operation reads of the weights: indices into the tables, counted from 1; 0 = nothing. */
struct ig_gpu_op {
    uint32_t tensor[3], bias[3], scale[3];
    uint32_t vec; /* norms' weights, the router's bias, sinks: of w[0] */
};

struct ig_gpu_weights {
    struct ig_mem *mem;
    const struct ig_plan *plan;
    const struct ig_backend *backend;
    struct ig_device *device;
    struct ig_device_info info;
    struct ig_log log;
    struct ig_mutex lock;
    bool native;           /* shares the host's memory: weights are used as they lie in the file */
    struct ig_gpu_op *ops; /* [n_ops] */
    struct ig_gpu_tensor *tensors;
    struct ig_gpu_vector *vectors;
    uint32_t n_tensors, n_vectors;
    struct ig_dev_kernel *kernel[IG_GK_COUNT];
    struct ig_dev_kernel *typed[IG_GPU_TYPES][IG_GT_COUNT];
    bool plain[IG_GPU_TYPES];  /* no kernels for rows as in the file */
    bool tested[IG_GPU_TYPES]; /* decodes as the host does */
    struct ig_gpu *sessions;   /* lists */
    struct ig_gpu_mirror *mirrors;
    uint64_t bytes;      /* of weights on the device */
    uint64_t generation; /* goes up when any buffer is freed: recordings of older ones are void */
};

struct ig_gpu_buffer { /* grows, never shrinks */
    struct ig_dev_mem *mem;
    size_t bytes;
};

/* Tokens that follow each other in one timeline. */
struct ig_gpu_run_of {
    uint32_t from, n, first; /* rows [from, from + n), positions from `first` on */
    struct ig_cache *cache;
    struct ig_gpu_mirror *mirror;
};

struct ig_gpu_stage { /* keys and values of a layer on their way to the host */
    const struct ig_op *op;
    size_t at; /* floats */
};

struct ig_gpu_graph { /* launches of the part that begins at operation `from`, recorded */
    struct ig_gpu_graph *next;
    uint32_t from, to, n_stages;
    uint64_t key, seen; /* what it stands for; the pass before */
    void *graph;        /* NULL: none */
    struct ig_gpu_stage *stages;
    size_t stage_used;
};

struct ig_gpu_act { /* inputs quantised: struct ig_act_rows of the CPU */
    struct ig_gpu_buffer q, d, sum;
    bool need;
    uint8_t holds; /* buffer whose rows they are */
};

struct ig_gpu {
    struct ig_gpu *next;
    struct ig_mem *mem;
    struct ig_gpu_weights *w;
    const struct ig_plan *plan;
    const _Atomic bool *cancel;
    const struct ig_log *log;
    ig_kv_to_f16 to_f16;
    uint32_t context, batch;
    uint32_t capacity, max_wanted; /* tokens and wanted rows there is room for */
    bool busy;                     /* between parts of a pass: what the buffers hold is needed */
    double used;                   /* when that was last so */
    uint64_t live;                 /* buffers that hold what a part wrote or the caller put */

    uint32_t stride[IG_B_COUNT]; /* floats a row */
    struct ig_gpu_buffer buffer[IG_B_COUNT];
    struct ig_gpu_act act[2]; /* per 32, per 256 */
    uint32_t q_stride, act_rows;
    struct ig_gpu_buffer table[2], tokens, wanted; /* rope; struct ig_token; indices */
    struct ig_gpu_buffer route, weight;            /* experts */
    struct ig_gpu_buffer parts, stage, slopes;     /* attention */
    double *frequency[2], mscale[2];
    float *slope; /* ALiBi [n_slope] */
    uint32_t n_slope;

    /* of the host */
    struct ig_token *token;     /* [capacity] */
    struct ig_gpu_run_of *runs; /* [capacity] */
    float *rope;                /* [capacity][dims] */
    uint8_t *bounce;            /* to and from the device */
    size_t bounce_bytes;
    struct ig_gpu_stage *stages; /* [n_layer + 1] */
    uint32_t n_stages;
    size_t stage_used; /* floats */
    uint8_t *late;     /* what was staged before, and is not in the caches yet */
    size_t late_bytes;
    struct ig_gpu_stage *late_stages; /* [n_layer + 1] */
    uint32_t n_late;

    /* the part running */
    struct ig_pass pass;
    uint32_t n_runs;
    uint64_t out;                    /* buffers that later parts or the caller read */
    uint64_t loaded;                 /* generation in which the weights of operations */
    uint32_t loaded_from, loaded_to; /* [from, to) were there */
    struct ig_gpu_graph *graphs;
    bool recording, no_graphs;
    uint32_t wanted_was[IG_GPU_FEW], n_wanted_was; /* what lies in `wanted` */
    uint32_t queued;                               /* operations since the start */
    double pace, pending; /* seconds an operation takes a row, as last seen; rows queued */
    double since;         /* when nothing was queued */
};

struct ig_gpu_mirror_layer {
    struct ig_dev_mem *mem;
    struct ig_kv_shape shape;
    uint32_t room;       /* positions */
    uint32_t from, held; /* positions [from, held) are there, as far as a ring reaches back */
};

struct ig_gpu_mirror {
    struct ig_cache_mirror head; /* first member */
    struct ig_gpu_mirror *next;  /* of the weights' list */
    struct ig_gpu_weights *w;
    struct ig_mem *mem;
    struct ig_cache *cache;
    struct ig_gpu_mirror_layer *layers; /* [cache->n_layers] */
};

/* ---- weights.c: thin wrappers that count and name ---- */

ingle_status ig_gpu_kernel_get(struct ig_gpu_weights *w, enum ig_gpu_kernel id,
                               struct ig_dev_kernel **out, ingle_error *err);
ingle_status ig_gpu_typed_get(struct ig_gpu_weights *w, const struct ig_quant *t,
                              enum ig_gpu_typed id, struct ig_dev_kernel **out, ingle_error *err);
void ig_gpu_free(struct ig_gpu_weights *w, struct ig_dev_mem **m);
void ig_gpu_tensor_drop(struct ig_gpu_weights *w, struct ig_gpu_tensor *t);
void ig_gpu_buffer_free(struct ig_gpu_weights *w, struct ig_gpu_buffer *b);
/* At least `bytes`; what it held is lost if it has to grow. `clear`: zeros. */
ingle_status ig_gpu_buffer_grow(struct ig_gpu_weights *w, struct ig_gpu_buffer *b, size_t bytes,
                                bool clear, ingle_error *err);

/* ---- load.c ---- */

/* The weights of operations [from, to) on the device. */
ingle_status ig_gpu_load(struct ig_gpu_weights *w, uint32_t from, uint32_t to,
                         const _Atomic bool *cancel, ingle_error *err);

/* ---- mirror.c ---- */

/* Brings the mirrors of the pass's timelines to what operations [from, to) read. */
ingle_status ig_gpu_mirrors_begin(struct ig_gpu *g, uint32_t from, uint32_t to, ingle_error *err);
/* Positions of the pass are in the mirrors and in the host's caches; or the pass failed. */
void ig_gpu_mirrors_end(struct ig_gpu *g, uint32_t from, uint32_t to, bool ok);
/* Room in the staging buffer for an operation's keys and values: floats from its beginning. */
ingle_status ig_gpu_stage(struct ig_gpu *g, const struct ig_op *op, size_t *at, ingle_error *err);
/* What is staged comes to the host; ig_gpu_stage_put, or the next flush, brings it into the caches.
 */
ingle_status ig_gpu_stage_flush(struct ig_gpu *g, ingle_error *err);
void ig_gpu_stage_put(struct ig_gpu *g);
void ig_gpu_mirror_drop(struct ig_gpu_mirror *m); /* its device memory */
static inline struct ig_gpu_mirror_layer *ig_gpu_mirror_of(struct ig_gpu_mirror *m,
                                                           uint32_t layer) {
    return &m->layers[layer];
}
static inline uint32_t ig_gpu_stage_stride(const struct ig_layer_params *l) {
    return l->n_head_kv * (l->head_k + l->head_v);
}

/* ---- gpu_run.c ---- */

ingle_status ig_gpu_bounce(struct ig_gpu *g, size_t bytes, ingle_error *err);
void ig_gpu_scratch_free(struct ig_gpu *g); /* its device memory */
/* Waits for the device now and then, so that a raised flag is seen soon. */
ingle_status ig_gpu_breathe(struct ig_gpu *g, uint32_t rows, ingle_error *err);
static inline uint32_t ig_gpu_rows(const struct ig_gpu *g, const struct ig_op *op) {
    return ig_pass_op_rows(g->plan, &g->pass, op);
}
static inline uint32_t ig_gpu_div(uint32_t a, uint32_t b) {
    return (a + b - 1) / b;
}

/* ---- gpu_ops_*.c ---- */

ingle_status ig_gpu_launch(struct ig_gpu *g, struct ig_dev_kernel *k,
                           struct ig_dev_mem *const *buffers, uint32_t n_buffers, const void *args,
                           size_t args_bytes, uint32_t x, uint32_t y, uint32_t z, ingle_error *err);
ingle_status ig_gpu_op_rows(struct ig_gpu *g, const struct ig_op *op, ingle_error *err);
ingle_status ig_gpu_op_linear(struct ig_gpu *g, const struct ig_op *op, ingle_error *err);
ingle_status ig_gpu_op_route(struct ig_gpu *g, const struct ig_op *op, ingle_error *err);
/* `rope`: of the queries, and in the same launch of the keys on their way; or NULL */
ingle_status ig_gpu_op_kv_put(struct ig_gpu *g, const struct ig_op *op, const struct ig_op *rope,
                              ingle_error *err);
ingle_status ig_gpu_op_attend(struct ig_gpu *g, const struct ig_op *op, ingle_error *err);

/* Chunks of positions that a run's rows see: what else changes with the position. */
uint64_t ig_gpu_attend_span(const struct ig_gpu *g, const struct ig_op *op,
                            const struct ig_gpu_run_of *run);

/* ---- graph.c ---- */

typedef ingle_status ig_gpu_queue_fn(struct ig_gpu *g, uint32_t from, uint32_t to,
                                     ingle_error *err);
/* Queues operations [from, to) by `queue`, or replays what it queued before. */
ingle_status ig_gpu_walk(struct ig_gpu *g, uint32_t from, uint32_t to, ig_gpu_queue_fn *queue,
                         ingle_error *err);
void ig_gpu_graphs_free(struct ig_gpu *g);

/* ---- gpu_fuse.c: several operations in one launch ---- */

struct ig_gpu_fused {
    const struct ig_op *post, *add, *norm; /* sum and norms; some NULL */
    const struct ig_op *act;
    const struct ig_op *rope, *put;
    uint32_t len; /* operations */
    int kind;     /* then quantised, as ig_mat_act_kind; -1: not */
    bool keep;    /* the floats are needed too */
};
/* Can operations from `at` on, before `to`, be one launch? */
bool ig_gpu_fuse(const struct ig_gpu *g, uint32_t at, uint32_t to, struct ig_gpu_fused *f);
ingle_status ig_gpu_run_fused(struct ig_gpu *g, const struct ig_gpu_fused *f, ingle_error *err);
/* Rows of a buffer are new: what was quantised of them is old. */
void ig_gpu_forget(struct ig_gpu *g, unsigned buffer);

#endif
