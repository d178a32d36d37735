/* The CPU executor: runs a plan over a batch of tokens, which may belong to several timelines. Owns
 * scratch and threads, not weights, not caches. One run at a time; any number of executors may
 * share a plan. */
#ifndef IG_CPU_H
#define IG_CPU_H

#include <stdatomic.h>
#include "kv/cache.h"
#include "plan/pass.h"

struct ig_cpu;

struct ig_cpu_config {
    const char *kernels; /* "auto" or a table's name */
    unsigned threads;    /* >= 1 */
    uint32_t context;    /* of the timelines: longrope chooses by it */
    bool background;     /* worker threads at lower priority */
    const _Atomic bool *cancel;
    const struct ig_plan_part *parts; /* [n_parts] those that ig_cpu_run_part may be given */
    uint32_t n_parts;
};

ingle_status ig_cpu_open(struct ig_cpu **out, struct ig_mem *mem, const struct ig_plan *plan,
                         const struct ig_cpu_config *config, ingle_error *err);
void ig_cpu_close(struct ig_cpu *c);
/* INGLE_CANCELLED if the flag was raised: the caches then hold garbage at the pass's positions,
 * nothing else changed. */
ingle_status ig_cpu_run(struct ig_cpu *c, const struct ig_pass *pass, ingle_error *err);
/* The same in parts, between which others may work. begin makes room for the pass; then rows of
 * part->in are written to where ig_cpu_in says, the part is run, and rows of part->out lie where
 * ig_cpu_out says until the next run. Rows are `stride` floats apart. */
ingle_status ig_cpu_begin(struct ig_cpu *c, const struct ig_pass *pass, ingle_error *err);
float *ig_cpu_in(struct ig_cpu *c, unsigned buffer, size_t *stride);
ingle_status ig_cpu_run_part(struct ig_cpu *c, const struct ig_plan_part *part, ingle_error *err);
const float *ig_cpu_out(const struct ig_cpu *c, unsigned buffer, size_t *stride);
/* Logits [n_vocab] of wanted row i of the last run; valid until the next. */
const float *ig_cpu_logits(const struct ig_cpu *c, uint32_t i);
/* Hidden state [n_embd] of wanted row i of a run that asked for it; valid until the next. */
const float *ig_cpu_hidden(const struct ig_cpu *c, uint32_t i);
/* The same of token i of any last run that was not cancelled, wanted or not, into out. */
void ig_cpu_state(const struct ig_cpu *c, uint32_t i, float *out);
/* The hidden state of a row x [n_embd] of the stream. */
void ig_cpu_state_of(const struct ig_cpu *c, const float *x, float *out);
const char *ig_cpu_kernels_name(const struct ig_cpu *c);
/* How it rounds floats to halves, for others who write its caches. */
typedef void (*ig_to_f16_fn)(uint16_t *dst, const float *a, uint32_t n);
ig_to_f16_fn ig_cpu_to_f16(const struct ig_cpu *c);

#endif
