/* The golden block of every type, from the type files; the library does not carry them. */
#ifndef QUANT_GOLDEN_H
#define QUANT_GOLDEN_H

#include <stddef.h>
#include <stdint.h>

#define IG_PART_GOLDEN
#include "quant/list.h"
#undef IG_PART_GOLDEN

struct golden {
    uint32_t id;
    const uint8_t *block;
    const float *values; /* what it decodes to */
};

#define IG_PART_ROW(type_id, text, t, kind, unpack_fn, decode_fn, encode_fn, block_bytes, block_values) \
    {type_id, block_bytes, block_values},
static const struct golden goldens[] = {
#include "quant/list.h"
};
#undef IG_PART_ROW

static const struct golden *golden_of(uint32_t id) {
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++)
        if (goldens[i].id == id) return &goldens[i];
    return NULL;
}

#endif
