/* What may come next, from what was there before: the longest earlier place in a timeline that ends
 * in the same tokens. Bounded memory and time: at most 65536 positions are remembered, at most
 * TRIES of them are compared for a token. */
#ifndef IG_LOOKUP_H
#define IG_LOOKUP_H

#include "base/mem.h"
#include "base/status.h"

enum { IG_LOOKUP_LONGEST = 64 /* a longer match says no more */ };

struct ig_lookup {
    struct ig_mem *mem;
    const int32_t *tokens; /* of the timeline, which may grow behind our back */
    uint32_t *head;        /* [size] by hash of two tokens: where the newest such pair ended */
    uint32_t *older;       /* [size] by position: the one before */
    uint32_t size;         /* power of two */
    uint32_t n;            /* tokens taken in */
    uint32_t source;       /* position whose token is the guess */
    uint32_t length;       /* tokens before it that equal the last ones; 0: no guess */
};

ingle_status ig_lookup_open(struct ig_lookup *l, struct ig_mem *mem, uint32_t context,
                            ingle_error *err);
void ig_lookup_close(struct ig_lookup *l);
/* Begins anew with tokens[0..n). */
void ig_lookup_begin(struct ig_lookup *l, const int32_t *tokens, uint32_t n);
/* Takes in the token behind those it has: tokens[l->n]. */
void ig_lookup_add(struct ig_lookup *l);
/* The guessed continuation, `n` tokens: none if l->length is 0. A text that repeats itself goes on
 * with its own guesses. */
void ig_lookup_guess(const struct ig_lookup *l, int32_t *out, uint32_t n);

#endif
