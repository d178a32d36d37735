/* Q5_K: 256 weights of 5 bits; 8 groups of 32, each with a 6-bit scale and a 6-bit minimum.
 * w = d * s[g] * n - dmin * m[g]
 *
 *   byte 0..1        d, f16
 *   byte 2..3        dmin, f16
 *   byte 4..15       scales and minima as in Q4_K
 *   byte 16+l        bit g: bit 4 of n[32g+l]                                 l = 0..31
 *   byte 48+32r+l    7..4 n[64r+32+l] | 3..0 n[64r+l]   (low four bits)       r = 0..3 */
#ifdef IG_PART_UNPACK
enum {
    q5_k_BLOCK = 256,
    q5_k_BYTES = 176,
    q5_k_GROUP = 32,
    q5_k_UNIT = 256,
    q5_k_HAS_MIN = 1,
    q5_k_MAIN_AT = 0,
    q5_k_MAIN = 176
};
static void q5_k_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b));
    u->dmin[0] = half_float(load16(b + 2));
    scales_6bit(b + 4, u->scale, u->min);
    for (int r = 0; r < 4; r++) nibbles(b + 48 + 32 * r, u->q + 64 * r, 32);
    for (int g = 0; g < 8; g++)
        for (int l = 0; l < 32; l++)
            u->q[32 * g + l] = (int8_t)(u->q[32 * g + l] | (b[16 + l] >> g & 1) << 4);
}
IG_DECODE(q5_k)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   256
#define T_BYTES   176
#define T_GROUP   32
#define T_UNIT    256
#define T_HAS_MIN 1
#define T_KIND    256
#define T_MAIN_AT 0
#define T_MAIN    176
#define T_REST_AT 176
#define T_REST    0
/* low: bytes with four bits, high: bytes with the fifth in bit 0 */
DEVICE u32 q5_k_join(u32 low, u32 high) {
    return (low & 0x0F0F0F0Fu) | (high & 0x01010101u) << 4;
}
DEVICE void q5_k_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                      PRIV i32 *mn) {
    const MEM u8 *low = m + 48 + 32 * (g >> 1);
    u32 ls = 4 * (g & 1);
    v4u x = W_LD128(low), y = W_LD128(low + 16), hx = W_LD128(m + 16), hy = W_LD128(m + 32), head;
    (void)r;
    q[0] = q5_k_join(x.x >> ls, hx.x >> g), q[1] = q5_k_join(x.y >> ls, hx.y >> g);
    q[2] = q5_k_join(x.z >> ls, hx.z >> g), q[3] = q5_k_join(x.w >> ls, hx.w >> g);
    q[4] = q5_k_join(y.x >> ls, hy.x >> g), q[5] = q5_k_join(y.y >> ls, hy.y >> g);
    q[6] = q5_k_join(y.z >> ls, hy.z >> g), q[7] = q5_k_join(y.w >> ls, hy.w >> g);
    /* not W_LD128: four registers at once are too many here, ptxas would spill */
    head.x = 0, head.y = W_LD32(m + 4), head.z = W_LD32(m + 8), head.w = W_LD32(m + 12);
    ig_scale_6bit(head, g, s, mn);
}
DEVICE f32 q5_k_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)r, (void)u;
    return ig_half_at(m);
}
DEVICE f32 q5_k_dmin(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)r, (void)u;
    return ig_half_at(m + 2);
}
#endif

