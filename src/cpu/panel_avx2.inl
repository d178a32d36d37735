/* Products of a panel with T inputs, AVX2: eight rows at a time, an activation dword is broadcast
 * to all of them. vpmaddubsw adds two products in an int16 and saturates, so how far sums may grow
 * before they are widened depends on the codes: with at most 15 (31, 63) eight (four, two) steps of
 * 2 * top * 127 fit. Full bytes are taken as |w| * sign(a, w), where 2 * 128 * 127 fits once; they
 * need no correction for `zero`. */

PL_FN __m256i pl_dword(const void *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}

/* Columns [4 k, 4 k + 4 * steps) of the panel's half added to i[]; widen 0: full bytes. */
PL_FN void pl_dot(const struct ig_panel *p, size_t k, int half, int steps, int widen,
                  const int8_t *const *a, __m256i *i, int T) {
    const __m256i ones = _mm256_set1_epi16(1), sign = _mm256_set1_epi8(-128);
    int run = widen ? (widen < steps ? widen : steps) : 1;
    for (int s = 0; s < steps; s += run) {
        __m256i sum[PL_MAX];
        PL_EACH(r, run) {
            size_t at = k + (size_t)(s + r);
            __m256i w = _mm256_load_si256((const __m256i *)(const void *)p->q[at][8 * half]), v = w;
            if (!widen) {
                w = _mm256_xor_si256(w, sign);
                v = _mm256_abs_epi8(w);
            }
            PL_EACH(t, T) {
                __m256i x = pl_dword(a[t] + 4 * at);
                if (!widen) x = _mm256_sign_epi8(x, w);
                x = _mm256_maddubs_epi16(v, x);
                sum[t] = r ? _mm256_add_epi16(sum[t], x) : x;
            }
        }
        PL_EACH(t, T) i[t] = _mm256_add_epi32(i[t], _mm256_madd_epi16(sum[t], ones));
    }
}

PL_FN void pl_unit(float *f, const float *d, const float *m, const float *da, __m256i i,
                   __m256i mins, bool has_min) {
    __m256 x = _mm256_set1_ps(*da), s = _mm256_load_ps(f);
    s = _mm256_fmadd_ps(_mm256_mul_ps(_mm256_load_ps(d), x), _mm256_cvtepi32_ps(i), s);
    if (has_min)
        s = _mm256_fnmadd_ps(_mm256_mul_ps(_mm256_load_ps(m), x), _mm256_cvtepi32_ps(mins), s);
    _mm256_store_ps(f, s);
}

/* One float step per 32 columns */
PL_FN void pl_mul_32(const struct ig_panel *p, int zero, const struct pl_inputs *in, size_t cols,
                     float (*acc)[16], int T, int widen, bool has_min) {
    const __m256i ones = _mm256_set1_epi16(1);
    const __m256i z = _mm256_set1_epi16((short)(widen ? -zero : 0));
    for (size_t u = 0; u < cols / 32; u++)
        for (int h = 0; h < 2; h++) {
            __m256i i[PL_MAX];
            PL_EACH(t, T) i[t] = _mm256_madd_epi16(z, pl_dword(in->sum[t] + 2 * u));
            pl_dot(p, 8 * u, h, 8, widen, in->q, i, T);
            PL_EACH(t, T) {
                __m256i mins = has_min ? _mm256_madd_epi16(ones, pl_dword(in->sum[t] + 2 * u))
                                       : _mm256_setzero_si256();
                pl_unit(acc[t] + 8 * h, p->d[u] + 8 * h, p->dmin[u] + 8 * h, in->d[t] + u, i[t],
                        mins, has_min);
            }
        }
}

/* One float step per 16 columns, activations still scaled per 32; full bytes */
PL_FN void pl_mul_16(const struct ig_panel *p, const struct pl_inputs *in, size_t cols,
                     float (*acc)[16], int T) {
    for (size_t u = 0; u < cols / 16; u++)
        for (int h = 0; h < 2; h++) {
            __m256i i[PL_MAX];
            PL_EACH(t, T) i[t] = _mm256_setzero_si256();
            pl_dot(p, 4 * u, h, 4, 0, in->q, i, T);
            PL_EACH(t, T)
            pl_unit(acc[t] + 8 * h, p->d[u] + 8 * h, NULL, in->d[t] + u / 2, i[t], i[t], false);
        }
}

