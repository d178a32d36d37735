/* Chains of positions by hash, as in LZ77: a pair of tokens leads to the last place where it stood,
 * and from there to older ones. The subtle thing: a match that goes on is followed for free, so a
 * long copy is not lost when its pairs become common. */
#include "engine/lookup.h"

#include <string.h>

enum { PAIR = 2, TRIES = 24, MOST = 1 << 16 };

ingle_status ig_lookup_open(struct ig_lookup *l, struct ig_mem *mem, uint32_t context,
                            ingle_error *err) {
    uint32_t size = 64;
    while (size < context && size < MOST) size *= 2;
    *l = (struct ig_lookup){.mem = mem, .size = size};
    l->head = ig_calloc(mem, size, sizeof *l->head);
    l->older = ig_calloc(mem, size, sizeof *l->older);
    if (l->head && l->older) return INGLE_OK;
    ig_lookup_close(l);
    return ig_fail_memory(err, 2 * size * sizeof *l->head);
}

void ig_lookup_close(struct ig_lookup *l) {
    ig_free(l->mem, l->head);
    ig_free(l->mem, l->older);
    *l = (struct ig_lookup){0};
}

void ig_lookup_begin(struct ig_lookup *l, const int32_t *tokens, uint32_t n) {
    memset(l->head, 0, l->size * sizeof *l->head);
    l->tokens = tokens;
    l->n = n > l->size ? n - l->size : 0;
    l->source = l->length = 0;
    while (l->n < n) ig_lookup_add(l);
}

/* Tokens before position `at` that equal the last ones, at most LONGEST. */
static uint32_t match(const struct ig_lookup *l, uint32_t at) {
    uint32_t k = 0, most = at < IG_LOOKUP_LONGEST ? at : IG_LOOKUP_LONGEST;
    while (k < most && l->tokens[at - 1 - k] == l->tokens[l->n - 1 - k]) k++;
    return k;
}

/* Follows the chain that begins at `at` for something longer than the match at hand. */
static void search(struct ig_lookup *l, uint32_t at) {
    uint32_t oldest = l->n > l->size ? l->n - l->size : 0;
    for (int tries = 0; at > oldest && tries < TRIES && l->length < IG_LOOKUP_LONGEST; tries++) {
        uint32_t k = match(l, at);
        if (k >= PAIR && k > l->length) {
            l->source = at;
            l->length = k;
        }
        at = l->older[at & (l->size - 1)];
    }
}

void ig_lookup_add(struct ig_lookup *l) {
    bool goes_on = l->length && l->tokens[l->source] == l->tokens[l->n];
    l->n++;
    l->source = goes_on ? l->source + 1 : 0;
    l->length = goes_on ? l->length + (l->length < IG_LOOKUP_LONGEST) : 0;
    if (l->n < PAIR) return;
    uint32_t a = (uint32_t)l->tokens[l->n - 2], b = (uint32_t)l->tokens[l->n - 1];
    uint32_t h = a * 0x9e3779b1u ^ b * 0x85ebca6bu;
    uint32_t *head = &l->head[(h ^ h >> 15) & (l->size - 1)], newest = *head;
    l->older[l->n & (l->size - 1)] = newest;
    *head = l->n;
    search(l, newest);
}

void ig_lookup_guess(const struct ig_lookup *l, int32_t *out, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        out[i] = l->source + i < l->n ? l->tokens[l->source + i] : out[l->source + i - l->n];
}
