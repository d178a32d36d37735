/* Private to the regex engine: the compiled form, and what both building and matching do with it.
 */
#ifndef IG_REGEX_IMPL_H
#define IG_REGEX_IMPL_H

#include "vocab/regex.h"

enum { IG_RE_MAX_KINDS = 16 }; /* of preceding characters that assertions can tell apart */
enum { OP_MATCH, OP_CHAR, OP_SPLIT, OP_CHECK, OP_LOOK };
enum { GO_MATCH = 0xffff, GO_DEAD = 0xfffe };

struct instr {
    uint8_t op, level;
    bool negative;
    int32_t x, y; /* x: next or preferred; y: SPLIT's other */
    int32_t arg;  /* CHAR: number among the CHARs; CHECK: number of the check; LOOK: first
                     instruction of the body */
};

struct ig_regex {
    struct ig_mem *mem;
    size_t bytes;
    uint8_t ascii[128];
    uint16_t *block_of; /* [0x110000 / 128] */
    uint8_t *blocks;    /* [n_blocks][128] */
    uint32_t n_classes, n_kinds, n_states;
    uint8_t
        kind_of[256]; /* class -> kind of a preceding character; [n_classes] = start of the text */
    uint16_t at_end[IG_RE_MAX_KINDS];
    uint16_t *step;  /* [n_states][n_classes][n_kinds] */
    bool *can_start; /* [n_states] */
    uint16_t *go;    /* [n_chars + 1][n_states] or NULL */
    /* for the walk when `go` would be too large */
    struct instr *code;
    uint32_t n_code, n_chars, start;
    uint32_t *char_at; /* [n_chars] instruction */
    uint64_t *alive;   /* [n_states][alive_words] */
    uint32_t alive_words;
};

static inline bool bit(const uint64_t *set, uint32_t i) {
    return set[i >> 6] >> (i & 63) & 1;
}

/* The CHAR to consume, or GO_MATCH, from instruction `pc` in state `alive`. Branches that are not
 * alive are never taken, so without empty loops no alternative has to be remembered. */
static inline uint16_t walk(const struct instr *code, const uint64_t *alive, uint32_t pc) {
    for (;;) {
        const struct instr *in = code + pc;
        if (in->op == OP_CHAR) return (uint16_t)in->arg;
        if (in->op == OP_MATCH) return GO_MATCH;
        pc = (uint32_t)(in->op == OP_SPLIT && !bit(alive, (uint32_t)in->x) ? in->y : in->x);
    }
}

static inline uint8_t class_of(const struct ig_regex *r, uint32_t cp) {
    return r->blocks[(size_t)r->block_of[cp >> 7] * 128 + (cp & 127)];
}

#endif
