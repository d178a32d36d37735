/* Q3_K: 256 weights of 3 bits; 16 groups of 16, each with a signed 6-bit scale.
 * w = d * (s[g] - 32) * (n + 4 * t - 4), where t is the third bit
 *
 *   byte l           bit k: t[32k+l]           l = 0..31, k = 0..7
 *   byte 32+32h+l    7..6 n[128h+96+l] | 5..4 n[128h+64+l] | 3..2 n[128h+32+l] | 1..0 n[128h+l] h =
 * 0..1 byte 96+j        7..4 s[8+j] | 3..0 s[j]   low four bits,  j = 0..7 byte 104+j       7..6
 * s[12+j] | 5..4 s[8+j] | 3..2 s[4+j] | 1..0 s[j]    high two bits,  j = 0..3 byte 108..109    d,
 * f16 */
#ifdef IG_PART_UNPACK
enum {
    q3_k_BLOCK = 256,
    q3_k_BYTES = 110,
    q3_k_GROUP = 16,
    q3_k_UNIT = 256,
    q3_k_HAS_MIN = 0,
    q3_k_MAIN_AT = 0,
    q3_k_MAIN = 96
};
static void q3_k_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b + 108));
    for (int g = 0; g < 16; g++) {
        int low = g < 8 ? b[96 + g] & 15 : b[88 + g] >> 4,
            high = b[104 + (g & 3)] >> (g >> 2) * 2 & 3;
        u->scale[g] = (int16_t)((low | high << 4) - 32);
    }
    crumbs(b + 32, u->q);
    crumbs(b + 64, u->q + 128);
    for (int k = 0; k < 8; k++)
        for (int l = 0; l < 32; l++)
            u->q[32 * k + l] = (int8_t)(u->q[32 * k + l] + ((b[l] >> k & 1) << 2) - 4);
}
IG_DECODE(q3_k)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   256
#define T_BYTES   110
#define T_GROUP   16
#define T_UNIT    256
#define T_HAS_MIN 0
#define T_KIND    256
#define T_MAIN_AT 0
#define T_MAIN    96
#define T_REST_AT 96
#define T_REST    14
DEVICE void q3_k_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                      PRIV i32 *mn) {
    u32 low = W_LD16(r + 2 * (g & 3)) >> 4 * (g >> 2) & 0x0F0Fu;
    u32 high = W_LD16(r + 8 + 2 * (g & 1)) >> 2 * (g >> 1) & 0x0303u;
    u32 both = low | high << 4;
    ig_fields(m + 32 + 32 * (g >> 2), 2 * (g & 3), 0x03030303u, q);
    ig_or_bits(m, g, 2, q);
    ig_minus8(q, 0x04040404u);
    s[0] = (i32)(both & 255u) - 32;
    s[1] = (i32)(both >> 8) - 32;
    mn[0] = mn[1] = 0;
}
DEVICE f32 q3_k_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r + 12);
}
#endif

