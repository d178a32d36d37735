/* Where the code of a block type puts what it reads: a panel (panel.h), or, with W_DOTS, products
 * with T inputs (few.h), which are taken at once. The same source serves both; T is a constant at
 * every call, 0 for a panel. Part of lanes.h.
 *
 * A type of the K and IQ families says, block by block: for every group of 16 or 32 columns
 * w_begin, w_put for every four columns, w_scaled; w_minima for four groups at a time; w_unit. The
 * others say for every 32 columns w_start, w_put, w_step. Column numbers are dwords of four, from
 * the beginning of the block or of the 32. */

#if defined(__clang__)
#define W_EACH(i, n)  _Pragma("unroll") for (int i = 0; i < (n); i++)
#define W_TIMES(i, n) _Pragma("unroll") for (size_t i = 0; i < (n); i++)
#else
#define W_EACH(i, n)  _Pragma("GCC unroll 16") for (int i = 0; i < (n); i++)
#define W_TIMES(i, n) _Pragma("GCC unroll 16") for (size_t i = 0; i < (n); i++)
#endif

#if defined(W_DOTS) && defined(W_AVX2)
#include "quant/lanes_dots_avx2.h"
#elif defined(W_DOTS)

struct w_out {
    size_t ahead;
    const struct ig_few_256 *x; /* [T], of this block */
    const struct ig_few_32 *y;  /* [T], of these 32 columns */
    w16 total[IG_FEW_MAX], mins[IG_FEW_MAX];
    w16f f[IG_FEW_MAX];
};
typedef struct {
    w16 v[IG_FEW_MAX];
} w_sum;

W_FN w16 w_dword(const void *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}
W_FN void w_open(struct w_out *o, const struct ig_few *f, int T) {
    o->ahead = f->ahead;
    o->x = f->x;
    o->y = f->y;
    W_EACH(t, T) {
        o->total[t] = o->mins[t] = _mm512_setzero_si512();
        o->f[t] = _mm512_setzero_ps();
    }
}
W_FN void w_close(const struct w_out *o, const struct ig_few *f, int T) {
    W_EACH(t, T) w_store_float(f->acc[t], o->f[t]);
}
W_FN w_sum w_zero(int T) {
    w_sum s;
    W_EACH(t, T) s.v[t] = _mm512_setzero_si512();
    return s;
}
/* Dots begin with what the type's `zero` makes of the inputs' sum. */
W_FN w_sum w_begin(const struct w_out *o, size_t group, int T) {
    w_sum s;
    W_EACH(t, T) s.v[t] = w_dword(o->x[t].start + group);
    return s;
}
W_FN w_sum w_start(const struct w_out *o, size_t half, int T) {
    w_sum s;
    W_EACH(t, T) s.v[t] = w_dword(o->y[t].start + half);
    return s;
}
W_FN void w_put(struct w_out *o, size_t k, w16 code, w_sum *sum, int T) {
    W_EACH(t, T)
    sum->v[t] = _mm512_dpbusd_epi32(sum->v[t], code, w_dword(o->x[t].a + 4 * k));
}
W_FN void w_put32(struct w_out *o, size_t k, w16 code, w_sum *sum, int T) {
    W_EACH(t, T)
    sum->v[t] = _mm512_dpbusd_epi32(sum->v[t], code, w_dword(o->y[t].a + 4 * k));
}
/* Codes that are (x >> n) & mask. Dots take them without the shift, which waits for w_down(, n):
 * all columns of a sum must have the same n, and the sum must begin with w_zero. */
#define w_field(x, n, mask) w_and(x, w_set8((int)(signed char)((mask) << (n))))
#define w_down(sum, n, T)                                                                          \
    do W_EACH(t, T)(sum)->v[t] = _mm512_srai_epi32((sum)->v[t], n);                                \
    while (0)
