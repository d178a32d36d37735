/* Float kernels, included by each instruction set's file after v16.h: linear layers with float weights, norms, activations,
 * elementwise operations, and the quantisation of activations. */

/* Sums of a tile of rows and inputs live in registers. Larger tiles than 4 x 4 are slower: rows and inputs lie powers of
 * two apart and fight for the same sets of the first cache. */
#if defined(V16_AVX512)
enum { FW_ROWS = 4, FW_TOKENS = 4 };
#elif defined(V16_AVX2) || defined(V16_NEON)
enum { FW_ROWS = 2, FW_TOKENS = 2 };
#else
enum { FW_ROWS = 1, FW_TOKENS = 4 };
#endif
enum { FW_MOST_TOKENS = 4, FW_BLOCK = 32 }; /* FW_BLOCK inputs stay in the second cache while rows pass by */

struct fw_tile { /* one slice of some rows and inputs */
    const uint8_t *w;
    size_t stride; /* bytes between rows */
    size_t ahead;  /* the bytes wanted next lie this far behind; 0: nothing to fetch */
    const float *x[FW_MOST_TOKENS];
    float *y[FW_MOST_TOKENS];
    uint32_t n; /* columns */
    bool later; /* not the first slice: add to y */
};
typedef void (*fw_tile_fn)(const struct fw_tile *);

#if defined(__GNUC__)
#define FW_PREFETCH(p) __builtin_prefetch(p, 0, 2) /* into the second cache */
#else
#define FW_PREFETCH(p) (void)(p)
#endif

enum fw_type { FW_F32, FW_F16, FW_BF16 };

/* 16 weights as floats; the last vector of a row may be short */
V_FN v16 fw_load(const uint8_t *p, uint32_t left, enum fw_type type) {
    if (type == FW_F32) return v_load_n((const float *)(const void *)p, left);
    const uint16_t *h = (const uint16_t *)(const void *)p;
    return type == FW_BF16 ? v_load_bf16_n(h, left) : v_load_f16_n(h, left);
}

/* `nr` rows against `nt` inputs, all constants. For each output: 16 lanes k mod 16, fma in order, tree, slices of 2048 in
 * order; how outputs are tiled changes no bit. */
V_FN void fw_sums(const struct fw_tile *a, uint32_t nr, uint32_t nt, enum fw_type type) {
    const uint32_t bytes = type == FW_F32 ? 4 : 2, step = 64 / bytes; /* a line of each row at a time */
    const uint8_t *w = a->w;
    const size_t stride = a->stride, ahead = a->ahead;
    const float *x[FW_MOST_TOKENS];
    v16 acc[FW_ROWS * FW_MOST_TOKENS];
    uint32_t k = 0;
    V_EACH_OF(t, nt) x[t] = a->x[t];
    V_EACH_OF(i, nr * nt) acc[i] = v_zero();
    for (; k + step <= a->n; k += step, w += 64) {
        V_EACH_OF(i, nr) FW_PREFETCH(w + i * stride + ahead);
        V_EACH_OF(q, step / 16) {
            v16 in[FW_MOST_TOKENS];
            V_EACH_OF(t, nt) in[t] = v_load(x[t] + k + 16 * q);
            V_EACH_OF(i, nr) {
                v16 f = fw_load(w + i * stride + 16 * bytes * q, 16, type);
                V_EACH_OF(t, nt) acc[i * nt + t] = v_fma(f, in[t], acc[i * nt + t]);
            }
        }
    }
    for (; k < a->n; k += 16, w += 16 * bytes)
        V_EACH_OF(i, nr) {
            v16 f = fw_load(w + i * stride, a->n - k, type);
            V_EACH_OF(t, nt) acc[i * nt + t] = v_fma(f, v_load_n(x[t] + k, a->n - k), acc[i * nt + t]);
        }
    V_EACH_OF(t, nt)
    V_EACH_OF(i, nr) a->y[t][i] = (a->later ? a->y[t][i] : 0.0f) + v_sum(acc[i * nt + t]);
}

