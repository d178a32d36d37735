/* Q5_0: 32 weights of 5 bits with one scale; the fifth bits are kept apart.  w = d * (n - 16)
 *
 *   byte 0..1   d, f16
 *   byte 2..5   bit i of the little-endian word: bit 4 of n[i]
 *   byte 6+j    7..4 n[j+16] | 3..0 n[j]      (low four bits)  j = 0..15 */
#ifdef IG_PART_UNPACK
enum {
    q5_0_BLOCK = 32,
    q5_0_BYTES = 22,
    q5_0_GROUP = 32,
    q5_0_UNIT = 32,
    q5_0_HAS_MIN = 0,
    q5_0_MAIN_AT = 6,
    q5_0_MAIN = 16
};
static void q5_0_unpack(const uint8_t *b, struct ig_unpacked *u) {
    uint32_t high = load32(b + 2);
    u->d[0] = half_float(load16(b));
    u->scale[0] = 1;
    nibbles(b + 6, u->q, 16);
    for (int i = 0; i < 32; i++) u->q[i] = (int8_t)(u->q[i] + (int)((high >> i & 1) << 4) - 16);
}
IG_DECODE(q5_0)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   32
#define T_BYTES   22
#define T_GROUP   32
#define T_UNIT    32
#define T_HAS_MIN 0
#define T_KIND    32
#define T_MAIN_AT 6
#define T_MAIN    16
#define T_REST_AT 0
#define T_REST    6
DEVICE void q5_0_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                      PRIV i32 *mn) {
    u32 w[4], high = W_LD16(r + 2) | W_LD16(r + 4) << 16;
    (void)g;
    ig_words4(m, w);
    ig_nibbles(w, q);
    ig_fifth_bits(high, q);
    ig_minus8(q, 0x10101010u);
    ig_plain(s, mn);
}
DEVICE f32 q5_0_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r);
}
#endif

#ifdef IG_PART_PANEL
enum { q5_0_TOP = 31, q5_0_ZERO = 16 };
W_FN void q5_0_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    const w16 spread = w_set32(0x204081); /* bit i of four to bit 8 i */
    for (size_t b = 0; b < blocks; b++, w += q5_0_BYTES) {
        w_ahead(w, stride, o, 0);
        w16 x[4], d = w_first(w, stride), high = w_first(w + 2, stride);
        w_load4(w + 6, stride, x);
        w_sum sum = w_start(o, 0, T);
        W_EACH(c, 4) {
            w16 low = w_and(w_shr32(high, 4 * c), w_set32(15)),
                top = w_and(w_shr32(high, 16 + 4 * c), w_set32(15));
            low = w_and(w_shl32(w_mul32(low, spread), 4), w_set8(16));
            top = w_and(w_shl32(w_mul32(top, spread), 4), w_set8(16));
            w_put32(o, (size_t)c, w_or(w_and(x[c], w_set8(15)), low), &sum, T);
            w_put32(o, 4 + (size_t)c, w_or(w_bits(x[c], 4, 15), top), &sum, T);
        }
        w_step(o, w_half(d), w_half(d), false, &sum, T);
    }
}
W_FORMS(q5_0)
#endif

#ifdef IG_PART_ENCODE
static void q5_0_encode(const float *in, uint8_t *b, size_t n) {
    for (; n--; in += 32, b += 22) {
        float x[32], peak = clean(in, x, 32), d = peak / -16.0f, id = inverse(d);
        uint8_t q[32];
        for (int i = 0; i < 32; i++) q[i] = (uint8_t)clamp_int(x[i] * id + 16.5f, 0, 31);
        store16(b, half_saturated(d));
        fifth_bits(q, b + 2);
        join_nibbles(q, b + 6, 16);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t q5_0_golden[22] = {
    175, 172, 64, 203, 11, 168, 143, 134, 118, 162, 32, 233, 225, 2, 40, 38, 139, 101, 126, 22, 70,
    32,};
static const float q5_0_golden_values[32] = {
    0.07318115f, 0.7318115f, 0.7318115f, 1.0245361f, 1.1708984f, 0.51226807f, -0.07318115f,
    1.0245361f, -0.5854492f, -0.4390869f, 0.36590576f, -0.36590576f, 0.1463623f, 0.7318115f,
    -0.4390869f, -0.0f, -0.5854492f, -0.5854492f, 0.6586304f, -0.7318115f, 1.0245361f, 0.1463623f,
    0.1463623f, 1.1708984f, 1.0245361f, 1.0245361f, 0.5854492f, -0.4390869f, 0.6586304f,
    -0.07318115f, 0.8781738f, -0.1463623f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(6, "Q5_0", q5_0, A32, q5_0_unpack, q5_0_decode, q5_0_encode, q5_0_golden,
            q5_0_golden_values)
#endif
