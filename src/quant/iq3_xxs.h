/* IQ3_XXS: 256 weights as 64 rows of 4 from a code book of 256 positive rows, with signs of even
 * parity; 8 groups of 32 with 4-bit scales.  w = d / 4 * (2 s[g] + 1) * row * sign
 *
 *   byte 0..1        d, f16
 *   byte 2+k         row index of weights 4k..4k+3        k = 0..63
 *   byte 66+4g..+3   little-endian word: 31..28 s[g] | 27..21 signs of weights 32g+24.. | 20..14
 * | 13..7 | 6..0 32g.. seven signs for eight weights; the eighth makes their number even          g
 * = 0..7 */
#ifdef IG_PART_UNPACK
enum {
    iq3_xxs_BLOCK = 256,
    iq3_xxs_BYTES = 98,
    iq3_xxs_GROUP = 32,
    iq3_xxs_UNIT = 256,
    iq3_xxs_HAS_MIN = 0,
    iq3_xxs_MAIN_AT = 2,
    iq3_xxs_MAIN = 96
};
static void iq3_xxs_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b)) * 0.25f;
    for (int g = 0; g < 8; g++) {
        uint32_t word = load32(b + 66 + 4 * g);
        u->scale[g] = (int16_t)(2 * (word >> 28) + 1);
        for (int r = 0; r < 4; r++) {
            const uint8_t *index = b + 2 + 8 * g + 2 * r;
            int8_t row[8];
            memcpy(row, ig_quant_grid_iq3_xxs[index[0]], 4);
            memcpy(row + 4, ig_quant_grid_iq3_xxs[index[1]], 4);
            signed8(u->q + 32 * g + 8 * r, row, ig_quant_signs[word >> 7 * r & 127]);
        }
    }
}
IG_DECODE(iq3_xxs)
#endif

#ifdef IG_PART_DEVICE
/* needs: iq3_xxs */
#define T_BLOCK   256
#define T_BYTES   98
#define T_GROUP   32
#define T_UNIT    256
#define T_HAS_MIN 0
#define T_KIND    256
#define T_MAIN_AT 2
#define T_MAIN    96
#define T_REST_AT 0
#define T_REST    2
DEVICE void iq3_xxs_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                         PRIV i32 *mn) {
    u32 a = W_LD32(m + 8 * g), b = W_LD32(m + 8 * g + 4), word = W_LD32(m + 64 + 4 * g);
    u32 signs = ig_even_signs(word);
    (void)r;
    q[0] = ig_signed(ig_grid_iq3_xxs[a & 255u], ig_bits4(signs));
    q[1] = ig_signed(ig_grid_iq3_xxs[a >> 8 & 255u], ig_bits4(signs >> 4));
    q[2] = ig_signed(ig_grid_iq3_xxs[a >> 16 & 255u], ig_bits4(signs >> 8));
    q[3] = ig_signed(ig_grid_iq3_xxs[a >> 24], ig_bits4(signs >> 12));
    q[4] = ig_signed(ig_grid_iq3_xxs[b & 255u], ig_bits4(signs >> 16));
    q[5] = ig_signed(ig_grid_iq3_xxs[b >> 8 & 255u], ig_bits4(signs >> 20));
    q[6] = ig_signed(ig_grid_iq3_xxs[b >> 16 & 255u], ig_bits4(signs >> 24));
    q[7] = ig_signed(ig_grid_iq3_xxs[b >> 24], ig_bits4(signs >> 28));
    s[0] = s[1] = (i32)(2 * (word >> 28) + 1);
    mn[0] = mn[1] = 0;
}
DEVICE f32 iq3_xxs_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r) * 0.25f;
}
#endif

#ifdef IG_PART_PANEL
static void iq3_xxs_take(const uint8_t *b, struct w_taken *t, size_t row) {
    uint8_t *q = t->q[row];
    t->d[row] = half_float(load16(b)) * 0.25f;
    for (size_t g = 0; g < 8; g++) {
        uint32_t word = load32(b + 66 + 4 * g);
        W_TIMES(r, 8)
        memcpy(q + 32 * g + 4 * r, ig_quant_grid_iq3_xxs[b[2 + 8 * g + r]], 4);
        t->scale[row][g] = (int16_t)(2 * (word >> 28) + 1);
        w_put_signs(t, row, g, even_signs(word));
    }
}
W_BY_BOOK(iq3_xxs, W_SIGNS)
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t iq3_xxs_golden[98] = {
    248, 49, 190, 47, 91, 77, 170, 105, 243, 221, 163, 92, 241, 114, 155, 2, 107, 228, 16, 2, 172,
    71, 53, 142, 143, 62, 19, 184, 120, 211, 249, 130, 142, 114, 163, 65, 197, 134, 111, 174, 94,
    74, 157, 149, 87, 188, 37, 7, 90, 21, 3, 220, 158, 17, 127, 227, 151, 56, 9, 29, 180, 239, 54,
    118, 157, 103, 51, 205, 52, 250, 104, 92, 106, 83, 175, 123, 204, 111, 252, 73, 78, 107, 68,
    206, 62, 11, 139, 217, 78, 55, 180, 154, 176, 126, 216, 67, 61, 23,};
