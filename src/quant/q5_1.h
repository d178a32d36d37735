/* Q5_1: 32 weights of 5 bits with a scale and an offset.  w = d * n + m
 *
 *   byte 0..1   d, f16
 *   byte 2..3   m, f16
 *   byte 4..7   bit i of the little-endian word: bit 4 of n[i]
 *   byte 8+j    7..4 n[j+16] | 3..0 n[j]      (low four bits)  j = 0..15 */
#ifdef IG_PART_UNPACK
enum {
    q5_1_BLOCK = 32,
    q5_1_BYTES = 24,
    q5_1_GROUP = 32,
    q5_1_UNIT = 32,
    q5_1_HAS_MIN = 1,
    q5_1_MAIN_AT = 8,
    q5_1_MAIN = 16
};
static void q5_1_unpack(const uint8_t *b, struct ig_unpacked *u) {
    uint32_t high = load32(b + 4);
    u->d[0] = half_float(load16(b));
    u->dmin[0] = -half_float(load16(b + 2));
    u->scale[0] = u->min[0] = 1;
    nibbles(b + 8, u->q, 16);
    for (int i = 0; i < 32; i++) u->q[i] = (int8_t)(u->q[i] | (int)((high >> i & 1) << 4));
}
IG_DECODE(q5_1)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   32
#define T_BYTES   24
#define T_GROUP   32
#define T_UNIT    32
#define T_HAS_MIN 1
#define T_KIND    32
#define T_MAIN_AT 8
#define T_MAIN    16
#define T_REST_AT 0
#define T_REST    8
DEVICE void q5_1_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                      PRIV i32 *mn) {
    u32 w[4], high = W_LD32(r + 4);
    (void)g;
    ig_words4(m, w);
    ig_nibbles(w, q);
    ig_fifth_bits(high, q);
    s[0] = s[1] = mn[0] = mn[1] = 1;
}
DEVICE f32 q5_1_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r);
}
DEVICE f32 q5_1_dmin(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return -ig_half_at(r + 2);
}
#endif

#ifdef IG_PART_PANEL
enum { q5_1_TOP = 31, q5_1_ZERO = 0 };
W_FN void q5_1_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    const w16 spread = w_set32(0x204081); /* bit i of four to bit 8 i */
    for (size_t b = 0; b < blocks; b++, w += q5_1_BYTES) {
        w_ahead(w, stride, o, 0);
        w16 x[4], head[4];
        w_load4(w, stride, head);
        w16 high = head[1];
        w_load4(w + 8, stride, x);
        w_sum sum = w_zero(T);
        W_EACH(c, 4) {
            w16 low = w_and(w_shr32(high, 4 * c), w_set32(15)),
                top = w_and(w_shr32(high, 16 + 4 * c), w_set32(15));
            low = w_and(w_shl32(w_mul32(low, spread), 4), w_set8(16));
            top = w_and(w_shl32(w_mul32(top, spread), 4), w_set8(16));
            w_put32(o, (size_t)c, w_or(w_and(x[c], w_set8(15)), low), &sum, T);
            w_put32(o, 4 + (size_t)c, w_or(w_bits(x[c], 4, 15), top), &sum, T);
        }
        w_step(o, w_half(head[0]), w_half(w_xor(w_shr32(head[0], 16), w_set32(0x8000))), true, &sum,
               T);
    }
}
W_FORMS(q5_1)
#endif

#ifdef IG_PART_ENCODE
static void q5_1_encode(const float *in, uint8_t *b, size_t n) {
    for (; n--; in += 32, b += 24) {
        float x[32], low, high;
        clean(in, x, 32);
        range_of(x, 32, &low, &high);
        float d = (high - low) / 31.0f, id = inverse(d);
        uint8_t q[32];
        for (int i = 0; i < 32; i++) q[i] = (uint8_t)clamp_int((x[i] - low) * id + 0.5f, 0, 31);
        store16(b, half_saturated(d));
        store16(b + 2, half_saturated(low));
        fifth_bits(q, b + 4);
        join_nibbles(q, b + 8, 16);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t q5_1_golden[24] = {
    75, 49, 77, 176, 155, 41, 173, 8, 70, 5, 147, 236, 231, 181, 209, 47, 3, 151, 178, 89, 184, 113,
    184, 172,};
static const float q5_1_golden_values[32] = {
    3.5045166f, 3.3391113f, 0.3618164f, 4.4969482f, 3.6699219f, 0.69262695f, 0.03100586f, 4.993164f,
    3.0083008f, 1.0234375f, 0.19641113f, 4.0007324f, 1.1888428f, 2.6774902f, 1.1888428f, 1.8504639f,
    3.173706f, -0.13439941f, 4.0007324f, 4.827759f, 2.1812744f, 4.331543f, 2.0158691f, 2.8428955f,
    -0.13439941f, 1.354248f, 1.6850586f, 3.3391113f, 1.6850586f, 1.0234375f, 1.6850586f, 1.5196533f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(7, "Q5_1", q5_1, A32, q5_1_unpack, q5_1_decode, q5_1_encode, q5_1_golden,
            q5_1_golden_values)
#endif
