/* Q4_K: 256 weights of 4 bits; 8 groups of 32, each with a 6-bit scale and a 6-bit minimum.
 * w = d * s[g] * n - dmin * m[g]
 *
 *   byte 0..1        d, f16
 *   byte 2..3        dmin, f16
 *   byte 4+j         7..6 s[4+j] high two | 5..0 s[j]                         j = 0..3
 *   byte 8+j         7..6 m[4+j] high two | 5..0 m[j]
 *   byte 12+j        7..4 m[4+j] low four | 3..0 s[4+j] low four
 *   byte 16+32r+l    7..4 n[64r+32+l] | 3..0 n[64r+l]                         r = 0..3, l = 0..31
 */
#ifdef IG_PART_UNPACK
enum {
    q4_k_BLOCK = 256,
    q4_k_BYTES = 144,
    q4_k_GROUP = 32,
    q4_k_UNIT = 256,
    q4_k_HAS_MIN = 1,
    q4_k_MAIN_AT = 0,
    q4_k_MAIN = 144
};
static void q4_k_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b));
    u->dmin[0] = half_float(load16(b + 2));
    scales_6bit(b + 4, u->scale, u->min);
    for (int r = 0; r < 4; r++) nibbles(b + 16 + 32 * r, u->q + 64 * r, 32);
}
IG_DECODE(q4_k)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   256
#define T_BYTES   144
#define T_GROUP   32
#define T_UNIT    256
#define T_HAS_MIN 1
#define T_KIND    256
#define T_MAIN_AT 0
#define T_MAIN    144
#define T_REST_AT 144
#define T_REST    0
DEVICE void q4_k_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                      PRIV i32 *mn) {
    const MEM u8 *n = m + 16 + 32 * (g >> 1);
    u32 shift = 4 * (g & 1);
    v4u x = W_LD128(n), y = W_LD128(n + 16), head;
    (void)r;
    /* not W_LD128: with four registers at once few1 has too many */
    head.x = 0, head.y = W_LD32(m + 4), head.z = W_LD32(m + 8), head.w = W_LD32(m + 12);
    ig_scale_6bit(head, g, s, mn);
    q[0] = x.x >> shift & 0x0F0F0F0Fu, q[1] = x.y >> shift & 0x0F0F0F0Fu;
    q[2] = x.z >> shift & 0x0F0F0F0Fu, q[3] = x.w >> shift & 0x0F0F0F0Fu;
    q[4] = y.x >> shift & 0x0F0F0F0Fu, q[5] = y.y >> shift & 0x0F0F0F0Fu;
    q[6] = y.z >> shift & 0x0F0F0F0Fu, q[7] = y.w >> shift & 0x0F0F0F0Fu;
}
DEVICE f32 q4_k_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)r, (void)u;
    return HALF_TO_F32((u16)W_LD16(m));
}
DEVICE f32 q4_k_dmin(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)r, (void)u;
    return HALF_TO_F32((u16)W_LD16(m + 2));
}
#endif

