/* The panel code of all block types for one instruction set: included by panel_avx2.c and panel_avx512.c, which set the
 * target, W_AVX2 or W_AVX512, and PANEL_FIND, the name of the look-up. */
#include "quant/lanes.h"

/* the type files bring decoders along, which only quant.c uses */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#define IG_PART_UNPACK
#define IG_PART_PANEL
#include "quant/list.h"
#undef IG_PART_UNPACK
#undef IG_PART_PANEL
#pragma GCC diagnostic pop

#define PANEL_A32(t, id) {id, t##_ZERO, t##_TOP, t##_panel},
#define PANEL_A256(t, id) {id, t##_ZERO, t##_TOP, t##_panel},
#define PANEL_FLOAT(t, id) {id, 0, 0, NULL},
#define PANEL_OTHER(t, id) {id, 0, 0, NULL},
#define IG_PART_ROW(id, text, t, kind, unpack_fn, decode_fn, encode_fn, block_bytes, block_values) \
    PANEL_##kind(t, id)
static const struct ig_panel_type panels[] = {
#include "quant/list.h"
};
#undef IG_PART_ROW

const struct ig_panel_type *PANEL_FIND(const struct ig_quant *type) {
    for (size_t i = 0; i < sizeof panels / sizeof panels[0]; i++)
        if (panels[i].id == type->id) return panels[i].fill ? &panels[i] : NULL;
    return NULL;
}
