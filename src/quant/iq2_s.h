/* IQ2_S: 256 weights as 32 rows of 8 from a code book of 1024 positive rows, with free signs; 16
 * groups of 16 with 4-bit scales.  w = d / 8 * (2 s[g] + 1) * row * sign
 *
 *   byte 0..1        d, f16
 *   byte 2+k         low eight bits of the row index of weights 8k..8k+7     k = 0..31
 *   byte 34+k        bit i: weight 8k+i is negative
 *   byte 66+j        bits 2r+1..2r: high two bits of row index 4j+r          j = 0..7, r = 0..3
 *   byte 74+j        7..4 s[2j+1] | 3..0 s[2j]                               j = 0..7 */
#ifdef IG_PART_UNPACK
enum {
    iq2_s_BLOCK = 256,
    iq2_s_BYTES = 82,
    iq2_s_GROUP = 16,
    iq2_s_UNIT = 256,
    iq2_s_HAS_MIN = 0,
    iq2_s_MAIN_AT = 2,
    iq2_s_MAIN = 80
};
static void iq2_s_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b)) * 0.125f;
    for (int g = 0; g < 16; g++)
        u->scale[g] = (int16_t)(2 * (b[74 + g / 2] >> (g & 1) * 4 & 15) + 1);
    for (int k = 0; k < 32; k++) {
        int row = b[2 + k] | (b[66 + k / 4] >> (k & 3) * 2 & 3) << 8;
        signed8(u->q + 8 * k, ig_quant_grid_iq2_s[row], b[34 + k]);
    }
}
IG_DECODE(iq2_s)
#endif

#ifdef IG_PART_DEVICE
/* needs: iq2_s */
#define T_BLOCK   256
#define T_BYTES   82
#define T_GROUP   16
#define T_UNIT    256
#define T_HAS_MIN 0
#define T_KIND    256
#define T_MAIN_AT 2
#define T_MAIN    80
#define T_REST_AT 0
#define T_REST    2
/* row `index` of the code book to q[0], q[1], with the signs of the low eight bits of `signs` */
DEVICE void iq2_s_row(u32 index, u32 signs, PRIV u32 *q) {
    q[0] = ig_signed(ig_grid_iq2_s[2 * index], ig_bits4(signs));
    q[1] = ig_signed(ig_grid_iq2_s[2 * index + 1], ig_bits4(signs >> 4));
}
DEVICE void iq2_s_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                       PRIV i32 *mn) {
    u32 rows = W_LD32(m + 4 * g), signs = W_LD32(m + 32 + 4 * g);
    u32 high = W_LD8(m + 64 + g), scales = W_LD8(m + 72 + g);
    (void)r;
    iq2_s_row((rows & 255u) | (high << 8 & 768u), signs, q);
    iq2_s_row((rows >> 8 & 255u) | (high << 6 & 768u), signs >> 8, q + 2);
    iq2_s_row((rows >> 16 & 255u) | (high << 4 & 768u), signs >> 16, q + 4);
    iq2_s_row(rows >> 24 | (high << 2 & 768u), signs >> 24, q + 6);
    s[0] = (i32)(2 * (scales & 15u) + 1);
    s[1] = (i32)(2 * (scales >> 4) + 1);
    mn[0] = mn[1] = 0;
}
DEVICE f32 iq2_s_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r) * 0.125f;
}
#endif

#ifdef IG_PART_PANEL
static void iq2_s_take(const uint8_t *b, struct w_taken *t, size_t row) {
    uint8_t *q = t->q[row];
    t->d[row] = half_float(load16(b)) * 0.125f;
    for (size_t g = 0; g < 8; g++) {
        unsigned high = b[66 + g];
        W_TIMES(r, 4)
        memcpy(q + 32 * g + 8 * r,
               ig_quant_grid_iq2_s[b[2 + 4 * g + r] | (high << (8 - 2 * r) & 0x300)], 8);
        w_put_signs(t, row, g, load32(b + 34 + 4 * g));
        t->scale[row][2 * g] = (int16_t)(2 * (b[74 + g] & 15) + 1);
        t->scale[row][2 * g + 1] = (int16_t)(2 * (b[74 + g] >> 4) + 1);
    }
}
W_BY_BOOK(iq2_s, W_SIGNS)
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t iq2_s_golden[82] = {
    109, 176, 239, 118, 44, 229, 105, 29, 79, 107, 162, 174, 98, 67, 241, 243, 153, 218, 52, 189,
    11, 59, 182, 209, 188, 225, 96, 67, 120, 238, 59, 190, 171, 230, 117, 42, 135, 181, 96, 64, 13,
    253, 88, 254, 124, 176, 242, 209, 137, 51, 39, 64, 245, 89, 60, 50, 26, 94, 131, 220, 220, 135,
    162, 162, 61, 8, 81, 212, 185, 135, 129, 41, 38, 166, 145, 115, 9, 153, 228, 115, 247, 251,};
