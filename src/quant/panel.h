/* Weights taken apart for the matrix kernels: 16 rows side by side, four columns to a 32-bit lane,
 * so that one dot instruction with a broadcast activation serves 16 rows and nothing is added
 * across lanes.
 *
 * A byte of q is weight + zero, where `zero` is the type's (8 for a plain 4-bit type, 128 for
 * signed bytes), or the weight itself where an instruction set wants signed bytes (zero = 0). Rows
 * are read in place; nothing before `w` or after the last block of row 15 is touched. */
#ifndef IG_QUANT_PANEL_H
#define IG_QUANT_PANEL_H

#include "quant/quant.h"

enum { IG_PANEL_ROWS = 16, IG_PANEL_COLS = 1024 };

struct ig_panel {
    _Alignas(64) uint8_t q[IG_PANEL_COLS / 4][IG_PANEL_ROWS][4];
    float d[IG_PANEL_COLS / 16][IG_PANEL_ROWS];       /* per unit */
    float dmin[IG_PANEL_COLS / 32][IG_PANEL_ROWS];    /* per unit */
    int32_t scale[IG_PANEL_COLS / 16][IG_PANEL_ROWS]; /* per group */
    /* of the two 16s in 32 columns; equal for groups of 32 */
    int16_t min[IG_PANEL_COLS / 32][IG_PANEL_ROWS][2];
    /* in: how far behind `w` the bytes lie that will be wanted next; they are prefetched */
    size_t ahead;
};

/* `blocks` blocks (at most IG_PANEL_COLS weights) of 16 rows that lie `stride` bytes apart. Fills q
 * and d; scale for A256 types; min and dmin (A32: only dmin) for types that have them. */
typedef void (*ig_panel_fn)(const uint8_t *w, size_t stride, size_t blocks, struct ig_panel *p);

struct ig_panel_type {
    uint32_t id;
    int zero, top;    /* codes are 0..top; 255 where zero is 128 */
    ig_panel_fn fill; /* NULL: not a quantised type */
};

/* NULL if this build has no such code. The CPU must have the instructions. */
const struct ig_panel_type *ig_quant_panel_avx2(const struct ig_quant *type);
const struct ig_panel_type *ig_quant_panel_avx512(const struct ig_quant *type);
/* Codes of types with zero = 128 are the signed weights. */
const struct ig_panel_type *ig_quant_panel_neon(const struct ig_quant *type);

#endif