/* One float step per 256 columns, integer scales per `group` */
PL_FN void pl_mul_256(const struct ig_panel *p, int zero, const struct pl_inputs *in, size_t cols,
                      float (*acc)[16], int T, int group, int widen, bool has_min) {
    if (!widen) zero = 0;
    const __m256i both = _mm256_set1_epi16((short)-zero);
    const __m256i z[2] = {_mm256_set1_epi32(-zero & 0xFFFF), _mm256_set1_epi32(-zero * 0x10000)};
    for (size_t b = 0; b < cols / 256; b++)
        for (int half = 0; half < 2; half++) {
            __m256i total[PL_MAX], mins[PL_MAX];
            PL_EACH(t, T) total[t] = mins[t] = _mm256_setzero_si256();
            for (size_t u = 8 * b; u < 8 * b + 8; u++) {
                for (int h = 0; h < 32 / group; h++) {
                    const int32_t *scale = p->scale[group == 32 ? u : 2 * u + (size_t)h] + 8 * half;
                    __m256i i[PL_MAX], s = _mm256_load_si256((const __m256i *)(const void *)scale);
                    PL_EACH(t, T)
                    i[t] =
                        _mm256_madd_epi16(group == 32 ? both : z[h], pl_dword(in->sum[t] + 2 * u));
                    pl_dot(p, 8 * u + 4 * (size_t)h, half, group / 4, widen, in->q, i, T);
                    PL_EACH(t, T)
                    total[t] = _mm256_add_epi32(total[t], _mm256_mullo_epi32(i[t], s));
                }
                if (!has_min) continue;
                __m256i m = _mm256_load_si256((const __m256i *)(const void *)p->min[u][8 * half]);
                PL_EACH(t, T)
                mins[t] =
                    _mm256_add_epi32(mins[t], _mm256_madd_epi16(m, pl_dword(in->sum[t] + 2 * u)));
            }
            PL_EACH(t, T)
            pl_unit(acc[t] + 8 * half, p->d[b] + 8 * half, p->dmin[b] + 8 * half, in->d[t] + b,
                    total[t], mins[t], has_min);
        }
}

PL_FN void pl_add(float *y, const float *acc, bool first) {
    for (int h = 0; h < 16; h += 8) {
        __m256 s = first ? _mm256_setzero_ps() : _mm256_loadu_ps(y + h);
        _mm256_storeu_ps(y + h, _mm256_add_ps(s, _mm256_load_ps(acc + h)));
    }
}

enum { PL_LOG_MAX = 2 };
#define PL_TILES(name, call)                                                                       \
    PL_TILE(name, 1, call)                                                                         \
    PL_TILE(name, 2, call)                                                                         \
    PL_TILE(name, 4, call) static const pl_tile_fn name[] = {name##_1, name##_2, name##_4};
PL_TILES(pl_32_byte, pl_mul_32(p, zero, in, cols, acc, N, 0, false))
PL_TILES(pl_32_15, pl_mul_32(p, zero, in, cols, acc, N, 8, false))
PL_TILES(pl_32_31, pl_mul_32(p, zero, in, cols, acc, N, 4, false))
PL_TILES(pl_32_min, pl_mul_32(p, zero, in, cols, acc, N, 4, true))
PL_TILES(pl_16, (void)zero; pl_mul_16(p, in, cols, acc, N))
PL_TILES(pl_256_32, pl_mul_256(p, zero, in, cols, acc, N, 32, 0, false))
PL_TILES(pl_256_32_15, pl_mul_256(p, zero, in, cols, acc, N, 32, 8, false))
PL_TILES(pl_256_32_min_15, pl_mul_256(p, zero, in, cols, acc, N, 32, 8, true))
PL_TILES(pl_256_32_min_31, pl_mul_256(p, zero, in, cols, acc, N, 32, 4, true))
PL_TILES(pl_256_16_byte, pl_mul_256(p, zero, in, cols, acc, N, 16, 0, false))
PL_TILES(pl_256_16_63, pl_mul_256(p, zero, in, cols, acc, N, 16, 2, false))
PL_TILES(pl_256_16_min, pl_mul_256(p, zero, in, cols, acc, N, 16, 4, true))

/* NULL: no product for such codes */
static const pl_tile_fn *pl_tiles(const struct ig_quant *t, int top) {
    if (t->has_min) {
        if (top > 31) return NULL;
        if (t->unit == 32) return pl_32_min;
        if (t->group == 16) return pl_256_16_min;
        return top > 15 ? pl_256_32_min_31 : pl_256_32_min_15;
    }
    if (t->unit == 16) return top == 255 ? pl_16 : NULL;
    if (t->unit == 32)
        return top == 255 ? pl_32_byte : top > 31 ? NULL : top > 15 ? pl_32_31 : pl_32_15;
    if (t->group == 32) return top == 255 ? pl_256_32 : top > 15 ? NULL : pl_256_32_15;
    return top == 255 ? pl_256_16_byte : top > 63 ? NULL : pl_256_16_63;
}
