/* IQ4_XS: 256 weights of 4 bits that choose from the table of IQ4_NL; 8 groups of 32 with signed
 * 6-bit scales. w = d * (s[g] - 32) * table[n]
 *
 *   byte 0..1        d, f16
 *   byte 2..3        bits 2g+1..2g of the little-endian word: high two bits of s[g]
 *   byte 4+j         7..4 s[2j+1] | 3..0 s[2j]      low four bits,  j = 0..3
 *   byte 8+16g+j     7..4 n[32g+16+j] | 3..0 n[32g+j]               g = 0..7, j = 0..15 */
#ifdef IG_PART_UNPACK
enum {
    iq4_xs_BLOCK = 256,
    iq4_xs_BYTES = 136,
    iq4_xs_GROUP = 32,
    iq4_xs_UNIT = 256,
    iq4_xs_HAS_MIN = 0,
    iq4_xs_MAIN_AT = 8,
    iq4_xs_MAIN = 128
};
static void iq4_xs_unpack(const uint8_t *b, struct ig_unpacked *u) {
    int high = load16(b + 2);
    u->d[0] = half_float(load16(b));
    for (int g = 0; g < 8; g++) {
        int low = b[4 + g / 2] >> (g & 1) * 4 & 15;
        u->scale[g] = (int16_t)((low | (high >> 2 * g & 3) << 4) - 32);
        nibbles(b + 8 + 16 * g, u->q + 32 * g, 16);
    }
    look_up(ig_quant_values_iq4, u->q, 256);
}
IG_DECODE(iq4_xs)
#endif

#ifdef IG_PART_DEVICE
/* needs: iq4 */
#define T_BLOCK   256
#define T_BYTES   136
#define T_GROUP   32
#define T_UNIT    256
#define T_HAS_MIN 0
#define T_KIND    256
#define T_MAIN_AT 8
#define T_MAIN    128
#define T_REST_AT 0
#define T_REST    8
DEVICE void iq4_xs_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                        PRIV i32 *mn) {
    u32 w[4], low = W_LD8(r + 4 + (g >> 1)) >> 4 * (g & 1) & 15u;
    ig_words4(m + 16 * g, w);
    ig_look_nibbles(ig_values_iq4, ig_pairs_iq4, w, q);
    s[0] = s[1] = (i32)(low | (W_LD16(r + 2) >> 2 * g & 3u) << 4) - 32;
    mn[0] = mn[1] = 0;
}
DEVICE f32 iq4_xs_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r);
}
#endif

#ifdef IG_PART_PANEL
enum { iq4_xs_TOP = 255, iq4_xs_ZERO = 128 };
W_FN void iq4_xs_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    const w16 table = w_code(w_table(ig_quant_values_iq4));
    for (size_t b = 0; b < blocks; b++, w += iq4_xs_BYTES) {
        w16 x[4], head[4], low, high;
        w_load4(w, stride, head);
        low = head[1];
        high = w_shr32(head[0], 16);
        for (size_t g = 0; g < 8; g++) {
            if (g % 3 == 0) w_ahead(w, stride, o, 64 * (g / 3));
            w16 s = w_or(w_and(low, w_set32(15)), w_and(w_shl32(high, 4), w_set32(48)));
            low = w_shr32(low, 4);
            high = w_shr32(high, 2);
            w_load4(w + 8 + 16 * g, stride, x);
            w_sum sum = w_begin(o, g, T);
            W_EACH(c, 4) {
                w_put(o, 8 * g + (size_t)c, w_lut(table, w_and(x[c], w_set8(15))), &sum, T);
                w_put(o, 8 * g + 4 + (size_t)c, w_lut(table, w_bits(x[c], 4, 15)), &sum, T);
            }
            w_scaled(o, g, 32, &sum, w_sub32(s, w_set32(32)), T);
        }
        w_unit(o, w_half(head[0]), w_half(head[0]), false, T);
    }
}
W_FORMS(iq4_xs)
#endif

