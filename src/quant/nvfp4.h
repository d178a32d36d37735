/* NVFP4: 64 weights in e2m1 as four runs of 16, each with a UE4M3 scale.  w = ue4m3(s) * fp4[n]
 * As in MXFP4 the table is doubled and the scale halved. Files carry one more float per tensor
 * (`<name>.scale`), which is not part of the block.
 *
 *   byte 0..3     s of the four runs: eeee | mmm, bias 7; 0 and 0x7F mean zero
 *   byte 4+8r+j   7..4 n[16r+8+j] | 3..0 n[16r+j]      j = 0..7 */
#ifdef IG_PART_UNPACK
enum {
    nvfp4_BLOCK = 64,
    nvfp4_BYTES = 36,
    nvfp4_GROUP = 16,
    nvfp4_UNIT = 16,
    nvfp4_HAS_MIN = 0,
    nvfp4_MAIN_AT = 4,
    nvfp4_MAIN = 32
};
IG_QUANT_INLINE float nvfp4_step(unsigned s) {
    unsigned e = s >> 3 & 15, m = s & 7;
    if (s == 0 || s == 0x7F) return 0;
    return e ? bits_float((e + 127 - 8) << 23 | m << 20) : (float)m * 0x1p-10f;
}
static void nvfp4_unpack(const uint8_t *b, struct ig_unpacked *u) {
    for (int r = 0; r < 4; r++) {
        u->d[r] = nvfp4_step(b[r]);
        u->scale[r] = 1;
        nibbles(b + 4 + 8 * r, u->q + 16 * r, 8);
    }
    look_up(ig_quant_values_fp4, u->q, 64);
}
IG_DECODE(nvfp4)
#endif

#ifdef IG_PART_DEVICE
#define T_BLOCK   64
#define T_BYTES   36
#define T_GROUP   16
#define T_UNIT    16
#define T_HAS_MIN 0
#define T_KIND    32
#define T_MAIN_AT 4
#define T_MAIN    32
#define T_REST_AT 0
#define T_REST    4
DEVICE void nvfp4_take(const MEM u8 *m, const MEM u8 *r, u32 g, PRIV u32 *q, PRIV i32 *s,
                       PRIV i32 *mn) {
    u32 w[4];
    (void)r;
    ig_words4(m + 16 * g, w);
    ig_e2m1(w[0], q, q + 2);
    ig_e2m1(w[1], q + 1, q + 3);
    ig_e2m1(w[2], q + 4, q + 6);
    ig_e2m1(w[3], q + 5, q + 7);
    ig_plain(s, mn);
}
DEVICE f32 nvfp4_d(const MEM u8 *m, const MEM u8 *r, u32 u) {
    u32 s = W_LD8(r + u), e = s >> 3 & 15u, m3 = s & 7u;
    (void)m;
    if (s == 0 || s == 0x7F) return 0.0f;
    return e ? AS_F32((e + 119) << 23 | m3 << 20) : (f32)m3 * 0.0009765625f;
}
#endif

#ifdef IG_PART_PANEL
enum { nvfp4_TOP = 255, nvfp4_ZERO = 128 };
W_FN void nvfp4_rows(const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    const w16 table = w_code(w_table(ig_quant_values_fp4));
    for (size_t b = 0; b < blocks; b++, w += nvfp4_BYTES) {
        w_ahead(w, stride, o, 0);
        w16 x[8], s = w_first(w, stride), one = w_set32(1);
        w_load4(w + 4, stride, x);
        w_load4(w + 20, stride, x + 4);
        W_EACH(r, 4) {
            w16 code = w_byte(s, r), nan = w_xor(code, w_set32(127));
            nan = w_sar32(w_sub32(nan, one), 31); /* all ones where the code is 0x7F */
            /* a half's exponent has bias 15, not 8 */
            w16f d = w_times(w_half(w_andnot(nan, w_shl32(w_and(code, w_set32(127)), 7))), 128);
            size_t half = (size_t)(r & 1), k = 4 * half;
            w_sum sum = w_start(o, half, T);
            W_EACH(c, 2) {
                w_put32(o, k + (size_t)c, w_lut(table, w_and(x[2 * r + c], w_set8(15))), &sum, T);
                w_put32(o, k + 2 + (size_t)c, w_lut(table, w_bits(x[2 * r + c], 4, 15)), &sum, T);
            }
            w_step16(o, half, d, &sum, T);
        }
    }
}
W_FORMS(nvfp4)
#endif

