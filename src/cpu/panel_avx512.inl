/* Products of a panel with T inputs, AVX-512 with VNNI: lanes are rows, an activation dword is
 * broadcast to all of them. Unsigned codes need  - zero * sum(a)  per group: that is what the
 * accumulator starts with. */

PL_FN __m512i pl_dword(const void *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

/* Columns [4 k, 4 k + 4 * steps) of the panel added to i[]. */
PL_FN void pl_dot(const struct ig_panel *p, size_t k, int steps, const int8_t *const *a, __m512i *i,
                  int T) {
    PL_EACH(s, steps) {
        __m512i w = _mm512_load_si512(p->q[k + (size_t)s]);
        PL_EACH(t, T) i[t] = _mm512_dpbusd_epi32(i[t], w, pl_dword(a[t] + 4 * (k + (size_t)s)));
    }
}

PL_FN void pl_unit(__m512 *f, __m512 d, __m512 m, const float *da, __m512i i, __m512i mins,
                   bool has_min) {
    __m512 x = _mm512_set1_ps(*da);
    *f = _mm512_fmadd_ps(_mm512_mul_ps(d, x), _mm512_cvtepi32_ps(i), *f);
    if (has_min) *f = _mm512_fnmadd_ps(_mm512_mul_ps(m, x), _mm512_cvtepi32_ps(mins), *f);
}

/* One float step per 32 columns */
PL_FN void pl_mul_32(const struct ig_panel *p, int zero, const struct pl_inputs *in, size_t cols,
                     float (*acc)[16], int T, bool has_min) {
    const __m512i none = _mm512_setzero_si512(), ones = _mm512_set1_epi16(1),
                  z = _mm512_set1_epi16((short)-zero);
    __m512 f[PL_MAX], m = _mm512_setzero_ps();
    PL_EACH(t, T) f[t] = _mm512_load_ps(acc[t]);
    for (size_t u = 0; u < cols / 32; u++) {
        __m512i i[PL_MAX];
        PL_EACH(t, T)
        i[t] = has_min ? none : _mm512_dpwssd_epi32(none, z, pl_dword(in->sum[t] + 2 * u));
        pl_dot(p, 8 * u, 8, in->q, i, T);
        __m512 d = _mm512_load_ps(p->d[u]);
        if (has_min) m = _mm512_load_ps(p->dmin[u]);
        PL_EACH(t, T) {
            __m512i mins =
                has_min ? _mm512_dpwssd_epi32(none, ones, pl_dword(in->sum[t] + 2 * u)) : none;
            pl_unit(&f[t], d, m, in->d[t] + u, i[t], mins, has_min);
        }
    }
    PL_EACH(t, T) _mm512_store_ps(acc[t], f[t]);
}

/* One float step per 16 columns, activations still scaled per 32 */
PL_FN void pl_mul_16(const struct ig_panel *p, int zero, const struct pl_inputs *in, size_t cols,
                     float (*acc)[16], int T) {
    const __m512i none = _mm512_setzero_si512();
    const __m512i z[2] = {_mm512_set1_epi32(-zero & 0xFFFF), _mm512_set1_epi32(-zero * 0x10000)};
    __m512 f[PL_MAX];
    PL_EACH(t, T) f[t] = _mm512_load_ps(acc[t]);
    for (size_t u = 0; u < cols / 16; u++) {
        __m512i i[PL_MAX];
        PL_EACH(t, T) i[t] = _mm512_dpwssd_epi32(none, z[u & 1], pl_dword(in->sum[t] + u / 2 * 2));
        pl_dot(p, 4 * u, 4, in->q, i, T);
        PL_EACH(t, T)
        pl_unit(&f[t], _mm512_load_ps(p->d[u]), _mm512_setzero_ps(), in->d[t] + u / 2, i[t], none,
                false);
    }
    PL_EACH(t, T) _mm512_store_ps(acc[t], f[t]);
}

/* One float step per 256 columns, integer scales per `group` */
PL_FN void pl_mul_256(const struct ig_panel *p, int zero, const struct pl_inputs *in, size_t cols,
                      float (*acc)[16], int T, int group, bool has_min) {
    const __m512i none = _mm512_setzero_si512(), both = _mm512_set1_epi16((short)-zero);
    const __m512i z[2] = {_mm512_set1_epi32(-zero & 0xFFFF), _mm512_set1_epi32(-zero * 0x10000)};
    for (size_t b = 0; b < cols / 256; b++) {
        __m512i total[PL_MAX], mins[PL_MAX];
        PL_EACH(t, T) total[t] = mins[t] = none;
        for (size_t u = 8 * b; u < 8 * b + 8; u++) {
            for (int h = 0; h < 32 / group; h++) {
                __m512i i[PL_MAX],
                    s = _mm512_load_si512(p->scale[group == 32 ? u : 2 * u + (size_t)h]);
                PL_EACH(t, T)
                i[t] = has_min ? none
                               : _mm512_dpwssd_epi32(none, group == 32 ? both : z[h],
                                                     pl_dword(in->sum[t] + 2 * u));
                pl_dot(p, 8 * u + 4 * (size_t)h, group / 4, in->q, i, T);
                PL_EACH(t, T) total[t] = _mm512_add_epi32(total[t], _mm512_mullo_epi32(i[t], s));
            }
            if (!has_min) continue;
            __m512i m = _mm512_load_si512(p->min[u]);
            PL_EACH(t, T) mins[t] = _mm512_dpwssd_epi32(mins[t], m, pl_dword(in->sum[t] + 2 * u));
        }
        __m512 d = _mm512_load_ps(p->d[b]),
               m = has_min ? _mm512_load_ps(p->dmin[b]) : _mm512_setzero_ps();
        PL_EACH(t, T) {
            __m512 f = _mm512_load_ps(acc[t]);
            pl_unit(&f, d, m, in->d[t] + b, total[t], mins[t], has_min);
            _mm512_store_ps(acc[t], f);
        }
    }
}

PL_FN void pl_add(float *y, const float *acc, bool first) {
    __m512 s = first ? _mm512_setzero_ps() : _mm512_loadu_ps(y);
    _mm512_storeu_ps(y, _mm512_add_ps(s, _mm512_load_ps(acc)));
}

enum { PL_LOG_MAX = 3 };
#define PL_TILES(name, call)                                                                       \
    PL_TILE(name, 1, call)                                                                         \
    PL_TILE(name, 2, call)                                                                         \
    PL_TILE(name, 4, call)                                                                         \
    PL_TILE(name, 8, call)                                                                         \
    static const pl_tile_fn name[] = {name##_1, name##_2, name##_4, name##_8};
PL_TILES(pl_32, pl_mul_32(p, zero, in, cols, acc, N, false))
PL_TILES(pl_32_min, pl_mul_32(p, zero, in, cols, acc, N, true))
PL_TILES(pl_16, pl_mul_16(p, zero, in, cols, acc, N))
PL_TILES(pl_256_32, pl_mul_256(p, zero, in, cols, acc, N, 32, false))
PL_TILES(pl_256_32_min, pl_mul_256(p, zero, in, cols, acc, N, 32, true))
PL_TILES(pl_256_16, pl_mul_256(p, zero, in, cols, acc, N, 16, false))
PL_TILES(pl_256_16_min, pl_mul_256(p, zero, in, cols, acc, N, 16, true))

/* NULL: no product for such codes (types with minima have zero = 0, which these rely on) */
static const pl_tile_fn *pl_tiles(const struct ig_quant *t, int top) {
    if (t->has_min && top == 255) return NULL;
    if (t->unit == 16) return pl_16;
    if (t->unit == 32) return t->has_min ? pl_32_min : pl_32;
    if (t->group == 32) return t->has_min ? pl_256_32_min : pl_256_32;
    return t->has_min ? pl_256_16_min : pl_256_16;
}
