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

/* Which inputs a thread's scratch holds in packed form, so that the next call of the same operation
 * need not pack them again. The caller gives every operation a new number `op` and sets held to 0
 * when something else used the scratch. */
struct ig_packed {
    uint64_t op, held;
    const int8_t *q; /* of what */
    size_t slice;
    uint32_t first;
    int form, zero;
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
    struct ig_packed *packed; /* or NULL */
    void *scratch;            /* ig_kernels.scratch_bytes(cols) bytes, aligned to 64, private to the thread */
};

static inline size_t ig_linear_x(const struct ig_linear *j, uint32_t i) {
    return j->x_index ? j->x_index[i] : i;
}
static inline float *ig_linear_y(const struct ig_linear *j, uint32_t i) {
    return j->y + j->y_stride * (j->y_index ? j->y_index[i] : i);
}

/* Attention. A row is one query head of one token, a tile up to IG_ATTEND_ROWS rows that share a kv
 * head and a timeline. Keys are taken in chunks of IG_ATTEND_CHUNK positions, counted from 0; each
 * gives a part for each row that sees any of it, and a row's parts are merged in order. */
enum { IG_ATTEND_ROWS = 16, IG_ATTEND_CHUNK = 256 };
/* A part: maximum, sum of weights, and from float IG_ATTEND_PART on, sums of values [v_stride] */
enum { IG_ATTEND_PART = 16 };

struct ig_attend_row {
    const float *q;       /* [head_k] */
    float *part;          /* where the next chunk's part goes */
    uint32_t first, last; /* visible positions, inclusive; neither decreases from row to row. The
                             last is the row's own. */
    float slope;          /* ALiBi, or 0 */
};

struct ig_attend {
    const struct ig_cache *cache;
    const struct ig_cache_layer *layer;
    uint32_t kv_head, n; /* rows */
    const struct ig_attend_row *rows;
    float scale;    /* on q . k */
    float softcap;  /* 0: none */
    float *scratch; /* ig_attend_scratch floats */
};

static inline size_t ig_attend_scratch(uint32_t head_k) {
    return ((size_t)head_k + 4 + IG_ATTEND_CHUNK + 16) * IG_ATTEND_ROWS;
}
static inline size_t ig_attend_part(const struct ig_cache_layer *l) {
    return IG_ATTEND_PART + l->v_stride;
}

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
    void (*attend_queries)(const struct ig_attend *job); /* q to scratch, before the first chunk */
    /* Chunk `at` (a multiple of IG_ATTEND_CHUNK, in sight of a row) to the rows' parts. */
    void (*attend_chunk)(const struct ig_attend *job, uint32_t at);
    /* out[n] begins as 0 and state as {-1e30, 0} */
    void (*attend_merge)(float *out, uint32_t n, float state[2], const float *part);
    void (*attend_finish)(float *out, uint32_t n, const float state[2], const float *sink);
};

extern const struct ig_kernels ig_kernels_scalar;
extern const struct ig_kernels ig_kernels_avx2;   /* name NULL where not compiled */
extern const struct ig_kernels ig_kernels_avxvnni, ig_kernels_vnni256, ig_kernels_avx512bw;
extern const struct ig_kernels ig_kernels_avx512; /* with VNNI */
extern const struct ig_kernels ig_kernels_neon;   /* with dot products */
extern const struct ig_kernels ig_kernels_i8mm;

/* What an ARM CPU has: HWCAP and its like (choose_arm.c). */
bool ig_kernels_arm_can_run(const char *name);

/* "auto" or a table's name. NULL: this machine cannot run it. */
const struct ig_kernels *ig_kernels_choose(const char *name);

#endif
