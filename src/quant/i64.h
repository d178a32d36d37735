/* I64: one 64-bit integer a weight, little-endian. Never multiplied; decoded for inspection and for
 * small tables. */
#ifdef IG_PART_UNPACK
enum { i64_BLOCK = 1, i64_BYTES = 8, i64_GROUP = 0, i64_UNIT = 0, i64_HAS_MIN = 0 };
static void i64_decode(const uint8_t *b, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (float)(int64_t)load64(b + 8 * i);
}
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(27, "I64", i64, OTHER, NULL, i64_decode, NULL, NULL, NULL)
#endif
