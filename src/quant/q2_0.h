/* Q2_0: 64 weights of 2 bits with one scale.  w = d * (n - 1), so -d, 0, d or 2d
 *
 *   byte 0..1   d, f16
 *   byte 2+j    7..6 n[4j+3] | 5..4 n[4j+2] | 3..2 n[4j+1] | 1..0 n[4j]      j = 0..15 */
#ifdef IG_PART_UNPACK
enum {
    q2_0_BLOCK = 64,
    q2_0_BYTES = 18,
    q2_0_GROUP = 32,
    q2_0_UNIT = 32,
    q2_0_HAS_MIN = 0,
    q2_0_MAIN_AT = 2,
    q2_0_MAIN = 16
};
static void q2_0_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = u->d[1] = half_float(load16(b));
    u->scale[0] = u->scale[1] = 1;
    for (int j = 0; j < 16; j++)
        for (int i = 0; i < 4; i++) u->q[4 * j + i] = (int8_t)((b[2 + j] >> (2 * i) & 3) - 1);
}
IG_DECODE(q2_0)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   64
#define T_BYTES   18
#define T_GROUP   32
#define T_UNIT    32
#define T_HAS_MIN 0
#define T_KIND    32
#define T_MAIN_AT 2
#define T_MAIN    16
#define T_REST_AT 0
#define T_REST    2
/* the four numbers of byte k of w */
DEVICE u32 q2_0_byte(u32 w, u32 k) {
    u32 x = w >> 8 * k & 255u;
    return ig_minus((x | x << 6 | x << 12 | x << 18) & 0x03030303u, 0x01010101u);
}
DEVICE void q2_0_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                      PRIV i32 *mn) {
    u32 a = W_LD32(m + 8 * g), b = W_LD32(m + 8 * g + 4);
    (void)r;
    q[0] = q2_0_byte(a, 0);
    q[1] = q2_0_byte(a, 1);
    q[2] = q2_0_byte(a, 2);
    q[3] = q2_0_byte(a, 3);
    q[4] = q2_0_byte(b, 0);
    q[5] = q2_0_byte(b, 1);
    q[6] = q2_0_byte(b, 2);
    q[7] = q2_0_byte(b, 3);
    ig_plain(s, mn);
}
DEVICE f32 q2_0_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r);
}
#endif

#ifdef IG_PART_PANEL
enum { q2_0_TOP = 3, q2_0_ZERO = 1 };
W_FN void q2_0_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    for (size_t b = 0; b < blocks; b++, w += q2_0_BYTES) {
        w_ahead(w, stride, o, 0);
        w16 x[4], d = w_first(w, stride);
        w_load4(w + 2, stride, x);
        for (size_t h = 0; h < 2; h++) {
            w_sum sum = w_start(o, 0, T);
            W_EACH(j, 8) { /* a byte: two bits to each of four bytes */
                w16 v = w_byte(x[j / 4], j & 3);
                v = w_or(v, w_shl32(v, 6));
                w_put32(o, (size_t)j, w_and(w_or(v, w_shl32(v, 12)), w_set8(3)), &sum, T);
            }
            w_step(o, w_half(d), w_half(d), false, &sum, T);
            x[0] = x[2], x[1] = x[3];
        }
    }
}
W_FORMS(q2_0)
#endif

#ifdef IG_PART_ENCODE
static void q2_0_encode(const float *in, uint8_t *b, size_t n) {
    struct search s = {.groups = 2, .size = 32, .low = -1, .high = 2, .s_low = 1, .s_high = 1};
    uint8_t q[64];
    for (; n--; in += 64, b += 18) {
        memset(b, 0, 18);
        memset(b + 2, 0x55, 16); /* code 1 is zero */
        if (!search_steps(&s, in)) continue;
        codes_of(&s, 1, q);
        store16(b, s.d);
        for (int j = 0; j < 16; j++)
            b[2 + j] =
                (uint8_t)(q[4 * j] | q[4 * j + 1] << 2 | q[4 * j + 2] << 4 | q[4 * j + 3] << 6);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t q2_0_golden[18] = {
    4, 35, 98, 249, 10, 148, 95, 86, 147, 198, 66, 39, 106, 213, 171, 45, 167, 57,};
static const float q2_0_golden_values[64] = {
    0.013702393f, -0.013702393f, 0.013702393f, 0.0f, 0.0f, 0.013702393f, 0.027404785f, 0.027404785f,
    0.013702393f, 0.013702393f, -0.013702393f, -0.013702393f, -0.013702393f, 0.0f, 0.0f,
    0.013702393f, 0.027404785f, 0.027404785f, 0.0f, 0.0f, 0.013702393f, 0.0f, 0.0f, 0.0f,
    0.027404785f, -0.013702393f, 0.0f, 0.013702393f, 0.013702393f, 0.0f, -0.013702393f,
    0.027404785f, 0.013702393f, -0.013702393f, -0.013702393f, 0.0f, 0.027404785f, 0.0f,
    0.013702393f, -0.013702393f, 0.013702393f, 0.013702393f, 0.013702393f, 0.0f, 0.0f, 0.0f, 0.0f,
    0.027404785f, 0.027404785f, 0.013702393f, 0.013702393f, 0.013702393f, 0.0f, 0.027404785f,
    0.013702393f, -0.013702393f, 0.027404785f, 0.0f, 0.013702393f, 0.013702393f, 0.0f, 0.013702393f,
    0.027404785f, -0.013702393f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(42, "Q2_0", q2_0, A32, q2_0_unpack, q2_0_decode, q2_0_encode, q2_0_golden,
            q2_0_golden_values)
#endif
