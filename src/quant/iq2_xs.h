/* IQ2_XS: 256 weights as 32 rows of 8 from a code book of 512 positive rows, with signs of even
 * parity; 16 groups of 16 with 4-bit scales.  w = d / 8 * (2 s[g] + 1) * row * sign
 *
 *   byte 0..1        d, f16
 *   byte 2+2k..+1    little-endian: 15..9 seven signs | 8..0 row index, of weights 8k..8k+7     k =
 * 0..31 byte 66+j        7..4 s[2j+1] | 3..0 s[2j] j = 0..7 */
#ifdef IG_PART_UNPACK
enum {
    iq2_xs_BLOCK = 256,
    iq2_xs_BYTES = 74,
    iq2_xs_GROUP = 16,
    iq2_xs_UNIT = 256,
    iq2_xs_HAS_MIN = 0,
    iq2_xs_MAIN_AT = 2,
    iq2_xs_MAIN = 72
};
static void iq2_xs_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b)) * 0.125f;
    for (int g = 0; g < 16; g++)
        u->scale[g] = (int16_t)(2 * (b[66 + g / 2] >> (g & 1) * 4 & 15) + 1);
    for (int k = 0; k < 32; k++) {
        unsigned word = load16(b + 2 + 2 * k);
        signed8(u->q + 8 * k, ig_quant_grid_iq2_xs[word & 511], ig_quant_signs[word >> 9]);
    }
}
IG_DECODE(iq2_xs)
#endif

#ifdef IG_PART_DEVICE
/* needs: iq2_xs */
#define T_BLOCK   256
#define T_BYTES   74
#define T_GROUP   16
#define T_UNIT    256
#define T_HAS_MIN 0
#define T_KIND    256
#define T_MAIN_AT 2
#define T_MAIN    72
#define T_REST_AT 0
#define T_REST    2
/* row `index` of the code book to q[0], q[1], with the signs of the low eight bits of `signs` */
DEVICE void iq2_xs_row(u32 index, u32 signs, PRIV u32 *q) {
    q[0] = ig_signed(ig_grid_iq2_xs[2 * index], ig_bits4(signs));
    q[1] = ig_signed(ig_grid_iq2_xs[2 * index + 1], ig_bits4(signs >> 4));
}
DEVICE void iq2_xs_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                        PRIV i32 *mn) {
    u32 a = W_LD32(m + 8 * g), b = W_LD32(m + 8 * g + 4), scales = W_LD8(m + 64 + g);
    u32 signs =
        ig_even_signs((a >> 9 & 127u) | (a >> 25) << 7 | (b >> 9 & 127u) << 14 | (b >> 25) << 21);
    (void)r;
    iq2_xs_row(a & 511u, signs, q);
    iq2_xs_row(a >> 16 & 511u, signs >> 8, q + 2);
    iq2_xs_row(b & 511u, signs >> 16, q + 4);
    iq2_xs_row(b >> 16 & 511u, signs >> 24, q + 6);
    s[0] = (i32)(2 * (scales & 15u) + 1);
    s[1] = (i32)(2 * (scales >> 4) + 1);
    mn[0] = mn[1] = 0;
}
DEVICE f32 iq2_xs_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r) * 0.125f;
}
#endif

#ifdef IG_PART_PANEL
static void iq2_xs_take(const uint8_t *b, struct w_taken *t, size_t row) {
    uint8_t *q = t->q[row];
    t->d[row] = half_float(load16(b)) * 0.125f;
    for (size_t g = 0; g < 8; g++) {
        uint32_t signs = 0;
        W_TIMES(r, 4) {
            unsigned word = load16(b + 2 + 8 * g + 2 * r);
            memcpy(q + 32 * g + 8 * r, ig_quant_grid_iq2_xs[word & 511], 8);
            signs |= (uint32_t)ig_quant_signs[word >> 9] << 8 * r;
        }
        w_put_signs(t, row, g, signs);
        t->scale[row][2 * g] = (int16_t)(2 * (b[66 + g] & 15) + 1);
        t->scale[row][2 * g + 1] = (int16_t)(2 * (b[66 + g] >> 4) + 1);
    }
}
W_BY_BOOK(iq2_xs, W_SIGNS)
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t iq2_xs_golden[74] = {
    16, 177, 210, 22, 208, 206, 38, 130, 227, 26, 32, 205, 155, 43, 144, 250, 71, 18, 159, 91, 191,
    99, 95, 151, 233, 211, 243, 208, 104, 96, 104, 102, 124, 22, 11, 153, 62, 52, 164, 8, 65, 3, 24,
    137, 179, 78, 156, 186, 122, 183, 147, 185, 231, 39, 62, 3, 63, 154, 22, 62, 247, 141, 6, 166,
    85, 132, 95, 148, 225, 58, 214, 67, 26, 156,};