#ifdef IG_PART_PANEL
enum { q5_k_TOP = 31, q5_k_ZERO = 0 };
W_FN void q5_k_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    for (size_t b = 0; b < blocks; b++, w += q5_k_BYTES) {
        w16 head[4], s[2], m[2], t[8];
        w_load4(w, stride, head);
        w_scales_k(head, s, m);
        w_minima(o, 0, 32, m[0], T);
        w_minima(o, 1, 32, m[1], T);
        w_load4(w + 16, stride, t);
        w_load4(w + 32, stride, t + 4);
        for (size_t r = 0; r < 4; r++) {
            if (r < 3) w_ahead(w, stride, o, 64 * r);
            w16 x[8], bit = w_set8(16);
            w_sum low = w_zero(T), high = w_zero(T);
            w_load4(w + 48 + 32 * r, stride, x);
            w_load4(w + 64 + 32 * r, stride, x + 4);
            W_EACH(c, 8) {
                w16 a = w_or(w_and(x[c], w_set8(15)), w_and(w_shl16(t[c], 4), bit));
                w16 z = w_or(w_bits(x[c], 4, 15), w_and(w_shl16(t[c], 3), bit));
                w_put(o, 16 * r + (size_t)c, a, &low, T);
                w_put(o, 16 * r + 8 + (size_t)c, z, &high, T);
                t[c] = w_shr16(t[c], 2);
            }
            w_scaled(o, 2 * r, 32, &low, w_byte(s[0], 0), T);
            w_scaled(o, 2 * r + 1, 32, &high, w_byte(s[0], 1), T);
            s[0] = r == 1 ? s[1] : w_shr32(s[0], 16);
        }
        w_unit(o, w_half(head[0]), w_half(w_shr32(head[0], 16)), true, T);
    }
}
W_FORMS(q5_k)
#endif

