/* IQ2_XXS: 256 weights as 32 rows of 8 from a code book of 256 positive rows, with signs of even
 * parity; 8 groups of 32 with 4-bit scales.  w = d / 8 * (2 s[g] + 1) * row * sign
 *
 *   byte 0..1        d, f16
 *   byte 2+8g+r      row index of weights 32g+8r..+7      g = 0..7, r = 0..3
 *   byte 6+8g..+3    little-endian word: 31..28 s[g] | 27..21 signs of r = 3 | 20..14 r = 2 | 13..7
 * r = 1 | 6..0 r = 0 seven signs; the eighth makes their number even */
#ifdef IG_PART_UNPACK
enum {
    iq2_xxs_BLOCK = 256,
    iq2_xxs_BYTES = 66,
    iq2_xxs_GROUP = 32,
    iq2_xxs_UNIT = 256,
    iq2_xxs_HAS_MIN = 0,
    iq2_xxs_MAIN_AT = 2,
    iq2_xxs_MAIN = 64
};
static void iq2_xxs_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b)) * 0.125f;
    for (int g = 0; g < 8; g++) {
        uint32_t word = load32(b + 6 + 8 * g);
        u->scale[g] = (int16_t)(2 * (word >> 28) + 1);
        for (int r = 0; r < 4; r++)
            signed8(u->q + 32 * g + 8 * r, ig_quant_grid_iq2_xxs[b[2 + 8 * g + r]],
                    ig_quant_signs[word >> 7 * r & 127]);
    }
}
IG_DECODE(iq2_xxs)
#endif

#ifdef IG_PART_DEVICE
/* needs: iq2_xxs */
#define T_BLOCK   256
#define T_BYTES   66
#define T_GROUP   32
#define T_UNIT    256
#define T_HAS_MIN 0
#define T_KIND    256
#define T_MAIN_AT 2
#define T_MAIN    64
#define T_REST_AT 0
#define T_REST    2
/* row `index` of the code book to q[0], q[1], with the signs of the low eight bits of `signs` */
DEVICE void iq2_xxs_row(u32 index, u32 signs, PRIV u32 *q) {
    q[0] = ig_signed(ig_grid_iq2_xxs[2 * index], ig_bits4(signs));
    q[1] = ig_signed(ig_grid_iq2_xxs[2 * index + 1], ig_bits4(signs >> 4));
}
DEVICE void iq2_xxs_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                         PRIV i32 *mn) {
    u32 rows = W_LD32(m + 8 * g), word = W_LD32(m + 8 * g + 4), signs = ig_even_signs(word);
    (void)r;
    iq2_xxs_row(rows & 255u, signs, q);
    iq2_xxs_row(rows >> 8 & 255u, signs >> 8, q + 2);
    iq2_xxs_row(rows >> 16 & 255u, signs >> 16, q + 4);
    iq2_xxs_row(rows >> 24, signs >> 24, q + 6);
    s[0] = s[1] = (i32)(2 * (word >> 28) + 1);
    mn[0] = mn[1] = 0;
}
DEVICE f32 iq2_xxs_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r) * 0.125f;
}
#endif

#ifdef IG_PART_PANEL
static void iq2_xxs_take(const uint8_t *b, struct w_taken *t, size_t row) {
    uint8_t *q = t->q[row];
    t->d[row] = half_float(load16(b)) * 0.125f;
    for (size_t g = 0; g < 8; g++) {
        const uint8_t *index = b + 2 + 8 * g;
        uint32_t word = load32(index + 4);
        W_TIMES(r, 4) memcpy(q + 32 * g + 8 * r, ig_quant_grid_iq2_xxs[index[r]], 8);
        t->scale[row][g] = (int16_t)(2 * (word >> 28) + 1);
        w_put_signs(t, row, g, even_signs(word));
    }
}
W_BY_BOOK(iq2_xxs, W_SIGNS)
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t iq2_xxs_golden[66] = {
    208, 49, 205, 49, 229, 19, 51, 44, 78, 103, 191, 245, 43, 241, 25, 151, 110, 51, 75, 252, 129,
    239, 49, 1, 65, 46, 200, 108, 142, 92, 81, 216, 59, 114, 69, 109, 58, 13, 132, 105, 151, 125,
    99, 37, 50, 104, 122, 55, 187, 161, 135, 44, 90, 194, 55, 242, 218, 81, 183, 107, 0, 165, 248,
    21, 213, 176,};
