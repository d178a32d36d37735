/* Linear layers for up to FEW_INPUTS inputs: 16 rows at a time are multiplied with all inputs as
 * they are read (quant/few.h). What the products want of the inputs is laid out once per call, all
 * slices of them. The including file has set the target and defines FEW_FIND to the look-up of the
 * code of its instruction set.
 *
 * Bits are those of quant.inl: integers are exact in any order, and the float steps of an output
 * run over units and slices in the same order. */
#include "quant/few.h"

/* Up to so many; the second IG_FEW_MAX find the rows in the cache. */
enum { FEW_INPUTS = 2 * IG_FEW_MAX };

struct few_part {
    ig_few_fn fn;
    uint32_t first, n; /* inputs of the call */
    uint32_t laid;     /* so many are laid out: the last again and again */
    void *x;           /* [blocks][laid] */
};

static size_t few_scratch_bytes(uint32_t cols) {
    size_t a = cols / 256 * sizeof(struct ig_few_256), b = cols / 32 * sizeof(struct ig_few_32);
    return FEW_INPUTS * (a > b ? a : b);
}

static void few_256(const struct ig_quant *type, int zero, const int8_t *q, const float *d,
                    const int16_t *sum, struct ig_few_256 *out) {
    static const uint8_t order[4] = {0, 2, 1, 3};
    int16_t both[8];
    memcpy(out->a, q, 256);
    out->d = *d;
    for (int g = 0; g < 8; g++) both[g] = (int16_t)(sum[2 * g] + sum[2 * g + 1]);
    if (type->group == 16)
        for (int g = 0; g < 16; g++) out->start[g] = -zero * sum[g];
    else
        for (int g = 0; g < 8; g++) out->start[g] = -zero * both[g];
    if (!type->has_min) return;
    for (int g = 0; g < 256 / type->group; g++)
        out->sum[g / 4 * 4 + order[g & 3]] = type->group == 16 ? sum[g] : both[g];
}

static void few_32(const struct ig_quant *type, int zero, const int8_t *q, const float *d,
                   const int16_t *sum, struct ig_few_32 *out) {
    int both = sum[0] + sum[1];
    memcpy(out->a, q, 32);
    out->start[0] = -zero * (type->unit == 16 ? sum[0] : both);
    out->start[1] = -zero * sum[1];
    out->d = *d;
    out->sum = (float)both;
}

static void few_lay_out(const struct ig_linear *j, int zero, const struct few_part *p) {
    for (uint32_t i = 0; i < p->laid; i++) {
        size_t x = ig_linear_x(j, p->first + (i < p->n ? i : p->n - 1));
        const int8_t *q = j->act.q + j->act.q_stride * x;
        const float *d = j->act.d + j->act.d_stride * x;
        const int16_t *sum = j->act.sum + j->act.s_stride * x;
        if (j->type->kind == IG_QUANT_A256)
            for (size_t b = 0; b < j->cols / 256; b++)
                few_256(j->type, zero, q + 256 * b, d + b, sum + 16 * b,
                        (struct ig_few_256 *)p->x + b * p->laid + i);
        else
            for (size_t b = 0; b < j->cols / 32; b++)
                few_32(j->type, zero, q + 32 * b, d + b, sum + 2 * b,
                       (struct ig_few_32 *)p->x + b * p->laid + i);
    }
}

static void few_rows(const struct ig_linear *j, const struct few_part *p, uint32_t row) {
    _Alignas(64) float acc[IG_FEW_MAX][IG_FEW_ROWS];
    const uint8_t *w = j->w + j->row_bytes * row;
    for (size_t k = 0; k < j->cols; k += IG_SLICE) {
        size_t end = j->cols - k < IG_SLICE ? j->cols : k + IG_SLICE,
               at = k / j->type->block * j->type->bytes;
        struct ig_few f = {.x = (const struct ig_few_256 *)p->x + k / 256 * p->laid,
                           .y = (const struct ig_few_32 *)p->x + k / 32 * p->laid,
                           .acc = acc};
        f.ahead =
            end < j->cols ? (end - k) / j->type->block * j->type->bytes : 16 * j->row_bytes - at;
        p->fn(w + at, j->row_bytes, (end - k) / j->type->block, &f);
        for (uint32_t i = 0; i < p->n; i++) {
            float *y = ig_linear_y(j, p->first + i) + row;
            for (int r = 0; r < IG_FEW_ROWS; r++) y[r] = (k ? y[r] : 0) + acc[i][r];
        }
    }
}

/* False: this is not for it. */
static bool few_linear(const struct ig_linear *j) {
    const struct ig_few_type *t = FEW_FIND(j->type);
    struct few_part part[2];
    uint32_t parts = 0;
    uint8_t *x = j->scratch;
    if (!t || j->n > FEW_INPUTS || j->rows < IG_FEW_ROWS) return false;
    for (uint32_t first = 0; first < j->n; first += IG_FEW_MAX, parts++) {
        uint32_t n = j->n - first < IG_FEW_MAX ? j->n - first : IG_FEW_MAX, log = n > 2 ? 2 : n - 1;
        part[parts] = (struct few_part){t->fn[log], first, n, 1u << log, x};
        if (!t->fn[log]) return false;
        x += few_scratch_bytes(j->cols) / 2;
    }
    for (uint32_t p = 0; p < parts; p++) few_lay_out(j, t->zero, &part[p]);
    /* the last rows may cover some of those before again: same bits, same thread */
    for (uint32_t row = 0; row < j->rows; row += IG_FEW_ROWS)
        for (uint32_t p = 0; p < parts; p++)
            few_rows(j, &part[p], row + IG_FEW_ROWS > j->rows ? j->rows - IG_FEW_ROWS : row);
    return true;
}