#ifdef IG_PART_ENCODE
static void iq4_xs_encode(const float *in, uint8_t *b, size_t n) {
    struct search s = {
        .groups = 8, .size = 32, .table = ig_quant_values_iq4, .s_low = -32, .s_high = 31};
    uint8_t q[256];
    for (; n--; in += 256, b += 136) {
        memset(b, 0, 136);
        if (!search_steps(&s, in)) continue;
        codes_of(&s, 0, q);
        unsigned high = 0;
        for (int g = 0; g < 8; g++) {
            int v = s.s[g] + 32;
            b[4 + g / 2] = (uint8_t)(b[4 + g / 2] | (v & 15) << (g & 1) * 4);
            high |= (unsigned)v >> 4 << 2 * g;
            join_nibbles(q + 32 * g, b + 8 + 16 * g, 16);
        }
        store16(b, s.d);
        store16(b + 2, (uint16_t)high);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t iq4_xs_golden[136] = {
    125, 165, 172, 144, 172, 12, 117, 190, 146, 100, 18, 73, 21, 236, 141, 220, 43, 173, 13, 130,
    189, 102, 79, 119, 35, 150, 222, 3, 46, 60, 123, 134, 145, 137, 230, 214, 149, 132, 138, 150,
    112, 156, 112, 24, 54, 90, 99, 85, 154, 172, 183, 50, 160, 130, 14, 205, 83, 10, 55, 45, 131,
    206, 73, 195, 247, 89, 179, 60, 95, 115, 165, 40, 121, 174, 230, 30, 239, 150, 200, 176, 38,
    160, 89, 15, 222, 190, 232, 54, 14, 97, 159, 37, 115, 238, 189, 72, 88, 94, 91, 76, 150, 209, 3,
    147, 233, 79, 2, 211, 183, 84, 174, 112, 44, 165, 195, 57, 229, 237, 240, 147, 58, 173, 36, 200,
    115, 152, 132, 60, 177, 48, 167, 59, 201, 180, 44, 194,};
static const float iq4_xs_golden_values[256] = {
    -35.588074f, -21.009827f, -35.588074f, 5.5740356f, -15.007019f, 22.724915f, 29.585266f,
    22.724915f, 16.293335f, 29.585266f, 29.585266f, -35.588074f, 29.585266f, -9.432983f, 48.451233f,
    -4.2877197f, 5.5740356f, -9.432983f, -44.592285f, -21.009827f, -44.592285f, 38.160706f,
    0.42877197f, 29.585266f, -35.588074f, 10.719299f, -54.45404f, 0.42877197f, 16.293335f,
    -9.432983f, -21.009827f, -4.2877197f, 36.23123f, 12.262878f, -49.608917f, 36.23123f,
    -49.608917f, -29.542389f, -21.181335f, 12.262878f, 57.96997f, -7.2462463f, 12.262878f,
    12.262878f, 19.509125f, 27.312775f, -13.935089f, 12.262878f, 46.264496f, -7.2462463f,
    -38.460846f, 70.79025f, 46.264496f, 36.23123f, 5.5740356f, -0.55740356f, -7.2462463f,
    -0.55740356f, -49.608917f, -38.460846f, -7.2462463f, -0.55740356f, -0.55740356f, -7.2462463f,
    32.672424f, -13.634949f, 32.672424f, -0.25726318f, 5.65979f, -6.4315796f, 16.722107f, 9.004211f,
    -6.4315796f, -13.634949f, 2.5726318f, 21.352844f, 32.672424f, 21.352844f, -22.896423f,
    -17.75116f, 2.5726318f, -3.3444214f, 2.5726318f, 26.755371f, 16.722107f, 9.004211f, 5.65979f,
    9.004211f, -3.3444214f, -6.4315796f, -9.776001f, 16.722107f, -6.4315796f, -0.25726318f,
    32.672424f, -13.634949f, 0.0f, -0.0f, 0.0f, -0.0f, 0.0f, -0.0f, -0.0f, 0.0f, 0.0f, -0.0f, 0.0f,
    -0.0f, -0.0f, 0.0f, 0.0f, -0.0f, 0.0f, 0.0f, 0.0f, 0.0f, -0.0f, -0.0f, 0.0f, -0.0f, -0.0f, 0.0f,
    -0.0f, 0.0f, 0.0f, 0.0f, -0.0f, 0.0f, 7.524948f, 51.516953f, -12.734528f, 51.516953f,
    65.409164f, -12.734528f, 0.57884216f, -73.512955f, -12.734528f, -73.512955f, 7.524948f,
    65.409164f, 51.516953f, 51.516953f, 0.57884216f, -12.734528f, -5.7884216f, 14.471054f,
    51.516953f, -60.199585f, 51.516953f, 7.524948f, 30.678635f, 21.996002f, -48.0439f, 14.471054f,
    -20.259476f, -73.512955f, 39.94011f, 21.996002f, 51.516953f, -37.62474f, 47.700882f,
    -55.740356f, 60.56404f, -18.758774f, -34.837723f, 47.700882f, 36.981583f, 0.53596497f,
    0.53596497f, 47.700882f, 20.366669f, 28.406143f, -11.791229f, -55.740356f, -34.837723f,
    -34.837723f, -68.06755f, -11.791229f, 6.9675446f, -44.485092f, -5.3596497f, 47.700882f,
    20.366669f, -26.262283f, -18.758774f, -18.758774f, -18.758774f, -26.262283f, 6.9675446f,
    36.981583f, -68.06755f, 6.9675446f, 0.55740356f, 4.8451233f, -3.5588074f, -2.7870178f,
    -0.42877197f, -2.1009827f, 3.8160706f, -5.445404f, 2.2724915f, -1.5007019f, -2.7870178f,
    0.55740356f, -1.5007019f, 2.9585266f, -5.445404f, -2.7870178f, 3.8160706f, -2.1009827f,
    -5.445404f, 2.9585266f, 1.6293335f, -1.5007019f, 1.0719299f, -0.42877197f, -3.5588074f,
    1.0719299f, 2.2724915f, -2.7870178f, 3.8160706f, 3.8160706f, 4.8451233f, 0.55740356f,
    -5.8956146f, -16.271896f, 11.555405f, -0.23582458f, 15.328598f, -0.23582458f, 11.555405f,
    -12.498703f, 24.525757f, 29.949722f, 2.3582458f, -8.961334f, -3.0657196f, 11.555405f,
    -12.498703f, 19.57344f, 15.328598f, -5.8956146f, 19.57344f, -12.498703f, 2.3582458f,
    -3.0657196f, -0.23582458f, 15.328598f, -8.961334f, 15.328598f, -5.8956146f, 15.328598f,
    -12.498703f, -8.961334f, 19.57344f, -12.498703f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(23, "IQ4_XS", iq4_xs, A256, iq4_xs_unpack, iq4_xs_decode, iq4_xs_encode, iq4_xs_golden,
            iq4_xs_golden_values)
#endif