static const float iq3_xxs_golden_values[256] = {
    -52.04004f, -75.168945f, 52.04004f, 52.04004f, -17.34668f, -5.7822266f, 63.604492f, 5.7822266f,
    52.04004f, -28.911133f, 63.604492f, -17.34668f, -28.911133f, 17.34668f, 28.911133f, -17.34668f,
    -75.168945f, -40.475586f, 75.168945f, 40.475586f, -28.911133f, 52.04004f, -5.7822266f,
    28.911133f, -28.911133f, 17.34668f, 28.911133f, 89.62451f, -75.168945f, 52.04004f, -5.7822266f,
    -75.168945f, 31.802246f, 18.46582f, 18.46582f, -14.362305f, 26.672852f, -18.46582f, -22.569336f,
    -6.1552734f, 26.672852f, 10.258789f, 6.1552734f, -31.802246f, -31.802246f, -26.672852f,
    6.1552734f, -10.258789f, -14.362305f, 2.0517578f, 10.258789f, -14.362305f, 18.46582f,
    -2.0517578f, 2.0517578f, -2.0517578f, -14.362305f, -2.0517578f, 6.1552734f, -10.258789f,
    -26.672852f, 14.362305f, 14.362305f, 26.672852f, -7.274414f, -12.124023f, -7.274414f,
    -2.4248047f, 21.823242f, -2.4248047f, 2.4248047f, -2.4248047f, -16.973633f, -16.973633f,
    -37.584473f, 16.973633f, -7.274414f, -7.274414f, -7.274414f, 7.274414f, -2.4248047f, 7.274414f,
    37.584473f, 2.4248047f, -12.124023f, -7.274414f, 2.4248047f, -16.973633f, 7.274414f,
    -12.124023f, -2.4248047f, -16.973633f, -7.274414f, -12.124023f, -2.4248047f, 7.274414f,
    12.124023f, 16.973633f, -7.274414f, -2.4248047f, -2.4248047f, -31.52246f, -12.124023f,
    -21.823242f, -2.4248047f, -12.124023f, 12.124023f, 12.124023f, -16.973633f, 12.124023f,
    21.823242f, -26.672852f, -2.4248047f, 31.52246f, 16.973633f, -37.584473f, -26.672852f,
    -16.973633f, 21.823242f, 12.124023f, 12.124023f, -7.274414f, 2.4248047f, -16.973633f,
    -37.584473f, 31.52246f, -7.274414f, 12.124023f, 2.8911133f, 1.6787109f, -1.6787109f, 1.3056641f,
    0.9326172f, 1.3056641f, -0.18652344f, 0.5595703f, 0.18652344f, 1.3056641f, -2.8911133f,
    -1.6787109f, -0.5595703f, 1.6787109f, 2.0517578f, -0.9326172f, -0.5595703f, -0.9326172f,
    0.5595703f, -0.9326172f, -1.6787109f, -0.18652344f, -0.18652344f, 1.6787109f, -2.0517578f,
    0.18652344f, 2.4248047f, -0.5595703f, -0.5595703f, 0.18652344f, -0.9326172f, 0.5595703f,
    -14.362305f, -6.5283203f, 6.5283203f, -9.139648f, 6.5283203f, 1.3056641f, 3.9169922f,
    -9.139648f, -3.9169922f, -1.3056641f, 11.750977f, 3.9169922f, -11.750977f, -1.3056641f,
    11.750977f, 11.750977f, -1.3056641f, -3.9169922f, 9.139648f, -1.3056641f, -6.5283203f,
    -6.5283203f, 1.3056641f, -1.3056641f, 1.3056641f, -6.5283203f, 14.362305f, -3.9169922f,
    -11.750977f, -14.362305f, 3.9169922f, 1.3056641f, 8.393555f, 8.393555f, -2.7978516f, 2.7978516f,
    -25.180664f, -25.180664f, 2.7978516f, -36.37207f, -13.989258f, 30.776367f, -13.989258f,
    19.58496f, -30.776367f, -13.989258f, 8.393555f, 2.7978516f, 25.180664f, -8.393555f, 19.58496f,
    13.989258f, 2.7978516f, 19.58496f, -19.58496f, 36.37207f, -8.393555f, 19.58496f, -8.393555f,
    19.58496f, -19.58496f, -25.180664f, -43.3667f, -2.7978516f, 2.7978516f, 5.036133f, 0.5595703f,
    -0.5595703f, -1.6787109f, 3.9169922f, -2.7978516f, -0.5595703f, -5.036133f, -8.67334f,
    -1.6787109f, 5.036133f, 2.7978516f, 3.9169922f, 0.5595703f, -8.67334f, -5.036133f, 1.6787109f,
    -8.67334f, 0.5595703f, -1.6787109f, -1.6787109f, -2.7978516f, -2.7978516f, -6.1552734f,
    2.7978516f, 2.7978516f, -3.9169922f, -7.274414f, -2.7978516f, 0.5595703f, 2.7978516f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(18, "IQ3_XXS", iq3_xxs, A256, iq3_xxs_unpack, iq3_xxs_decode, NULL, iq3_xxs_golden,
            iq3_xxs_golden_values)
#endif
