/* Q4_1: 32 weights of 4 bits with a scale and an offset.  w = d * n + m
 *
 *   byte 0..1   d, f16
 *   byte 2..3   m, f16
 *   byte 4+j    7..4 n[j+16] | 3..0 n[j]      j = 0..15 */
#ifdef IG_PART_UNPACK
enum {
    q4_1_BLOCK = 32,
    q4_1_BYTES = 20,
    q4_1_GROUP = 32,
    q4_1_UNIT = 32,
    q4_1_HAS_MIN = 1,
    q4_1_MAIN_AT = 4,
    q4_1_MAIN = 16
};
static void q4_1_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b));
    u->dmin[0] = -half_float(load16(b + 2));
    u->scale[0] = u->min[0] = 1;
    nibbles(b + 4, u->q, 16);
}
IG_DECODE(q4_1)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   32
#define T_BYTES   20
#define T_GROUP   32
#define T_UNIT    32
#define T_HAS_MIN 1
#define T_KIND    32
#define T_MAIN_AT 4
#define T_MAIN    16
#define T_REST_AT 0
#define T_REST    4
DEVICE void q4_1_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                      PRIV i32 *mn) {
    u32 w[4];
    (void)r, (void)g;
    ig_words4(m, w);
    ig_nibbles(w, q);
    s[0] = s[1] = mn[0] = mn[1] = 1;
}
DEVICE f32 q4_1_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r);
}
DEVICE f32 q4_1_dmin(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return -ig_half_at(r + 2);
}
#endif

#ifdef IG_PART_PANEL
enum { q4_1_TOP = 15, q4_1_ZERO = 0 };
W_FN void q4_1_step(struct w_out *o, w16 dm, const w16 x[4], int T) {
    w_sum low = w_zero(T), high = w_zero(T);
    W_EACH(c, 4) {
        w_put32(o, (size_t)c, w_field(x[c], 0, 15), &low, T);
        w_put32(o, 4 + (size_t)c, w_field(x[c], 4, 15), &high, T);
    }
    w_down(&high, 4, T);
    w_join(&low, &high, T);
    w_step(o, w_half(dm), w_half(w_xor(w_shr32(dm, 16), w_set32(0x8000))), true, &low, T);
}
W_FN void q4_1_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    size_t b = 0;
    w16 x[12];
    for (; b + 2 <= blocks; b += 2, w += 2 * q4_1_BYTES) { /* 40 bytes in three loads */
        w_ahead(w, stride, o, 0);
        w_load4(w, stride, x);
        w_load4(w + 16, stride, x + 4);
        w_load4(w + 24, stride, x + 8);
        q4_1_step(o, x[0], x + 1, T);
        q4_1_step(o, x[5], x + 8, T);
    }
    if (b == blocks) return;
    w_load4(w + 4, stride, x);
    q4_1_step(o, w_first(w, stride), x, T);
}
W_FORMS(q4_1)
#endif

#ifdef IG_PART_ENCODE
static void q4_1_encode(const float *in, uint8_t *b, size_t n) {
    for (; n--; in += 32, b += 20) {
        float x[32], low, high;
        clean(in, x, 32);
        range_of(x, 32, &low, &high);
        float d = (high - low) / 15.0f, id = inverse(d);
        uint8_t q[32];
        for (int i = 0; i < 32; i++) q[i] = (uint8_t)clamp_int((x[i] - low) * id + 0.5f, 0, 15);
        store16(b, half_saturated(d));
        store16(b + 2, half_saturated(low));
        join_nibbles(q, b + 4, 16);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t q4_1_golden[20] = {
    50, 176, 198, 45, 2, 9, 40, 70, 46, 50, 96, 235, 35, 197, 208, 1, 144, 96, 150, 214,};
static const float q4_1_golden_values[32] = {
    -0.17199707f, -1.0897217f, -0.95861816f, -0.69641113f, -1.7452393f, -0.17199707f, 0.09020996f,
    -1.3519287f, -0.3031006f, -0.5653076f, 0.09020996f, -0.040893555f, 0.09020996f, 0.09020996f,
    -0.69641113f, -0.69641113f, 0.09020996f, 0.09020996f, -0.17199707f, -0.4342041f, -0.17199707f,
    -0.3031006f, -0.69641113f, -1.7452393f, -0.17199707f, -1.4830322f, -1.6141357f, 0.09020996f,
    -1.0897217f, -0.69641113f, -1.0897217f, -1.6141357f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(3, "Q4_1", q4_1, A32, q4_1_unpack, q4_1_decode, q4_1_encode, q4_1_golden,
            q4_1_golden_values)
#endif
