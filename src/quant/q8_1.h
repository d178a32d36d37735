/* Q8_1: 32 integers of 8 bits with a scale and its product with their sum. llama.cpp uses it for
 * activations; a file should not hold it, so it can be sized and nothing else.
 *
 *   byte 0..1   d, f16
 *   byte 2..3   d * sum of n, f16
 *   byte 4+j    n[j], signed                  j = 0..31 */
#ifdef IG_PART_UNPACK
enum { q8_1_BLOCK = 32, q8_1_BYTES = 36, q8_1_GROUP = 0, q8_1_UNIT = 0, q8_1_HAS_MIN = 0 };
#endif

#ifdef IG_PART_ROW
IG_PART_ROW(9, "Q8_1", q8_1, OTHER, NULL, NULL, NULL, NULL, NULL)
#endif
