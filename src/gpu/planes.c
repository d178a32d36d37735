/* Rows of weights taken apart into planes. Knows of a block type only the two pieces that its room
 * names; float types have one piece, so packing them is a copy. */
#include "gpu/planes.h"

#include <string.h>

static uint32_t up(uint32_t n, uint32_t to) {
    return (n + to - 1) / to * to;
}

struct ig_mat_shape ig_planes_shape(const struct ig_quant *t, uint32_t cols, bool native) {
    uint32_t blocks = cols / t->block, main = t->device.main, rest = t->device.rest;
    if (native)
        return (struct ig_mat_shape){blocks * t->bytes, t->device.main_at, t->bytes,
                                     t->device.rest_at, t->bytes};
    uint32_t rest_at = up(blocks * main, 16);
    return (struct ig_mat_shape){up(rest_at + blocks * rest, 32), 0, main, rest_at, rest};
}

/* n bytes of every block; with a constant n the copies are plain moves. */
static inline void pick(uint8_t *to, const uint8_t *from, size_t blocks, size_t step, size_t n) {
    for (; blocks--; to += n, from += step) memcpy(to, from, n);
}

/* A plane of `room` bytes. */
static void plane(uint8_t *to, const uint8_t *from, size_t blocks, size_t step, size_t n,
                  size_t room) {
    if (n == step)
        memcpy(to, from, blocks * n);
    else if (n == 2)
        pick(to, from, blocks, step, 2);
    else if (n == 16)
        pick(to, from, blocks, step, 16);
    else if (n == 32)
        pick(to, from, blocks, step, 32);
    else
        pick(to, from, blocks, step, n);
    memset(to + blocks * n, 0, room - blocks * n);
}

void ig_planes_pack(const struct ig_quant *t, uint32_t cols, const uint8_t *row, uint8_t *out) {
    struct ig_mat_shape s = ig_planes_shape(t, cols, false);
    size_t blocks = cols / t->block;
    plane(out, row + t->device.main_at, blocks, t->bytes, s.main_step, s.rest_at);
    plane(out + s.rest_at, row + t->device.rest_at, blocks, t->bytes, s.rest_step,
          s.row_bytes - s.rest_at);
}
