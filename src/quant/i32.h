/* I32: one 32-bit integer a weight, little-endian. Never multiplied; decoded for inspection and for
 * small tables. */
#ifdef IG_PART_UNPACK
enum { i32_BLOCK = 1, i32_BYTES = 4, i32_GROUP = 0, i32_UNIT = 0, i32_HAS_MIN = 0 };
static void i32_decode(const uint8_t *b, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (float)(int32_t)load32(b + 4 * i);
}
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(26, "I32", i32, OTHER, NULL, i32_decode, NULL, NULL, NULL)
#endif
