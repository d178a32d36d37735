/* IQ1_S: 256 weights as 32 rows of 8 from a code book of 2048 ternary rows; 8 groups of 32, each
 * with a 3-bit scale and a shift of +1/8 or -1/8.  w = d / 8 * (2 s[g] + 1) * (8 row + shift)
 *
 *   byte 0..1        d, f16
 *   byte 2+k         low eight bits of the row index of weights 8k..8k+7     k = 0..31
 *   byte 34+2g..+1   little-endian: 15 shift is negative | 14..12 s[g] | 11..9 high bits of row
 * index 4g+3 | 8..6 4g+2 | 5..3 4g+1 | 2..0 4g                                     g = 0..7 */
#ifdef IG_PART_UNPACK
enum {
    iq1_s_BLOCK = 256,
    iq1_s_BYTES = 50,
    iq1_s_GROUP = 32,
    iq1_s_UNIT = 256,
    iq1_s_HAS_MIN = 0,
    iq1_s_MAIN_AT = 2,
    iq1_s_MAIN = 48
};
static void iq1_s_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b)) * 0.125f;
    for (int g = 0; g < 8; g++) {
        int word = load16(b + 34 + 2 * g), shift = word & 0x8000 ? -1 : 1;
        u->scale[g] = (int16_t)(2 * (word >> 12 & 7) + 1);
        for (int r = 0; r < 4; r++) {
            const int8_t *row = ig_quant_grid_iq1_s[b[2 + 4 * g + r] | (word >> 3 * r & 7) << 8];
            shifted8(u->q + 32 * g + 8 * r, row, shift);
        }
    }
}
IG_DECODE(iq1_s)
#endif

#ifdef IG_PART_DEVICE
/* needs: iq1_s */
#define T_BLOCK   256
#define T_BYTES   50
#define T_GROUP   32
#define T_UNIT    256
#define T_HAS_MIN 0
#define T_KIND    256
#define T_MAIN_AT 2
#define T_MAIN    48
#define T_REST_AT 0
#define T_REST    2
/* row `index` of the code book to q[0], q[1]; its shift is negative if `negative` */
DEVICE void iq1_s_row(u32 index, u32 negative, PRIV u32 *q) {
    u32 shift = negative ? 0x77777777u : 0x79797979u;
    q[0] = ig_shifted(ig_grid_iq1_s[2 * index], shift);
    q[1] = ig_shifted(ig_grid_iq1_s[2 * index + 1], shift);
}
DEVICE void iq1_s_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                       PRIV i32 *mn) {
    u32 rows = W_LD32(m + 4 * g), word = W_LD16(m + 32 + 2 * g), negative = word & 0x8000u;
    (void)r;
    iq1_s_row((rows & 255u) | (word << 8 & 0x700u), negative, q);
    iq1_s_row((rows >> 8 & 255u) | (word << 5 & 0x700u), negative, q + 2);
    iq1_s_row((rows >> 16 & 255u) | (word << 2 & 0x700u), negative, q + 4);
    iq1_s_row(rows >> 24 | (word >> 1 & 0x700u), negative, q + 6);
    s[0] = s[1] = (i32)(2 * (word >> 12 & 7u) + 1);
    mn[0] = mn[1] = 0;
}
DEVICE f32 iq1_s_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r) * 0.125f;
}
#endif

#ifdef IG_PART_PANEL
static void iq1_s_take(const uint8_t *b, struct w_taken *t, size_t row) {
    uint8_t *q = t->q[row];
    t->d[row] = half_float(load16(b)) * 0.125f;
    for (size_t g = 0; g < 8; g++) {
        unsigned word = load16(b + 34 + 2 * g);
        t->scale[row][g] = (int16_t)(2 * (word >> 12 & 7) + 1);
        w_put_signs(t, row, g, word & 0x8000 ? UINT32_MAX : 0);
        W_TIMES(r, 4)
        memcpy(q + 32 * g + 8 * r,
               ig_quant_grid_iq1_s[b[2 + 4 * g + r] | (word << 9 >> (1 + 3 * r) & 0x700)], 8);
    }
}
W_BY_BOOK(iq1_s, W_SHIFTS)
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t iq1_s_golden[50] = {
    79, 178, 252, 133, 203, 155, 107, 222, 135, 128, 57, 59, 181, 95, 142, 91, 45, 70, 152, 164,
    186, 26, 73, 172, 13, 255, 56, 44, 142, 61, 182, 33, 179, 244, 1, 154, 227, 0, 170, 12, 106,
    225, 23, 202, 125, 56, 2, 198, 166, 92,};
