/* TQ1_0: 256 weights -1, 0, 1, five to a byte in base 3.  w = d * (digit - 1)
 * A byte holds v = ceil(t * 256 / 243) for the five-digit number t, so digit k is the top of (v *
 * 3^k mod 256) * 3 / 256.
 *
 *   byte l           digits k = 0..4 of n[32k+l]            l = 0..31
 *   byte 32+l        digits k = 0..4 of n[160+16k+l]        l = 0..15
 *   byte 48+l        digits k = 0..3 of n[240+4k+l]         l = 0..3
 *   byte 52..53      d, f16 */
#ifdef IG_PART_UNPACK
enum {
    tq1_0_BLOCK = 256,
    tq1_0_BYTES = 54,
    tq1_0_GROUP = 32,
    tq1_0_UNIT = 256,
    tq1_0_HAS_MIN = 0,
    tq1_0_MAIN_AT = 0,
    tq1_0_MAIN = 52
};
IG_QUANT_INLINE void tq1_0_digits(const uint8_t *restrict v, int8_t *restrict q, int width,
                                  int count) {
    static const uint8_t power[5] = {1, 3, 9, 27, 81};
    for (int k = 0; k < count; k++)
        for (int l = 0; l < width; l++)
            q[width * k + l] = (int8_t)(((uint8_t)(v[l] * power[k]) * 3 >> 8) - 1);
}
static void tq1_0_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b + 52));
    for (int g = 0; g < 8; g++) u->scale[g] = 1;
    tq1_0_digits(b, u->q, 32, 5);
    tq1_0_digits(b + 32, u->q + 160, 16, 5);
    tq1_0_digits(b + 48, u->q + 240, 4, 4);
}
IG_DECODE(tq1_0)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   256
#define T_BYTES   54
#define T_GROUP   32
#define T_UNIT    256
#define T_HAS_MIN 0
#define T_KIND    256
#define T_MAIN_AT 0
#define T_MAIN    52
#define T_REST_AT 52
#define T_REST    2
/* digit k of four bytes, power = 3^k: two bytes at a time in fields of 16 bits */
DEVICE u32 tq1_0_digit(u32 v, u32 power) {
    u32 a = ((v & 0x00FF00FFu) * power & 0x00FF00FFu) * 3,
        b = ((v >> 8 & 0x00FF00FFu) * power & 0x00FF00FFu) * 3;
    return ig_minus((a >> 8 & 0x00030003u) | (b & 0x03000300u), 0x01010101u);
}
DEVICE u32 tq1_0_power(u32 k) {
    return (k & 1 ? 3u : 1u) * (k & 2 ? 9u : 1u) * (k & 4 ? 81u : 1u);
}
DEVICE void tq1_0_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                       PRIV i32 *mn) {
    /* groups 0..4: digit g of bytes 0..31; then two digits of bytes 32..47; the last half is
     * bytes 48..51 */
    u32 w[8], k = g < 5 ? g : 2 * g - 10, a = tq1_0_power(k), b = tq1_0_power(g < 5 ? g : k + 1);
    (void)r;
    ig_words4_any(m + (g < 5 ? 0 : 32), w);
    ig_words4_any(m + (g < 5 ? 16 : 32), w + 4);
    q[0] = tq1_0_digit(w[0], a);
    q[1] = tq1_0_digit(w[1], a);
    q[2] = tq1_0_digit(w[2], a);
    q[3] = tq1_0_digit(w[3], a);
    if (g == 7) w[4] = w[5] = w[6] = w[7] = W_LD32(m + 48);
    q[4] = tq1_0_digit(w[4], g == 7 ? 1 : b);
    q[5] = tq1_0_digit(w[5], g == 7 ? 3 : b);
    q[6] = tq1_0_digit(w[6], g == 7 ? 9 : b);
    q[7] = tq1_0_digit(w[7], g == 7 ? 27 : b);
    ig_plain(s, mn);
}
DEVICE f32 tq1_0_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r);
}
#endif

#ifdef IG_PART_PANEL
enum { tq1_0_TOP = 3, tq1_0_ZERO = 1 };
/* The next digit: the top two bits of 3 x / 4, and x becomes 3 x. Halving rounds up, so 1 goes
 * first. */
