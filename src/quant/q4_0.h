/* Q4_0: 32 weights of 4 bits with one scale.  w = d * (n - 8)
 *
 *   byte 0..1   d, f16
 *   byte 2+j    7..4 n[j+16] | 3..0 n[j]      j = 0..15 */
#ifdef IG_PART_UNPACK
enum {
    q4_0_BLOCK = 32,
    q4_0_BYTES = 18,
    q4_0_GROUP = 32,
    q4_0_UNIT = 32,
    q4_0_HAS_MIN = 0,
    q4_0_MAIN_AT = 2,
    q4_0_MAIN = 16
};
static void q4_0_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b));
    u->scale[0] = 1;
    nibbles(b + 2, u->q, 16);
    for (int i = 0; i < 32; i++) u->q[i] = (int8_t)(u->q[i] - 8);
}
IG_DECODE(q4_0)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   32
#define T_BYTES   18
#define T_GROUP   32
#define T_UNIT    32
#define T_HAS_MIN 0
#define T_KIND    32
#define T_MAIN_AT 2
#define T_MAIN    16
#define T_REST_AT 0
#define T_REST    2
DEVICE void q4_0_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                      PRIV i32 *mn) {
    v4u x = W_LD128(m);
    (void)r, (void)g;
    q[0] = ig_nibbles_less_8(x.x), q[4] = ig_nibbles_less_8(x.x >> 4);
    q[1] = ig_nibbles_less_8(x.y), q[5] = ig_nibbles_less_8(x.y >> 4);
    q[2] = ig_nibbles_less_8(x.z), q[6] = ig_nibbles_less_8(x.z >> 4);
    q[3] = ig_nibbles_less_8(x.w), q[7] = ig_nibbles_less_8(x.w >> 4);
    s[0] = s[1] = 1;
    mn[0] = mn[1] = 0;
}
DEVICE f32 q4_0_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return HALF_TO_F32((u16)W_LD16(r));
}
#endif

#ifdef IG_PART_PANEL
enum { q4_0_TOP = 15, q4_0_ZERO = 8 };
W_FN void q4_0_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    for (size_t b = 0; b < blocks; b++, w += q4_0_BYTES) {
        w16 x[4], d = w_first(w, stride);
        w_ahead(w, stride, o, 0);
        w_load4(w + 2, stride, x);
        w_sum low = w_start(o, 0, T), high = w_zero(T);
        W_EACH(c, 4) {
            w_put32(o, (size_t)c, w_field(x[c], 0, 15), &low, T);
            w_put32(o, 4 + (size_t)c, w_field(x[c], 4, 15), &high, T);
        }
        w_down(&high, 4, T);
        w_join(&low, &high, T);
        w_step(o, w_half(d), w_half(d), false, &low, T);
    }
}
W_FORMS(q4_0)
#endif

#ifdef IG_PART_ENCODE
static void q4_0_encode(const float *in, uint8_t *b, size_t n) {
    for (; n--; in += 32, b += 18) {
        float x[32], peak = clean(in, x, 32), d = peak / -8.0f, id = inverse(d);
        uint8_t q[32];
        for (int i = 0; i < 32; i++) q[i] = (uint8_t)clamp_int(x[i] * id + 8.5f, 0, 15);
        store16(b, half_saturated(d));
        join_nibbles(q, b + 2, 16);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t q4_0_golden[18] = {
    140, 32, 34, 121, 243, 189, 6, 131, 102, 168, 82, 193, 187, 150, 81, 243, 205, 24,};
static const float q4_0_golden_values[32] = {
    -0.05328369f, 0.008880615f, -0.044403076f, 0.044403076f, -0.01776123f, -0.044403076f,
    -0.01776123f, 0.0f, -0.05328369f, -0.062164307f, 0.026641846f, -0.01776123f, -0.062164307f,
    -0.044403076f, 0.044403076f, 0.0f, -0.05328369f, -0.008880615f, 0.062164307f, 0.026641846f,
    -0.07104492f, 0.0f, -0.01776123f, 0.01776123f, -0.026641846f, 0.03552246f, 0.026641846f,
    0.008880615f, -0.026641846f, 0.062164307f, 0.03552246f, -0.062164307f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(2, "Q4_0", q4_0, A32, q4_0_unpack, q4_0_decode, q4_0_encode, q4_0_golden,
            q4_0_golden_values)
#endif
