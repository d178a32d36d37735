/* Products with few inputs for the block types of FEW_LIST and one instruction set: included by
 * few_avx512.c and few_avx2.c, which set the target, W_AVX512 or W_AVX2, W_DOTS, and FEW_FIND, the
 * name of the look-up. */
#include "quant/lanes.h"

/* the type files bring decoders along, which only quant.c uses */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#define IG_PART_UNPACK
#define IG_PART_PANEL
#include FEW_LIST
#undef IG_PART_UNPACK
#undef IG_PART_PANEL
#pragma GCC diagnostic pop

#define FEW_A32(t, id)   {id, t##_ZERO, {W_ALL(t##_few)}},
#define FEW_A256(t, id)  FEW_A32(t, id)
#define FEW_FLOAT(t, id) {id, 0, {NULL, NULL, NULL}},
#define FEW_OTHER(t, id) {id, 0, {NULL, NULL, NULL}},
#define IG_PART_ROW(id, text, t, kind, unpack_fn, decode_fn, encode_fn, block_bytes, block_values) \
    FEW_##kind(t, id)
static const struct ig_few_type types[] = {
#include FEW_LIST
};
#undef IG_PART_ROW

const struct ig_few_type *FEW_FIND(const struct ig_quant *type) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].id == type->id) return types[i].fn[0] ? &types[i] : NULL;
    return NULL;
}
