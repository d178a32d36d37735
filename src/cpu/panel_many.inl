/* Linear layers over panels of 16 rows for many inputs. Inputs are packed in tiles of PM_T (the
 * last may be PM_HALF), so that a tile's products read from front to back: q [cols / 4][T][4],
 * then c [n_c][T] words, then the scales d [cols / per][T]. What c holds follows from the type
 * (enum pm_extra): the corrections for codes that are weight + zero, with which the dots begin, or
 * the sums that the minima want.
 *
 * A slice (2048 columns) of up to PM_TOKENS inputs is packed and then passes by every panel of the
 * rows; a tile keeps its float sums in registers for the whole slice and adds them to y. Measured
 * on Zen 4: 99 % of what the multiplying pipes allow, wherever panel and inputs lie in the caches
 * (docs/SPEED.md).
 *
 * Bits are those of quant.inl: integers are exact in any order, the float steps of an output run
 * over units and slices in the same order.
 *
 * The including file has set the target, says by PV_VNNI, PV_256 and PV_VEX which instructions
 * there are (panel_vec.h), and defines PM_FIND to the look-up of the panel code. The tiles
 * themselves are in panel_tiles.inl. */
#include "quant/panel.h"
#include "cpu/panel_vec.h"

/* A loop that must be unrolled wholly, so that arrays of vectors live in registers */
#if defined(__clang__)
#define PM_EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)
#else
#define PM_EACH(i, n) _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)
#endif

enum { PM_TOKENS = 512, PM_T_MAX = 8, PM_PARTS = IG_SLICE / IG_PANEL_COLS };

enum pm_extra {
    PM_NONE,
    PM_ZERO_16, /* int32: -zero * sum of 16 columns */
    PM_ZERO_32, /* int32: -zero * sum of 32 columns */
    PM_PAIR_16, /* int16: sums of 16 columns, two by two */
    PM_PAIR_32, /* int16: sums of 32 columns, two by two */
    PM_FLOAT_32 /* float: sum of 32 columns */
};

struct pm_stream { /* a tile's inputs at the first column of a slice */
    const uint8_t *q, *c, *d;
};

struct pm_out { /* where a tile's sums go */
    float *y[PM_T_MAX];
    int n;    /* inputs; the rest of the tile is copies of the last */
    int zero; /* of the codes */
    int from; /* rows before this one belong to the panel before */
    bool add; /* not the first slice */
};

typedef void (*pm_tile_fn)(const struct ig_panel *, const struct pm_stream *, size_t cols,
                           const struct pm_out *);

struct pm_kind {            /* how a block type is multiplied */
    pm_tile_fn half, whole; /* tiles of PM_HALF and PM_T; NULL: no product for such codes */
    enum pm_extra extra;
    bool scale_pairs; /* panel->min gets scales of neighbouring groups, two by two */
};

struct pm_scratch {
    struct ig_panel panel[PM_PARTS];
    _Alignas(64) uint8_t packed[PM_TOKENS * (IG_SLICE + IG_SLICE / 32 * 12)];
};

/* Rows [from, 16) of f into y. */
PV_FN void pm_put(const struct pm_out *o, int t, const pvf f[PV_N]) {
    float *y = o->y[t];
    if (!o->from) {
        PM_EACH(h, PV_N) {
            pvf s = o->add ? pvf_loadu(y + h * PV_LANES) : pvf_zero();
            pvf_storeu(y + h * PV_LANES, pvf_add(s, f[h]));
        }
        return;
    }
    float v[16];
    PM_EACH(h, PV_N) pvf_storeu(v + h * PV_LANES, f[h]);
    for (int i = o->from; i < 16; i++) y[i] = (o->add ? y[i] : 0.0f) + v[i];
}

#include "cpu/panel_tiles.inl"

/* ---- Packing ---- */

struct pm_input { /* of one token, at the first column of a slice */
    const int8_t *q;
    const float *d;
    const int16_t *sum;
};

