/* The table of block types and the half-float conversions.
 *
 * Promises: ig_quant_* answer for every id and name in list.h, in constant tables; decode and
 * unpack read exactly n_blocks * bytes and accept any bit pattern; encoders accept any floats.
 * Knows nothing of tensors, files or devices.
 *
 * The subtle thing: list.h is included twice. The first time every type file gives its code, the
 * second time its row of the table, so a type stays in one file. */
#include "quant/search.h"

#define IG_PART_UNPACK
#define IG_PART_ENCODE
#include "quant/list.h"
#undef IG_PART_UNPACK
#undef IG_PART_ENCODE

/* Pieces for devices, by kind: the main piece lies at the start or at the end of the block. */
#define PIECES_A32(t)                                                                              \
    { t##_MAIN_AT, t##_MAIN, t##_MAIN_AT ? 0 : t##_MAIN, t##_BYTES - t##_MAIN }
#define PIECES_A256(t) PIECES_A32(t)
#define PIECES_FLOAT(t)                                                                            \
    { 0, t##_BYTES, t##_BYTES, 0 }
#define PIECES_OTHER(t)                                                                            \
    { 0, 0, 0, 0 }

#define IG_PART_ROW(type_id, text, t, type_kind, unpack_fn, decode_fn, encode_fn, block_bytes,     \
                    block_values)                                                                  \
    {.name = text,                                                                                 \
     .id = type_id,                                                                                \
     .block = t##_BLOCK,                                                                           \
     .bytes = t##_BYTES,                                                                           \
     .kind = IG_QUANT_##type_kind,                                                                 \
     .group = t##_GROUP,                                                                           \
     .unit = t##_UNIT,                                                                             \
     .has_min = t##_HAS_MIN,                                                                       \
     .device = PIECES_##type_kind(t),                                                              \
     .decode = decode_fn,                                                                          \
     .encode = encode_fn,                                                                          \
     .unpack = unpack_fn},
static const struct ig_quant table[] = {
#include "quant/list.h"
};
#undef IG_PART_ROW

enum { TABLE_SIZE = sizeof table / sizeof table[0] };

const struct ig_quant *ig_quant_at(size_t index) {
    return index < TABLE_SIZE ? &table[index] : NULL;
}

const struct ig_quant *ig_quant_by_id(uint32_t id) {
    for (size_t i = 0; i < TABLE_SIZE; i++)
        if (table[i].id == id) return &table[i];
    return NULL;
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

const struct ig_quant *ig_quant_by_name(const char *name, size_t n) {
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        const char *t = table[i].name;
        size_t k = 0;
        while (k < n && t[k] && lower(name[k]) == lower(t[k])) k++;
        if (k == n && !t[k]) return &table[i];
    }
    return NULL;
}

#define IK " is a type of ik_llama.cpp only; get the file in a llama.cpp type, for example "

static const struct foreign {
    uint32_t first, last;
    const char *text;
} foreign[] = {
    {4, 5,
     "an early 4-bit type (Q4_2, Q4_3) that llama.cpp removed in 2023; download the model again as "
     "Q4_K_M"},
    {31, 33,
     "a row-interleaved Q4_0 (Q4_0_4_4, Q4_0_4_8, Q4_0_8_8) that llama.cpp removed in 2024; get "
     "the plain Q4_0 file"},
    {36, 36,
     "IQ4_NL_4_4, removed from llama.cpp in 2024, or I2_S of BitNet and ik_llama.cpp; get the file "
     "as IQ4_NL or TQ2_0"},
    {37, 38,
     "a row-interleaved IQ4_NL (IQ4_NL_4_8, IQ4_NL_8_8) that llama.cpp removed in 2024; get the "
     "plain IQ4_NL file"},
    {97, 99, "this" IK "Q8_0"},
    {133, 133, "Q6_0" IK "Q6_K"},
    {134, 134, "IQ1_BN" IK "TQ1_0"},
    {135, 135, "IQ2_BN" IK "TQ2_0"},
    {137, 137, "IQ2_K" IK "Q2_K"},
    {138, 138, "IQ3_K" IK "Q3_K_M"},
    {139, 139, "IQ4_K" IK "Q4_K_M"},
    {140, 140, "IQ5_K" IK "Q5_K_M"},
    {141, 141, "IQ6_K" IK "Q6_K"},
    {144, 144, "IQ4_KS" IK "IQ4_XS"},
    {145, 145, "IQ2_KS" IK "IQ2_XS"},
    {146, 146, "IQ4_KSS" IK "IQ4_XS"},
    {152, 152, "IQ5_KS" IK "Q5_K_S"},
    {153, 153, "IQ2_KT" IK "IQ2_XS"},
    {154, 154, "IQ3_KT" IK "IQ3_XXS"},
    {155, 155, "IQ4_KT" IK "IQ4_XS"},
    {156, 156, "IQ3_KS" IK "Q3_K_S"},
    {157, 157, "IQ2_KL" IK "Q2_K"},
    {158, 158, "IQ1_KT" IK "IQ1_M"},
    {133, 158, "this" IK "Q4_K_M"},
    {202, 399,
     "a row-interleaved type (_R4, _R8) of ik_llama.cpp only; get the plain file, for example "
     "Q4_K_M"},
};

const char *ig_quant_removed(uint32_t id) {
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (id >= foreign[i].first && id <= foreign[i].last) return foreign[i].text;
    return NULL;
}

float ig_f16_to_f32(uint16_t h) {
    return half_float(h);
}

uint16_t ig_f32_to_f16(float f) {
    uint32_t u = float_bits(f), sign = u >> 16 & 0x8000u, a = u & 0x7FFFFFFFu;
    if (a > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u | (a >> 13 & 0x1FFu)); /* quiet, keep the payload */
    if (a >= 0x47800000u) return (uint16_t)(sign | 0x7C00u);
    if (a <
        0x38800000u) { /* below the smallest normal half: adding 1/2 aligns the bits and rounds */
        uint32_t r = float_bits(bits_float(a) + 0.5f) - float_bits(0.5f);
        return (uint16_t)(sign | r);
    }
    a += 0xC8000000u + 0xFFFu +
         (a >> 13 & 1u); /* rebias, round to even; a carry into the exponent is right */
    return (uint16_t)(sign | a >> 13);
}

uint16_t ig_f32_to_bf16(float f) {
    uint32_t u = float_bits(f);
    if ((u & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7FFFu + (u >> 16 & 1u)) >> 16);
}
