/* Tiles of a panel and T packed inputs (panel_many.inl): lanes are rows, four bytes of an input are
 * broadcast to all of them.
 *
 * With VNNI (PV_VNNI) a dot instruction adds four products in an int32. Only the instructions that
 * multiply are scarce (dots, vpmulld, float products and fma; on Zen 4 one of 512 bits a cycle):
 * per 16 rows and 256 columns 64 dots and 10 to 18 others.
 *
 * Without, vpmaddubsw adds two products in an int16 and saturates, so how many steps may be added
 * before they are widened (`run`) depends on the codes: with at most 15 (31, 63) eight (four, two)
 * steps of 2 * top * 127 fit. One vpmaddwd then widens and applies the integer scale at once. Full
 * bytes (run 0) are taken as |w| * (a or -a), where 2 * 128 * 127 fits once; they need no
 * correction for `zero`. */

enum { PM_T = PV_N == 1 ? 8 : 4, PM_HALF = 4 };

#ifdef PV_VNNI

/* The dots of 4 * steps columns, added to i[]; `a` at the first of them. */
PV_FN void pm_dot(const uint8_t (*q)[16][4], int steps, int run, const uint8_t *a, pv *i, int T) {
    (void)run;
    PM_EACH(s, steps) {
        pv w[PV_N];
        PM_EACH(h, PV_N) w[h] = pv_load(q[s][h * PV_LANES]);
        PM_EACH(t, T) {
            pv x = pv_dup(a + 4 * (s * T + t));
            PM_EACH(h, PV_N) i[h * T + t] = pv_dpbusd(i[h * T + t], w[h], x);
        }
    }
}

#else

/* The integer scale of a group in both halves of each row's int32. */
PV_FN void pm_both(const int32_t *scale, pv *m) {
    PM_EACH(h, PV_N) {
        pv s = pv_load(scale + h * PV_LANES);
        m[h] = pv_or(pv_and(s, pv_set32(0xFFFF)), pv_shl32(s, 16));
    }
}

/* Dots times their scale of `groups` groups of 4 * steps columns, added to i[]; widened every n
 * steps. The loop over r stays a loop: gcc reorders the sums of unrolled steps and spills every
 * product. */
PV_FN void pm_codes(const uint8_t (*q)[16][4], int groups, int steps, int n,
                    const int32_t (*scale)[16], const uint8_t *a, pv *restrict i, int T) {
    for (int g = 0; g < groups; g++) {
        pv m[PV_N];
        pm_both(scale[g], m);
        for (int s = 0; s < steps; s += n) {
            pv sum[PM_T * PV_N];
            PM_EACH(k, T * PV_N) sum[k] = pv_zero();
            for (int r = 0; r < n; r++, q++, a += 4 * T) {
                pv w[PV_N];
                PM_EACH(h, PV_N) w[h] = pv_load((*q)[h * PV_LANES]);
                PM_EACH(t, T) {
                    pv x = pv_dup(a + 4 * t);
                    PM_EACH(h, PV_N) sum[h * T + t] = pv_pairs16(sum[h * T + t], w[h], x);
                }
            }
            PM_EACH(h, PV_N)
            PM_EACH(t, T) i[h * T + t] = pv_add32(i[h * T + t], pv_madd(sum[h * T + t], m[h]));
        }
    }
}

/* The same for full bytes. */
PV_FN void pm_bytes(const uint8_t (*q)[16][4], int groups, int steps, const int32_t (*scale)[16],
                    const uint8_t *a, pv *restrict i, int T) {
    pv sum[PM_T * PV_N], m[PV_N];
    PM_EACH(k, T * PV_N) sum[k] = i[k];
    for (int g = 0; g < groups; g++) {
        pm_both(scale[g], m);
        for (int s = 0; s < steps; s++, q++, a += 4 * T) {
            pv w[PV_N], v[PV_N];
            PM_EACH(h, PV_N) {
                pv x = pv_xor(pv_load((*q)[h * PV_LANES]), pv_set32((int)0x80808080));
                w[h] = pv_negative8(x);
                v[h] = pv_abs8(x);
            }
            PM_EACH(t, T) {
                pv x = pv_dup(a + 4 * t);
                PM_EACH(h, PV_N)
                sum[h * T + t] = pv_pairs32(sum[h * T + t], w[h], v[h], x, &m[h]);
            }
        }
    }
    PM_EACH(k, T * PV_N) i[k] = sum[k];
}

