/* TQ2_0: 256 weights of 2 bits with one scale.  w = d * (n - 1)
 *
 *   byte 32h+l       7..6 n[128h+96+l] | 5..4 n[128h+64+l] | 3..2 n[128h+32+l] | 1..0 n[128h+l] h =
 * 0..1, l = 0..31 byte 64..65      d, f16 */
#ifdef IG_PART_UNPACK
enum {
    tq2_0_BLOCK = 256,
    tq2_0_BYTES = 66,
    tq2_0_GROUP = 32,
    tq2_0_UNIT = 256,
    tq2_0_HAS_MIN = 0,
    tq2_0_MAIN_AT = 0,
    tq2_0_MAIN = 64
};
static void tq2_0_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b + 64));
    for (int g = 0; g < 8; g++) u->scale[g] = 1;
    crumbs(b, u->q);
    crumbs(b + 32, u->q + 128);
    for (int i = 0; i < 256; i++) u->q[i] = (int8_t)(u->q[i] - 1);
}
IG_DECODE(tq2_0)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   256
#define T_BYTES   66
#define T_GROUP   32
#define T_UNIT    256
#define T_HAS_MIN 0
#define T_KIND    256
#define T_MAIN_AT 0
#define T_MAIN    64
#define T_REST_AT 64
#define T_REST    2
DEVICE void tq2_0_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                       PRIV i32 *mn) {
    (void)r;
    ig_fields(m + 32 * (g >> 2), 2 * (g & 3), 0x03030303u, q);
    ig_minus8(q, 0x01010101u);
    ig_plain(s, mn);
}
DEVICE f32 tq2_0_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r);
}
#endif

#ifdef IG_PART_PANEL
enum { tq2_0_TOP = 3, tq2_0_ZERO = 1 };
W_FN void tq2_0_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    for (size_t b = 0; b < blocks; b++, w += tq2_0_BYTES) {
        w16 x[4], d = w_shr32(w_last(w + 50, stride), 16);
        w_ahead(w, stride, o, 0);
        for (size_t h = 0; h < 2; h++) {
            w_sum sum[4] = {w_zero(T), w_zero(T), w_zero(T), w_zero(T)};
            for (size_t i = 0; i < 2; i++) {
                w_load4(w + 32 * h + 16 * i, stride, x);
                size_t k = 32 * h + 4 * i;
                W_EACH(c, 4) {
                    w_put(o, k + (size_t)c, w_field(x[c], 0, 3), &sum[0], T);
                    w_put(o, k + 8 + (size_t)c, w_field(x[c], 2, 3), &sum[1], T);
                    w_put(o, k + 16 + (size_t)c, w_field(x[c], 4, 3), &sum[2], T);
                    w_put(o, k + 24 + (size_t)c, w_field(x[c], 6, 3), &sum[3], T);
                }
            }
            w_down(&sum[1], 2, T);
            w_down(&sum[2], 4, T);
            w_down(&sum[3], 6, T);
            W_EACH(g, 4) {
                w_sum start = w_begin(o, 4 * h + (size_t)g, T);
                w_join(&sum[g], &start, T);
                w_plain(o, 4 * h + (size_t)g, 32, &sum[g], T);
            }
        }
        w_unit(o, w_half(d), w_half(d), false, T);
    }
}
W_FORMS(tq2_0)
#endif