/* Eight words of four rows, one of each in turn: r[i] holds words 2 i and 2 i + 1. */
PV_FN void pm_four(const void *const *row, size_t k, __m256i r[4]) {
    __m256i x[4];
    for (int i = 0; i < 4; i++)
        x[i] = _mm256_loadu_si256((const __m256i *)(const void *)((const char *)row[i] + 4 * k));
    __m256i a = _mm256_unpacklo_epi32(x[0], x[1]), b = _mm256_unpacklo_epi32(x[2], x[3]);
    __m256i c = _mm256_unpackhi_epi32(x[0], x[1]), d = _mm256_unpackhi_epi32(x[2], x[3]);
    r[0] = _mm256_unpacklo_epi64(a, b), r[1] = _mm256_unpackhi_epi64(a, b);
    r[2] = _mm256_unpacklo_epi64(c, d), r[3] = _mm256_unpackhi_epi64(c, d);
}

/* Words [0, n) of T rows, one of each in turn. */
PV_FN void pm_interleave(uint8_t *dst, const void *const *row, size_t n, int T) {
    size_t k = 0;
    for (; k + 8 <= n; k += 8, dst += 32 * T) {
        __m256i x[4], y[4], *to = (__m256i *)(void *)dst;
        pm_four(row, k, x);
        if (T == 8) pm_four(row + 4, k, y);
        for (int i = 0; i < 4; i++) {
            __m256i other = T == 8 ? y[i] : x[i ^ 1];
            __m256i lo = _mm256_permute2x128_si256(x[i], other, 0x20),
                    hi = _mm256_permute2x128_si256(x[i], other, 0x31);
            if (T == 8) {
                _mm256_storeu_si256(to + i, lo);
                _mm256_storeu_si256(to + i + 4, hi);
            } else if (i % 2 == 0) {
                _mm256_storeu_si256(to + i / 2, lo);
                _mm256_storeu_si256(to + i / 2 + 2, hi);
            }
        }
    }
    for (; k < n; k++, dst += 4 * T)
        for (int t = 0; t < T; t++) memcpy(dst + 4 * t, (const char *)row[t] + 4 * k, 4);
}

/* How many words of c a stretch of columns has. */
static size_t pm_extra_count(enum pm_extra extra, size_t cols) {
    switch (extra) {
    case PM_NONE: return 0;
    case PM_ZERO_16: return cols / 16;
    case PM_PAIR_32: return cols / 64;
    default: return cols / 32;
    }
}

/* They, from the sums of 16 columns; eight sums at a time, so that up to seven words follow. */
static void pm_extra_row(enum pm_extra extra, int zero, const int16_t *s, size_t n, void *out) {
    const __m128i z = _mm_set1_epi32(-zero), pairs = _mm_set1_epi16((short)-zero),
                  ones = _mm_set1_epi16(1);
    size_t step = extra == PM_ZERO_16 ? 8 : extra == PM_PAIR_32 ? 2 : 4;
    char *to = out;
    for (size_t i = 0; i < n; i += step, s += 8, to += 4 * step) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)s), y = x;
        if (extra == PM_ZERO_16) {
            y = _mm_mullo_epi32(_mm_cvtepi16_epi32(_mm_unpackhi_epi64(x, x)), z);
            x = _mm_mullo_epi32(_mm_cvtepi16_epi32(x), z);
            _mm_storeu_si128((__m128i *)(void *)(to + 16), y);
        }
        if (extra == PM_ZERO_32) x = _mm_madd_epi16(x, pairs);
        if (extra == PM_PAIR_32) x = _mm_hadd_epi16(x, x);
        if (extra == PM_FLOAT_32) x = _mm_castps_si128(_mm_cvtepi32_ps(_mm_madd_epi16(x, ones)));
        _mm_storeu_si128((__m128i *)(void *)to, x);
    }
}

