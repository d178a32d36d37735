/* The NEON form of lanes.h: four registers of four rows. Codes of types whose weights are bytes stay signed, because sdot
 * wants signed bytes; all others are below 64 and so are the same either way. */
#include <arm_neon.h>

enum { W_LANES = 16 };
typedef struct {
    uint8x16_t r[4]; /* rows 0..3, 4..7, 8..11, 12..15 */
} w16;

#if defined(__clang__)
#define W_FOUR(i) _Pragma("unroll") for (int i = 0; i < 4; i++)
#else
#define W_FOUR(i) _Pragma("GCC unroll 4") for (int i = 0; i < 4; i++)
#endif
#define W_REGISTERS(expression)                                                                    \
    w16 out;                                                                                       \
    W_FOUR(i) out.r[i] = (expression);                                                             \
    return out
#define W_U16(x) vreinterpretq_u16_u8(x)
#define W_U32(x) vreinterpretq_u32_u8(x)
#define W_S32(x) vreinterpretq_s32_u8(x)
#define W_U64(x) vreinterpretq_u64_u32(x)

/* 16 bytes of each row: out[c] holds bytes 4c..4c+3 */
W_FN void w_load4(const uint8_t *p, size_t stride, w16 out[4]) {
    W_FOUR(i) {
        uint32x4_t z[4];
        W_FOUR(k) z[k] = W_U32(vld1q_u8(p + (size_t)(4 * i + k) * stride));
        uint32x4_t a = vtrn1q_u32(z[0], z[1]), b = vtrn1q_u32(z[2], z[3]);
        uint32x4_t c = vtrn2q_u32(z[0], z[1]), d = vtrn2q_u32(z[2], z[3]);
        out[0].r[i] = vreinterpretq_u8_u64(vtrn1q_u64(W_U64(a), W_U64(b)));
        out[1].r[i] = vreinterpretq_u8_u64(vtrn1q_u64(W_U64(c), W_U64(d)));
        out[2].r[i] = vreinterpretq_u8_u64(vtrn2q_u64(W_U64(a), W_U64(b)));
        out[3].r[i] = vreinterpretq_u8_u64(vtrn2q_u64(W_U64(c), W_U64(d)));
    }
}
W_FN void w_store(void *p, w16 x) {
    W_FOUR(i) vst1q_u8((uint8_t *)p + 16 * i, x.r[i]);
}
W_FN w16 w_set8(int v) {
    W_REGISTERS(vdupq_n_u8((uint8_t)v));
}
W_FN w16 w_set32(uint32_t v) {
    W_REGISTERS(vreinterpretq_u8_u32(vdupq_n_u32(v)));
}
W_FN w16 w_table(const int8_t t[16]) {
    W_REGISTERS(vreinterpretq_u8_s8(vld1q_s8(t)));
}
W_FN w16 w_lut(w16 table, w16 x) {
    W_REGISTERS(vqtbl1q_u8(table.r[i], x.r[i]));
}
W_FN w16 w_and(w16 a, w16 b) {
    W_REGISTERS(vandq_u8(a.r[i], b.r[i]));
}
W_FN w16 w_andnot(w16 a, w16 b) {
    W_REGISTERS(vbicq_u8(b.r[i], a.r[i]));
} /* ~a & b */
W_FN w16 w_or(w16 a, w16 b) {
    W_REGISTERS(vorrq_u8(a.r[i], b.r[i]));
}
W_FN w16 w_xor(w16 a, w16 b) {
    W_REGISTERS(veorq_u8(a.r[i], b.r[i]));
}
W_FN w16 w_sub32(w16 a, w16 b) {
    W_REGISTERS(vreinterpretq_u8_u32(vsubq_u32(W_U32(a.r[i]), W_U32(b.r[i]))));
}
W_FN w16 w_mul32(w16 a, w16 b) {
    W_REGISTERS(vreinterpretq_u8_u32(vmulq_u32(W_U32(a.r[i]), W_U32(b.r[i]))));
}
W_FN w16 w_max32(w16 a, w16 b) {
    W_REGISTERS(vreinterpretq_u8_s32(vmaxq_s32(W_S32(a.r[i]), W_S32(b.r[i]))));
}
/* shifts to the right are shifts to the left by negative numbers */
W_FN w16 w_shl16(w16 x, int n) {
    W_REGISTERS(vreinterpretq_u8_u16(vshlq_u16(W_U16(x.r[i]), vdupq_n_s16((int16_t)n))));
}
W_FN w16 w_shl32(w16 x, int n) {
    W_REGISTERS(vreinterpretq_u8_u32(vshlq_u32(W_U32(x.r[i]), vdupq_n_s32(n))));
}
W_FN w16 w_sar32(w16 x, int n) {
    W_REGISTERS(vreinterpretq_u8_s32(vshlq_s32(W_S32(x.r[i]), vdupq_n_s32(-n))));
}
#define w_shr16(x, n) w_shl16(x, -(int)(n))
#define w_shr32(x, n) w_shl32(x, -(int)(n))
W_FN w16 w_add8(w16 a, w16 b) {
    W_REGISTERS(vaddq_u8(a.r[i], b.r[i]));
}
W_FN w16 w_sub8(w16 a, w16 b) {
    W_REGISTERS(vsubq_u8(a.r[i], b.r[i]));
}
W_FN w16 w_less8(w16 a, w16 b) { /* unsigned, not below 0 */
    W_REGISTERS(vqsubq_u8(a.r[i], b.r[i]));
}
W_FN w16 w_mean8(w16 a, w16 b) { /* unsigned, rounded up */
    W_REGISTERS(vrhaddq_u8(a.r[i], b.r[i]));
}
W_FN w16 w_load(const void *p) {
    W_REGISTERS(vld1q_u8((const uint8_t *)p + 16 * i));
}