#ifdef IG_PART_ENCODE
static void q5_k_encode(const float *in, uint8_t *b, size_t n) {
    struct search s = {.groups = 8, .size = 32, .high = 31, .s_high = 63};
    uint8_t q[256];
    for (; n--; in += 256, b += 176) {
        memset(b, 0, 176);
        if (!search_ranges(&s, in)) continue;
        codes_of(&s, 0, q);
        store16(b, s.d);
        store16(b + 2, s.dmin);
        join_scales_6bit(s.s, s.m, b + 4);
        for (int l = 0; l < 32; l++)
            for (int g = 0; g < 8; g++) b[16 + l] = (uint8_t)(b[16 + l] | q[32 * g + l] >> 4 << g);
        for (int r = 0; r < 4; r++) join_nibbles(q + 64 * r, b + 48 + 32 * r, 32);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t q5_k_golden[176] = {
    219, 41, 3, 172, 60, 222, 146, 111, 234, 254, 253, 169, 137, 127, 230, 45, 245, 213, 209, 3,
    122, 17, 120, 9, 1, 5, 119, 243, 227, 247, 193, 196, 197, 240, 181, 66, 87, 110, 97, 21, 153, 5,
    144, 144, 70, 214, 214, 164, 219, 116, 15, 112, 37, 100, 68, 144, 241, 244, 175, 72, 117, 89,
    84, 189, 253, 227, 225, 146, 153, 219, 162, 241, 55, 246, 76, 0, 34, 172, 140, 60, 253, 207,
    123, 11, 27, 241, 139, 123, 68, 46, 109, 27, 42, 95, 102, 192, 164, 201, 30, 46, 180, 190, 205,
    51, 240, 92, 232, 192, 225, 18, 142, 23, 137, 104, 160, 146, 117, 121, 85, 35, 141, 47, 61, 254,
    148, 26, 131, 238, 135, 129, 164, 150, 37, 197, 23, 202, 46, 225, 212, 186, 33, 32, 78, 51, 120,
    144, 227, 252, 109, 89, 17, 4, 129, 207, 7, 231, 83, 27, 72, 163, 70, 250, 228, 88, 66, 125,
    104, 82, 174, 250, 30, 244, 202, 59, 91, 58,};
static const float q5_k_golden_values[256] = {
    76.74097f, 57.52771f, 87.71997f, 46.548706f, 16.356445f, 57.52771f, 13.611694f, 46.548706f,
    49.293457f, 57.52771f, 87.71997f, 68.506714f, 60.27246f, 71.251465f, 57.52771f, 38.314453f,
    82.23047f, 10.866943f, 49.293457f, 8.122192f, 71.251465f, 32.82495f, 52.038208f, 49.293457f,
    65.76196f, 63.017212f, 35.569702f, 2.6326904f, 8.122192f, 35.569702f, 35.569702f, 35.569702f,
    21.727234f, 13.492981f, 3.8863525f, 35.45099f, 28.589111f, 12.120605f, 9.3758545f, 16.237732f,
    24.471985f, 24.471985f, 39.568115f, 31.333862f, 35.45099f, 32.706238f, 10.74823f, 18.982483f,
    24.471985f, 23.09961f, 23.09961f, 38.19574f, 38.19574f, 43.68524f, 17.610107f, 24.471985f,
    8.003479f, 24.471985f, 9.3758545f, 3.8863525f, 28.589111f, 39.568115f, 36.823364f, 8.003479f,
    27.703003f, 29.349854f, 12.881348f, 12.881348f, 12.881348f, 4.6470947f, 12.881348f, 12.881348f,
    7.1173706f, 28.526428f, 27.703003f, 12.881348f, 12.057922f, 29.349854f, 8.764221f, 16.998474f,
    20.292175f, 11.234497f, 28.526428f, 15.351624f, 20.292175f, 28.526428f, 14.528198f, 19.46875f,
    3.8236694f, 26.879578f, 10.411072f, 3.8236694f, 17.8219f, 18.645325f, 28.526428f, 22.762451f,
    34.82083f, 28.370667f, 17.620392f, 2.5700073f, 39.12094f, 34.82083f, 54.171326f, 52.02127f,
    11.170227f, 6.870117f, 15.470337f, 4.7200623f, 6.870117f, 13.320282f, 15.470337f, 28.370667f,
    24.070557f, 28.370667f, 4.7200623f, 6.870117f, 26.220612f, 60.62149f, 28.370667f, 9.020172f,
    69.22171f, 13.320282f, 32.670776f, 28.370667f, 32.670776f, 4.7200623f, 19.770447f, 4.7200623f,
    13.80307f, 13.391357f, 10.097656f, 4.333679f, 12.1562195f, 13.80307f, 12.1562195f, 4.745392f,
    8.862518f, 9.685944f, 15.449921f, 15.861633f, 5.1571045f, 14.214783f, 4.745392f, 9.274231f,
    6.3922424f, 10.509369f, 11.744507f, 5.98053f, 12.1562195f, 5.568817f, 6.3922424f, 14.214783f,
    15.861633f, 3.9219666f, 11.744507f, 14.214783f, 3.9219666f, 10.097656f, 15.861633f, 4.745392f,
    72.615295f, 20.739502f, 32.267456f, 29.385468f, 69.73331f, 23.62149f, 63.96933f, 9.211548f,
    26.503479f, 9.211548f, 58.205353f, 92.789215f, 75.497284f, 52.441376f, 26.503479f, 43.79541f,
    26.503479f, 72.615295f, 78.37927f, 29.385468f, 9.211548f, 84.14325f, 52.441376f, 38.031433f,
    9.211548f, 43.79541f, 40.91342f, 35.149445f, 9.211548f, 9.211548f, 14.975525f, 58.205353f,
    45.606567f, 31.69983f, 36.914856f, 24.74646f, 54.29828f, 19.531433f, 33.43817f, 10.839722f,
    5.624695f, 29.961487f, 43.868225f, 43.868225f, 36.914856f, 50.821594f, 45.606567f, 36.914856f,
    42.129883f, 49.083252f, 10.839722f, 45.606567f, 35.176514f, 54.29828f, 45.606567f, 7.363037f,
    28.223145f, 21.269775f, 28.223145f, 10.839722f, 49.083252f, 50.821594f, 50.821594f, 21.269775f,
    32.643707f, 35.296967f, 41.930115f, 22.03067f, 10.091003f, 8.764374f, 3.4578552f, 2.1312256f,
    12.744263f, 18.050781f, 2.1312256f, 41.930115f, 29.990448f, 24.68393f, 28.663818f, 36.623596f,
    28.663818f, 43.256744f, 41.930115f, 8.764374f, 7.437744f, 11.417633f, 10.091003f, 8.764374f,
    36.623596f, 22.03067f, 24.68393f, 43.256744f, 18.050781f, 27.337189f, 29.990448f, 27.337189f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(13, "Q5_K", q5_k, A256, q5_k_unpack, q5_k_decode, q5_k_encode, q5_k_golden,
            q5_k_golden_values)
#endif