/* Functions of their own: inlined into one, they drive compilers out of registers. */
#define FW_TILE(type, nr, nt)                                       \
    static void fw_##type##_##nr##_##nt(const struct fw_tile *a) {  \
        if (nt <= FW_TOKENS) fw_sums(a, nr, nt, FW_##type);         \
    }
#define FW_TILES(type, nr) FW_TILE(type, nr, 1) FW_TILE(type, nr, 2) FW_TILE(type, nr, 3) FW_TILE(type, nr, 4)
#define FW_NAMES(type, nr) {fw_##type##_##nr##_1, fw_##type##_##nr##_2, fw_##type##_##nr##_3, fw_##type##_##nr##_4}
#define FW_TYPE(type) FW_TILES(type, 1) FW_TILES(type, FW_ROWS)
FW_TYPE(F32)
FW_TYPE(F16)
FW_TYPE(BF16)
/* by type, one row or FW_ROWS, inputs less 1 */
static const fw_tile_fn fw_tiles[3][2][FW_MOST_TOKENS] = {{FW_NAMES(F32, 1), FW_NAMES(F32, FW_ROWS)},
                                                          {FW_NAMES(F16, 1), FW_NAMES(F16, FW_ROWS)},
                                                          {FW_NAMES(BF16, 1), FW_NAMES(BF16, FW_ROWS)}};

/* Rows from r (one, or FW_ROWS) against inputs [first, last), columns from s. The rows that follow are fetched during the
 * first tile. */
static void fw_rows(const struct ig_linear *j, const fw_tile_fn *tiles, uint32_t r, uint32_t nr, uint32_t first, uint32_t last,
                    uint32_t s) {
    struct fw_tile a = {.stride = j->row_bytes, .ahead = first ? 0 : nr * j->row_bytes, .later = s > 0};
    a.w = j->w + j->row_bytes * r + (size_t)s * j->type->bytes;
    a.n = j->cols - s < IG_SLICE ? j->cols - s : IG_SLICE;
    for (uint32_t i = first, nt; i < last; i += nt, a.ahead = 0) {
        nt = last - i < FW_TOKENS ? last - i : FW_TOKENS;
        for (uint32_t t = 0; t < nt; t++) {
            a.x[t] = j->x + j->x_stride * ig_linear_x(j, i + t) + s;
            a.y[t] = ig_linear_y(j, i + t) + r;
        }
        tiles[nt - 1](&a);
    }
}

static void linear_float(const struct ig_linear *j) {
    enum fw_type type = j->type->bytes == 4 ? FW_F32 : j->type == ig_quant_by_id(30) ? FW_BF16 : FW_F16;
    for (uint32_t s = 0; s < j->cols; s += IG_SLICE)
        for (uint32_t first = 0; first < j->n; first += FW_BLOCK) {
            uint32_t last = j->n - first < FW_BLOCK ? j->n : first + FW_BLOCK, r = 0;
            for (; r + FW_ROWS <= j->rows; r += FW_ROWS) fw_rows(j, fw_tiles[type][1], r, FW_ROWS, first, last, s);
            for (; r < j->rows; r++) fw_rows(j, fw_tiles[type][0], r, 1, first, last, s);
        }
}

/* ---- Quantised activations: d = amax / 127, q = round to even of x * (127 / amax) ---- */

static void quantize(const float *x, uint32_t n, uint32_t per, int8_t *q, float *d, int16_t *sum) {
    for (uint32_t b = 0; b < n; b += per) {
        uint32_t len = n - b < per ? n - b : per;
        v16 most = v_zero();
        for (uint32_t i = 0; i < len; i += 16) most = v_max(v_abs(v_load(x + b + i)), most);
        float amax = v_largest(most);
        float inverse = amax > 0 ? 127.0f / amax : 0.0f;
        if (!(inverse <= 3e38f)) inverse = 0.0f; /* a block of denormals counts as zeros */
        d[b / per] = inverse > 0 ? amax * (1.0f / 127.0f) : 0.0f;
        for (uint32_t i = 0; i < len; i += 16) {
            v16 v = v_rint(v_mul(v_load(x + b + i), v_set1(inverse)));
            v = v_max(v_min(v, v_set1(127.0f)), v_set1(-127.0f));
            v_store_i8(q + b + i, v);
            sum[(b + i) / 16] = (int16_t)v_sum(v); /* whole and small: exact */
        }
    }
}

