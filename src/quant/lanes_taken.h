/* Types whose weights are looked up in code books: a block of 16 rows is taken apart row by row
 * into memory, by the type's `take`, and then goes the common way. Part of lanes.h. */

struct w_taken {                     /* a block of each of 16 rows */
    _Alignas(64) uint8_t q[16][256]; /* weights, or with `signs` what they are where the bit is 0 */
    uint64_t signs[16][4];
    _Alignas(64) int16_t scale[16][16]; /* positive */
    _Alignas(64) float d[16];
};
/* What the bits of `signs` do: W_SIGNS: a weight is -q where its bit is 1. W_SHIFTS: it is 8 q + 1,
 * or 8 q - 1 where its bit is 1; the bits of eight weights in a row are equal. */
enum w_signs { W_SIGNS, W_SHIFTS };
/* One row. */
typedef void (*w_take_fn)(const uint8_t *w, struct w_taken *out, size_t row);

W_FN void w_put_signs(struct w_taken *t, size_t row, size_t g, uint32_t signs) {
    memcpy((uint8_t *)t->signs[row] + 4 * g, &signs, 4);
}
/* Four times seven signs, each with the eighth that makes them even */
W_FN uint32_t even_signs(uint32_t word) {
    uint32_t signs = 0;
    for (int r = 0; r < 4; r++) signs |= (uint32_t)ig_quant_signs[word >> 7 * r & 127] << 8 * r;
    return signs;
}

W_FN void w_taken_rows(w_take_fn take, enum w_signs signs, size_t bytes, size_t group,
                       const uint8_t *w, size_t stride, size_t blocks, struct w_out *o, int T) {
    struct w_taken t;
    w16 scale[4] = {w_set32(0), w_set32(0), w_set32(0), w_set32(0)};
    for (size_t b = 0; b < blocks; b++, w += bytes) {
        for (size_t at = 0; at < bytes; at += 64) w_ahead(w, stride, o, at);
        for (size_t r = 0; r < 16; r++) take(w + r * stride, &t, r);
        for (size_t r = 0; r < 16; r++) {
            if (signs == W_SHIFTS)
                w_apply_shifts(t.q[r], t.signs[r]);
            else
                w_apply_signs(t.q[r], t.signs[r]);
        }
        for (size_t i = 0; i < 16; i += group / 16) {
            w_sum sum = w_begin(o, i * 16 / group, T);
            for (size_t h = i; h < i + group / 16; h++) {
                w16 x[4];
                w_load4(t.q[0] + 16 * h, sizeof t.q[0], x);
                W_EACH(c, 4) w_put(o, 4 * h + (size_t)c, w_code(x[c]), &sum, T);
            }
            size_t g = i * 16 / group;
            if (g % 8 == 0) w_load4((const uint8_t *)(t.scale[0] + g), sizeof t.scale[0], scale);
            w_scaled(o, g, group, &sum, w_and(scale[0], w_set32(0xFFFF)), T);
            scale[0] = w_shr32(scale[0], 16);
            if (g % 2) scale[0] = scale[1], scale[1] = scale[2], scale[2] = scale[3];
        }
        w_unit(o, w_load_float(t.d), w_load_float(t.d), false, T);
    }
}
#ifdef W_DOTS
#define W_TAKEN(T)                                                                                 \
    static __attribute__((noinline)) void w_taken_##T(                                             \
        w_take_fn take, enum w_signs signs, size_t bytes, size_t group, const uint8_t *w,          \
        size_t stride, size_t blocks, const struct ig_few *f) {                                    \
        struct w_out o;                                                                            \
        w_open(&o, f, T);                                                                          \
        w_taken_rows(take, signs, bytes, group, w, stride, blocks, &o, T);                         \
        w_close(&o, f, T);                                                                         \
    }
W_TAKEN(1)
#ifndef __SANITIZE_ADDRESS__
W_TAKEN(2)
W_TAKEN(4)
#endif
#define W_TAKEN_FORM(t, signs, T)                                                                  \
    static void t##_few_##T(const uint8_t *w, size_t stride, size_t blocks,                        \
                            const struct ig_few *f) {                                              \
        w_taken_##T(t##_take, signs, t##_BYTES, t##_GROUP, w, stride, blocks, f);                  \
    }
#ifdef __SANITIZE_ADDRESS__
#define W_TAKEN_FORMS(t, signs) W_TAKEN_FORM(t, signs, 1)
#else
#define W_TAKEN_FORMS(t, signs)                                                                    \
    W_TAKEN_FORM(t, signs, 1)                                                                      \
    W_TAKEN_FORM(t, signs, 2)                                                                      \
    W_TAKEN_FORM(t, signs, 4)
#endif
#else
static __attribute__((noinline)) void w_taken_panel(w_take_fn take, enum w_signs signs,
                                                    size_t bytes, size_t group, const uint8_t *w,
                                                    size_t stride, size_t blocks,
                                                    struct ig_panel *p) {
    struct w_out o = {p->ahead, p, 0};
    w_taken_rows(take, signs, bytes, group, w, stride, blocks, &o, 0);
}
#define W_TAKEN_FORMS(t, signs)                                                                    \
    static void t##_panel(const uint8_t *w, size_t stride, size_t blocks, struct ig_panel *p) {    \
        w_taken_panel(t##_take, signs, t##_BYTES, t##_GROUP, w, stride, blocks, p);                \
    }
#endif
#define W_BY_BOOK(t, signs)                                                                        \
    enum { t##_ZERO = 128, t##_TOP = 255 };                                                        \
    W_TAKEN_FORMS(t, signs)