W_FN w16 tq1_0_top(w16 *x) {
    w16 less = w_less8(*x, w_set8(1)), v = w_mean8(less, w_mean8(less, w_set8(0)));
    *x = w_add8(*x, w_add8(*x, *x));
    return w_field(v, 6, 3);
}
W_FN void tq1_0_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    for (size_t b = 0; b < blocks; b++, w += tq1_0_BYTES) {
        w16 x[12], y[4], last, d;
        w_ahead(w, stride, o, 0);
        w_load4(w, stride, x);
        w_load4(w + 16, stride, x + 4);
        w_load4(w + 32, stride, x + 8);
        w_load4(w + 38, stride, y); /* the last 10 of these 16 bytes are new */
        last = w_or(w_shr32(y[2], 16), w_shl32(y[3], 16));
        d = w_shr32(y[3], 16);
        for (size_t k = 0; k < 5; k++) {
            w_sum sum = w_zero(T), start = w_begin(o, k, T);
            W_EACH(c, 8) w_put(o, 8 * k + (size_t)c, tq1_0_top(&x[c]), &sum, T);
            w_down(&sum, 6, T);
            w_join(&sum, &start, T);
            w_plain(o, k, 32, &sum, T);
        }
        W_EACH(g, 3) {
            w_sum sum = w_zero(T), start = w_begin(o, 5 + (size_t)g, T);
            W_EACH(c, 8) {
                w16 *v = g == 2 && c >= 4 ? &last : &x[8 + (c & 3)];
                w_put(o, 40 + 8 * (size_t)g + (size_t)c, tq1_0_top(v), &sum, T);
            }
            w_down(&sum, 6, T);
            w_join(&sum, &start, T);
            w_plain(o, 5 + (size_t)g, 32, &sum, T);
        }
        w_unit(o, w_half(d), w_half(d), false, T);
    }
}
W_FORMS(tq1_0)
#endif

