/* The GPU executor: runs parts of a plan on a device. What it needs to know of the device is
 * device.h; it knows no family and no block type's inside.
 *
 *   ig_gpu_weights   a plan's weights on one device: shared by sessions, its lock guards the device
 *   ig_gpu           one session's scratch on it
 *   a mirror         the keys and values of one timeline's layers on the device (kv/cache.h)
 *
 * Nothing on a device is needed to go on: the host's cache is complete at the end of every pass, so
 * that a device may fail or be given back between any two passes. */
#ifndef IG_GPU_H
#define IG_GPU_H

#include <stdatomic.h>

#include "gpu/device.h"
#include "kv/cache.h"
#include "plan/pass.h"

struct ig_gpu_weights;
struct ig_gpu;

/* ---- What it takes (pure functions of the plan) ---- */

/* Bytes of the weights of operations [from, to) on a device; a matrix that several of them use
 * counts once. Additive over ranges but for shared matrices. */
uint64_t ig_gpu_weight_bytes(const struct ig_plan *plan, uint32_t from, uint32_t to);
/* Bytes of one timeline's keys and values of a layer: 0 if it uses another layer's. A layer with a
 * window holds window + batch positions. */
uint64_t ig_gpu_kv_bytes(const struct ig_plan *plan, uint32_t layer, enum ig_cache_type type,
                         uint32_t context, uint32_t batch);
/* Bytes of one session's working buffers, at most. */
uint64_t ig_gpu_scratch_bytes(const struct ig_plan *plan, uint32_t context, uint32_t batch);
/* Can these operations run there at all? Otherwise the index of the first that cannot. */
uint32_t ig_gpu_can_run(const struct ig_plan *plan, uint32_t from, uint32_t to);

/* ---- Weights ---- */

/* Opens the device and uploads nothing yet: a part's weights go there before it first runs. `plan`
 * and `mem` outlive it. */
ingle_status ig_gpu_weights_open(struct ig_gpu_weights **out, struct ig_mem *mem,
                                 const struct ig_plan *plan, const struct ig_device_info *info,
                                 const struct ig_device_config *config, ingle_error *err);
/* All executors and mirrors on it are closed before. NULL is fine. */
void ig_gpu_weights_close(struct ig_gpu_weights *w);
const struct ig_device_info *ig_gpu_weights_info(const struct ig_gpu_weights *w);
/* Bytes that are free for this plan: free memory, and what its weights take there already. */
uint64_t ig_gpu_weights_free(struct ig_gpu_weights *w);
uint64_t ig_gpu_weights_held(struct ig_gpu_weights *w); /* bytes of them that are there */
/* Gives all memory back: weights, mirrors, scratch. The next pass brings them there again. Waits
 * for a pass that runs. */
void ig_gpu_rest(struct ig_gpu_weights *w);

/* ---- An executor ---- */

struct ig_gpu_config {
    uint32_t context, batch; /* of the timelines: longrope chooses by the context */
    const _Atomic bool *cancel;
    const struct ig_log *log;
    /* Rounds floats to halves like ig_f32_to_f16, for the host's cache; NULL: plain code. */
    void (*to_f16)(uint16_t *dst, const float *a, uint32_t n);
};

ingle_status ig_gpu_open(struct ig_gpu **out, struct ig_mem *mem, struct ig_gpu_weights *w,
                         const struct ig_gpu_config *config, ingle_error *err);
void ig_gpu_close(struct ig_gpu *g); /* NULL is fine */
/* Runs operations [part->from, part->to) as far as the pass goes (ig_pass_end). Rows of part->in
 * were put there before. What was written to the cache on the device is in the host's when it
 * returns. INGLE_CANCELLED if the flag was raised; any other failure is the device's. */
ingle_status ig_gpu_run(struct ig_gpu *g, const struct ig_plan_part *part,
                        const struct ig_pass *pass, ingle_error *err);
/* Rows [0, rows) of a buffer; `stride` floats from one row of the host's to the next, width of the
 * buffer each. A put makes room for the pass, so it comes before the run it is for. */
ingle_status ig_gpu_put(struct ig_gpu *g, unsigned buffer, uint32_t rows, const float *from,
                        size_t stride, ingle_error *err);
ingle_status ig_gpu_get(struct ig_gpu *g, unsigned buffer, uint32_t first, uint32_t rows, float *to,
                        size_t stride, ingle_error *err);

#endif
