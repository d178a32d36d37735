/* Q6_K: 256 weights of 6 bits; 16 groups of 16, each with a signed 8-bit scale.  w = d * s[g] * (n
 * - 32)
 *
 *   byte 64h+l       7..4 n[128h+64+l] | 3..0 n[128h+l]      low four bits,  h = 0..1, l = 0..63
 *   byte 128+32h+l   7..6 n[128h+96+l] | 5..4 n[128h+64+l] | 3..2 n[128h+32+l] | 1..0 n[128h+l]
 * high two, l = 0..31 byte 192+g       s[g], signed                            g = 0..15 byte
 * 208..209    d, f16 */
#ifdef IG_PART_UNPACK
enum {
    q6_k_BLOCK = 256,
    q6_k_BYTES = 210,
    q6_k_GROUP = 16,
    q6_k_UNIT = 256,
    q6_k_HAS_MIN = 0,
    q6_k_MAIN_AT = 0,
    q6_k_MAIN = 208
};
static void q6_k_unpack(const uint8_t *b, struct ig_unpacked *u) {
    int8_t high[256];
    u->d[0] = half_float(load16(b + 208));
    for (int g = 0; g < 16; g++) u->scale[g] = (int8_t)b[192 + g];
    for (int h = 0; h < 2; h++) {
        nibbles(b + 64 * h, u->q + 128 * h, 64);
        crumbs(b + 128 + 32 * h, high + 128 * h);
    }
    for (int i = 0; i < 256; i++) u->q[i] = (int8_t)((u->q[i] | high[i] << 4) - 32);
}
IG_DECODE(q6_k)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   256
#define T_BYTES   210
#define T_GROUP   16
#define T_UNIT    256
#define T_HAS_MIN 0
#define T_KIND    256
#define T_MAIN_AT 0
#define T_MAIN    208
#define T_REST_AT 208
#define T_REST    2
/* low: bytes with four bits, high: bytes with two */
DEVICE u32 q6_k_join(u32 low, u32 high) {
    u32 n = (low & 0x0F0F0F0Fu) | (high & 0x03030303u) << 4;
    return ((n | 0x80808080u) - 0x20202020u) ^ 0x80808080u;
}
DEVICE void q6_k_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                      PRIV i32 *mn) {
    const MEM u8 *low = m + 64 * (g >> 2) + 32 * (g & 1), *high = m + 128 + 32 * (g >> 2);
    u32 ls = 4 * (g >> 1 & 1), hs = 2 * (g & 3), scales = W_LD16(m + 192 + 2 * g);
    v4u x = W_LD128(low), y = W_LD128(low + 16), hx, hy;
    (void)r;
    /* not W_LD128: with so many registers at once few2 has too many */
    hx.x = W_LD32(high), hx.y = W_LD32(high + 4), hx.z = W_LD32(high + 8), hx.w = W_LD32(high + 12);
    hy.x = W_LD32(high + 16), hy.y = W_LD32(high + 20), hy.z = W_LD32(high + 24),
    hy.w = W_LD32(high + 28);
    q[0] = q6_k_join(x.x >> ls, hx.x >> hs), q[1] = q6_k_join(x.y >> ls, hx.y >> hs);
    q[2] = q6_k_join(x.z >> ls, hx.z >> hs), q[3] = q6_k_join(x.w >> ls, hx.w >> hs);
    q[4] = q6_k_join(y.x >> ls, hy.x >> hs), q[5] = q6_k_join(y.y >> ls, hy.y >> hs);
    q[6] = q6_k_join(y.z >> ls, hy.z >> hs), q[7] = q6_k_join(y.w >> ls, hy.w >> hs);
    s[0] = (i32)(i8)(scales & 255u);
    s[1] = (i32)(i8)(scales >> 8);
    mn[0] = mn[1] = 0;
}
DEVICE f32 q6_k_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return HALF_TO_F32((u16)W_LD16(r));
}
#endif