#ifdef IG_PART_ENCODE
static void tq1_0_digits_join(const uint8_t *q, uint8_t *v, int width, int count) {
    for (int l = 0; l < width; l++) {
        unsigned t = 0;
        for (int k = 0; k < 5; k++) t = t * 3 + (k < count ? q[width * k + l] : 0u);
        v[l] = (uint8_t)((t * 256 + 242) / 243);
    }
}
static void tq1_0_encode(const float *in, uint8_t *b, size_t n) {
    for (; n--; in += 256, b += 54) {
        float x[256], d = fabsf(clean(in, x, 256)), id = inverse(d);
        uint8_t q[256];
        for (int i = 0; i < 256; i++) q[i] = (uint8_t)clamp_int(roundf(x[i] * id) + 1, 0, 2);
        tq1_0_digits_join(q, b, 32, 5);
        tq1_0_digits_join(q + 160, b + 32, 16, 5);
        tq1_0_digits_join(q + 240, b + 48, 4, 4);
        store16(b + 52, half_saturated(d));
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t tq1_0_golden[54] = {
    153, 121, 64, 29, 69, 13, 153, 230, 163, 39, 178, 76, 193, 56, 255, 254, 236, 34, 68, 5, 176,
    227, 59, 95, 1, 250, 190, 241, 222, 80, 208, 75, 131, 177, 237, 102, 81, 65, 114, 192, 105, 177,
    217, 246, 82, 161, 82, 123, 226, 55, 249, 40, 14, 41,};
static const float tq1_0_golden_values[256] = {
    0.0f, 0.0f, -0.039489746f, -0.039489746f, -0.039489746f, -0.039489746f, 0.0f, 0.039489746f,
    0.0f, -0.039489746f, 0.039489746f, -0.039489746f, 0.039489746f, -0.039489746f, 0.039489746f,
    0.039489746f, 0.039489746f, -0.039489746f, -0.039489746f, -0.039489746f, 0.039489746f,
    0.039489746f, -0.039489746f, 0.0f, -0.039489746f, 0.039489746f, 0.039489746f, 0.039489746f,
    0.039489746f, -0.039489746f, 0.039489746f, -0.039489746f, 0.039489746f, 0.0f, 0.039489746f,
    0.0f, 0.039489746f, -0.039489746f, 0.039489746f, 0.039489746f, 0.039489746f, 0.0f,
    -0.039489746f, 0.039489746f, -0.039489746f, 0.0f, 0.039489746f, 0.039489746f, 0.039489746f,
    0.0f, 0.039489746f, -0.039489746f, -0.039489746f, 0.0f, 0.039489746f, -0.039489746f,
    -0.039489746f, 0.039489746f, -0.039489746f, 0.039489746f, 0.0f, 0.039489746f, 0.0f,
    0.039489746f, 0.0f, -0.039489746f, -0.039489746f, -0.039489746f, 0.0f, 0.0f, 0.0f,
    -0.039489746f, 0.039489746f, 0.0f, -0.039489746f, 0.039489746f, 0.039489746f, 0.039489746f,
    0.039489746f, 0.039489746f, -0.039489746f, -0.039489746f, 0.0f, -0.039489746f, -0.039489746f,
    0.039489746f, -0.039489746f, 0.0f, -0.039489746f, 0.039489746f, 0.039489746f, 0.0f,
    0.039489746f, 0.039489746f, -0.039489746f, 0.0f, -0.039489746f, 0.039489746f, 0.039489746f,
    -0.039489746f, -0.039489746f, 0.0f, -0.039489746f, -0.039489746f, -0.039489746f, -0.039489746f,
    0.039489746f, -0.039489746f, 0.0f, 0.039489746f, 0.039489746f, 0.039489746f, 0.039489746f, 0.0f,
    -0.039489746f, 0.0f, 0.0f, 0.039489746f, -0.039489746f, -0.039489746f, -0.039489746f, 0.0f,
    -0.039489746f, 0.0f, 0.0f, 0.0f, 0.039489746f, 0.039489746f, 0.0f, -0.039489746f, -0.039489746f,
    -0.039489746f, 0.039489746f, -0.039489746f, 0.0f, 0.039489746f, 0.0f, 0.0f, -0.039489746f,
    -0.039489746f, -0.039489746f, 0.039489746f, 0.039489746f, 0.0f, 0.039489746f, 0.039489746f,
    0.0f, 0.0f, 0.039489746f, 0.039489746f, 0.039489746f, -0.039489746f, -0.039489746f,
    -0.039489746f, -0.039489746f, -0.039489746f, -0.039489746f, -0.039489746f, 0.039489746f,
    0.039489746f, 0.0f, 0.039489746f, 0.039489746f, 0.0f, -0.039489746f, -0.039489746f, 0.0f,
    0.039489746f, 0.0f, 0.039489746f, 0.039489746f, 0.039489746f, -0.039489746f, 0.0f,
    -0.039489746f, 0.0f, 0.0f, -0.039489746f, 0.039489746f, -0.039489746f, 0.039489746f,
    0.039489746f, 0.0f, -0.039489746f, -0.039489746f, -0.039489746f, 0.0f, 0.039489746f,
    0.039489746f, 0.039489746f, 0.039489746f, 0.0f, 0.0f, -0.039489746f, -0.039489746f, 0.0f,
    0.039489746f, -0.039489746f, -0.039489746f, 0.039489746f, 0.039489746f, -0.039489746f, 0.0f,
    0.0f, 0.039489746f, 0.0f, 0.039489746f, -0.039489746f, 0.039489746f, 0.039489746f, 0.039489746f,
    0.039489746f, 0.0f, 0.039489746f, -0.039489746f, -0.039489746f, -0.039489746f, 0.039489746f,
    0.039489746f, 0.039489746f, 0.0f, 0.039489746f, 0.0f, 0.039489746f, 0.0f, -0.039489746f,
    0.039489746f, -0.039489746f, 0.0f, 0.0f, -0.039489746f, 0.039489746f, -0.039489746f,
    -0.039489746f, 0.0f, 0.039489746f, 0.039489746f, 0.039489746f, 0.039489746f, 0.039489746f,
    0.039489746f, -0.039489746f, 0.039489746f, -0.039489746f, 0.0f, 0.0f, 0.039489746f, 0.0f,
    0.039489746f, 0.039489746f, 0.039489746f, 0.0f, 0.039489746f, 0.039489746f, -0.039489746f,
    -0.039489746f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(34, "TQ1_0", tq1_0, A256, tq1_0_unpack, tq1_0_decode, tq1_0_encode, tq1_0_golden,
            tq1_0_golden_values)
#endif
