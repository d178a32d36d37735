/* BF16: the upper half of an IEEE single.
 *
 *   15 | 14..7    | 6..0
 *   s  | exponent | mantissa      (bias 127) */
#ifdef IG_PART_UNPACK
enum { bf16_BLOCK = 1, bf16_BYTES = 2, bf16_GROUP = 0, bf16_UNIT = 0, bf16_HAS_MIN = 0 };
static void bf16_decode(const uint8_t *b, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = ig_bf16_to_f32(load16(b + 2 * i));
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
DEVICE f32 bf16_value(const MEM u8 *p) {
    return AS_F32(W_LD16(p) << 16);
}
#endif

#ifdef IG_PART_ENCODE
static void bf16_encode(const float *in, uint8_t *b, size_t n) {
    for (size_t i = 0; i < n; i++) store16(b + 2 * i, ig_f32_to_bf16(in[i]));
}
#endif

#ifdef IG_PART_GOLDEN
static const uint8_t bf16_golden[2] = {192, 191};
static const float bf16_golden_values[1] = {-1.5f};
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(30, "BF16", bf16, FLOAT, NULL, bf16_decode, bf16_encode, bf16_golden,
            bf16_golden_values)
#endif