/* ---- Norms: 16-lane sums ---- */

V_FN void norm_apply(float *dst, const float *x, const float *w, const float *b, uint32_t n, float mean, float scale) {
    for (uint32_t i = 0; i < n; i += 16) {
        uint32_t left = n - i;
        v16 v = v_mul(v_sub(v_load_n(x + i, left), v_set1(mean)), v_set1(scale));
        if (w) v = v_mul(v, v_load_n(w + i, left));
        if (b) v = v_add(v, v_load_n(b + i, left));
        v_store_n(dst + i, v, left);
    }
}

static void norm_rms(float *dst, const float *x, const float *w, const float *b, uint32_t n, float eps) {
    v16 s = v_zero();
    for (uint32_t i = 0; i < n; i += 16) {
        v16 v = v_load_n(x + i, n - i);
        s = v_fma(v, v, s);
    }
    norm_apply(dst, x, w, b, n, 0.0f, 1.0f / sqrtf(v_sum(s) / (float)n + eps));
}

static void norm_layer(float *dst, const float *x, const float *w, const float *b, uint32_t n, float eps) {
    v16 s = v_zero(), q = v_zero();
    for (uint32_t i = 0; i < n; i += 16) s = v_add(s, v_load_n(x + i, n - i));
    float mean = v_sum(s) / (float)n;
    for (uint32_t i = 0; i < n; i += 16) {
        float lanes[16];
        v16 v = v_sub(v_load_n(x + i, n - i), v_set1(mean));
        if (n - i < 16) { /* lanes beyond the row must not count */
            v_store(lanes, v);
            for (uint32_t c = n - i; c < 16; c++) lanes[c] = 0;
            v = v_load(lanes);
        }
        q = v_fma(v, v, q);
    }
    norm_apply(dst, x, w, b, n, mean, 1.0f / sqrtf(v_sum(q) / (float)n + eps));
}

/* ---- Activations ---- */

/* x * Phi(x): Phi by the complementary error function, Abramowitz and Stegun 7.1.26, error 1.5e-7 */
V_FN v16 act_gelu_erf(v16 x) {
    v16 z = v_mul(v_abs(x), v_set1(0.70710678f));
    v16 t = v_div(v_set1(1.0f), v_fma(v_set1(0.3275911f), z, v_set1(1.0f)));
    v16 p = v_set1(1.061405429f);
    p = v_fma(p, t, v_set1(-1.453152027f));
    p = v_fma(p, t, v_set1(1.421413741f));
    p = v_fma(p, t, v_set1(-0.284496736f));
    p = v_fma(p, t, v_set1(0.254829592f));
    v16 half = v_mul(v_mul(v_mul(p, t), v_exp(v_sub(v_zero(), v_mul(z, z)))), v_set1(0.5f));
    return v_mul(x, v_sel(v_lt(x, v_zero()), half, v_sub(v_set1(1.0f), half)));
}

/* 0.5 x (1 + tanh(u)) = x sigmoid(2u) with u = sqrt(2/pi) (x + 0.044715 x^3) */
V_FN v16 act_gelu(v16 x) {
    v16 x3 = v_mul(v_mul(x, x), v_mul(x, v_set1(0.044715f)));
    return v_mul(x, v_sigmoid(v_mul(v_add(x, x3), v_set1(1.59576912f))));
}

