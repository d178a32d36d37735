/* F64: one IEEE double a weight, little-endian. Never multiplied; decoded for inspection and for
 * small tables. */
#ifdef IG_PART_UNPACK
enum { f64_BLOCK = 1, f64_BYTES = 8, f64_GROUP = 0, f64_UNIT = 0, f64_HAS_MIN = 0 };
static void f64_decode(const uint8_t *b, float *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = (float)bits_double(load64(b + 8 * i));
}
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(28, "F64", f64, OTHER, NULL, f64_decode, NULL, NULL, NULL)
#endif
