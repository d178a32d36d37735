/* MXFP4: 32 weights in e2m1 with a power-of-two scale (OCP Microscaling 1.0).  w = 2^(e - 127) *
 * fp4[n] The table holds doubled values (0 1 2 3 4 6 8 12 and their negatives), so the step is 2^(e
 * - 128).
 *
 *   byte 0      e, exponent with bias 127
 *   byte 1+j    7..4 n[j+16] | 3..0 n[j]      j = 0..15,  n: s | ee | m */
#ifdef IG_PART_UNPACK
enum {
    mxfp4_BLOCK = 32,
    mxfp4_BYTES = 17,
    mxfp4_GROUP = 32,
    mxfp4_UNIT = 32,
    mxfp4_HAS_MIN = 0,
    mxfp4_MAIN_AT = 1,
    mxfp4_MAIN = 16
};
IG_QUANT_INLINE float mxfp4_step(unsigned e) {
    return bits_float(e < 2 ? 0x00200000u << e : (e - 1) << 23);
}
static void mxfp4_unpack(const uint8_t *b, struct ig_unpacked *u) {
    u->d[0] = mxfp4_step(b[0]);
    u->scale[0] = 1;
    nibbles(b + 1, u->q, 16);
    look_up(ig_quant_values_fp4, u->q, 32);
}
IG_DECODE(mxfp4)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   32
#define T_BYTES   17
#define T_GROUP   32
#define T_UNIT    32
#define T_HAS_MIN 0
#define T_KIND    32
#define T_MAIN_AT 1
#define T_MAIN    16
#define T_REST_AT 0
#define T_REST    1
DEVICE void mxfp4_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                       PRIV i32 *mn) {
    u32 w[4];
    (void)r, (void)g;
    ig_words4(m, w);
    ig_e2m1(w[0], q, q + 4);
    ig_e2m1(w[1], q + 1, q + 5);
    ig_e2m1(w[2], q + 2, q + 6);
    ig_e2m1(w[3], q + 3, q + 7);
    ig_plain(s, mn);
}
DEVICE f32 mxfp4_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    u32 e = W_LD8(r);
    (void)m, (void)u;
    return AS_F32(e < 2 ? 0x00200000u << e : (e - 1) << 23);
}
#endif

#ifdef IG_PART_PANEL
enum { mxfp4_TOP = 24, mxfp4_ZERO = 12 }; /* values are -12..12 */
W_FN void mxfp4_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    const w16 table = w_add8(w_table(ig_quant_values_fp4), w_set8(mxfp4_ZERO));
    for (size_t b = 0; b < blocks; b++, w += mxfp4_BYTES) {
        w_ahead(w, stride, o, 0);
        w16 x[4], e = w_and(w_first(w, stride), w_set32(255));
        w16 bits = w_max32(w_shl32(w_sub32(e, w_set32(1)), 23), w_set32(0x00400000));
        w16 lowest = w_and(w_sar32(w_sub32(e, w_set32(1)), 31), w_set32(0x00200000));
        w16f d = w_as_float(w_sub32(bits, lowest)); /* e = 0: 2^-128, e = 1: 2^-127, denormal */
        w_load4(w + 1, stride, x);
        w_sum sum = w_start(o, 0, T);
        W_EACH(c, 4) {
            w_put32(o, (size_t)c, w_lut(table, w_and(x[c], w_set8(15))), &sum, T);
            w_put32(o, 4 + (size_t)c, w_lut(table, w_bits(x[c], 4, 15)), &sum, T);
        }
        w_step(o, d, d, false, &sum, T);
    }
}
W_FORMS(mxfp4)
#endif

#ifdef IG_PART_ENCODE
static void mxfp4_encode(const float *in, uint8_t *b, size_t n) {
    for (; n--; in += 32, b += 17) {
        float x[32], peak = fabsf(clean(in, x, 32));
        int e = 0; /* the largest weight lands in [4, 8): 4 and 6 are the largest of the table */
        if (peak > 0) {
            frexpf(peak, &e);
            e = e - 1 - 2 + 127;
            e = e < 0 ? 0 : e;
        }
        float d = mxfp4_step((unsigned)e);
        uint8_t q[32];
        for (int i = 0; i < 32; i++) q[i] = nearest(ig_quant_values_fp4, x[i], d);
        b[0] = (uint8_t)e;
        join_nibbles(q, b + 1, 16);
    }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t mxfp4_golden[17] = {
    134, 228, 213, 172, 139, 163, 46, 179, 41, 73, 58, 3, 19, 54, 130, 81, 227,};
static const float mxfp4_golden_values[32] = {
    256.0f, 384.0f, -256.0f, -192.0f, 192.0f, -512.0f, 192.0f, -64.0f, -64.0f, -128.0f, 192.0f,
    192.0f, 512.0f, 128.0f, 64.0f, 192.0f, -512.0f, -384.0f, -128.0f, 0.0f, -128.0f, 128.0f,
    -192.0f, 128.0f, 256.0f, 192.0f, 0.0f, 64.0f, 192.0f, 0.0f, 384.0f, -512.0f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(39, "MXFP4", mxfp4, A32, mxfp4_unpack, mxfp4_decode, mxfp4_encode, mxfp4_golden,
            mxfp4_golden_values)
#endif