/* apertus: a_p x^2 + b x above 0, (e^min(x, eps) - 1 - x) a_n + b x below */
V_FN v16 act_xielu(v16 x, const float *f) {
    v16 beta = v_mul(x, v_set1(f[2]));
    v16 above = v_fma(v_mul(x, x), v_set1(f[0]), beta);
    v16 e = v_sub(v_exp(v_min(x, v_set1(f[3]))), v_set1(1.0f));
    v16 below = v_fma(v_sub(e, x), v_set1(f[1]), beta);
    return v_sel(v_lt(v_zero(), x), above, below);
}

/* enum ig_act by number: this room does not include arch/. The executor holds the two lists together. */
V_FN v16 act_one(uint8_t what, const float *f, v16 x) {
    switch (what) {
    case 0: return v_mul(x, v_sigmoid(x));
    case 1: return act_gelu(x);
    case 2: return act_gelu_erf(x);
    case 3: return v_mul(x, v_sigmoid(v_mul(x, v_set1(1.702f))));
    case 4: return v_max(x, v_zero());
    case 5: return v_mul(v_max(x, v_zero()), v_max(x, v_zero()));
    case 7: return act_xielu(x, f);
    case 8: return v_sigmoid(x);
    case 9: return v_tanh(x);
    default: return x;
    }
}

static void act(uint8_t what, const float *f, float *dst, const float *a, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 16) v_store_n(dst + i, act_one(what, f, v_load_n(a + i, n - i)), n - i);
}

/* gpt-oss: gate limited above, up on both sides; (up + 1) * gate * sigmoid(alpha gate) */
V_FN v16 glu_oai(v16 g, v16 u, const float *f) {
    g = v_min(g, v_set1(f[0]));
    u = v_max(v_min(u, v_set1(f[0])), v_set1(-f[0]));
    return v_mul(v_add(u, v_set1(1.0f)), v_mul(g, v_sigmoid(v_mul(g, v_set1(f[1])))));
}

static void glu(uint8_t what, const float *f, float *dst, const float *a, const float *b, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 16) {
        v16 g = v_load_n(a + i, n - i), u = v_load_n(b + i, n - i);
        v_store_n(dst + i, what == 6 ? glu_oai(g, u, f) : v_mul(act_one(what, f, g), u), n - i);
    }
}

/* ---- Elementwise ---- */

static void add(float *dst, const float *a, const float *b, float f, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 16)
        v_store_n(dst + i, v_fma(v_set1(f), v_load_n(b + i, n - i), v_load_n(a + i, n - i)), n - i);
}

static void scale(float *dst, const float *a, float f, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 16) v_store_n(dst + i, v_mul(v_load_n(a + i, n - i), v_set1(f)), n - i);
}

static void mul(float *dst, const float *a, const float *b, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 16) v_store_n(dst + i, v_mul(v_load_n(a + i, n - i), v_load_n(b + i, n - i)), n - i);
}

static void softcap(float *dst, const float *a, float f, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 16)
        v_store_n(dst + i, v_mul(v_set1(f), v_tanh(v_div(v_load_n(a + i, n - i), v_set1(f)))), n - i);
}

static void softmax(float *dst, const float *a, uint32_t n) {
    float most = a[0];
    v16 sum = v_zero();
    for (uint32_t i = 1; i < n; i++) most = a[i] > most ? a[i] : most;
    for (uint32_t i = 0; i < n; i += 16) v_store_n(dst + i, v_exp(v_sub(v_load_n(a + i, n - i), v_set1(most))), n - i);
    for (uint32_t i = 0; i < n; i += 16) sum = v_add(sum, v_load_n(dst + i, n - i));
    v16 total = v_set1(v_sum(sum));
    for (uint32_t i = 0; i < n; i += 16) v_store_n(dst + i, v_div(v_load_n(dst + i, n - i), total), n - i);
}

static void to_f16(uint16_t *dst, const float *a, uint32_t n) {
    for (uint32_t i = 0; i < n; i += 16) {
        uint16_t t[16];
        v_store_f16(t, v_load_n(a + i, n - i));
        memcpy(dst + i, t, (n - i < 16 ? n - i : 16) * sizeof *t);
    }
}
