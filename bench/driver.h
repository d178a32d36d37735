/* What bench/driver.c asks of an engine, so that ingle and llama.cpp are timed by the same code. */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include <stddef.h>
#include <stdint.h>

/* Those that return int return 0, or non-zero after printing why to stderr. */

/* Room for `sequences` timelines of `context` positions each. Timeline 0 is the one of the calls
 * without a number. */
int engine_open(const char *path, int threads, int context, int sequences);
void engine_close(void);
int engine_vocab(void);
/* Forgets all but the first `n` tokens. */
int engine_truncate(int n);
/* Appends `n` tokens, as large pieces as the engine takes; logits of the last are wanted. */
int engine_append(const int32_t *ids, int n);
/* Of the last token appended, engine_vocab() floats. */
const float *engine_logits(void);
/* Empties the first `n` timelines. */
int engine_batch_start(int n);
/* Appends ids[i] to timeline i in one pass; logits of all are wanted. */
int engine_batch_step(const int32_t *ids, int n);
/* Ids of a text with the special tokens the model wants; returns the number, or -1. *bos = -1 if
 * none is added. */
int engine_tokenize(const char *text, size_t len, int32_t *ids, int cap, int32_t *bos);
/* Runs `n` tokens on an empty timeline and hands over each position's logits. */
int engine_all_logits(const int32_t *ids, int n,
                      void (*fn)(int position, const float *logits, void *ud), void *ud);

/* driver_perplexity.c */
int run_perplexity(const char *path, const char *file, int context, int threads);

#endif
