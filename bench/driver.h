/* What bench/driver.c asks of an engine, so that ingle and llama.cpp are timed by the same code. */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include <stddef.h>
#include <stdint.h>

/* Each returns 0, or non-zero after printing why to stderr. */
int engine_open(const char *path, int threads, int context);
void engine_close(void);
int engine_vocab(void);
/* Empties the timeline, then runs `n` tokens at once; logits of the last are wanted. */
int engine_prompt(const int32_t *ids, int n);
int engine_step(int32_t id);
/* Of the last token, engine_vocab() floats. */
const float *engine_logits(void);
/* Ids of a text with the special tokens the model wants; returns the number, or -1. *bos = -1 if
 * none is added. */
int engine_tokenize(const char *text, size_t len, int32_t *ids, int cap, int32_t *bos);
/* Runs `n` tokens on an empty timeline and hands over each position's logits. */
int engine_all_logits(const int32_t *ids, int n,
                      void (*fn)(int position, const float *logits, void *ud), void *ud);

#endif
