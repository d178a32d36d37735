/* Tiles of a panel and T packed inputs (panel_many.inl) with the dot instructions of VNNI: lanes
 * are rows, four bytes of an input are broadcast to all of them. Of the instructions here only
 * those that multiply are scarce (dots, vpmulld, float products and fma; on Zen 4 one of 512 bits a
 * cycle): per 16 rows and 256 columns 64 dots and 10 to 18 others. */

enum { PM_T = PV_N == 1 ? 8 : 4 };

/* The dots of 4 * steps columns, added to i[]; `a` at the first of them. */
PV_FN void pm_dot(const uint8_t (*q)[16][4], int steps, const uint8_t *a, pv *i, int T) {
    PM_EACH(s, steps) {
        pv w[PV_N];
        PM_EACH(h, PV_N) w[h] = pv_load(q[s][h * PV_LANES]);
        PM_EACH(t, T) {
            pv x = pv_dup(a + 4 * (s * T + t));
            PM_EACH(h, PV_N) i[h * T + t] = pv_dpbusd(i[h * T + t], w[h], x);
        }
    }
}

PV_FN void pm_finish(const struct pm_out *o, const pvf *f, int T) {
    PM_EACH(t, T) {
        if (t == o->n) return;
        pvf both[PV_N];
        PM_EACH(h, PV_N) both[h] = f[h * T + t];
        pm_put(o, t, both);
    }
}

/* One float step per 32 columns, or one per 16 (`unit`) */
PV_FN void pm_mul_32(const struct ig_panel *p, const uint8_t *a, size_t cols,
                     const struct pm_out *o, int T, int unit, bool has_min) {
    pvf f[PM_T * PV_N];
    PM_EACH(i, T * PV_N) f[i] = pvf_zero();
    const uint8_t *c = a + cols * (size_t)T, *d = c + cols / (size_t)unit * 4 * (size_t)T;
    for (size_t k = 0; k < cols; k += 32, d += 4 * T) {
        const struct ig_panel *part = p + k / IG_PANEL_COLS;
        size_t at = k % IG_PANEL_COLS;
        for (int g = 0; g < 32 / unit; g++, a += unit * T, c += 4 * T, at += (size_t)unit) {
            pv i[PM_T * PV_N];
            PM_EACH(h, PV_N)
            PM_EACH(t, T) i[h * T + t] = has_min ? pv_zero() : pv_dup(c + 4 * t);
            pm_dot(part->q + at / 4, unit / 4, a, i, T);
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

/* The float step of 256 columns. c: pairs of sums, for types with minima */
PV_FN void pm_unit_256(const struct ig_panel *p, size_t b, const uint8_t *c, const uint8_t *d,
                       int pairs, const pv *total, pvf *f, int T) {
    PM_EACH(h, PV_N) {
        pvf w = pvf_load(p->d[b] + h * PV_LANES), m = pvf_zero();
        pv min[8];
        PM_EACH(i, pairs) min[i] = pv_load(p->min[b * (size_t)pairs + (size_t)i][h * PV_LANES]);
        if (pairs) m = pvf_load(p->dmin[b] + h * PV_LANES);
        PM_EACH(t, T) {
            pvf x = pvf_dup(d + 4 * t), *s = &f[h * T + t];
            pv mins = pv_zero();
            PM_EACH(i, pairs) mins = pv_dpwssd(mins, min[i], pv_dup(c + 4 * (i * T + t)));
            *s = pvf_fma(pvf_mul(w, x), pvf_of(total[h * T + t]), *s);
            if (pairs) *s = pvf_fnma(pvf_mul(m, x), pvf_of(mins), *s);
        }
    }
}

/* One float step per 256 columns, integer scales per `group` */
PV_FN void pm_mul_256(const struct ig_panel *p, const uint8_t *a, size_t cols,
                      const struct pm_out *o, int T, int group, bool has_min) {
    const int groups = 256 / group, pairs = has_min ? groups / 2 : 0;
    pvf f[PM_T * PV_N];
    PM_EACH(i, T * PV_N) f[i] = pvf_zero();
    const uint8_t *c = a + cols * (size_t)T;
    const uint8_t *d = c + cols / 256 * (size_t)((has_min ? pairs : groups) * 4 * T);
    for (size_t k = 0; k < cols; k += 256, d += 4 * T) {
        const struct ig_panel *part = p + k / IG_PANEL_COLS;
        size_t b = k % IG_PANEL_COLS / 256;
        pv total[PM_T * PV_N];
        PM_EACH(i, T * PV_N) total[i] = pv_zero();
        for (int g = 0; g < groups; g++) {
            pv i[PM_T * PV_N];
            PM_EACH(h, PV_N)
            PM_EACH(t, T) i[h * T + t] = has_min ? pv_zero() : pv_dup(c + 4 * t);
            if (!has_min) c += 4 * T;
            pm_dot(part->q + 64 * b + (size_t)(g * group / 4), group / 4, a, i, T);
            a += group * T;
            PM_EACH(h, PV_N) {
                pv s = pv_load(&part->scale[b * (size_t)groups + (size_t)g][h * PV_LANES]);
                PM_EACH(t, T)
                total[h * T + t] = pv_add32(total[h * T + t], pv_mul32(i[h * T + t], s));
            }
        }
        pm_unit_256(part, b, c, d, pairs, total, f, T);
        c += 4 * T * pairs;
    }
    pm_finish(o, f, T);
}

#define PM_TILE(name, T, call)                                                                     \
    static void name(const struct ig_panel *p, const uint8_t *a, size_t cols,                      \
                     const struct pm_out *o) {                                                     \
        enum { N = T };                                                                            \
        call;                                                                                      \
    }
#define PM_TILES(name, call)                                                                       \
    PM_TILE(name##_half, PM_T / 2, call)                                                           \
    PM_TILE(name##_whole, PM_T, call)
#define PM_KIND(name, extra)                                                                       \
    (struct pm_kind) {                                                                             \
        name##_half, name##_whole, extra, false                                                    \
    }
PM_TILES(pm_32, pm_mul_32(p, a, cols, o, N, 32, false))
PM_TILES(pm_32_min, pm_mul_32(p, a, cols, o, N, 32, true))
PM_TILES(pm_16, pm_mul_32(p, a, cols, o, N, 16, false))
PM_TILES(pm_256_32, pm_mul_256(p, a, cols, o, N, 32, false))
PM_TILES(pm_256_32_min, pm_mul_256(p, a, cols, o, N, 32, true))
PM_TILES(pm_256_16, pm_mul_256(p, a, cols, o, N, 16, false))
PM_TILES(pm_256_16_min, pm_mul_256(p, a, cols, o, N, 16, true))

/* (types with minima have zero = 0, which these rely on) */
static struct pm_kind pm_kind_of(const struct ig_quant *t, int top) {
    if (t->has_min && top == 255) return (struct pm_kind){0};
    if (t->unit == 16) return PM_KIND(pm_16, PM_ZERO_16);
    if (t->unit == 32)
        return t->has_min ? PM_KIND(pm_32_min, PM_FLOAT_32) : PM_KIND(pm_32, PM_ZERO_32);
    if (t->group == 32)
        return t->has_min ? PM_KIND(pm_256_32_min, PM_PAIR_32) : PM_KIND(pm_256_32, PM_ZERO_32);
    return t->has_min ? PM_KIND(pm_256_16_min, PM_PAIR_16) : PM_KIND(pm_256_16, PM_ZERO_16);
}