/* Functions of their own, so that the sums get the registers. */
#define PM_SUMS(T)                                                                                 \
    static __attribute__((noinline)) void pm_codes_##T(                                            \
        const uint8_t(*q)[16][4], int groups, int steps, int n, const int32_t(*scale)[16],         \
        const uint8_t *a, pv *restrict i) {                                                        \
        pm_codes(q, groups, steps, n, scale, a, i, T);                                             \
    }                                                                                              \
    static __attribute__((noinline)) void pm_bytes_##T(const uint8_t(*q)[16][4], int groups,       \
                                                       int steps, const int32_t(*scale)[16],       \
                                                       const uint8_t *a, pv *restrict i) {         \
        pm_bytes(q, groups, steps, scale, a, i, T);                                                \
    }
PM_SUMS(4)
#ifndef PV_256
PM_SUMS(8)
#else
#define pm_codes_8 pm_codes_4 /* never called */
#define pm_bytes_8 pm_bytes_4
#endif

PV_FN void pm_groups(const uint8_t (*q)[16][4], int groups, int steps, int run,
                     const int32_t (*scale)[16], const uint8_t *a, pv *i, int T) {
    if (run)
        (T == 8 ? pm_codes_8 : pm_codes_4)(q, groups, steps, run < steps ? run : steps, scale, a,
                                           i);
    else
        (T == 8 ? pm_bytes_8 : pm_bytes_4)(q, groups, steps, scale, a, i);
}

static const _Alignas(64) int32_t pm_one[1][16] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}};

PV_FN void pm_dot(const uint8_t (*q)[16][4], int steps, int run, const uint8_t *a, pv *i, int T) {
    if (run)
        pm_codes(q, 1, steps, run, pm_one, a, i, T);
    else
        pm_bytes(q, 1, steps, pm_one, a, i, T);
}

#endif

PV_FN void pm_finish(const struct pm_out *o, const pvf *f, int T) {
    PM_EACH(t, T) {
        if (t == o->n) return;
        pvf both[PV_N];
        PM_EACH(h, PV_N) both[h] = f[h * T + t];
        pm_put(o, t, both);
    }
}

/* One float step per 32 columns, or one per 16 (`unit`) */
PV_FN void pm_mul_32(const struct ig_panel *p, const struct pm_stream *a, size_t cols,
                     const struct pm_out *o, int T, int unit, int run, enum pm_extra extra) {
    const bool has_min = extra == PM_FLOAT_32, none = extra == PM_NONE || has_min;
    const uint8_t *q = a->q, *c = a->c, *d = a->d;
    pvf f[PM_T * PV_N];
    PM_EACH(i, T * PV_N) f[i] = pvf_zero();
    for (size_t k = 0; k < cols; k += 32, d += 4 * T) {
        const struct ig_panel *part = p + k / IG_PANEL_COLS;
        size_t at = k % IG_PANEL_COLS;
        for (int g = 0; g < 32 / unit; g++, q += unit * T, c += 4 * T, at += (size_t)unit) {
            pv i[PM_T * PV_N];
            PM_EACH(h, PV_N)
            PM_EACH(t, T) i[h * T + t] = none ? pv_zero() : pv_dup(c + 4 * t);
            pm_dot(part->q + at / 4, unit / 4, run, q, i, T);
            size_t u = at / (size_t)unit;
            PM_EACH(h, PV_N) {
                pvf w = pvf_load(part->d[u] + h * PV_LANES), m = pvf_zero();
                if (has_min) m = pvf_load(part->dmin[u] + h * PV_LANES);
                PM_EACH(t, T) {
                    pvf x = pvf_dup(d + 4 * t), *s = &f[h * T + t];
                    *s = pvf_fma(pvf_mul(w, x), pvf_of(i[h * T + t]), *s);
                    if (has_min) *s = pvf_fnma(pvf_mul(m, x), pvf_dup(c + 4 * t), *s);
                }
            }
        }
    }
    pm_finish(o, f, T);
}

/* Sums of panel->min times the input's sums, all two by two: `pairs` products of pairs. */
PV_FN pv pm_pairs(const struct ig_panel *p, size_t b, int h, const uint8_t *c, int pairs, int T,
                  int t) {
    pv sum = pv_zero();
    PM_EACH(i, pairs)
    sum = pv_dpwssd(sum, pv_load(p->min[b * (size_t)pairs + (size_t)i][h * PV_LANES]),
                    pv_dup(c + 4 * (i * T + t)));
    return sum;
}

/* The integer part of 256 columns: dots times scales, added to total[]. `init`: what the dots begin
 * with, or NULL. */
