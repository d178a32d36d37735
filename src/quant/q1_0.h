/* Q1_0: 128 signs with one scale.  w = n ? d : -d
 *
 *   byte 0..1   d, f16
 *   byte 2+j    bit i: n[8j+i]                j = 0..15 */
#ifdef IG_PART_UNPACK
enum {
    q1_0_BLOCK = 128,
    q1_0_BYTES = 18,
    q1_0_GROUP = 32,
    q1_0_UNIT = 32,
    q1_0_HAS_MIN = 0,
    q1_0_MAIN_AT = 2,
    q1_0_MAIN = 16
};
static void q1_0_unpack(const uint8_t *b, struct ig_unpacked *u) {
    float d = half_float(load16(b));
    for (int g = 0; g < 4; g++) u->d[g] = d, u->scale[g] = 1;
    for (int j = 0; j < 16; j++)
        for (int i = 0; i < 8; i++) u->q[8 * j + i] = (int8_t)((b[2 + j] >> i & 1) * 2 - 1);
}
IG_DECODE(q1_0)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   128
#define T_BYTES   18
#define T_GROUP   32
#define T_UNIT    32
#define T_HAS_MIN 0
#define T_KIND    32
#define T_MAIN_AT 2
#define T_MAIN    16
#define T_REST_AT 0
#define T_REST    2
DEVICE void q1_0_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                      PRIV i32 *mn) {
    u32 w = W_LD32(m + 4 * g); /* 254 turns -1 into 1 */
    (void)r;
    q[0] = ~(ig_bits4(w) * 254u);
    q[1] = ~(ig_bits4(w >> 4) * 254u);
    q[2] = ~(ig_bits4(w >> 8) * 254u);
    q[3] = ~(ig_bits4(w >> 12) * 254u);
    q[4] = ~(ig_bits4(w >> 16) * 254u);
    q[5] = ~(ig_bits4(w >> 20) * 254u);
    q[6] = ~(ig_bits4(w >> 24) * 254u);
    q[7] = ~(ig_bits4(w >> 28) * 254u);
    ig_plain(s, mn);
}
DEVICE f32 q1_0_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r);
}
#endif

#ifdef IG_PART_PANEL
enum { q1_0_TOP = 2, q1_0_ZERO = 1 };
W_FN void q1_0_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    for (size_t b = 0; b < blocks; b++, w += q1_0_BYTES) {
        w_ahead(w, stride, o, 0);
        w16 x[4], d = w_first(w, stride);
        w_load4(w + 2, stride, x);
        for (size_t g = 0; g < 4; g++) {
            w_sum sum = w_start(o, 0, T);
            W_EACH(j, 8) { /* four bits to four bytes of 0 or 2 */
                w16 v = w_mul32(w_and(w_shr32(x[0], 4 * j), w_set32(15)), w_set32(0x204081));
                w_put32(o, (size_t)j, w_and(w_shl32(v, 1), w_set8(2)), &sum, T);
            }
            w_step(o, w_half(d), w_half(d), false, &sum, T);
            W_EACH(i, 3) x[i] = x[i + 1];
        }
    }
}
W_FORMS(q1_0)
#endif

#ifdef IG_PART_ENCODE
/* For fixed signs the mean magnitude is the least-squares scale. */
static void q1_0_encode(const float *in, uint8_t *b, size_t n) {
    for (; n--; in += 128, b += 18) {
        float x[128], sum = 0;
        clean(in, x, 128);
        memset(b, 0, 18);
        for (int i = 0; i < 128; i++) {
            sum += fabsf(x[i]) / 128;
            b[2 + i / 8] = (uint8_t)(b[2 + i / 8] | (x[i] >= 0) << i % 8);
        }
        store16(b, half_saturated(sum));
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t q1_0_golden[18] = {
    100, 169, 139, 74, 229, 241, 169, 65, 6, 160, 149, 106, 38, 175, 188, 205, 175, 229,};
static const float q1_0_golden_values[128] = {
    -0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f, 0.042114258f, 0.042114258f,
    0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f,
    0.042114258f, 0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f, 0.042114258f,
    -0.042114258f, 0.042114258f, 0.042114258f, -0.042114258f, -0.042114258f, -0.042114258f,
    -0.042114258f, 0.042114258f, 0.042114258f, 0.042114258f, -0.042114258f, -0.042114258f,
    -0.042114258f, -0.042114258f, -0.042114258f, 0.042114258f, 0.042114258f, -0.042114258f,
    0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f, -0.042114258f, 0.042114258f,
    0.042114258f, 0.042114258f, 0.042114258f, 0.042114258f, -0.042114258f, 0.042114258f,
    0.042114258f, -0.042114258f, -0.042114258f, 0.042114258f, 0.042114258f, 0.042114258f,
    0.042114258f, 0.042114258f, 0.042114258f, 0.042114258f, 0.042114258f, 0.042114258f,
    0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f, -0.042114258f, 0.042114258f,
    -0.042114258f, 0.042114258f, -0.042114258f, 0.042114258f, 0.042114258f, -0.042114258f,
    0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f,
    -0.042114258f, 0.042114258f, 0.042114258f, -0.042114258f, -0.042114258f, 0.042114258f,
    0.042114258f, -0.042114258f, 0.042114258f, 0.042114258f, -0.042114258f, -0.042114258f,
    -0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f,
    0.042114258f, 0.042114258f, -0.042114258f, -0.042114258f, -0.042114258f, -0.042114258f,
    0.042114258f, -0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f, -0.042114258f,
    0.042114258f, 0.042114258f, -0.042114258f, -0.042114258f, -0.042114258f, -0.042114258f,
    -0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f, 0.042114258f, -0.042114258f,
    -0.042114258f, 0.042114258f, -0.042114258f, 0.042114258f, 0.042114258f, -0.042114258f,
    -0.042114258f, -0.042114258f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(41, "Q1_0", q1_0, A32, q1_0_unpack, q1_0_decode, q1_0_encode, q1_0_golden,
            q1_0_golden_values)
#endif
