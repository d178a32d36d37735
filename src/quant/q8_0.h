/* Q8_0: 32 weights of 8 bits with one scale.  w = d * n
 *
 *   byte 0..1   d, f16
 *   byte 2+j    n[j], signed                  j = 0..31 */
#ifdef IG_PART_UNPACK
enum {
    q8_0_BLOCK = 32,
    q8_0_BYTES = 34,
    q8_0_GROUP = 32,
    q8_0_UNIT = 32,
    q8_0_HAS_MIN = 0,
    q8_0_MAIN_AT = 2,
    q8_0_MAIN = 32
};
static void q8_0_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b));
    u->scale[0] = 1;
    memcpy(u->q, b + 2, 32);
}
IG_DECODE(q8_0)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   32
#define T_BYTES   34
#define T_GROUP   32
#define T_UNIT    32
#define T_HAS_MIN 0
#define T_KIND    32
#define T_MAIN_AT 2
#define T_MAIN    32
#define T_REST_AT 0
#define T_REST    2
DEVICE void q8_0_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                      PRIV i32 *mn) {
    v4u x = W_LD128(m), y = W_LD128(m + 16);
    (void)r, (void)g;
    q[0] = x.x, q[1] = x.y, q[2] = x.z, q[3] = x.w;
    q[4] = y.x, q[5] = y.y, q[6] = y.z, q[7] = y.w;
    s[0] = s[1] = 1;
    mn[0] = mn[1] = 0;
}
DEVICE f32 q8_0_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return HALF_TO_F32((u16)W_LD16(r));
}
#endif

#ifdef IG_PART_PANEL
enum { q8_0_TOP = 255, q8_0_ZERO = 128 };
W_FN void q8_0_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    for (size_t b = 0; b < blocks; b++, w += q8_0_BYTES) {
        w_ahead(w, stride, o, 0);
        w16 x[8], d = w_first(w, stride);
        w_load4(w + 2, stride, x);
        w_load4(w + 18, stride, x + 4);
        w_sum sum = w_start(o, 0, T);
        W_EACH(c, 8) w_put32(o, (size_t)c, w_code(x[c]), &sum, T);
        w_step(o, w_half(d), w_half(d), false, &sum, T);
    }
}
W_FORMS(q8_0)
#endif

#ifdef IG_PART_ENCODE
static void q8_0_encode(const float *in, uint8_t *b, size_t n) {
    for (; n--; in += 32, b += 34) {
        float x[32], d = fabsf(clean(in, x, 32)) / 127.0f, id = inverse(d);
        store16(b, half_saturated(d));
        for (int i = 0; i < 32; i++) b[2 + i] = (uint8_t)clamp_int(roundf(x[i] * id), -127, 127);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t q8_0_golden[34] = {
    158, 172, 18, 147, 243, 83, 205, 158, 104, 198, 127, 104, 177, 51, 1, 64, 147, 160, 249, 130,
    148, 239, 55, 102, 145, 240, 125, 212, 11, 255, 110, 242, 134, 247,};
static const float q8_0_golden_values[32] = {
    -1.298584f, 7.8636475f, 0.9378662f, -5.987915f, 3.6793213f, 7.0700684f, -7.5029297f, 4.184326f,
    -9.162231f, -7.5029297f, 5.699341f, -3.6793213f, -0.072143555f, -4.6171875f, 7.8636475f,
    6.9257812f, 0.5050049f, 9.090088f, 7.791504f, 1.2264404f, -3.9678955f, -7.3586426f, 8.007935f,
    1.1542969f, -9.017944f, 3.1743164f, -0.7935791f, 0.072143555f, -7.935791f, 1.0100098f,
    8.801514f, 0.649292f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(8, "Q8_0", q8_0, A32, q8_0_unpack, q8_0_decode, q8_0_encode, q8_0_golden,
            q8_0_golden_values)
#endif