static const float iq1_s_golden_values[256] = {
    0.07392883f, 0.07392883f, 0.6653595f, 0.6653595f, 0.6653595f, 0.07392883f, -0.51750183f,
    0.6653595f, 0.07392883f, -0.51750183f, 0.07392883f, -0.51750183f, -0.51750183f, 0.07392883f,
    0.6653595f, 0.6653595f, 0.07392883f, 0.07392883f, -0.51750183f, 0.6653595f, 0.6653595f,
    0.6653595f, 0.07392883f, 0.6653595f, -0.51750183f, -0.51750183f, -0.51750183f, 0.6653595f,
    0.6653595f, 0.6653595f, 0.6653595f, -0.51750183f, -0.024642944f, -0.2217865f, -0.024642944f,
    -0.024642944f, 0.17250061f, 0.17250061f, -0.024642944f, -0.024642944f, 0.17250061f,
    -0.024642944f, 0.17250061f, -0.2217865f, -0.024642944f, 0.17250061f, -0.2217865f, -0.024642944f,
    -0.024642944f, -0.024642944f, 0.17250061f, -0.024642944f, -0.024642944f, 0.17250061f,
    -0.024642944f, -0.024642944f, -0.2217865f, -0.024642944f, -0.2217865f, -0.024642944f,
    -0.2217865f, -0.024642944f, 0.17250061f, 0.17250061f, 0.17250061f, -0.2217865f, 0.17250061f,
    0.17250061f, 0.17250061f, -0.2217865f, -0.2217865f, 0.17250061f, 0.17250061f, 0.17250061f,
    -0.2217865f, 0.17250061f, -0.2217865f, -0.024642944f, -0.2217865f, -0.024642944f, -0.024642944f,
    0.17250061f, 0.17250061f, 0.17250061f, 0.17250061f, -0.024642944f, 0.17250061f, -0.024642944f,
    -0.024642944f, -0.024642944f, -0.2217865f, 0.17250061f, 0.17250061f, 0.17250061f, -0.024642944f,
    -0.2217865f, -2.242508f, -2.242508f, 0.32035828f, 2.8832245f, 0.32035828f, 2.8832245f,
    2.8832245f, 0.32035828f, 0.32035828f, 2.8832245f, 2.8832245f, 0.32035828f, 2.8832245f,
    -2.242508f, -2.242508f, 0.32035828f, 0.32035828f, -2.242508f, 2.8832245f, -2.242508f,
    0.32035828f, 0.32035828f, -2.242508f, 0.32035828f, -2.242508f, 2.8832245f, -2.242508f,
    -2.242508f, -2.242508f, 2.8832245f, 2.8832245f, 2.8832245f, 0.2217865f, 0.2217865f, 1.9960785f,
    -1.5525055f, 1.9960785f, 0.2217865f, -1.5525055f, -1.5525055f, 1.9960785f, 1.9960785f,
    -1.5525055f, -1.5525055f, 0.2217865f, 1.9960785f, 1.9960785f, 0.2217865f, 0.2217865f,
    1.9960785f, -1.5525055f, 0.2217865f, -1.5525055f, -1.5525055f, 1.9960785f, 1.9960785f,
    0.2217865f, 0.2217865f, 0.2217865f, 1.9960785f, 0.2217865f, 0.2217865f, -1.5525055f, 0.2217865f,
    1.2075043f, 1.2075043f, -1.5525055f, -0.17250061f, -1.5525055f, -0.17250061f, -1.5525055f,
    -0.17250061f, -0.17250061f, -0.17250061f, 1.2075043f, -1.5525055f, -0.17250061f, -0.17250061f,
    -1.5525055f, -1.5525055f, -0.17250061f, -1.5525055f, -0.17250061f, 1.2075043f, 1.2075043f,
    -0.17250061f, -0.17250061f, 1.2075043f, -1.5525055f, -1.5525055f, 1.2075043f, -0.17250061f,
    1.2075043f, -0.17250061f, -1.5525055f, -0.17250061f, -1.5525055f, 1.9960785f, 1.9960785f,
    1.9960785f, 1.9960785f, -1.5525055f, -1.5525055f, 1.9960785f, 0.2217865f, 1.9960785f,
    0.2217865f, -1.5525055f, 0.2217865f, 1.9960785f, 1.9960785f, 1.9960785f, -1.5525055f,
    -1.5525055f, -1.5525055f, 1.9960785f, 1.9960785f, -1.5525055f, 1.9960785f, 1.9960785f,
    -1.5525055f, 0.2217865f, 0.2217865f, 0.2217865f, 0.2217865f, -1.5525055f, 1.9960785f,
    0.2217865f, -0.2710724f, -0.2710724f, -0.2710724f, -2.4396515f, 1.8975067f, -0.2710724f,
    -0.2710724f, -2.4396515f, -2.4396515f, -0.2710724f, -2.4396515f, -2.4396515f, -0.2710724f,
    -0.2710724f, -0.2710724f, -0.2710724f, 1.8975067f, -0.2710724f, -0.2710724f, -2.4396515f,
    -2.4396515f, 1.8975067f, 1.8975067f, -0.2710724f, -0.2710724f, -2.4396515f, 1.8975067f,
    -0.2710724f, -2.4396515f, -0.2710724f, -0.2710724f, -2.4396515f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(19, "IQ1_S", iq1_s, A256, iq1_s_unpack, iq1_s_decode, NULL, iq1_s_golden,
            iq1_s_golden_values)
#endif