#ifdef IG_PART_ENCODE
/* The code whose step is nearest below or at d; steps grow with the code. */
static unsigned nvfp4_code(float d) {
    unsigned s = 0;
    while (s < 0x7E && nvfp4_step(s + 1) <= d) s++;
    return s;
}
/* Writes 16 codes for one scale, returns the squared error (in units of 1 / inv). */
static float nvfp4_try(const float *x, float inv, unsigned s, uint8_t *q) {
    float d = nvfp4_step(s), error = 0;
    for (int i = 0; i < 16; i++) {
        q[i] = nearest(ig_quant_values_fp4, x[i], d);
        float e = (x[i] - d * (float)ig_quant_values_fp4[q[i]]) * inv;
        error += e * e;
    }
    return error;
}
static void nvfp4_encode(const float *in, uint8_t *b, size_t n) {
    for (; n--; in += 64, b += 36)
        for (int r = 0; r < 4; r++) {
            float x[16], peak = fabsf(clean(in + 16 * r, x, 16)), best = FLT_MAX;
            unsigned top = nvfp4_code(peak / 8); /* 12 * step reaches at most 1.5 of the peak */
            uint8_t q[16];
            for (unsigned s = top < 10 ? 0 : top - 10; s <= top + 1 && s < 0x7F; s++) {
                float e = nvfp4_try(x, inverse(peak), s, q);
                if (!(e < best)) continue;
                best = e;
                b[r] = (uint8_t)s;
                join_nibbles(q, b + 4 + 8 * r, 8);
            }
        }
}
#endif

#ifdef IG_PART_GOLDEN
/* clang-format off */
static const uint8_t nvfp4_golden[36] = {
    22, 119, 80, 19, 137, 216, 199, 115, 65, 179, 22, 236, 191, 139, 154, 97, 123, 121, 1, 189, 127,
    189, 60, 104, 223, 28, 164, 181, 85, 129, 98, 110, 19, 3, 144, 207,};
static const float nvfp4_golden_values[64] = {
    -0.02734375f, 0.0f, 0.328125f, 0.08203125f, 0.02734375f, 0.08203125f, 0.21875f, -0.109375f,
    0.0f, -0.1640625f, -0.109375f, 0.328125f, 0.109375f, -0.08203125f, 0.02734375f, -0.21875f,
    -1440.0f, -360.0f, -240.0f, 120.0f, -360.0f, -120.0f, 120.0f, -720.0f, -360.0f, 0.0f, -120.0f,
    960.0f, 1440.0f, 1440.0f, 0.0f, -360.0f, -48.0f, -24.0f, -16.0f, 0.0f, -48.0f, -16.0f, 16.0f,
    24.0f, 48.0f, -12.0f, 12.0f, 32.0f, -24.0f, 4.0f, -8.0f, -12.0f, 0.12890625f, 0.021484375f,
    0.04296875f, -0.171875f, 0.064453125f, 0.064453125f, 0.0f, -0.2578125f, 0.12890625f, 0.0f,
    0.171875f, 0.171875f, 0.021484375f, 0.0f, -0.021484375f, -0.0859375f,};
/* clang-format on */
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(40, "NVFP4", nvfp4, A32, nvfp4_unpack, nvfp4_decode, nvfp4_encode, nvfp4_golden,
            nvfp4_golden_values)
#endif
