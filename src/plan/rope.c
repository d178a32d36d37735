/* Rotary positions. libm's pow, log, sin and cos differ in the last bit between systems; these do
 * not, because they are made of +, -, * and / alone (IEEE) in a fixed order. Formulas of the
 * scalings: YaRN (arXiv 2309.00071), the LLaMA 3.1 and Phi 3 model code, "dynamic NTK";
 * "proportional" rotates the first pairs only with frequencies of the whole head. */
#include "plan/rope.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/* ln(m * 2^e) = e ln2 + 2 artanh((m - 1) / (m + 1)) with m in [0.7, 1.4] */
double ig_det_log(double x) {
    int e;
    if (!(x > 0 && x < 1e300)) return 0;
    double m = frexp(x, &e);
    if (m < 0.70710678118654752) m *= 2, e--;
    double z = (m - 1) / (m + 1), s = z * z, term = 0;
    for (int k = 29; k >= 1; k -= 2) term = term * s + 1.0 / k;
    return 2 * z * term + e * 0.69314718055994530942;
}

static double det_exp(double x) {
    x = x > 700 ? 700 : x >= -700 ? x : -700; /* NaN too: files may say anything */
    double n = rint(x * 1.44269504088896340736), r = x - n * 0.69314718055994530942, sum = 1;
    for (int k = 18; k >= 1; k--) sum = 1 + sum * r / k;
    return ldexp(sum, (int)n);
}

static double det_pow(double base, double e) {
    return det_exp(e * ig_det_log(base));
}

/* |a| is reduced by multiples of pi/2 in two parts; good to 1e-15 for angles below 1e6 */
static void sin_cos(double a, double *s, double *c) {
    if (!(fabs(a) < 1e12)) a = 0; /* no angle: a damaged file */
    double n = rint(a / (pi / 2));
    double r = (a - n * 1.57079632673412561417) - n * 6.07710050650619224932e-11, q = r * r,
           sine = 0, cosine = 0;
    for (int k = 19; k >= 3; k -= 2) sine = (1 + sine) * -q / (k * (k - 1));
    for (int k = 18; k >= 2; k -= 2) cosine = (1 + cosine) * -q / (k * (k - 1));
    sine = r * (1 + sine);
    cosine = 1 + cosine;
    int quarter = (int)(n - 4 * floor(n / 4));
    *s = quarter == 0 ? sine : quarter == 1 ? cosine : quarter == 2 ? -sine : -cosine;
    *c = quarter == 0 ? cosine : quarter == 1 ? -sine : quarter == 2 ? -cosine : sine;
}

static double clamp01(double x) {
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

/* The dimension whose wave makes `turns` turns within the original context. */
static double yarn_dimension(const struct ig_rope *r, double turns) {
    return r->dims * ig_det_log(r->original_context / (turns * 2 * pi)) / (2 * ig_det_log(r->base));
}

static void yarn(const struct ig_rope *r, double *f) {
    double low = yarn_dimension(r, r->beta_fast), high = yarn_dimension(r, r->beta_slow);
    if (r->truncate) low = floor(low), high = ceil(high);
    low = low < 0 ? 0 : low;
    high = high > r->dims - 1 ? r->dims - 1 : high;
    if (!(high > low)) high = low + 0.001;
    for (uint32_t i = 0; i < r->dims / 2; i++) {
        double keep = 1 - clamp01((i - low) / (high - low));
        f[i] = f[i] / r->factor * (1 - keep) + f[i] * keep;
    }
}

static void llama3(const struct ig_rope *r, double *f) {
    double low_wave = r->original_context / r->low_freq,
           high_wave = r->original_context / r->high_freq;
    for (uint32_t i = 0; i < r->dims / 2; i++) {
        double wave = 2 * pi / f[i];
        if (wave < high_wave) continue;
        double smooth = (r->original_context / wave - r->low_freq) / (r->high_freq - r->low_freq);
        f[i] = wave > low_wave ? f[i] / r->factor : (1 - smooth) * f[i] / r->factor + smooth * f[i];
    }
}

void ig_rope_frequencies(const struct ig_rope *r, uint32_t context, double *f, double *mscale) {
    double base = r->base, orig = r->original_context;
    uint32_t pairs = r->dims / 2;
    if (r->scaling == IG_ROPE_DYNAMIC && context > r->original_context && r->dims > 2)
        base *= det_pow(r->factor * context / orig - (r->factor - 1), r->dims / (r->dims - 2.0));
    /* rounded to f32 as the models' own code does */
    for (uint32_t i = 0; i < pairs; i++) f[i] = (double)(float)det_pow(base, -2.0 * i / r->dims);
    const float *divide = r->divisors;
    if (r->scaling == IG_ROPE_LONG)
        divide = context > r->original_context ? r->long_divisors : r->short_divisors;
    for (uint32_t i = 0; divide && i < pairs; i++) f[i] /= (double)divide[i];
    if (r->scaling == IG_ROPE_LINEAR)
        for (uint32_t i = 0; i < pairs; i++) f[i] /= r->factor;
    if (r->scaling == IG_ROPE_YARN) yarn(r, f);
    if (r->scaling == IG_ROPE_LLAMA3 && !r->divisors) llama3(r, f);
    for (uint32_t i = 0; r->bf16 && i < pairs; i++)
        f[i] = (double)ig_bf16_to_f32(ig_f32_to_bf16((float)f[i]));
    bool is_long = r->scaling == IG_ROPE_LONG && context > r->original_context;
    *mscale = is_long ? r->mscale_long : r->mscale;
}

void ig_rope_table(const double *frequency, uint32_t pairs, uint32_t position, double mscale,
                   float *out) {
    for (uint32_t i = 0; i < pairs; i++) {
        double s, c;
        sin_cos(position * frequency[i], &s, &c);
        out[2 * i] = (float)(c * mscale);
        out[2 * i + 1] = (float)(s * mscale);
    }
}

void ig_rope_apply(float *x, const float *table, uint32_t dims, bool pairwise) {
    uint32_t half = dims / 2, step = pairwise ? 1 : half;
    for (uint32_t i = 0; i < half; i++) {
        float *a = x + (pairwise ? 2 * i : i), *b = a + step, c = table[2 * i],
              s = table[2 * i + 1], u = *a, v = *b;
        *a = fmaf(u, c, -(v * s));
        *b = fmaf(u, s, v * c);
    }
}

uint32_t ig_alibi_heads(const struct ig_hparams *hp) {
    uint32_t heads = 0;
    for (uint32_t i = 0; hp->pos == IG_POS_ALIBI && i < hp->n_layer; i++)
        if (hp->layer[i].n_head > heads) heads = hp->layer[i].n_head;
    return heads;
}

/* Powers of 2^(-max / n), interleaved for head counts that are no power of two (the paper's
 * recipe). */
void ig_alibi_slopes(const struct ig_hparams *hp, uint32_t heads, float *out) {
    uint32_t power = 1;
    while (power * 2 <= heads) power *= 2;
    for (uint32_t h = 0; h < heads; h++) {
        double e = h < power ? -hp->alibi_max * (h + 1) / power
                             : -hp->alibi_max * (2 * (h - power) + 1) / (2.0 * power);
        out[h] = (float)(exp2(e) * hp->alibi_scale);
    }
}
