/* IQ4_NL: 32 weights of 4 bits that choose from a fixed, non-uniform table.  w = d * table[n]
 *
 *   byte 0..1   d, f16
 *   byte 2+j    7..4 n[j+16] | 3..0 n[j]      j = 0..15 */
#ifdef IG_PART_UNPACK
enum {
    iq4_nl_BLOCK = 32,
    iq4_nl_BYTES = 18,
    iq4_nl_GROUP = 32,
    iq4_nl_UNIT = 32,
    iq4_nl_HAS_MIN = 0,
    iq4_nl_MAIN_AT = 2,
    iq4_nl_MAIN = 16
};
static void iq4_nl_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = half_float(load16(b));
    u->scale[0] = 1;
    nibbles(b + 2, u->q, 16);
    look_up(ig_quant_values_iq4, u->q, 32);
}
IG_DECODE(iq4_nl)
#endif

#ifdef IG_PART_DEVICE
/* needs: iq4 */
#define T_BLOCK   32
#define T_BYTES   18
#define T_GROUP   32
#define T_UNIT    32
#define T_HAS_MIN 0
#define T_KIND    32
#define T_MAIN_AT 2
#define T_MAIN    16
#define T_REST_AT 0
#define T_REST    2
DEVICE void iq4_nl_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                        PRIV i32 *mn) {
    u32 w[4];
    (void)r, (void)g;
    ig_words4(m, w);
    ig_look_nibbles(ig_values_iq4, ig_pairs_iq4, w, q);
    ig_plain(s, mn);
}
DEVICE f32 iq4_nl_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    (void)m, (void)u;
    return ig_half_at(r);
}
#endif

#ifdef IG_PART_PANEL
enum { iq4_nl_TOP = 255, iq4_nl_ZERO = 128 };
W_FN void iq4_nl_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    const w16 table = w_code(w_table(ig_quant_values_iq4));
    for (size_t b = 0; b < blocks; b++, w += iq4_nl_BYTES) {
        w_ahead(w, stride, o, 0);
        w16 x[4], d = w_first(w, stride);
        w_load4(w + 2, stride, x);
        w_sum sum = w_start(o, 0, T);
        W_EACH(c, 4) {
            w_put32(o, (size_t)c, w_lut(table, w_and(x[c], w_set8(15))), &sum, T);
            w_put32(o, 4 + (size_t)c, w_lut(table, w_bits(x[c], 4, 15)), &sum, T);
        }
        w_step(o, w_half(d), w_half(d), false, &sum, T);
    }
}
W_FORMS(iq4_nl)
#endif

#ifdef IG_PART_ENCODE
static void iq4_nl_encode(const float *in, uint8_t *b, size_t n) {
    struct search s = {
        .groups = 1, .size = 32, .table = ig_quant_values_iq4, .s_low = 1, .s_high = 1};
    uint8_t q[32];
    for (; n--; in += 32, b += 18) {
        memset(b, 0, 18);
        if (!search_steps(&s, in)) continue;
        codes_of(&s, 0, q);
        store16(b, s.d);
        join_nibbles(q, b + 2, 16);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t iq4_nl_golden[18] = {
    54, 152, 173, 229, 4, 21, 151, 108, 33, 238, 190, 231, 86, 64, 197, 131, 149, 133,};
static const float iq4_nl_golden_values[32] = {
    -0.1418724f, 0.071964264f, 0.10074997f, 0.071964264f, 0.020561218f, -0.10897446f, 0.21383667f,
    -0.18299484f, -0.18299484f, 0.020561218f, 0.04523468f, 0.26112747f, 0.071964264f, 0.13364792f,
    0.071964264f, 0.071964264f, -0.051403046f, -0.18299484f, 0.26112747f, 0.21383667f,
    -0.026729584f, 0.04523468f, 0.17065811f, -0.18299484f, -0.07813263f, -0.18299484f, 0.071964264f,
    0.10074997f, -0.10897446f, -0.0020561218f, -0.026729584f, -0.0020561218f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(20, "IQ4_NL", iq4_nl, A32, iq4_nl_unpack, iq4_nl_decode, iq4_nl_encode, iq4_nl_golden,
            iq4_nl_golden_values)
#endif
