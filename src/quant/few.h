/* Products of 16 rows with a few inputs, taken while the rows are read: 16 rows side by side as in
 * panel.h, but nothing is stored in between. The code of the block types is the same as for panels
 * (lanes_out.h). */
#ifndef IG_QUANT_FEW_H
#define IG_QUANT_FEW_H

#include "quant/quant.h"

enum { IG_FEW_MAX = 4, IG_FEW_ROWS = 16 };

/* An input's 256 columns for A256 types */
struct ig_few_256 {
    int8_t a[256];
    int32_t start[16]; /* -zero times the sum of each group */
    int16_t sum[16];   /* of each group that has a minimum; of four in a row: 0, 2, 1, 3 */
    float d;
    uint8_t pad[28];
};
/* An input's 32 columns for the others */
struct ig_few_32 {
    int8_t a[32];
    int32_t start[2]; /* -zero times the sum of the 32 or of each 16 */
    float d, sum;
};

struct ig_few {
    const struct ig_few_256 *x; /* [blocks of 256][n], or */
    const struct ig_few_32 *y;  /* [blocks of 32][n] */
    size_t ahead;               /* how far behind w the bytes lie that will be wanted next */
    float (*acc)[IG_FEW_ROWS];  /* [n] out: float sums, which begin at 0 */
};

/* `blocks` blocks of 16 rows that lie `stride` bytes apart */
typedef void (*ig_few_fn)(const uint8_t *w, size_t stride, size_t blocks, const struct ig_few *f);

struct ig_few_type {
    uint32_t id;
    int zero;        /* codes are weights plus this */
    ig_few_fn fn[3]; /* 1, 2 and 4 inputs; NULL where there is no such code */
};

/* NULL if this build has no such code. The CPU must have the instructions. */
const struct ig_few_type *ig_quant_few_avx2(const struct ig_quant *type);
const struct ig_few_type *ig_quant_few_avx512(const struct ig_quant *type);

#endif
