/* F16: one IEEE half a weight.
 *
 *   15 | 14..10   | 9..0
 *   s  | exponent | mantissa      (bias 15) */
#ifdef IG_PART_UNPACK
enum { f16_BLOCK = 1, f16_BYTES = 2, f16_GROUP = 0, f16_UNIT = 0, f16_HAS_MIN = 0 };
static void f16_decode(const uint8_t *b, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = half_float(load16(b + 2 * i));
}
#endif

#ifdef IG_PART_DEVICE
#define T_FLOAT   1
#define T_BLOCK   1
#define T_BYTES   2
#define T_MAIN_AT 0
#define T_MAIN    2
#define T_REST_AT 2
#define T_REST    0
DEVICE f32 f16_value(const MEM u8 *p) {
    return HALF_TO_F32((u16)W_LD16(p));
}
#endif

#ifdef IG_PART_ENCODE
static void f16_encode(const float *in, uint8_t *b, size_t n) {
    for (size_t i = 0; i < n; i++) store16(b + 2 * i, ig_f32_to_f16(in[i]));
}
#endif

#ifdef IG_PART_GOLDEN
static const uint8_t f16_golden[2] = {0, 190};
static const float f16_golden_values[1] = {-1.5f};
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(1, "F16", f16, FLOAT, NULL, f16_decode, f16_encode, f16_golden, f16_golden_values)
#endif
