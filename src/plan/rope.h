/* Rotation tables: cos and sin for positions, from double arithmetic that is the same on every
 * machine. */
#ifndef IG_ROPE_H
#define IG_ROPE_H

#include "plan/plan.h"

/* What a position is multiplied with, for each pair: out [dims / 2]. `context` is the size of the
 * timeline: longrope and dynamic scaling choose by it (not by the length so far, which would make
 * results depend on how a prompt is split). */
void ig_rope_frequencies(const struct ig_rope *r, uint32_t context, double *out, double *mscale);
/* out[2 * i], out[2 * i + 1] = cos, sin of position * frequency[i], times mscale */
void ig_rope_table(const double *frequency, uint32_t pairs, uint32_t position, double mscale,
                   float *out);
/* Rotates one head of `n` values in place; `dims` of them. */
void ig_rope_apply(float *x, const float *table, uint32_t dims, bool pairwise);
/* ALiBi's slopes [heads], the most that a layer has; 0 heads: the model has none. */
uint32_t ig_alibi_heads(const struct ig_hparams *hp);
void ig_alibi_slopes(const struct ig_hparams *hp, uint32_t heads, float *out);
double ig_det_log(double x); /* natural logarithm, x > 0: same bits everywhere */

#endif