PV_FN void pm_total(const uint8_t (*q)[16][4], int group, int run, const int32_t (*scale)[16],
                    const uint8_t *a, const uint8_t *init, pv *total, int T) {
    const int groups = 256 / group;
#ifdef PV_VNNI
    for (int g = 0; g < groups; g++, q += group / 4, a += group * T, scale++) {
        pv i[PM_T * PV_N];
        PM_EACH(h, PV_N) PM_EACH(t, T) i[h * T + t] = init ? pv_dup(init + 4 * t) : pv_zero();
        pm_dot(q, group / 4, run, a, i, T);
        PM_EACH(h, PV_N) {
            pv s = pv_load(*scale + h * PV_LANES);
            PM_EACH(t, T) total[h * T + t] = pv_add32(total[h * T + t], pv_mul32(i[h * T + t], s));
        }
        if (init) init += 4 * T;
    }
#else
    (void)init;
    pm_groups(q, groups, group / 4, run, scale, a, total, T);
#endif
}

/* One float step per 256 columns, integer scales per `group` */
PV_FN void pm_mul_256(const struct ig_panel *p, const struct pm_stream *a, size_t cols,
                      const struct pm_out *o, int T, int group, int run, bool has_min,
                      enum pm_extra extra) {
    const bool init = extra == PM_ZERO_16 || extra == PM_ZERO_32;
    const int groups = 256 / group, pairs = init || extra == PM_NONE ? 0 : groups / 2;
    const uint8_t *q = a->q, *c = a->c, *d = a->d;
    pvf f[PM_T * PV_N];
    PM_EACH(i, T * PV_N) f[i] = pvf_zero();
    for (size_t k = 0; k < cols; k += 256, d += 4 * T, c += 4 * T * pairs) {
        const struct ig_panel *part = p + k / IG_PANEL_COLS;
        size_t b = k % IG_PANEL_COLS / 256;
        pv total[PM_T * PV_N];
        PM_EACH(i, T * PV_N) total[i] = pv_zero();
        pm_total(part->q + 64 * b, group, run, part->scale + b * (size_t)groups, q, init ? c : NULL,
                 total, T);
        q += 256 * T;
        if (init) c += 4 * T * groups;
        PM_EACH(h, PV_N) {
            pvf w = pvf_load(part->d[b] + h * PV_LANES), m = pvf_zero();
            if (has_min) m = pvf_load(part->dmin[b] + h * PV_LANES);
            PM_EACH(t, T) {
                pvf x = pvf_dup(d + 4 * t), *s = &f[h * T + t];
                pv i = total[h * T + t], pair = pm_pairs(part, b, h, c, pairs, T, t);
                if (pairs && !has_min) i = pv_sub32(i, pv_mul32(pair, pv_set32(o->zero)));
                *s = pvf_fma(pvf_mul(w, x), pvf_of(i), *s);
                if (has_min) *s = pvf_fnma(pvf_mul(m, x), pvf_of(pair), *s);
            }
        }
    }
    pm_finish(o, f, T);
}

#define PM_TILE(name, T, call)                                                                     \
    static void name(const struct ig_panel *p, const struct pm_stream *a, size_t cols,             \
                     const struct pm_out *o) {                                                     \
        enum { N = T };                                                                            \
        call;                                                                                      \
    }
#ifdef PV_256
#define PM_TILES(name, call) PM_TILE(name##_whole, PM_T, call)
#define PM_KIND(name, extra, pairs)                                                                \
    (struct pm_kind) {                                                                             \
        name##_whole, name##_whole, extra, pairs                                                   \
    }