/* One tile, one slice. */
PV_FN void pm_pack_tile(uint8_t *dst, const struct pm_input *in, int T, size_t cols, size_t per,
                        enum pm_extra extra, int zero) {
    uint32_t c[PM_T_MAX][IG_SLICE / 16 + 8];
    const void *row[3][PM_T_MAX];
    size_t n = pm_extra_count(extra, cols);
    for (int t = 0; t < T; t++) {
        pm_extra_row(extra, zero, in[t].sum, n, c[t]);
        row[0][t] = in[t].q, row[1][t] = c[t], row[2][t] = in[t].d;
    }
    pm_interleave(dst, row[0], cols / 4, T);
    dst += (size_t)T * cols;
    pm_interleave(dst, row[1], n, T);
    dst += 4 * (size_t)T * n;
    pm_interleave(dst, row[2], cols / per, T);
}

/* ---- The loops ---- */

struct pm_job {
    const struct ig_linear *j;
    const struct ig_panel_type *type;
    struct pm_kind kind;
    size_t per, stride; /* columns of a scale of the input; packed bytes of a token */
    size_t slice, cols; /* columns [slice, slice + cols) */
    uint32_t first, n;  /* inputs [first, first + n) */
};

static int pm_tile_size(uint32_t left) {
    return left > PM_HALF ? PM_T : PM_HALF;
}

/* Does the scratch hold these inputs from a call before? Notes that it will. */
static bool pm_held(const struct pm_job *m) {
    struct ig_packed *p = m->j->packed, now;
    if (!p) return false;
    now = (struct ig_packed){.op = p->op,
                             .held = p->op,
                             .q = m->j->act.q,
                             .slice = m->slice,
                             .first = m->first,
                             .form = (int)m->kind.extra,
                             .zero = m->type->zero};
    bool held = p->held == now.held && p->q == now.q && p->slice == now.slice &&
                p->first == now.first && p->form == now.form && p->zero == now.zero;
    *p = now;
    return held;
}

static void pm_pack(struct pm_job *m) {
    const struct ig_linear *j = m->j;
    struct pm_scratch *s = j->scratch;
    m->stride = m->cols + 4 * (pm_extra_count(m->kind.extra, m->cols) + m->cols / m->per);
    if (pm_held(m)) return;
    for (uint32_t i = 0; i < m->n;) {
        struct pm_input in[PM_T_MAX];
        int T = pm_tile_size(m->n - i);
        for (int t = 0; t < T; t++) {
            uint32_t at = i + (uint32_t)t < m->n ? i + (uint32_t)t : m->n - 1;
            size_t x = ig_linear_x(j, m->first + at);
            in[t].q = j->act.q + j->act.q_stride * x + m->slice;
            in[t].d = j->act.d + j->act.d_stride * x + m->slice / m->per;
            in[t].sum = j->act.sum + j->act.s_stride * x + m->slice / 16;
        }
        if (T == PM_T)
            pm_pack_tile(s->packed + m->stride * i, in, PM_T, m->cols, m->per, m->kind.extra,
                         m->type->zero);
        else
            pm_pack_tile(s->packed + m->stride * i, in, PM_HALF, m->cols, m->per, m->kind.extra,
                         m->type->zero);
        i += (uint32_t)T;
    }
}

/* panel->min: the minima of groups of 32, or the scales of any groups, two by two. */
static void pm_pair(const struct pm_job *m, struct ig_panel *p, size_t cols) {
    const int32_t *from =
        m->kind.scale_pairs ? p->scale[0] : (const int32_t *)(const void *)p->min[0];
    size_t pairs = cols / m->j->type->group / 2;
    for (size_t i = 0; i < 16 * pairs; i += PV_LANES) {
        const int32_t *a = from + i / 16 * 32 + i % 16;
        pv low = pv_and(pv_load(a), pv_set32(0xFFFF)), high = pv_shl32(pv_load(a + 16), 16);
        pv_store(&p->min[0][0][0] + 2 * i, pv_or(low, high));
    }
}