W_FN void w_join(w_sum *a, const w_sum *b, int T) {
    W_EACH(t, T) a->v[t] = _mm512_add_epi32(a->v[t], b->v[t]);
}
W_FN void w_scaled(struct w_out *o, size_t group, size_t size, const w_sum *sum, w16 scale, int T) {
    (void)group, (void)size;
    W_EACH(t, T)
    o->total[t] = _mm512_add_epi32(o->total[t], _mm512_mullo_epi32(sum->v[t], scale));
}
W_FN void w_plain(struct w_out *o, size_t group, size_t size, const w_sum *sum,
                  int T) { /* scale 1 */
    (void)group, (void)size;
    W_EACH(t, T) o->total[t] = _mm512_add_epi32(o->total[t], sum->v[t]);
}
W_FN void w_minima(struct w_out *o, size_t i, size_t size, w16 m, int T) {
    w16 even = _mm512_set1_epi32(0xFF00FF), a = w_and(m, even), c = w_and(w_shr32(m, 8), even);
    (void)size;
    W_EACH(t, T) {
        o->mins[t] = _mm512_dpwssd_epi32(o->mins[t], a, w_dword(o->x[t].sum + 4 * i));
        o->mins[t] = _mm512_dpwssd_epi32(o->mins[t], c, w_dword(o->x[t].sum + 4 * i + 2));
    }
}
W_FN void w_unit(struct w_out *o, w16f d, w16f dmin, bool has_min, int T) {
    W_EACH(t, T) {
        __m512 a = _mm512_set1_ps(o->x[t].d);
        o->f[t] = _mm512_fmadd_ps(_mm512_mul_ps(d, a), _mm512_cvtepi32_ps(o->total[t]), o->f[t]);
        if (has_min)
            o->f[t] =
                _mm512_fnmadd_ps(_mm512_mul_ps(dmin, a), _mm512_cvtepi32_ps(o->mins[t]), o->f[t]);
        o->total[t] = o->mins[t] = _mm512_setzero_si512();
    }
    o->x += T;
}
/* Half 1 of two 16s, or whole 32 columns, end the step. */
W_FN void w_step16(struct w_out *o, size_t half, w16f d, const w_sum *sum, int T) {
    W_EACH(t, T)
    o->f[t] = _mm512_fmadd_ps(_mm512_mul_ps(d, _mm512_set1_ps(o->y[t].d)),
                              _mm512_cvtepi32_ps(sum->v[t]), o->f[t]);
    if (half) o->y += T;
}
W_FN void w_step(struct w_out *o, w16f d, w16f dmin, bool has_min, const w_sum *sum, int T) {
    W_EACH(t, T) {
        __m512 a = _mm512_set1_ps(o->y[t].d);
        o->f[t] = _mm512_fmadd_ps(_mm512_mul_ps(d, a), _mm512_cvtepi32_ps(sum->v[t]), o->f[t]);
        if (has_min)
            o->f[t] =
                _mm512_fnmadd_ps(_mm512_mul_ps(dmin, a), _mm512_set1_ps(o->y[t].sum), o->f[t]);
    }
    o->y += T;
}

#ifdef __SANITIZE_ADDRESS__ /* takes minutes to compile: one form only */
#define W_FORMS(name) W_FORM(name, 1)
#define W_ALL(name)   name##_1, NULL, NULL
#else
#define W_FORMS(name)                                                                              \
    W_FORM(name, 1)                                                                                \
    W_FORM(name, 2)                                                                                \
    W_FORM(name, 4)
#define W_ALL(name) name##_1, name##_2, name##_4
#endif
#define W_FORM(name, T)                                                                            \
    static void name##_few_##T(const uint8_t *w, size_t stride, size_t blocks,                     \
                               const struct ig_few *f) {                                           \
        struct w_out o;                                                                            \
        w_open(&o, f, T);                                                                          \
        name##_rows(w, stride, blocks, &o, T);                                                     \
        w_close(&o, f, T);                                                                         \
    }

#else

struct w_out {
    size_t ahead;
    struct ig_panel *p;
    size_t k; /* dword of four columns where the block or the 32 columns begin */
};
typedef struct {
    char none;
} w_sum;

