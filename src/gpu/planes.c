/* Rows of weights taken apart into planes. Knows of a block type only the two pieces that its room
 * names. Planes begin at multiples of 16 bytes and rows at multiples of 32, whatever the width is.
 */
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

void ig_planes_pack(const struct ig_quant *t, uint32_t cols, const uint8_t *row, uint8_t *out) {
    struct ig_mat_shape s = ig_planes_shape(t, cols, false);
    uint32_t blocks = cols / t->block;
    size_t main_end = (size_t)blocks * t->device.main,
           rest_end = s.rest_at + (size_t)blocks * t->device.rest;
    memset(out + main_end, 0, s.rest_at - main_end);
    memset(out + rest_end, 0, s.row_bytes - rest_end);
    if (!t->device.rest) {
        memcpy(out, row, main_end);
        return;
    }
    for (uint32_t b = 0; b < blocks; b++, row += t->bytes) {
        memcpy(out + (size_t)b * t->device.main, row + t->device.main_at, t->device.main);
        memcpy(out + s.rest_at + (size_t)b * t->device.rest, row + t->device.rest_at,
               t->device.rest);
    }
}
