/* I16: one 16-bit integer a weight, little-endian. Never multiplied; decoded for inspection and for
 * small tables. */
#ifdef IG_PART_UNPACK
enum { i16_BLOCK = 1, i16_BYTES = 2, i16_GROUP = 0, i16_UNIT = 0, i16_HAS_MIN = 0 };
static void i16_decode(const uint8_t *b, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (float)(int16_t)load16(b + 2 * i);
}
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(25, "I16", i16, OTHER, NULL, i16_decode, NULL, NULL, NULL)
#endif