#ifdef IG_PART_PANEL
enum { q3_k_TOP = 7, q3_k_ZERO = 4 };
W_FN void q3_k_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    for (size_t b = 0; b < blocks; b++, w += q3_k_BYTES) {
        w16 x[4], t[8], n[4], s[4], d = w_shr32(w_last(w + 94, stride), 16);
        w_load4(w + 92, stride, n);
        /* n[1], n[2]: low bits of scales 0..7 and 8..15; n[3]: high bits */
        w16 up = w_set8(48), low = w_set8(15), middle = w_set8(32);
        s[0] = w_or(w_and(n[1], low), w_and(w_shl16(n[3], 4), up));
        s[1] = w_or(w_and(n[2], low), w_and(w_shl16(n[3], 2), up));
        s[2] = w_or(w_bits(n[1], 4, 15), w_and(n[3], up));
        s[3] = w_or(w_bits(n[2], 4, 15), w_and(w_shr16(n[3], 2), up));
        W_EACH(i, 4) s[i] = w_sub8(s[i], middle);
        w_load4(w, stride, t);
        w_load4(w + 16, stride, t + 4);
        for (size_t i = 0; i < 4; i++) {
            if (i % 2 == 0) w_ahead(w, stride, o, 32 * i);
            w_load4(w + 32 + 16 * i, stride, x);
            size_t g = 8 * (i / 2) + (i & 1), k = 4 * g;
            w_sum sum[4] = {w_begin(o, g, T), w_begin(o, g + 2, T), w_begin(o, g + 4, T),
                            w_begin(o, g + 6, T)};
            W_EACH(c, 4) {
                w16 third = t[c], two = w_set8(3), four = w_set8(4);
                w_put(o, k + (size_t)c, w_or(w_and(x[c], two), w_and(w_shl16(third, 2), four)),
                      &sum[0], T);
                w_put(o, k + 8 + (size_t)c,
                      w_or(w_bits(x[c], 2, 3), w_and(w_shl16(third, 1), four)), &sum[1], T);
                w_put(o, k + 16 + (size_t)c, w_or(w_bits(x[c], 4, 3), w_and(third, four)), &sum[2],
                      T);
                w_put(o, k + 24 + (size_t)c,
                      w_or(w_bits(x[c], 6, 3), w_and(w_shr16(third, 1), four)), &sum[3], T);
                t[c] = t[4 + c]; /* of the other 16 columns, then of the second half */
                t[4 + c] = w_shr16(third, 4);
            }
            W_EACH(h, 4)
            w_scaled(o, g + 2 * (size_t)h, 16, &sum[h], w_sbyte(s[h / 2], 2 * (h & 1)), T);
            w_next_scales(s, i);
        }
        w_unit(o, w_half(d), w_half(d), false, T);
    }
}
W_FORMS(q3_k)
#endif