#ifdef IG_PART_PANEL
enum { q4_k_TOP = 15, q4_k_ZERO = 0 };
/* The 12 bytes of scales and minima of Q4_K and Q5_K, in x[1..3]: four to a dword */
W_FN void w_scales_k(const w16 x[4], w16 s[2], w16 m[2]) {
    w16 six = w_set8(63), four = w_set8(15), top = w_set8(48);
    s[0] = w_and(x[1], six);
    m[0] = w_and(x[2], six);
    s[1] = w_or(w_and(x[3], four), w_and(w_shr16(x[1], 2), top));
    m[1] = w_or(w_bits(x[3], 4, 15), w_and(w_shr16(x[2], 2), top));
}
W_FN void q4_k_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    for (size_t b = 0; b < blocks; b++, w += q4_k_BYTES) {
        w16 head[4], s[2], m[2];
        w_load4(w, stride, head);
        w_scales_k(head, s, m);
        w_minima(o, 0, 32, m[0], T);
        w_minima(o, 1, 32, m[1], T);
        for (size_t r = 0; r < 4; r++) {
            if (r < 3) w_ahead(w, stride, o, 64 * r);
            w16 x[8];
            w_sum low = w_zero(T), high = w_zero(T);
            w_load4(w + 16 + 32 * r, stride, x);
            w_load4(w + 32 + 32 * r, stride, x + 4);
            W_EACH(c, 8) {
                w_put(o, 16 * r + (size_t)c, w_field(x[c], 0, 15), &low, T);
                w_put(o, 16 * r + 8 + (size_t)c, w_field(x[c], 4, 15), &high, T);
            }
            w_down(&high, 4, T);
            w_scaled(o, 2 * r, 32, &low, w_byte(s[0], 0), T);
            w_scaled(o, 2 * r + 1, 32, &high, w_byte(s[0], 1), T);
            s[0] = r == 1 ? s[1] : w_shr32(s[0], 16);
        }
        w_unit(o, w_half(head[0]), w_half(w_shr32(head[0], 16)), true, T);
    }
}
W_FORMS(q4_k)
#endif