#ifdef IG_PART_PANEL
enum { q6_k_TOP = 63, q6_k_ZERO = 32 };
W_FN void q6_k_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    for (size_t b = 0; b < blocks; b++, w += q6_k_BYTES) {
        w16 x[4], y[4], t[4], s[4], d = w_shr32(w_last(w + 194, stride), 16);
        w_load4(w + 192, stride, s);
        for (size_t i = 0; i < 4; i++) {
            w_ahead(w, stride, o, 64 * i);
            const uint8_t *low = w + 64 * (i / 2) + 16 * (i & 1);
            w_load4(low, stride, x);
            w_load4(low + 32, stride, y);
            w_load4(w + 128 + 16 * i, stride, t);
            size_t g = 8 * (i / 2) + (i & 1), k = 4 * g;
            w_sum sum[4] = {w_begin(o, g, T), w_begin(o, g + 2, T), w_begin(o, g + 4, T),
                            w_begin(o, g + 6, T)};
            W_EACH(c, 4) {
                w16 four = w_set8(15), top = w_set8(48);
                w_put(o, k + (size_t)c, w_or(w_and(x[c], four), w_and(w_shl16(t[c], 4), top)),
                      &sum[0], T);
                w_put(o, k + 8 + (size_t)c, w_or(w_and(y[c], four), w_and(w_shl16(t[c], 2), top)),
                      &sum[1], T);
                w_put(o, k + 16 + (size_t)c, w_or(w_bits(x[c], 4, 15), w_and(t[c], top)), &sum[2],
                      T);
                w_put(o, k + 24 + (size_t)c,
                      w_or(w_bits(y[c], 4, 15), w_and(w_shr16(t[c], 2), top)), &sum[3], T);
            }
            W_EACH(h, 4)
            w_scaled(o, g + 2 * (size_t)h, 16, &sum[h], w_sbyte(s[h / 2], 2 * (h & 1)), T);
            w_next_scales(s, i);
        }
        w_unit(o, w_half(d), w_half(d), false, T);
    }
}
W_FORMS(q6_k)
#endif