#ifdef IG_PART_ENCODE
static void q3_k_encode(const float *in, uint8_t *b, size_t n) {
    struct search s = {.groups = 16, .size = 16, .low = -4, .high = 3, .s_low = -32, .s_high = 31};
    uint8_t q[256];
    for (; n--; in += 256, b += 110) {
        memset(b, 0, 110);
        if (!search_steps(&s, in)) continue;
        codes_of(&s, 4, q);
        for (int l = 0; l < 32; l++)
            for (int k = 0; k < 8; k++) b[l] = (uint8_t)(b[l] | q[32 * k + l] >> 2 << k);
        join_crumbs(q, b + 32);
        join_crumbs(q + 128, b + 64);
        for (int g = 0; g < 16; g++) {
            int v = s.s[g] + 32;
            b[96 + (g & 7)] = (uint8_t)(b[96 + (g & 7)] | (v & 15) << (g >> 3) * 4);
            b[104 + (g & 3)] = (uint8_t)(b[104 + (g & 3)] | v >> 4 << (g >> 2) * 2);
        }
        store16(b + 108, s.d);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t q3_k_golden[110] = {
    234, 182, 202, 104, 57, 92, 35, 219, 250, 167, 79, 96, 121, 35, 193, 110, 4, 162, 18, 14, 81,
    104, 244, 0, 191, 99, 141, 242, 17, 127, 89, 54, 139, 246, 108, 46, 220, 107, 141, 194, 253, 60,
    96, 213, 207, 20, 142, 40, 5, 241, 72, 140, 72, 111, 23, 51, 234, 4, 22, 149, 57, 228, 24, 73,
    32, 50, 245, 83, 208, 254, 249, 155, 17, 66, 222, 238, 167, 172, 30, 214, 216, 56, 34, 4, 248,
    125, 9, 56, 49, 70, 222, 228, 0, 186, 118, 153, 89, 197, 133, 73, 34, 48, 170, 135, 81, 73, 222,
    249, 197, 32,};
static const float q3_k_golden_values[256] = {
    0.065208435f, 0.13041687f, 0.26083374f, 0.13041687f, -0.0f, 0.065208435f, -0.065208435f,
    -0.13041687f, 0.1956253f, -0.0f, -0.0f, 0.1956253f, -0.1956253f, -0.0f, -0.13041687f,
    0.26083374f, 0.3074112f, 0.3074112f, 0.4098816f, 0.4098816f, -0.0f, 0.1024704f, 0.1024704f,
    0.1024704f, -0.2049408f, -0.0f, -0.2049408f, 0.3074112f, -0.1024704f, -0.0f, -0.0f, 0.3074112f,
    0.09315491f, 0.046577454f, 0.13973236f, -0.046577454f, -0.046577454f, -0.09315491f, 0.13973236f,
    0.0f, 0.13973236f, 0.13973236f, 0.0f, -0.13973236f, -0.046577454f, 0.046577454f, -0.046577454f,
    0.09315491f, 0.1956253f, -0.0f, -0.13041687f, -0.1956253f, 0.13041687f, 0.065208435f,
    0.1956253f, 0.26083374f, -0.13041687f, -0.065208435f, 0.1956253f, -0.065208435f, 0.13041687f,
    -0.065208435f, 0.13041687f, -0.13041687f, 1.1178589f, -0.83839417f, 0.55892944f, 0.55892944f,
    0.83839417f, -0.55892944f, 1.1178589f, 1.1178589f, 0.27946472f, -0.83839417f, -0.55892944f,
    0.83839417f, 1.1178589f, 0.83839417f, 1.1178589f, -0.55892944f, 0.0f, -0.0f, -0.0f, 0.0f, -0.0f,
    -0.0f, 0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f, -0.0f, 0.0f, -0.0f, 0.0f, 0.48440552f,
    -0.24220276f, 0.24220276f, 0.0f, 0.7266083f, 0.24220276f, -0.48440552f, 0.7266083f, 0.7266083f,
    -0.96881104f, 0.24220276f, -0.24220276f, 0.7266083f, -0.96881104f, -0.48440552f, 0.0f,
    -0.26083374f, -0.065208435f, -0.1956253f, 0.13041687f, -0.1956253f, 0.065208435f, -0.26083374f,
    -0.26083374f, 0.1956253f, -0.26083374f, 0.0f, -0.13041687f, -0.26083374f, 0.1956253f, 0.0f,
    -0.1956253f, 0.4098816f, -0.2049408f, 0.3074112f, 0.1024704f, -0.0f, -0.2049408f, 0.3074112f,
    -0.3074112f, -0.1024704f, 0.2049408f, 0.2049408f, 0.2049408f, -0.3074112f, 0.4098816f,
    0.2049408f, 0.2049408f, 0.74523926f, 0.74523926f, -0.37261963f, 0.74523926f, -0.0f, 0.55892944f,
    -0.18630981f, 0.74523926f, -0.18630981f, 0.37261963f, 0.37261963f, -0.0f, -0.0f, -0.37261963f,
    -0.37261963f, -0.18630981f, -0.0f, -0.0f, 0.22357178f, -0.0f, -0.0f, 0.074523926f, -0.14904785f,
    0.14904785f, -0.0f, -0.0f, 0.074523926f, -0.22357178f, -0.074523926f, -0.22357178f,
    0.074523926f, -0.074523926f, -0.37261963f, 0.37261963f, -0.74523926f, -0.55892944f,
    -0.37261963f, 0.55892944f, 0.37261963f, -0.37261963f, 0.0f, 0.18630981f, -0.18630981f,
    0.18630981f, -0.74523926f, 0.37261963f, -0.55892944f, 0.37261963f, -0.26083374f, 0.13041687f,
    -0.3912506f, -0.13041687f, 0.3912506f, -0.3912506f, 0.13041687f, -0.13041687f, -0.13041687f,
    0.5216675f, -0.13041687f, -0.26083374f, -0.26083374f, 0.26083374f, -0.13041687f, -0.13041687f,
    0.36330414f, 0.12110138f, 0.24220276f, 0.48440552f, -0.36330414f, -0.36330414f, -0.0f,
    0.12110138f, 0.12110138f, -0.0f, 0.36330414f, -0.24220276f, 0.48440552f, -0.36330414f,
    -0.36330414f, 0.36330414f, 0.0f, 0.0f, 0.7266083f, -0.7266083f, -0.24220276f, -0.24220276f,
    -0.24220276f, 0.48440552f, 0.0f, 0.24220276f, -0.24220276f, -0.24220276f, -0.48440552f,
    -0.48440552f, 0.0f, -0.24220276f, -0.22357178f, 0.0f, -0.8942871f, -0.8942871f, -0.22357178f,
    -0.67071533f, 0.0f, -0.8942871f, 0.0f, -0.67071533f, 0.67071533f, 0.67071533f, -0.8942871f,
    -0.44714355f, -0.67071533f, -0.44714355f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(11, "Q3_K", q3_k, A256, q3_k_unpack, q3_k_decode, q3_k_encode, q3_k_golden,
            q3_k_golden_values)
#endif