static void pm_fill(const struct pm_job *m, uint32_t row) {
    const struct ig_linear *j = m->j;
    struct pm_scratch *s = j->scratch;
    const uint8_t *w = j->w + j->row_bytes * row + m->slice / j->type->block * j->type->bytes;
    bool pairs = m->kind.scale_pairs || m->kind.extra == PM_PAIR_32;
    for (size_t k = 0, i = 0; k < m->cols; k += IG_PANEL_COLS, i++) {
        size_t cols = m->cols - k < IG_PANEL_COLS ? m->cols - k : IG_PANEL_COLS;
        s->panel[i].ahead = 0;
        m->type->fill(w + k / j->type->block * j->type->bytes, j->row_bytes, cols / j->type->block,
                      &s->panel[i]);
        if (pairs) pm_pair(m, &s->panel[i], cols);
    }
}

/* Lines [*line, *line + n) of the sixteen rows at `row` into the second cache: between tiles, so
 * that the next panel's weights are there when it is filled. */
static void pm_ahead(const struct pm_job *m, uint32_t row, size_t *line, size_t n) {
    const struct ig_linear *j = m->j;
    const struct ig_quant *t = j->type;
    const uint8_t *w = j->w + j->row_bytes * row + m->slice / t->block * t->bytes;
    size_t lines = (m->cols / t->block * t->bytes + 63) / 64, end = *line + n;
    if (row + IG_PANEL_ROWS > j->rows) return;
    for (; *line < end && *line < IG_PANEL_ROWS * lines; ++*line)
        _mm_prefetch((const char *)w + *line / lines * j->row_bytes + *line % lines * 64,
                     _MM_HINT_T1);
}

/* Sixteen rows times the packed inputs; rows before `from` are done already. */
static void pm_panel(const struct pm_job *m, uint32_t row, int from) {
    const struct ig_linear *j = m->j;
    const struct pm_scratch *s = j->scratch;
    struct pm_out o = {.zero = m->type->zero, .from = from, .add = m->slice != 0};
    size_t line = 0, ahead = IG_PANEL_ROWS * m->cols / 32 * PM_T / m->n + 1;
    for (uint32_t i = 0; i < m->n;) {
        int T = pm_tile_size(m->n - i);
        o.n = m->n - i < (uint32_t)T ? (int)(m->n - i) : T;
        for (int t = 0; t < o.n; t++) {
            o.y[t] = ig_linear_y(j, m->first + i + (uint32_t)t) + row;
            __builtin_prefetch(o.y[t], 1);
        }
        pm_ahead(m, row + IG_PANEL_ROWS, &line, ahead);
        struct pm_stream a = {.q = s->packed + m->stride * i};
        a.c = a.q + m->cols * (size_t)T;
        a.d = a.c + 4 * pm_extra_count(m->kind.extra, m->cols) * (size_t)T;
        (T == PM_T ? m->kind.whole : m->kind.half)(s->panel, &a, m->cols, &o);
        i += (uint32_t)T;
    }
}

/* False: not for this type or shape. */
static bool pm_linear(const struct ig_linear *j) {
    struct pm_job m = {.j = j, .type = PM_FIND(j->type)};
    if (!m.type || j->rows < IG_PANEL_ROWS) return false;
    m.kind = pm_kind_of(j->type, m.type->top);
    if (!m.kind.whole) return false;
    m.per = j->type->kind == IG_QUANT_A256 ? 256 : 32;
    for (m.first = 0; m.first < j->n; m.first += m.n) {
        m.n = j->n - m.first < PM_TOKENS ? j->n - m.first : PM_TOKENS;
        for (m.slice = 0; m.slice < j->cols; m.slice += m.cols) {
            m.cols = j->cols - m.slice < IG_SLICE ? j->cols - m.slice : IG_SLICE;
            pm_pack(&m);
            for (uint32_t row = 0; row < j->rows; row += IG_PANEL_ROWS) {
                uint32_t at = row + IG_PANEL_ROWS > j->rows ? j->rows - IG_PANEL_ROWS : row;
                pm_fill(&m, at);
                pm_panel(&m, at, (int)(row - at));
            }
        }
    }
    return true;
}
