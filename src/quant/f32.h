/* F32: one IEEE single a weight. */
#ifdef IG_PART_UNPACK
enum { f32_BLOCK = 1, f32_BYTES = 4, f32_GROUP = 0, f32_UNIT = 0, f32_HAS_MIN = 0 };
static void f32_decode(const uint8_t *b, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = bits_float(load32(b + 4 * i));
}
#endif

#ifdef IG_PART_DEVICE
#define T_FLOAT   1
#define T_BLOCK   1
#define T_BYTES   4
#define T_MAIN_AT 0
#define T_MAIN    4
#define T_REST_AT 4
#define T_REST    0
DEVICE f32 f32_value(const MEM u8 *p) {
    return AS_F32(W_LD32(p));
}
#endif

#ifdef IG_PART_ENCODE
static void f32_encode(const float *in, uint8_t *b, size_t n) {
    memcpy(b, in, 4 * n);
}
#endif

#ifdef IG_PART_GOLDEN
static const uint8_t f32_golden[4] = {0, 0, 192, 191};
static const float f32_golden_values[1] = {-1.5f};
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(0, "F32", f32, FLOAT, NULL, f32_decode, f32_encode, f32_golden, f32_golden_values)
#endif