W_FN w_sum w_zero(int T) {
    (void)T;
    return (w_sum){0};
}
W_FN w_sum w_begin(const struct w_out *o, size_t group, int T) {
    (void)o, (void)group, (void)T;
    return (w_sum){0};
}
#define w_start             w_begin
W_FN void w_put(struct w_out *o, size_t k, w16 code, const w_sum *sum, int T) {
    (void)sum, (void)T;
    w_store(o->p->q[o->k + k], code);
}
#define w_put32             w_put
#define w_field(x, n, mask) w_and(w_shr16(x, n), w_set8(mask))
#define w_down(sum, n, T)   ((void)(sum), (void)(T))
W_FN void w_join(const w_sum *a, const w_sum *b, int T) {
    (void)a, (void)b, (void)T;
}
W_FN void w_scaled(const struct w_out *o, size_t group, size_t size, const w_sum *sum, w16 scale,
                   int T) {
    (void)sum, (void)T;
    w_store(o->p->scale[o->k * 4 / size + group], scale);
}
W_FN void w_plain(const struct w_out *o, size_t group, size_t size, const w_sum *sum, int T) {
    w_scaled(o, group, size, sum, w_set32(1), T);
}
W_FN void w_minima(const struct w_out *o, size_t i, size_t size, w16 m, int T) {
    int16_t(*min)[16][2] = o->p->min + o->k / 8 + i * size / 8;
    w16 low = w_set32(255), high = w_set32(0xFF0000), twice = w_set32(0x10001);
    (void)T;
    if (size == 32) {
        w_store(min[0], w_mul32(w_and(m, low), twice));
        w_store(min[1], w_mul32(w_and(w_shr32(m, 8), low), twice));
        w_store(min[2], w_mul32(w_and(w_shr32(m, 16), low), twice));
        w_store(min[3], w_mul32(w_shr32(m, 24), twice));
    } else {
        w_store(min[0], w_or(w_and(m, low), w_and(w_shl32(m, 8), high)));
        w_store(min[1], w_or(w_and(w_shr32(m, 16), low), w_and(w_shr32(m, 8), high)));
    }
}
W_FN void w_unit(struct w_out *o, w16f d, w16f dmin, bool has_min, int T) {
    (void)T;
    w_store_float(o->p->d[o->k / 64], d);
    if (has_min) w_store_float(o->p->dmin[o->k / 64], dmin);
    o->k += 64;
}
W_FN void w_step16(struct w_out *o, size_t half, w16f d, const w_sum *sum, int T) {
    (void)sum, (void)T;
    w_store_float(o->p->d[o->k / 4 + half], d);
    if (half) o->k += 8;
}
W_FN void w_step(struct w_out *o, w16f d, w16f dmin, bool has_min, const w_sum *sum, int T) {
    (void)sum, (void)T;
    w_store_float(o->p->d[o->k / 8], d);
    if (has_min) w_store_float(o->p->dmin[o->k / 8], dmin);
    o->k += 8;
}

#define W_FORMS(name)                                                                              \
    static void name##_panel(const uint8_t *w, size_t stride, size_t blocks, struct ig_panel *p) { \
        struct w_out o = {p->ahead, p, 0};                                                         \
        name##_rows(w, stride, blocks, &o, 0);                                                     \
    }

#endif

/* Prefetches a cache line of each row, `at` bytes into what will be wanted next. Spread these over
 * the work: the queue of outstanding lines is short. Into the second cache; the first is full of
 * panel. */
W_FN void w_ahead(const uint8_t *w, size_t stride, const struct w_out *o, size_t at) {
    const char *a = (const char *)w + o->ahead + at;
    size_t three = 3 * stride;
    __asm__("" : "+r"(three));
    W_EACH(r, W_LANES / 4) {
        const char *b = a + 4 * (size_t)r * stride;
        __asm__("" : "+r"(b));
        __builtin_prefetch(b, 0, 2);
        __builtin_prefetch(b + stride, 0, 2);
        __builtin_prefetch(b + 2 * stride, 0, 2);
        __builtin_prefetch(b + three, 0, 2);
    }
}

/* Scale `i` of the four in each dword */
#define w_byte(x, i) w_and(w_shr32(x, 8 * (i)), w_set32(255))
/* Signed */
#define w_sbyte(x, i) w_sar32(w_shl32(x, 24 - 8 * (i)), 24)
/* From pass i over 64 columns by 16 to the next, where the groups of pass i are 8 (i / 2) + (i & 1)
 * + 0, 2, 4, 6 and their scales bytes 0 and 2 of s[0] and s[1]. */
W_FN void w_next_scales(w16 s[4], size_t i) {
    s[0] = i & 1 ? s[2] : w_shr32(s[0], 8);
    s[1] = i & 1 ? s[3] : w_shr32(s[1], 8);
}
