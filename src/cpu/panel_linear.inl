/* Linear layers over panels of 16 rows (quant/panel.h), for one token and for many. The including
 * file has set the target and included the products for its instruction set (panel_avx2.inl or
 * panel_neon.inl), which need PL_FN, PL_MAX and struct pl_inputs from here; it defines PL_PRODUCTS
 * to its name and PL_FIND to the look-up of the panel code.
 *
 * A panel of up to 1024 columns stays in the first cache while up to PL_TOKENS inputs pass by in
 * tiles of T; the float sum of a slice waits in `acc` between panels. Bits are those of quant.inl:
 * integers are exact in any order, and the float steps of an output run over units and slices in
 * the same order. */
#include "quant/panel.h"

#define PL_FN static inline __attribute__((always_inline))
/* A loop that must be unrolled wholly, so that arrays of vectors live in registers */
#if defined(__clang__)
#define PL_EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)
#else
#define PL_EACH(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)
#endif
enum { PL_MAX = 8, PL_TOKENS = 256 };

struct pl_inputs { /* of one tile, at the first column of the panel */
    const int8_t *q[PL_MAX];
    const float *d[PL_MAX];
    const int16_t *sum[PL_MAX];
};

struct pl_scratch {
    struct ig_panel panel;
    _Alignas(64) float acc[PL_TOKENS][16];
};

typedef void (*pl_tile_fn)(const struct ig_panel *, int zero, const struct pl_inputs *, size_t cols,
                           float (*acc)[16]);
#define PL_TILE(name, T, call)                                                                     \
    static void name##_##T(const struct ig_panel *p, int zero, const struct pl_inputs *in,         \
                           size_t cols, float(*acc)[16]) {                                         \
        enum { N = T };                                                                            \
        call;                                                                                      \
    }
#include PL_PRODUCTS

static void pl_point(const struct ig_linear *j, uint32_t i, size_t column, int t,
                     struct pl_inputs *in) {
    size_t x = ig_linear_x(j, i), per = j->type->kind == IG_QUANT_A256 ? 256 : 32;
    in->q[t] = j->act.q + j->act.q_stride * x + column;
    in->d[t] = j->act.d + j->act.d_stride * x + column / per;
    in->sum[t] = j->act.sum + j->act.s_stride * x + column / 16;
}

/* The panel times inputs [first, first + n) into acc. */
static void pl_inputs_pass(const struct ig_linear *j, const pl_tile_fn *tiles, int zero,
                           struct pl_scratch *s, uint32_t first, uint32_t n, size_t column,
                           size_t cols) {
    struct pl_inputs in;
    for (uint32_t i = 0; i < n;) {
        int log = PL_LOG_MAX;
        while (n - i < 1u << log) log--;
        int tile = 1 << log;
        for (int t = 0; t < tile; t++) pl_point(j, first + i + (uint32_t)t, column, t, &in);
        tiles[log](&s->panel, zero, &in, cols, s->acc + i);
        i += (uint32_t)tile;
    }
}

/* Sixteen rows, inputs [first, first + n). */
static void pl_rows(const struct ig_linear *j, const struct ig_panel_type *t,
                    const pl_tile_fn *tiles, uint32_t row, uint32_t first, uint32_t n) {
    struct pl_scratch *s = j->scratch;
    const uint8_t *w = j->w + j->row_bytes * row;
    for (size_t slice = 0; slice < j->cols; slice += IG_SLICE) {
        size_t end = j->cols - slice < IG_SLICE ? j->cols : slice + IG_SLICE;
        memset(s->acc, 0, n * sizeof *s->acc);
        for (size_t k = slice; k < end; k += IG_PANEL_COLS) {
            size_t cols = end - k < IG_PANEL_COLS ? end - k : IG_PANEL_COLS;
            s->panel.ahead = k + cols < j->cols
                                 ? cols / j->type->block * j->type->bytes
                                 : 16 * j->row_bytes - k / j->type->block * j->type->bytes;
            t->fill(w + k / j->type->block * j->type->bytes, j->row_bytes, cols / j->type->block,
                    &s->panel);
            pl_inputs_pass(j, tiles, t->zero, s, first, n, k, cols);
        }
        for (uint32_t i = 0; i < n; i++)
            pl_add(ig_linear_y(j, first + i) + row, s->acc[i], slice == 0);
    }
}

static size_t pl_scratch_bytes(uint32_t cols) {
    size_t rest = lq_scratch_bytes(cols);
    if (rest < sizeof(struct pl_scratch)) rest = sizeof(struct pl_scratch);
#ifdef FEW_FIND
    if (rest < few_scratch_bytes(cols)) rest = few_scratch_bytes(cols);
#endif
#ifdef PM_FIND
    if (rest < sizeof(struct pm_scratch)) rest = sizeof(struct pm_scratch);
#endif
    return rest;
}

static void pl_linear(const struct ig_linear *j) {
#ifdef FEW_FIND
    if (few_linear(j)) return;
#endif
#ifdef PM_FIND
    if (j->n > PL_MAX && pm_linear(j)) return;
#endif
    if (j->packed) j->packed->held = 0;
    const struct ig_panel_type *t = PL_FIND(j->type);
    const pl_tile_fn *tiles = t ? pl_tiles(j->type, t->top) : NULL;
    if (!tiles || j->rows < IG_PANEL_ROWS) {
        lq_linear(j);
        return;
    }
    for (uint32_t first = 0; first < j->n; first += PL_TOKENS) {
        uint32_t n = j->n - first < PL_TOKENS ? j->n - first : PL_TOKENS;
        /* the last panel may cover rows of the one before again: same bits, same thread */
        for (uint32_t row = 0; row < j->rows; row += IG_PANEL_ROWS)
            pl_rows(j, t, tiles, row + IG_PANEL_ROWS > j->rows ? j->rows - IG_PANEL_ROWS : row,
                    first, n);
    }
}
