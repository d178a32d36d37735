/* The inner loops of the CPU, as one table per instruction set. scalar.c is the oracle: every other
 * table gives the same bits. The contract of the arithmetic is DESIGN 6 and
 * docs/reproducibility.md.
 *
 * All pointers may be unaligned unless said. Widths need not be multiples of 16. No kernel
 * allocates. */
#ifndef IG_KERNELS_H
#define IG_KERNELS_H

#include "kv/cache.h"
#include "quant/quant.h"

/* Activation rows quantised for integer dots. Row i begins at q + i * q_stride and so on. */
struct ig_act_rows {
    int8_t *q;    /* [n][q_stride], -127..127 */
    float *d;     /* [n][d_stride], one scale per 32 or 256 */
    int16_t *sum; /* [n][s_stride], sums of q per 16 */
    size_t q_stride, d_stride, s_stride;
};

/* y[i][r] = sum over k of W[r][k] x[i][k] for rows [0, rows) of W and `n` inputs i. */
struct ig_linear {
    const struct ig_quant *type;
    const uint8_t *w; /* first row */
    size_t row_bytes;
    uint32_t rows, cols;
    const float *x; /* FLOAT types: [.][x_stride] */
    size_t x_stride;
    struct ig_act_rows act;  /* others; of the kind the type asks for */
    const uint32_t *x_index; /* input i is row x_index[i]; NULL: row i */
    float *y;                /* [.][y_stride], first column = first row of W */
    size_t y_stride;
    const uint32_t *y_index; /* output i is row y_index[i]; NULL: row i */
    uint32_t n;
    void *scratch; /* ig_kernels.scratch_bytes(cols) bytes, aligned to 64, private to the thread */
};

static inline size_t ig_linear_x(const struct ig_linear *j, uint32_t i) {
    return j->x_index ? j->x_index[i] : i;
}
static inline float *ig_linear_y(const struct ig_linear *j, uint32_t i) {
    return j->y + j->y_stride * (j->y_index ? j->y_index[i] : i);
}

/* One query token against one kv head: the `n_q` query heads that share it. */
struct ig_attend {
    const struct ig_cache *cache;
    const struct ig_cache_layer *layer;
    uint32_t kv_head, n_q;
    const float *q;       /* [n_q][head_k] */
    float *out;           /* [n_q][head_v] */
    uint32_t first, last; /* visible positions, inclusive */
    uint32_t position;    /* of the query, for ALiBi */
    float scale;          /* on q . k */
    float softcap;        /* 0: none */
    const float *slopes;  /* [n_q] ALiBi, or NULL */
    const float *sinks;   /* [n_q], or NULL */
};

struct ig_kernels {
    const char *name;
    size_t (*scratch_bytes)(uint32_t cols);
    void (*linear_float)(const struct ig_linear *job);
    void (*linear_quant)(const struct ig_linear *job);
    /* One row: q, d (per `per` = 32 or 256 values) and sums. n is a multiple of 32. */
    void (*quantize)(const float *x, uint32_t n, uint32_t per, int8_t *q, float *d, int16_t *sum);
    /* (x - mean?) / sqrt(mean of squares + eps) * w + b; w, b may be NULL. dst may be x. */
    void (*norm_rms)(float *dst, const float *x, const float *w, const float *b, uint32_t n,
                     float eps);
    void (*norm_layer)(float *dst, const float *x, const float *w, const float *b, uint32_t n,
                       float eps);
    void (*act)(uint8_t what, const float *f, float *dst, const float *a, uint32_t n); /* act(a) */
    void (*glu)(uint8_t what, const float *f, float *dst, const float *a, const float *b,
                uint32_t n);                                                      /* act(a) * b */
    void (*add)(float *dst, const float *a, const float *b, float f, uint32_t n); /* fma(f, b, a) */
    void (*scale)(float *dst, const float *a, float f, uint32_t n);
    void (*mul)(float *dst, const float *a, const float *b, uint32_t n);
    void (*softcap)(float *dst, const float *a, float f, uint32_t n);
    void (*softmax)(float *dst, const float *a, uint32_t n); /* for routers */
    void (*to_f16)(uint16_t *dst, const float *a, uint32_t n);
    void (*attend)(const struct ig_attend *job);
};

extern const struct ig_kernels ig_kernels_scalar;
extern const struct ig_kernels ig_kernels_avx2;   /* name NULL where not compiled */
extern const struct ig_kernels ig_kernels_avx512; /* with VNNI */

/* "auto" or a table's name. NULL: this machine cannot run it. */
const struct ig_kernels *ig_kernels_choose(const char *name);

#endif