static const float iq2_xxs_golden_values[256] = {
    -7.3791504f, -7.3791504f, 2.3613281f, 2.3613281f, -2.3613281f, -7.3791504f, 12.692139f,
    7.3791504f, 12.692139f, 7.3791504f, 2.3613281f, -7.3791504f, -7.3791504f, 7.3791504f,
    -2.3613281f, -2.3613281f, 2.3613281f, 2.3613281f, 2.3613281f, -7.3791504f, -12.692139f,
    -7.3791504f, 2.3613281f, -12.692139f, 12.692139f, -12.692139f, 2.3613281f, -12.692139f,
    -2.3613281f, -2.3613281f, 2.3613281f, 2.3613281f, -3.9733887f, 1.2714844f, 3.9733887f,
    -1.2714844f, -1.2714844f, 6.8342285f, 3.9733887f, -3.9733887f, 3.9733887f, -1.2714844f,
    -3.9733887f, -3.9733887f, 3.9733887f, -3.9733887f, 3.9733887f, 6.8342285f, 1.2714844f,
    -1.2714844f, 3.9733887f, -6.8342285f, -1.2714844f, -3.9733887f, 1.2714844f, 1.2714844f,
    -3.9733887f, -3.9733887f, 1.2714844f, -3.9733887f, -6.8342285f, 1.2714844f, 3.9733887f,
    6.8342285f, -2.8381348f, 0.9082031f, 4.881592f, 0.9082031f, -0.9082031f, -0.9082031f,
    2.8381348f, -0.9082031f, 0.9082031f, -0.9082031f, 0.9082031f, 0.9082031f, 4.881592f, 0.9082031f,
    4.881592f, -4.881592f, 0.9082031f, 0.9082031f, -4.881592f, 0.9082031f, 0.9082031f, 4.881592f,
    4.881592f, -0.9082031f, 4.881592f, -2.8381348f, 2.8381348f, 0.9082031f, -2.8381348f,
    -0.9082031f, -2.8381348f, 4.881592f, -2.7246094f, 2.7246094f, 2.7246094f, 2.7246094f,
    -8.514404f, 2.7246094f, -14.644775f, -8.514404f, 2.7246094f, 2.7246094f, 2.7246094f, 2.7246094f,
    -2.7246094f, -2.7246094f, 14.644775f, 2.7246094f, -8.514404f, -2.7246094f, -2.7246094f,
    -14.644775f, 2.7246094f, -2.7246094f, -2.7246094f, 8.514404f, -8.514404f, 8.514404f, 14.644775f,
    2.7246094f, -2.7246094f, 8.514404f, 8.514404f, 2.7246094f, 2.7246094f, 2.7246094f, -2.7246094f,
    8.514404f, 8.514404f, 14.644775f, 2.7246094f, -2.7246094f, -14.644775f, -2.7246094f, 2.7246094f,
    2.7246094f, -2.7246094f, 2.7246094f, -14.644775f, 2.7246094f, -2.7246094f, 2.7246094f,
    -2.7246094f, -2.7246094f, -2.7246094f, 14.644775f, -2.7246094f, -2.7246094f, 2.7246094f,
    2.7246094f, -8.514404f, -8.514404f, 2.7246094f, -2.7246094f, -2.7246094f, 2.7246094f,
    11.920166f, -3.8144531f, 3.8144531f, -3.8144531f, -3.8144531f, -20.502686f, -11.920166f,
    -3.8144531f, 3.8144531f, -3.8144531f, -3.8144531f, -11.920166f, 3.8144531f, -11.920166f,
    -3.8144531f, -3.8144531f, 11.920166f, 20.502686f, -20.502686f, -11.920166f, 11.920166f,
    -11.920166f, -3.8144531f, 3.8144531f, -3.8144531f, 3.8144531f, -3.8144531f, -3.8144531f,
    11.920166f, 20.502686f, 11.920166f, -3.8144531f, -1.9980469f, -10.739502f, -6.2438965f,
    1.9980469f, -1.9980469f, -1.9980469f, 1.9980469f, -6.2438965f, 1.9980469f, 6.2438965f,
    -10.739502f, 10.739502f, 1.9980469f, -6.2438965f, -1.9980469f, -1.9980469f, -1.9980469f,
    -10.739502f, 1.9980469f, -1.9980469f, 1.9980469f, -6.2438965f, -6.2438965f, -1.9980469f,
    1.9980469f, -1.9980469f, -1.9980469f, -6.2438965f, 6.2438965f, 10.739502f, 6.2438965f,
    -6.2438965f, 4.1777344f, 13.05542f, 22.455322f, -22.455322f, -13.05542f, -4.1777344f,
    -13.05542f, 13.05542f, -13.05542f, -4.1777344f, 13.05542f, -13.05542f, 22.455322f, -22.455322f,
    13.05542f, 4.1777344f, 4.1777344f, 4.1777344f, -4.1777344f, 4.1777344f, -4.1777344f, 4.1777344f,
    -4.1777344f, -4.1777344f, 4.1777344f, -4.1777344f, -13.05542f, 4.1777344f, 4.1777344f,
    22.455322f, 4.1777344f, 13.05542f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(16, "IQ2_XXS", iq2_xxs, A256, iq2_xxs_unpack, iq2_xxs_decode, NULL, iq2_xxs_golden,
            iq2_xxs_golden_values)
#endif
