/* Who computes a pass: the processor alone, or it and devices by turns, as engine/place.h shared
 * the operations out. A device that fails is left alone from then on, and the same pass is computed
 * without it: the caller sees nothing but a line in the log. */
#ifndef IG_EXEC_ENGINE_H
#define IG_EXEC_ENGINE_H

#include "base/log.h"
#include "cpu/cpu.h"
#include "gpu/gpu.h"
#include "os/os.h"

struct ig_exec;

/* Keeps passes on devices and whoever wants the devices' memory back apart. One for a model. */
struct ig_exec_gate {
    struct ig_mutex lock;
    struct ig_cond cond;
    uint32_t passing, shut;
};
void ig_exec_gate_init(struct ig_exec_gate *g);
void ig_exec_gate_free(struct ig_exec_gate *g);
/* Between the two no pass is on a device. shut waits for those that are. */
void ig_exec_gate_shut(struct ig_exec_gate *g);
void ig_exec_gate_open(struct ig_exec_gate *g);

struct ig_exec_config {
    struct ig_cpu_config cpu; /* `parts` is ours to fill in */
    const struct ig_log *log;
    uint32_t batch;      /* most tokens of a pass */
    const int8_t *where; /* [plan->n_ops] index of `devices`, -1 the processor; NULL: all there */
    struct ig_gpu_weights *const *devices; /* outlive it */
    uint32_t n_devices;
    struct ig_exec_gate *gate; /* of the devices */
};

ingle_status ig_exec_open(struct ig_exec **out, struct ig_mem *mem, const struct ig_plan *plan,
                          const struct ig_exec_config *config, ingle_error *err);
void ig_exec_close(struct ig_exec *e); /* NULL is fine */
/* INGLE_CANCELLED if the flag was raised: the caches then hold garbage at the pass's positions,
 * nothing else changed. */
ingle_status ig_exec_run(struct ig_exec *e, const struct ig_pass *pass, ingle_error *err);
/* Logits [n_vocab] of wanted row i of the last run, hidden state [n_embd] of one that asked for it;
 * valid until the next. */
const float *ig_exec_logits(const struct ig_exec *e, uint32_t i);
const float *ig_exec_hidden(const struct ig_exec *e, uint32_t i);
/* From the next run on ig_exec_state is asked. */
void ig_exec_keep_states(struct ig_exec *e);
/* The hidden state of token i of any last run that was not cancelled, wanted or not, into out. */
void ig_exec_state(const struct ig_exec *e, uint32_t i, float *out);
/* Bytes of weights that are on a device already. */
uint64_t ig_exec_held(const struct ig_exec *e, const struct ig_device_info *device);
const char *ig_exec_kernels_name(const struct ig_exec *e); /* of the processor's */
/* "avx512" or "avx512 + cuda0", as it computes now. */
void ig_exec_name(const struct ig_exec *e, char *out, size_t cap);

#endif
