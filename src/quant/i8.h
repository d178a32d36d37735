/* I8: one 8-bit integer a weight, little-endian. Never multiplied; decoded for inspection and for
 * small tables. */
#ifdef IG_PART_UNPACK
enum { i8_BLOCK = 1, i8_BYTES = 1, i8_GROUP = 0, i8_UNIT = 0, i8_HAS_MIN = 0 };
static void i8_decode(const uint8_t *b, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (float)(int8_t)b[i];
}
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(24, "I8", i8, OTHER, NULL, i8_decode, NULL, NULL, NULL)
#endif