static const float iq2_s_golden_values[256] = {
    1.2966156f, -0.414917f, 0.414917f, -2.2301788f, 0.414917f, 0.414917f, 0.414917f, -1.2966156f,
    -2.2301788f, 2.2301788f, -0.414917f, 0.414917f, -1.2966156f, 1.2966156f, -0.414917f, -0.414917f,
    2.6278076f, 8.211899f, 14.124466f, -8.211899f, -2.6278076f, -8.211899f, -8.211899f, 2.6278076f,
    8.211899f, -8.211899f, 2.6278076f, -8.211899f, 2.6278076f, 2.6278076f, -2.6278076f, 8.211899f,
    -3.0254364f, -0.96813965f, -0.96813965f, -5.2037506f, -0.96813965f, 3.0254364f, 0.96813965f,
    -0.96813965f, -0.96813965f, -3.0254364f, -3.0254364f, -0.96813965f, -0.96813965f, -3.0254364f,
    3.0254364f, -0.96813965f, 2.074585f, -6.483078f, 2.074585f, 6.483078f, -11.150894f, -6.483078f,
    -6.483078f, -2.074585f, 2.074585f, -2.074585f, 2.074585f, 6.483078f, 2.074585f, 6.483078f,
    2.074585f, 11.150894f, -8.211899f, -2.6278076f, -2.6278076f, 2.6278076f, 2.6278076f, -8.211899f,
    14.124466f, -2.6278076f, -2.6278076f, 2.6278076f, 14.124466f, 8.211899f, 8.211899f, 2.6278076f,
    8.211899f, 8.211899f, -0.4322052f, -0.13830566f, 0.13830566f, 0.13830566f, 0.13830566f,
    0.4322052f, 0.13830566f, -0.74339294f, -0.13830566f, -0.13830566f, -0.4322052f, -0.13830566f,
    0.4322052f, 0.4322052f, -0.13830566f, 0.4322052f, -2.6278076f, 2.6278076f, -2.6278076f,
    -2.6278076f, 8.211899f, 8.211899f, 14.124466f, 14.124466f, 2.6278076f, -14.124466f, -8.211899f,
    -14.124466f, 2.6278076f, -2.6278076f, 2.6278076f, 8.211899f, 2.6278076f, -8.211899f, -8.211899f,
    8.211899f, -14.124466f, -8.211899f, -2.6278076f, 2.6278076f, 2.6278076f, 2.6278076f, -8.211899f,
    -8.211899f, 8.211899f, 8.211899f, -8.211899f, -8.211899f, 3.8898468f, 1.244751f, 1.244751f,
    -1.244751f, -3.8898468f, 3.8898468f, -3.8898468f, -1.244751f, -3.8898468f, -1.244751f,
    -6.6905365f, -1.244751f, -3.8898468f, -6.6905365f, 1.244751f, -1.244751f, 12.533951f,
    -12.533951f, 21.558395f, -4.0108643f, 4.0108643f, 4.0108643f, 4.0108643f, 4.0108643f,
    4.0108643f, -21.558395f, -4.0108643f, 21.558395f, 4.0108643f, -12.533951f, 4.0108643f,
    -12.533951f, -3.0254364f, -3.0254364f, 0.96813965f, 0.96813965f, 3.0254364f, 3.0254364f,
    -5.2037506f, -0.96813965f, -0.96813965f, 0.96813965f, -0.96813965f, -0.96813965f, 3.0254364f,
    3.0254364f, -3.0254364f, -3.0254364f, -2.074585f, 2.074585f, -2.074585f, 11.150894f, 11.150894f,
    -2.074585f, -6.483078f, -6.483078f, -2.074585f, 2.074585f, 11.150894f, 6.483078f, 2.074585f,
    -2.074585f, 6.483078f, -2.074585f, 6.483078f, 2.074585f, -2.074585f, -2.074585f, -2.074585f,
    -11.150894f, -2.074585f, 6.483078f, -2.074585f, -6.483078f, 6.483078f, 6.483078f, 6.483078f,
    -6.483078f, 6.483078f, 2.074585f, -4.2874756f, -4.2874756f, 23.045181f, 4.2874756f, 13.398361f,
    -23.045181f, 4.2874756f, 13.398361f, 23.045181f, 4.2874756f, 4.2874756f, -4.2874756f,
    -13.398361f, -4.2874756f, -13.398361f, 4.2874756f, -3.1810303f, 17.098038f, -3.1810303f,
    -17.098038f, -3.1810303f, 9.94072f, -3.1810303f, 9.94072f, -17.098038f, 9.94072f, -17.098038f,
    -9.94072f, -9.94072f, 9.94072f, -17.098038f, 3.1810303f, 4.2874756f, -23.045181f, 4.2874756f,
    13.398361f, 13.398361f, 4.2874756f, -13.398361f, -13.398361f, -4.2874756f, -13.398361f,
    -13.398361f, 4.2874756f, -4.2874756f, -23.045181f, -13.398361f, -13.398361f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(22, "IQ2_S", iq2_s, A256, iq2_s_unpack, iq2_s_decode, NULL, iq2_s_golden,
            iq2_s_golden_values)
#endif