static const float iq2_xs_golden_values[256] = {
    15.325928f, 4.904297f, -15.325928f, 4.904297f, -4.904297f, -4.904297f, -26.360596f, 4.904297f,
    4.904297f, 26.360596f, 4.904297f, -4.904297f, -4.904297f, 4.904297f, 26.360596f, 4.904297f,
    1.7402344f, -9.35376f, -5.4382324f, -1.7402344f, -5.4382324f, -1.7402344f, 1.7402344f,
    -1.7402344f, 1.7402344f, -9.35376f, 9.35376f, 9.35376f, -9.35376f, -1.7402344f, -9.35376f,
    1.7402344f, -7.653076f, 1.4238281f, 7.653076f, -7.653076f, -4.449463f, 1.4238281f, 1.4238281f,
    -4.449463f, 1.4238281f, -1.4238281f, 1.4238281f, -7.653076f, 1.4238281f, -1.4238281f,
    -1.4238281f, 7.653076f, 16.156494f, -3.0058594f, 3.0058594f, 9.393311f, 3.0058594f, 3.0058594f,
    9.393311f, -3.0058594f, 16.156494f, -3.0058594f, -9.393311f, 3.0058594f, -3.0058594f,
    -9.393311f, -3.0058594f, -3.0058594f, 1.4831543f, -0.47460938f, 0.47460938f, 0.47460938f,
    -1.4831543f, 0.47460938f, -0.47460938f, -2.5510254f, 0.47460938f, -2.5510254f, -2.5510254f,
    -2.5510254f, 0.47460938f, 2.5510254f, -0.47460938f, 2.5510254f, 24.659912f, 24.659912f,
    -24.659912f, 24.659912f, -24.659912f, -4.5878906f, 14.337158f, -14.337158f, 4.5878906f,
    -4.5878906f, -4.5878906f, 4.5878906f, -24.659912f, 4.5878906f, 24.659912f, -24.659912f,
    -3.3222656f, -3.3222656f, -17.857178f, 3.3222656f, -3.3222656f, 17.857178f, 17.857178f,
    3.3222656f, -17.857178f, -3.3222656f, -3.3222656f, -10.38208f, 17.857178f, 10.38208f,
    -3.3222656f, -3.3222656f, 5.9523926f, 1.1074219f, -1.1074219f, -3.4606934f, 5.9523926f,
    3.4606934f, -1.1074219f, -1.1074219f, 1.1074219f, 1.1074219f, -3.4606934f, 1.1074219f,
    -3.4606934f, -5.9523926f, -1.1074219f, 1.1074219f, -2.0566406f, -11.054443f, 2.0566406f,
    6.427002f, -2.0566406f, -2.0566406f, 2.0566406f, 6.427002f, -2.0566406f, 2.0566406f, -6.427002f,
    6.427002f, 11.054443f, -2.0566406f, -2.0566406f, 2.0566406f, -4.2714844f, -4.2714844f,
    4.2714844f, -22.959229f, -13.348389f, -4.2714844f, -13.348389f, 4.2714844f, 4.2714844f,
    -4.2714844f, -4.2714844f, -13.348389f, -4.2714844f, -22.959229f, -4.2714844f, 13.348389f,
    -3.4606934f, -1.1074219f, 3.4606934f, -1.1074219f, -3.4606934f, -1.1074219f, 1.1074219f,
    -3.4606934f, 1.1074219f, 1.1074219f, 5.9523926f, -1.1074219f, -1.1074219f, 3.4606934f,
    -3.4606934f, -1.1074219f, 4.449463f, -4.449463f, 1.4238281f, 1.4238281f, 4.449463f, -1.4238281f,
    4.449463f, 1.4238281f, 1.4238281f, 1.4238281f, -4.449463f, 1.4238281f, 1.4238281f, -1.4238281f,
    7.653076f, 4.449463f, -3.3222656f, -17.857178f, 3.3222656f, 3.3222656f, 3.3222656f, -3.3222656f,
    3.3222656f, -17.857178f, 10.38208f, 17.857178f, -10.38208f, -10.38208f, 10.38208f, -3.3222656f,
    -17.857178f, 17.857178f, 1.4831543f, -0.47460938f, -0.47460938f, -0.47460938f, -0.47460938f,
    -2.5510254f, -0.47460938f, 1.4831543f, 1.4831543f, -1.4831543f, 1.4831543f, 1.4831543f,
    -2.5510254f, -0.47460938f, 0.47460938f, -0.47460938f, 3.9550781f, 12.359619f, 21.258545f,
    12.359619f, 3.9550781f, -3.9550781f, -3.9550781f, 3.9550781f, -3.9550781f, 3.9550781f,
    21.258545f, -21.258545f, -3.9550781f, -21.258545f, 21.258545f, 21.258545f, 3.0058594f,
    9.393311f, -9.393311f, -3.0058594f, 3.0058594f, -3.0058594f, 3.0058594f, -3.0058594f,
    -3.0058594f, 9.393311f, -3.0058594f, -16.156494f, -3.0058594f, -9.393311f, 3.0058594f,
    -3.0058594f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(17, "IQ2_XS", iq2_xs, A256, iq2_xs_unpack, iq2_xs_decode, NULL, iq2_xs_golden,
            iq2_xs_golden_values)
#endif