#else
#define PM_TILES(name, call)                                                                       \
    PM_TILE(name##_half, PM_HALF, call)                                                            \
    PM_TILE(name##_whole, PM_T, call)
#define PM_KIND(name, extra, pairs)                                                                \
    (struct pm_kind) {                                                                             \
        name##_half, name##_whole, extra, pairs                                                    \
    }
#endif

#ifdef PV_VNNI

PM_TILES(pm_32, pm_mul_32(p, a, cols, o, N, 32, 8, PM_ZERO_32))
PM_TILES(pm_32_min, pm_mul_32(p, a, cols, o, N, 32, 8, PM_FLOAT_32))
PM_TILES(pm_16, pm_mul_32(p, a, cols, o, N, 16, 8, PM_ZERO_16))
PM_TILES(pm_256_32, pm_mul_256(p, a, cols, o, N, 32, 8, false, PM_ZERO_32))
PM_TILES(pm_256_32_min, pm_mul_256(p, a, cols, o, N, 32, 8, true, PM_PAIR_32))
PM_TILES(pm_256_16, pm_mul_256(p, a, cols, o, N, 16, 8, false, PM_ZERO_16))
PM_TILES(pm_256_16_min, pm_mul_256(p, a, cols, o, N, 16, 8, true, PM_PAIR_16))

/* (types with minima have zero = 0, which these rely on) */
static struct pm_kind pm_kind_of(const struct ig_quant *t, int top) {
    if (t->has_min && top == 255) return (struct pm_kind){0};
    if (t->unit == 16) return PM_KIND(pm_16, PM_ZERO_16, false);
    if (t->unit == 32)
        return t->has_min ? PM_KIND(pm_32_min, PM_FLOAT_32, false)
                          : PM_KIND(pm_32, PM_ZERO_32, false);
    if (t->group == 32)
        return t->has_min ? PM_KIND(pm_256_32_min, PM_PAIR_32, false)
                          : PM_KIND(pm_256_32, PM_ZERO_32, false);
    return t->has_min ? PM_KIND(pm_256_16_min, PM_PAIR_16, false)
                      : PM_KIND(pm_256_16, PM_ZERO_16, false);
}

#else

PM_TILES(pm_32_byte, pm_mul_32(p, a, cols, o, N, 32, 0, PM_NONE))
PM_TILES(pm_32_15, pm_mul_32(p, a, cols, o, N, 32, 8, PM_ZERO_32))
PM_TILES(pm_32_31, pm_mul_32(p, a, cols, o, N, 32, 4, PM_ZERO_32))
PM_TILES(pm_32_min, pm_mul_32(p, a, cols, o, N, 32, 4, PM_FLOAT_32))
PM_TILES(pm_16_byte, pm_mul_32(p, a, cols, o, N, 16, 0, PM_NONE))
PM_TILES(pm_256_32_byte, pm_mul_256(p, a, cols, o, N, 32, 0, false, PM_NONE))
PM_TILES(pm_256_32_15, pm_mul_256(p, a, cols, o, N, 32, 8, false, PM_PAIR_32))
PM_TILES(pm_256_32_min_15, pm_mul_256(p, a, cols, o, N, 32, 8, true, PM_PAIR_32))
PM_TILES(pm_256_32_min_31, pm_mul_256(p, a, cols, o, N, 32, 4, true, PM_PAIR_32))
PM_TILES(pm_256_16_byte, pm_mul_256(p, a, cols, o, N, 16, 0, false, PM_NONE))
PM_TILES(pm_256_16_63, pm_mul_256(p, a, cols, o, N, 16, 2, false, PM_PAIR_16))
PM_TILES(pm_256_16_min, pm_mul_256(p, a, cols, o, N, 16, 4, true, PM_PAIR_16))

static struct pm_kind pm_kind_min(const struct ig_quant *t, int top) {
    if (top > 31) return (struct pm_kind){0};
    if (t->unit == 32) return PM_KIND(pm_32_min, PM_FLOAT_32, false);
    if (t->group == 16) return PM_KIND(pm_256_16_min, PM_PAIR_16, false);
    return top > 15 ? PM_KIND(pm_256_32_min_31, PM_PAIR_32, false)
                    : PM_KIND(pm_256_32_min_15, PM_PAIR_32, false);
}

static struct pm_kind pm_kind_byte(const struct ig_quant *t) {
    if (t->unit == 16) return PM_KIND(pm_16_byte, PM_NONE, false);
    if (t->unit == 32) return PM_KIND(pm_32_byte, PM_NONE, false);
    return t->group == 32 ? PM_KIND(pm_256_32_byte, PM_NONE, false)
                          : PM_KIND(pm_256_16_byte, PM_NONE, false);
}

static struct pm_kind pm_kind_of(const struct ig_quant *t, int top) {
    const struct pm_kind none = {0};
    if (t->has_min) return pm_kind_min(t, top);
    if (top == 255) return pm_kind_byte(t);
    if (t->unit == 16) return none;
    if (t->unit == 32)
        return top > 31   ? none
               : top > 15 ? PM_KIND(pm_32_31, PM_ZERO_32, false)
                          : PM_KIND(pm_32_15, PM_ZERO_32, false);
    if (t->group == 32) return top > 15 ? none : PM_KIND(pm_256_32_15, PM_PAIR_32, true);
    return top > 63 ? none : PM_KIND(pm_256_16_63, PM_PAIR_16, true);
}

#endif