#ifdef IG_PART_ENCODE
static void q4_k_encode(const float *in, uint8_t *b, size_t n) {
    struct search s = {.groups = 8, .size = 32, .high = 15, .s_high = 63};
    uint8_t q[256];
    for (; n--; in += 256, b += 144) {
        memset(b, 0, 144);
        if (!search_ranges(&s, in)) continue;
        codes_of(&s, 0, q);
        store16(b, s.d);
        store16(b + 2, s.dmin);
        join_scales_6bit(s.s, s.m, b + 4);
        for (int r = 0; r < 4; r++) join_nibbles(q + 64 * r, b + 16 + 32 * r, 32);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t q4_k_golden[144] = {
    75, 45, 156, 177, 14, 84, 160, 120, 47, 223, 113, 106, 123, 95, 23, 176, 46, 42, 118, 30, 194,
    11, 196, 86, 200, 6, 253, 193, 231, 136, 92, 237, 112, 202, 110, 2, 163, 174, 25, 220, 42, 33,
    246, 195, 6, 2, 87, 78, 42, 90, 198, 237, 120, 96, 245, 9, 6, 122, 200, 220, 23, 54, 168, 196,
    99, 218, 142, 144, 106, 114, 113, 61, 222, 100, 131, 74, 134, 129, 8, 85, 15, 9, 150, 148, 58,
    80, 79, 148, 0, 204, 145, 222, 24, 148, 182, 255, 78, 126, 128, 241, 67, 171, 183, 76, 62, 4,
    118, 251, 158, 31, 241, 119, 170, 13, 71, 190, 253, 158, 160, 160, 35, 61, 240, 119, 3, 126,
    241, 174, 31, 88, 233, 59, 227, 133, 80, 54, 46, 26, 169, 30, 140, 1, 103, 152,};
static const float q4_k_golden_values[256] = {
    24.448486f, 19.817139f, 15.185791f, 24.448486f, 10.554443f, 20.974976f, 12.870117f, 15.185791f,
    17.501465f, 15.185791f, 23.29065f, 9.396606f, 16.343628f, 17.501465f, 22.132812f, 23.29065f,
    8.23877f, 19.817139f, 24.448486f, 10.554443f, 11.71228f, 24.448486f, 18.659302f, 22.132812f,
    19.817139f, 9.396606f, 15.185791f, 11.71228f, 15.185791f, 10.554443f, 16.343628f, 24.448486f,
    8.7421875f, 8.7421875f, 17.012451f, 7.088135f, 25.282715f, 5.434082f, 25.282715f, 13.704346f,
    25.282715f, 5.434082f, 30.244873f, 25.282715f, 28.59082f, 18.666504f, 13.704346f, 28.59082f,
    17.012451f, 25.282715f, 15.358398f, 5.434082f, 21.97461f, 21.97461f, 7.088135f, 26.936768f,
    8.7421875f, 8.7421875f, 30.244873f, 25.282715f, 5.434082f, 5.434082f, 13.704346f, 12.050293f,
    35.0542f, 35.0542f, 24.468262f, 42.993652f, 29.76123f, 8.589355f, 21.821777f, 32.407715f,
    24.468262f, 35.0542f, 29.76123f, 40.347168f, 27.114746f, 24.468262f, 29.76123f, 19.175293f,
    16.528809f, 35.0542f, 45.640137f, 8.589355f, 35.0542f, 13.882324f, 11.23584f, 42.993652f,
    45.640137f, 19.175293f, 16.528809f, 35.0542f, 24.468262f, 11.23584f, 29.76123f, 21.821777f,
    16.625f, 30.519043f, 62.938477f, 72.20117f, 39.78174f, 35.15039f, 76.83252f, 7.3623047f,
    7.3623047f, 39.78174f, 62.938477f, 67.569824f, 11.993652f, 21.256348f, 53.67578f, 62.938477f,
    35.15039f, 67.569824f, 44.413086f, 49.044434f, 35.15039f, 39.78174f, 39.78174f, 21.256348f,
    67.569824f, 35.15039f, 44.413086f, 25.887695f, 44.413086f, 44.413086f, 7.3623047f, 30.519043f,
    14.872986f, 9.414612f, 6.685425f, 4.865967f, 10.324341f, 1.2270508f, 14.872986f, 4.865967f,
    1.2270508f, 12.143799f, 2.1367798f, 13.963257f, 8.504883f, 4.865967f, 6.685425f, 14.872986f,
    13.963257f, 13.963257f, 1.2270508f, 2.1367798f, 3.9562378f, 11.23407f, 7.595154f, 12.143799f,
    13.963257f, 4.865967f, 6.685425f, 11.23407f, 13.963257f, 14.872986f, 2.1367798f, 7.595154f,
    9.290527f, 9.290527f, 32.364563f, 32.364563f, 16.981873f, 22.109436f, 19.545654f, 32.364563f,
    9.290527f, 40.05591f, 32.364563f, 42.61969f, 11.854309f, 32.364563f, 37.492126f, 47.747253f,
    19.545654f, 27.237f, 29.800781f, 47.747253f, 19.545654f, 34.928345f, 37.492126f, 19.545654f,
    16.981873f, 9.290527f, 27.237f, 47.747253f, 32.364563f, 11.854309f, 47.747253f, 27.237f,
    35.23401f, 44.910217f, 25.5578f, 48.13562f, 44.910217f, 48.13562f, 2.9799805f, 2.9799805f,
    12.656189f, 44.910217f, 2.9799805f, 25.5578f, 12.656189f, 48.13562f, 6.2053833f, 48.13562f,
    51.361023f, 28.783203f, 32.008606f, 38.45941f, 12.656189f, 19.106995f, 2.9799805f, 22.332397f,
    48.13562f, 35.23401f, 32.008606f, 48.13562f, 41.684814f, 6.2053833f, 25.5578f, 28.783203f,
    17.965332f, 4.73291f, 10.025879f, 19.288574f, 24.581543f, 16.64209f, 17.965332f, 17.965332f,
    7.3793945f, 8.702637f, 24.581543f, 13.995605f, 4.73291f, 13.995605f, 24.581543f, 17.965332f,
    6.0561523f, 11.349121f, 23.2583f, 8.702637f, 23.2583f, 15.318848f, 11.349121f, 8.702637f,
    7.3793945f, 6.0561523f, 17.965332f, 6.0561523f, 15.318848f, 4.73291f, 12.672363f, 16.64209f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(12, "Q4_K", q4_k, A256, q4_k_unpack, q4_k_decode, q4_k_encode, q4_k_golden,
            q4_k_golden_values)
#endif