/* bytes of ones where the bit is 1; the i-th 16 */
W_FN uint8x16_t w_mask(const uint64_t *signs, int i) {
    const uint8x8_t bit = vcreate_u8(0x8040201008040201u);
    uint32_t s = (uint32_t)(signs[i / 4] >> 16 * (i & 3));
    return vtstq_u8(vcombine_u8(vdup_n_u8((uint8_t)s), vdup_n_u8((uint8_t)(s >> 8))), vcombine_u8(bit, bit));
}
/* -q where the sign's bit is 1; 256 of them */
W_FN void w_apply_signs(uint8_t *q, const uint64_t *signs) {
    for (int i = 0; i < 16; i++) {
        uint8x16_t m = w_mask(signs, i), x = vld1q_u8(q + 16 * i);
        vst1q_u8(q + 16 * i, vsubq_u8(veorq_u8(x, m), m));
    }
}
/* 8 q + 1, or 8 q - 1 where the bit is 1 */
W_FN void w_apply_shifts(uint8_t *q, const uint64_t *signs) {
    for (int i = 0; i < 16; i++) {
        uint8x16_t x = vshlq_n_u8(vld1q_u8(q + 16 * i), 3);
        vst1q_u8(q + 16 * i, vaddq_u8(x, vorrq_u8(w_mask(signs, i), vdupq_n_u8(1))));
    }
}

typedef struct {
    float32x4_t r[4];
} w16f;
#define W_FLOATS(expression)                                                                       \
    w16f out;                                                                                      \
    W_FOUR(i) out.r[i] = (expression);                                                             \
    return out
/* the low half of each lane, as a half */
W_FN w16f w_half(w16 x) {
    W_FLOATS(vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(W_U32(x.r[i])))));
}
W_FN w16f w_as_float(w16 x) {
    W_FLOATS(vreinterpretq_f32_u8(x.r[i]));
}
W_FN w16f w_times(w16f x, float f) {
    W_FLOATS(vmulq_n_f32(x.r[i], f));
}
W_FN void w_store_float(float *p, w16f x) {
    W_FOUR(i) vst1q_f32(p + 4 * i, x.r[i]);
}
W_FN w16f w_load_float(const float *p) {
    W_FLOATS(vld1q_f32(p + 4 * i));
}
#undef W_FLOATS
#undef W_REGISTERS
#undef W_FOUR
