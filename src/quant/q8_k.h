/* Q8_K: 256 integers of 8 bits with a float scale. llama.cpp uses it for activations; a file should
 * not hold it.
 *
 *   byte 0..3          d, f32
 *   byte 4+j           n[j], signed                      j = 0..255
 *   byte 260+2g..+1    sum of n over group g, int16      g = 0..15 */
#ifdef IG_PART_UNPACK
enum { q8_k_BLOCK = 256, q8_k_BYTES = 292, q8_k_GROUP = 0, q8_k_UNIT = 0, q8_k_HAS_MIN = 0 };
static void q8_k_decode(const uint8_t *b, float *out, size_t n) {
    for (; n--; b += q8_k_BYTES, out += q8_k_BLOCK) {
        float d = bits_float(load32(b));
        for (int i = 0; i < 256; i++) out[i] = d * (float)(int8_t)b[4 + i];
    }
}
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(15, "Q8_K", q8_k, OTHER, NULL, q8_k_decode, NULL, NULL, NULL)
#endif