#ifdef IG_PART_ENCODE
static void q6_k_encode(const float *in, uint8_t *b, size_t n) {
    struct search s = {
        .groups = 16, .size = 16, .low = -32, .high = 31, .s_low = -128, .s_high = 127};
    uint8_t q[256];
    for (; n--; in += 256, b += 210) {
        memset(b, 0, 210);
        if (!search_steps(&s, in)) continue;
        codes_of(&s, 32, q);
        for (int h = 0; h < 2; h++) {
            uint8_t high[128];
            for (int i = 0; i < 128; i++) high[i] = q[128 * h + i] >> 4;
            join_nibbles(q + 128 * h, b + 64 * h, 64);
            join_crumbs(high, b + 128 + 32 * h);
        }
        for (int g = 0; g < 16; g++) b[192 + g] = (uint8_t)s.s[g];
        store16(b + 208, s.d);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t q6_k_golden[210] = {
    246, 23, 30, 210, 83, 230, 108, 13, 34, 91, 250, 33, 115, 218, 149, 105, 151, 9, 188, 149, 190,
    17, 195, 114, 16, 163, 98, 61, 202, 228, 54, 212, 240, 132, 107, 240, 145, 10, 32, 33, 240, 225,
    130, 253, 62, 8, 75, 222, 123, 178, 128, 32, 23, 56, 174, 103, 154, 20, 109, 182, 84, 234, 92,
    218, 44, 213, 26, 81, 86, 155, 190, 38, 51, 87, 122, 188, 46, 75, 78, 12, 213, 186, 29, 53, 187,
    74, 146, 111, 158, 223, 39, 198, 214, 8, 53, 55, 124, 201, 62, 189, 133, 197, 110, 122, 229, 23,
    36, 162, 126, 101, 248, 209, 176, 75, 37, 146, 230, 117, 171, 226, 12, 142, 223, 123, 23, 127,
    57, 22, 137, 27, 124, 245, 45, 164, 208, 65, 86, 190, 112, 188, 164, 92, 11, 78, 200, 162, 46,
    34, 93, 90, 163, 44, 19, 176, 222, 187, 208, 44, 143, 119, 176, 3, 177, 146, 201, 209, 183, 13,
    7, 199, 31, 62, 10, 222, 128, 50, 224, 6, 175, 235, 29, 65, 172, 16, 137, 105, 81, 192, 217,
    134, 249, 116, 8, 141, 108, 130, 38, 12, 163, 240, 172, 61, 27, 82, 237, 187, 51, 39, 214, 49,};
static const float q6_k_golden_values[256] = {
    -14.589844f, 33.55664f, -26.261719f, -20.425781f, -18.966797f, -37.933594f, -29.179688f,
    -4.376953f, 2.9179688f, 16.048828f, -32.097656f, -45.228516f, -42.310547f, -32.097656f,
    30.638672f, 13.130859f, 524.3225f, -188.7561f, -251.6748f, -104.8645f, 41.9458f, -20.9729f,
    -398.4851f, 629.187f, -335.5664f, 608.2141f, -41.9458f, -608.2141f, 461.4038f, 587.2412f,
    -461.4038f, -419.458f, 0.0f, 78.78516f, 531.7998f, -315.14062f, 334.8369f, -118.177734f,
    -630.28125f, -610.58496f, -315.14062f, 334.8369f, -590.8887f, 571.1924f, -39.39258f, 472.71094f,
    216.65918f, 590.8887f, -252.76904f, 689.3701f, -367.66406f, 735.3281f, -528.5171f, -183.83203f,
    413.62207f, -528.5171f, 505.5381f, 643.4121f, -666.3911f, -137.87402f, 643.4121f, -597.4541f,
    -643.4121f, 137.87402f, -117.81299f, -103.95264f, 117.81299f, 200.9751f, 34.65088f, 97.02246f,
    -69.30176f, -221.76562f, -97.02246f, 145.53369f, 214.83545f, 124.743164f, 48.51123f,
    -20.790527f, -159.39404f, -180.18457f, -50.33496f, 0.0f, 24.073242f, 19.69629f, -10.942383f,
    -32.82715f, 26.261719f, 15.319336f, -32.82715f, 56.90039f, -21.884766f, 41.581055f, -8.753906f,
    30.638672f, -63.46582f, 63.46582f, -254.4104f, 407.05664f, 169.60693f, -525.7815f, 390.09595f,
    -0.0f, -305.29248f, 237.4497f, 16.960693f, -237.4497f, 135.68555f, -254.4104f, -50.88208f,
    271.3711f, 474.8994f, 50.88208f, -67.11328f, -32.097656f, 70.03125f, 87.53906f, 43.76953f,
    37.933594f, -29.179688f, 75.86719f, 67.11328f, -2.9179688f, -64.19531f, -32.097656f,
    -61.277344f, 52.523438f, -14.589844f, 8.753906f, 306.38672f, -321.70605f, 91.916016f,
    -15.319336f, 153.19336f, 76.59668f, -459.58008f, 153.19336f, -291.06738f, -352.34473f,
    -398.30273f, -183.83203f, -214.4707f, -168.5127f, 275.74805f, -183.83203f, -300.3684f,
    111.24756f, 322.61792f, 233.61987f, -55.62378f, -66.748535f, -333.74268f, -189.12085f,
    -22.249512f, -11.124756f, -100.1228f, -289.24365f, -111.24756f, 88.99805f, -122.372314f,
    -278.1189f, -98.481445f, -113.25366f, -88.6333f, -93.55737f, 24.620361f, -132.94995f,
    -9.848145f, 128.02588f, -54.164795f, -44.31665f, 98.481445f, 88.6333f, 68.93701f, 103.40552f,
    -118.177734f, -152.64624f, -478.54688f, -74.77295f, 314.0464f, 29.90918f, 329.00098f,
    -403.77393f, 403.77393f, -448.6377f, 179.45508f, 209.36426f, -254.22803f, -314.0464f,
    104.68213f, -14.95459f, 134.59131f, -149.5459f, -62.371582f, 65.83667f, -58.906494f, 38.115967f,
    93.55737f, 24.255615f, -93.55737f, 103.95264f, 100.48755f, 93.55737f, 31.185791f, -93.55737f,
    103.95264f, 41.581055f, 97.02246f, -55.441406f, -163.58862f, 264.25854f, -12.58374f, -37.75122f,
    62.9187f, 352.34473f, -113.25366f, 125.8374f, 289.42603f, -163.58862f, 176.17236f, 251.6748f,
    37.75122f, 402.6797f, -239.09106f, -239.09106f, 65.10718f, -186.02051f, 27.903076f, 102.31128f,
    223.22461f, 260.4287f, 55.806152f, -232.52563f, -167.41846f, 158.11743f, -279.03076f,
    -204.62256f, -232.52563f, 204.62256f, 139.51538f, -176.71948f, 192.03882f, -199.15137f,
    14.225098f, 177.81372f, -128.02588f, -64.01294f, 71.12549f, -128.02588f, 0.0f, -56.90039f,
    -21.337646f, 163.58862f, 120.91333f, 49.78784f, 135.13843f, -106.68823f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(14, "Q6_K", q6_k, A256, q6_k_unpack, q6_k_decode, q6_k_encode, q6_k_golden,
            q6_k_golden_values)
#endif
