/* Products of 8 rows with one input for AVX2. Part of lanes_out.h.
 *
 * vpmaddubsw adds two products of unsigned and signed bytes in 16 bits. Such sums of codes up to
 * `top` are added in 16 bits as long as they fit, then in 32. Where `top` is 255 the codes are the
 * signed weights (w_code): |w| times the input with the sign of w, once, which is below 2^15. */

struct w_out {
    size_t ahead;
    int top;                    /* of the type; a constant, like the number of puts in a w_sum */
    const struct ig_few_256 *x; /* of this block */
    const struct ig_few_32 *y;  /* of these 32 columns */
    __m256i total, mins;
    __m256 f;
};
typedef struct {
    __m256i wide, part; /* 32 bits; pairs of 16 bits, not yet in `wide` */
    int puts;           /* in `part` */
} w_sum;

W_FN __m256i w_dword(const void *p) {
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}
W_FN w_sum w_sum_of(__m256i wide) {
    return (w_sum){wide, _mm256_setzero_si256(), 0};
}
W_FN w_sum w_zero(int T) {
    (void)T;
    return w_sum_of(_mm256_setzero_si256());
}
W_FN w_sum w_begin(const struct w_out *o, size_t group, int T) {
    (void)T;
    return w_sum_of(o->top == 255 ? _mm256_setzero_si256() : w_dword(o->x->start + group));
}
W_FN w_sum w_start(const struct w_out *o, size_t half, int T) {
    (void)T;
    return w_sum_of(o->top == 255 ? _mm256_setzero_si256() : w_dword(o->y->start + half));
}
W_FN __m256i w_whole(const w_sum *s) {
    if (s->puts == 0) return s->wide;
    return _mm256_add_epi32(s->wide, _mm256_madd_epi16(s->part, _mm256_set1_epi16(1)));
}
W_FN void w_add(const struct w_out *o, w_sum *s, __m256i code, __m256i a) {
    __m256i two = o->top == 255
                      ? _mm256_maddubs_epi16(_mm256_abs_epi8(code), _mm256_sign_epi8(a, code))
                      : _mm256_maddubs_epi16(code, a);
    if ((s->puts + 1) * 2 * 127 * o->top > INT16_MAX) {
        s->wide = w_whole(s);
        s->puts = 0;
    }
    s->part = s->puts ? _mm256_add_epi16(s->part, two) : two;
    s->puts++;
}
W_FN void w_put(const struct w_out *o, size_t k, w16 code, w_sum *sum, int T) {
    (void)T;
    w_add(o, sum, code.a, w_dword(o->x->a + 4 * k));
}
W_FN void w_put32(const struct w_out *o, size_t k, w16 code, w_sum *sum, int T) {
    (void)T;
    w_add(o, sum, code.a, w_dword(o->y->a + 4 * k));
}
/* The shift is needed: else products do not fit in 16 bits. */
#define w_field(x, n, mask) w_and(w_shr16(x, n), w_set8(mask))
#define w_down(sum, n, T)   ((void)(sum), (void)(T))
W_FN void w_join(w_sum *a, const w_sum *b, int T) {
    (void)T;
    *a = w_sum_of(_mm256_add_epi32(w_whole(a), w_whole(b)));
}
W_FN void w_scaled(struct w_out *o, size_t group, size_t size, const w_sum *sum, w16 scale, int T) {
    (void)group, (void)size, (void)T;
    o->total = _mm256_add_epi32(o->total, _mm256_mullo_epi32(w_whole(sum), scale.a));
}
W_FN void w_minima(struct w_out *o, size_t i, size_t size, w16 m, int T) {
    const __m256i even = _mm256_set1_epi32(0xFF00FF);
    __m256i a = _mm256_and_si256(m.a, even), c = _mm256_and_si256(_mm256_srli_epi32(m.a, 8), even);
    (void)size, (void)T;
    a = _mm256_madd_epi16(a, w_dword(o->x->sum + 4 * i));
    c = _mm256_madd_epi16(c, w_dword(o->x->sum + 4 * i + 2));
    o->mins = _mm256_add_epi32(o->mins, _mm256_add_epi32(a, c));
}
W_FN void w_unit(struct w_out *o, w16f d, w16f dmin, bool has_min, int T) {
    __m256 a = _mm256_set1_ps(o->x->d);
    o->f = _mm256_fmadd_ps(_mm256_mul_ps(d.a, a), _mm256_cvtepi32_ps(o->total), o->f);
    if (has_min)
        o->f = _mm256_fnmadd_ps(_mm256_mul_ps(dmin.a, a), _mm256_cvtepi32_ps(o->mins), o->f);
    o->total = o->mins = _mm256_setzero_si256();
    o->x += T;
}
W_FN void w_step(struct w_out *o, w16f d, w16f dmin, bool has_min, const w_sum *sum, int T) {
    __m256 a = _mm256_set1_ps(o->y->d);
    o->f = _mm256_fmadd_ps(_mm256_mul_ps(d.a, a), _mm256_cvtepi32_ps(w_whole(sum)), o->f);
    if (has_min) o->f = _mm256_fnmadd_ps(_mm256_mul_ps(dmin.a, a), _mm256_set1_ps(o->y->sum), o->f);
    o->y += T;
}

#define W_ALL(name) name##_1, NULL, NULL
#define W_FORMS(name)                                                                              \
    static void name##_few_1(const uint8_t *w, size_t stride, size_t blocks,                       \
                             const struct ig_few *f) {                                             \
        for (int h = 0; h < IG_FEW_ROWS / W_LANES; h++, w += W_LANES * stride) {                   \
            __m256i zero = _mm256_setzero_si256();                                                 \
            struct w_out o = {f->ahead, name##_TOP, f->x, f->y, zero, zero, _mm256_setzero_ps()};  \
            name##_rows(w, stride, blocks, &o, 1);                                                 \
            _mm256_storeu_ps(f->acc[0] + W_LANES * h, o.f);                                        \
        }                                                                                          \
    }