#ifdef IG_PART_ENCODE
static void tq2_0_encode(const float *in, uint8_t *b, size_t n) {
    for (; n--; in += 256, b += 66) {
        float x[256], d = fabsf(clean(in, x, 256)), id = inverse(d);
        uint8_t q[256];
        for (int i = 0; i < 256; i++) q[i] = (uint8_t)clamp_int(roundf(x[i] * id) + 1, 0, 2);
        join_crumbs(q, b);
        join_crumbs(q + 128, b + 32);
        store16(b + 64, half_saturated(d));
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t tq2_0_golden[66] = {
    234, 76, 133, 69, 59, 191, 170, 137, 171, 173, 105, 185, 115, 197, 156, 158, 54, 131, 224, 36,
    157, 152, 227, 138, 21, 35, 252, 41, 241, 154, 87, 78, 174, 143, 80, 152, 116, 168, 11, 230,
    156, 121, 167, 44, 25, 153, 231, 157, 189, 217, 62, 232, 112, 55, 213, 254, 39, 181, 238, 206,
    215, 205, 108, 33, 206, 38,};
static const float tq2_0_golden_values[256] = {
    0.02658081f, -0.02658081f, 0.0f, 0.0f, 0.05316162f, 0.05316162f, 0.02658081f, 0.0f, 0.05316162f,
    0.0f, 0.0f, 0.0f, 0.05316162f, 0.0f, -0.02658081f, 0.02658081f, 0.02658081f, 0.05316162f,
    -0.02658081f, -0.02658081f, 0.0f, -0.02658081f, 0.05316162f, 0.02658081f, 0.0f, 0.05316162f,
    -0.02658081f, 0.0f, 0.0f, 0.02658081f, 0.05316162f, 0.02658081f, 0.02658081f, 0.05316162f, 0.0f,
    0.0f, 0.02658081f, 0.05316162f, 0.02658081f, 0.02658081f, 0.02658081f, 0.05316162f, 0.02658081f,
    0.02658081f, -0.02658081f, 0.0f, 0.05316162f, 0.05316162f, 0.0f, -0.02658081f, -0.02658081f,
    0.0f, 0.05316162f, 0.02658081f, -0.02658081f, 0.02658081f, 0.0f, -0.02658081f, 0.05316162f,
    0.02658081f, -0.02658081f, 0.02658081f, 0.0f, 0.05316162f, 0.02658081f, -0.02658081f,
    -0.02658081f, -0.02658081f, 0.05316162f, 0.05316162f, 0.02658081f, -0.02658081f, 0.02658081f,
    0.02658081f, 0.02658081f, 0.05316162f, 0.05316162f, -0.02658081f, 0.0f, 0.0f, 0.05316162f,
    -0.02658081f, 0.02658081f, 0.02658081f, 0.0f, 0.0f, 0.02658081f, -0.02658081f, 0.0f,
    0.02658081f, 0.05316162f, 0.02658081f, 0.05316162f, 0.0f, 0.0f, -0.02658081f, 0.05316162f, 0.0f,
    0.02658081f, 0.0f, -0.02658081f, 0.02658081f, 0.02658081f, 0.02658081f, 0.02658081f,
    0.02658081f, 0.0f, 0.02658081f, 0.0f, 0.05316162f, 0.02658081f, 0.02658081f, -0.02658081f,
    0.02658081f, 0.05316162f, -0.02658081f, 0.02658081f, 0.02658081f, 0.05316162f, 0.02658081f,
    -0.02658081f, -0.02658081f, 0.05316162f, -0.02658081f, 0.05316162f, 0.02658081f, 0.0f, 0.0f,
    0.02658081f, 0.05316162f, -0.02658081f, -0.02658081f, -0.02658081f, -0.02658081f, 0.05316162f,
    0.02658081f, -0.02658081f, 0.0f, 0.05316162f, -0.02658081f, 0.0f, 0.0f, 0.05316162f, 0.0f, 0.0f,
    0.0f, 0.02658081f, -0.02658081f, -0.02658081f, 0.05316162f, 0.0f, 0.02658081f, 0.05316162f,
    0.0f, 0.02658081f, 0.02658081f, 0.05316162f, 0.0f, -0.02658081f, 0.0f, 0.05316162f, 0.05316162f,
    -0.02658081f, 0.02658081f, 0.0f, 0.02658081f, 0.02658081f, 0.0f, 0.05316162f, 0.02658081f, 0.0f,
    0.05316162f, 0.02658081f, 0.02658081f, 0.0f, 0.05316162f, 0.05316162f, 0.02658081f, 0.05316162f,
    0.02658081f, -0.02658081f, 0.0f, 0.0f, 0.05316162f, 0.0f, 0.0f, 0.05316162f, 0.05316162f, 0.0f,
    0.05316162f, 0.05316162f, -0.02658081f, 0.02658081f, -0.02658081f, 0.0f, 0.0f, 0.05316162f,
    0.02658081f, -0.02658081f, 0.02658081f, 0.0f, 0.05316162f, 0.02658081f, 0.02658081f, 0.0f, 0.0f,
    0.02658081f, 0.0f, 0.05316162f, 0.0f, 0.05316162f, 0.02658081f, 0.05316162f, 0.05316162f, 0.0f,
    0.05316162f, 0.02658081f, 0.05316162f, 0.02658081f, -0.02658081f, 0.0f, -0.02658081f,
    0.02658081f, 0.02658081f, 0.02658081f, 0.02658081f, 0.0f, 0.02658081f, 0.0f, 0.02658081f,
    -0.02658081f, 0.05316162f, 0.02658081f, 0.0f, 0.02658081f, -0.02658081f, -0.02658081f,
    0.02658081f, 0.05316162f, 0.02658081f, 0.02658081f, 0.05316162f, -0.02658081f, 0.05316162f,
    0.0f, -0.02658081f, 0.05316162f, 0.05316162f, -0.02658081f, 0.02658081f, 0.05316162f,
    0.05316162f, 0.05316162f, 0.05316162f, 0.0f, -0.02658081f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(35, "TQ2_0", tq2_0, A256, tq2_0_unpack, tq2_0_decode, tq2_0_encode, tq2_0_golden,
            tq2_0_golden_values)
#endif
