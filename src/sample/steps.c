/* The samplers that cut the candidates or change all of them, and those that choose.
 *
 * Candidates live in one of two forms. Dense: `work`, logits by token id, as long as nothing was
 * cut. List: `cands`, the tokens that are left. Top-k goes straight from dense to a short list with
 * a bounded heap, so the usual chain never builds a list of the whole vocabulary; top-p and typical
 * pop a heap only as far as they need, so nothing is ever sorted in full. Masked tokens (-inf) are
 * dropped on the way into the list.
 *
 * The subtle thing: cand.p is scratch. Between steps it means nothing; heaps order by it, then by
 * lower id. */
#include "sample/number.h"
#include "sample/chain.h"

#include <float.h>
#include <math.h>

/* ---- Heaps of candidates by p, ties to the lower id ---- */

static inline bool better(const struct ig_cand *a, const struct ig_cand *b) {
    return a->p > b->p || (a->p == b->p && a->id < b->id);
}

static inline void swap(struct ig_cand *a, struct ig_cand *b) {
    struct ig_cand t = *a;
    *a = *b;
    *b = t;
}

/* With best_first the root is the best candidate, else the worst. */
static inline void sift(struct ig_cand *c, size_t n, size_t i, bool best_first) {
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) return;
        if (child + 1 < n && better(&c[child + 1], &c[child]) == best_first) child++;
        if (better(&c[child], &c[i]) != best_first) return;
        swap(&c[child], &c[i]);
        i = child;
    }
}

static void heapify(struct ig_cand *c, size_t n, bool best_first) {
    for (size_t i = n / 2; i-- > 0;) sift(c, n, i, best_first);
}

/* A heap with the worst at its root becomes a list with the best first. */
static void sort_heap(struct ig_cand *c, size_t n) {
    while (n > 1) {
        swap(&c[0], &c[--n]);
        sift(c, n, 0, false);
    }
}

/* `kept` candidates were popped to the end of c[0..n), best last: brings them to the front, best
 * first. */
static size_t popped_to_front(struct ig_cand *c, size_t n, size_t kept) {
    if (kept <= n / 2) {
        for (size_t i = 0; i < kept; i++) c[i] = c[n - 1 - i];
        return kept;
    }
    for (size_t i = 0, j = n - 1; i < j; i++, j--) swap(&c[i], &c[j]);
    return kept;
}

/* ---- Shared pieces ---- */

void ig_step_make_list(struct ig_sampler *s) {
    if (!s->dense) return;
    size_t n = 0;
    for (int32_t i = 0; i < s->n_vocab; i++)
        if (s->work[i] != -INFINITY) s->cands[n++] = (struct ig_cand){s->work[i], i, 0};
    s->n = n;
    s->dense = s->sorted = false;
}

static double list_max(const struct ig_sampler *s) {
    float max = s->cands[0].logit;
    for (size_t i = 1; !s->sorted && i < s->n; i++)
        if (s->cands[i].logit > max) max = s->cands[i].logit;
    return (double)max;
}

/* p = e^(logit - max); returns their sum, at least 1. */
static double weigh(struct ig_sampler *s, double max) {
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) {
        s->cands[i].p = ig_sample_exp((double)s->cands[i].logit - max);
        sum += s->cands[i].p;
    }
    return sum;
}

/* Entropy in nats of weights p with sum `sum`:  ln sum - (1 / sum) * total of p ln p, where ln p =
 * logit - max. */
static double entropy(const struct ig_sampler *s, double max, double sum) {
    double total = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->cands[i].p > 0) total += s->cands[i].p * ((double)s->cands[i].logit - max);
    return ig_sample_ln(sum) - total / sum;
}

static size_t at_least(const struct ig_sampler *s, size_t n) {
    return n < (size_t)s->p.min_keep ? (size_t)s->p.min_keep : n;
}

/* ---- Cutting ---- */

static void top_k_dense(struct ig_sampler *s, size_t k) {
    struct ig_cand *c = s->cands;
    size_t n = 0;
    int32_t i = 0;
    for (; i < s->n_vocab && n < k; i++)
        if (s->work[i] != -INFINITY) c[n++] = (struct ig_cand){s->work[i], i, (double)s->work[i]};
    heapify(c, n, false);
    float worst = n ? c[0].logit : 0;
    for (; i < s->n_vocab; i++) {
        if (!(s->work[i] > worst)) continue; /* an equal one has a higher id and loses */
        c[0] = (struct ig_cand){s->work[i], i, (double)s->work[i]};
        sift(c, n, 0, false);
        worst = c[0].logit;
    }
    sort_heap(c, n);
    s->n = n;
    s->dense = false;
    s->sorted = true;
}

/* The best k of the list to its front in order; the others stay behind them. */
static void select_front(struct ig_sampler *s, size_t k) {
    struct ig_cand *c = s->cands;
    if (s->sorted) return;
    for (size_t i = 0; i < s->n; i++) c[i].p = (double)c[i].logit;
    heapify(c, k, false);
    for (size_t i = k; i < s->n; i++) {
        if (!better(&c[i], &c[0])) continue;
        swap(&c[i], &c[0]);
        sift(c, k, 0, false);
    }
    sort_heap(c, k);
}

void ig_step_top_k(struct ig_sampler *s, int32_t wanted) {
    if (wanted <= 0) return;
    size_t k = at_least(s, (size_t)wanted);
    if (k >= (s->dense ? (size_t)s->n_vocab : s->n)) return;
    if (s->dense) {
        top_k_dense(s, k);
        return;
    }
    select_front(s, k);
    s->n = k;
    s->sorted = true;
}

void ig_step_top_p(struct ig_sampler *s) {
    if (s->p.top_p >= 1) return;
    ig_step_make_list(s);
    if (s->n < 2) return;
    struct ig_cand *c = s->cands;
    double max = list_max(s), goal = weigh(s, max) * s->p.top_p, sum = 0;
    size_t kept = 0, min_keep = at_least(s, 1);
    if (s->sorted) {
        while (kept < s->n && !(sum >= goal && kept >= min_keep)) sum += c[kept++].p;
        s->n = kept;
        return;
    }
    for (size_t i = 0; i < s->n; i++) c[i].p = (double)c[i].logit;
    heapify(c, s->n, true);
    while (kept < s->n && !(sum >= goal && kept >= min_keep)) {
        size_t last = s->n - 1 - kept++;
        swap(&c[0], &c[last]);
        sift(c, last, 0, true);
        sum += ig_sample_exp((double)c[last].logit - max);
    }
    s->n = popped_to_front(c, s->n, kept);
    s->sorted = true;
}

void ig_step_min_p(struct ig_sampler *s) {
    if (s->p.min_p <= 0) return;
    ig_step_make_list(s);
    if (!s->n) return;
    double least = list_max(s) + ig_sample_ln(s->p.min_p);
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) kept += (double)s->cands[i].logit >= least;
    if (kept < (size_t)s->p.min_keep) {
        ig_step_top_k(s, s->p.min_keep);
        return;
    }
    kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if ((double)s->cands[i].logit >= least) s->cands[kept++] = s->cands[i];
    s->n = kept;
}

/* Keeps the tokens whose surprise is nearest to the expected one. */
void ig_step_typical(struct ig_sampler *s) {
    if (s->p.typical_p >= 1) return;
    ig_step_make_list(s);
    if (s->n < 2) return;
    struct ig_cand *c = s->cands;
    double max = list_max(s), sum = weigh(s, max), expected = entropy(s, max, sum),
           ln_sum = ig_sample_ln(sum);
    for (size_t i = 0; i < s->n; i++)
        c[i].p = -fabs(ln_sum - ((double)c[i].logit - max) - expected);
    heapify(c, s->n, true);
    double goal = sum * s->p.typical_p, got = 0;
    size_t kept = 0, min_keep = at_least(s, 1);
    while (kept < s->n && !(got > goal && kept >= min_keep)) {
        size_t last = s->n - 1 - kept++;
        swap(&c[0], &c[last]);
        sift(c, last, 0, true);
        got += ig_sample_exp((double)c[last].logit - max);
    }
    s->n = popped_to_front(c, s->n, kept);
    s->sorted = false;
}

/* Keeps logits within n standard deviations of the highest. */
void ig_step_top_n_sigma(struct ig_sampler *s) {
    if (s->p.top_n_sigma <= 0) return;
    size_t n = s->dense ? (size_t)s->n_vocab : s->n, count = 0;
    double max = -INFINITY, sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) {
        float x = s->dense ? s->work[i] : s->cands[i].logit;
        if (x == -INFINITY) continue;
        if ((double)x > max) max = (double)x;
        sum += (double)x;
        count++;
    }
    if (count < 2) return;
    double mean = sum / (double)count;
    for (size_t i = 0; i < n; i++) {
        double x = (double)(s->dense ? s->work[i] : s->cands[i].logit);
        if (x != -INFINITY) squares += (x - mean) * (x - mean);
    }
    double least = max - s->p.top_n_sigma * sqrt(squares / (double)count);
    if (s->p.min_keep > 1) ig_step_make_list(s);
    if (s->dense) {
        for (size_t i = 0; i < n; i++)
            if ((double)s->work[i] < least) s->work[i] = -INFINITY;
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) kept += (double)s->cands[i].logit >= least;
    if (kept < (size_t)s->p.min_keep) {
        ig_step_top_k(s, s->p.min_keep);
        return;
    }
    kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if ((double)s->cands[i].logit >= least) s->cands[kept++] = s->cands[i];
    s->n = kept;
}

/* Exclude top choices: of the tokens at or above the threshold only the least likely stays.
 * `chance` is uniform. */
void ig_step_xtc(struct ig_sampler *s, double chance) {
    if (s->p.xtc_probability <= 0 || s->p.xtc_threshold > 0.5 || chance >= s->p.xtc_probability)
        return;
    ig_step_make_list(s);
    if (s->n < 2) return;
    struct ig_cand *c = s->cands;
    double least = weigh(s, list_max(s)) * s->p.xtc_threshold;
    size_t above = 0, stays = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (c[i].p < least) continue;
        if (!above++ || c[i].p < c[stays].p || (c[i].p == c[stays].p && c[i].id > c[stays].id))
            stays = i;
    }
    if (above < 2 || s->n - (above - 1) < (size_t)s->p.min_keep) return;
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++)
        if (c[i].p < least || i == stays) c[kept++] = c[i];
    s->n = kept;
}

/* ---- Temperature ---- */

static void keep_best(struct ig_sampler *s) {
    if (s->dense) {
        top_k_dense(s, 1);
        return;
    }
    if (!s->n) return;
    select_front(s, 1);
    s->n = 1;
}

/* x / t, held within f32: two huge logits may meet at its end, but never become infinite. */
static inline float cool(float x, double t) {
    double y = (double)x / t;
    if (y > (double)FLT_MAX) return FLT_MAX;
    if (y < -(double)FLT_MAX) return x == -INFINITY ? x : -FLT_MAX;
    return (float)y;
}

static void divide(struct ig_sampler *s, double t) {
    if (t < 1e-10) {
        keep_best(s);
        return;
    }
    if (t == 1) return;
    if (s->dense)
        for (int32_t i = 0; i < s->n_vocab; i++) s->work[i] = cool(s->work[i], t);
    else
        for (size_t i = 0; i < s->n; i++) s->cands[i].logit = cool(s->cands[i].logit, t);
}

void ig_step_temperature(struct ig_sampler *s) {
    double t = s->p.temperature, range = s->p.dynatemp_range;
    if (range > 0) {
        ig_step_make_list(s);
        if (s->n < 2) return;
        double max = list_max(s), sum = weigh(s, max);
        double h = entropy(s, max, sum) / ig_sample_ln((double)s->n);
        double low = t > range ? t - range : 0, high = t + range;
        double part =
            h > 0 ? ig_sample_exp(s->p.dynatemp_exponent * ig_sample_ln(h < 1 ? h : 1)) : 0;
        t = low + (high - low) * part;
    }
    divide(s, t);
}

/* ---- Choosing ---- */

size_t ig_step_dist(struct ig_sampler *s, double u) {
    if (s->n == 1) {
        s->cands[0].p = 1;
        return 0;
    }
    double goal = weigh(s, list_max(s)) * u, run = 0;
    size_t last = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->cands[i].p <= 0) continue;
        run += s->cands[i].p;
        last = i;
        if (run > goal) break;
    }
    return last;
}

/* Learns from the surprise, in bits, of what was chosen. */
static void mirostat_learn(struct ig_sampler *s, size_t chosen) {
    double sum = 0;
    for (size_t i = 0; i < s->n; i++) sum += s->cands[i].p;
    double bits = (ig_sample_ln(sum) - ig_sample_ln(s->cands[chosen].p)) * IG_LOG2_E;
    s->mu -= s->p.mirostat_eta * (bits - s->p.mirostat_tau);
}

/* The paper's top-k: k from the estimated Zipf exponent of the most likely 100 tokens. */
static double mirostat_k(const struct ig_sampler *s, size_t front) {
    double tb = 0, tt = 0;
    for (size_t i = 0; i + 1 < front; i++) {
        double t = ig_sample_ln((double)(i + 2) / (double)(i + 1));
        tb += t * ((double)s->cands[i].logit - (double)s->cands[i + 1].logit);
        tt += t * t;
    }
    double exponent = tt > 0 ? tb / tt : 0, eps = exponent - 1,
           ln_n = ig_sample_ln((double)s->n_vocab);
    if (exponent < 1e-6) return (double)s->n;
    double q = fabs(eps) < 1e-9 ? 1 / ln_n : eps / (1 - ig_sample_exp(-eps * ln_n));
    return ig_sample_exp((ig_sample_ln(q) + s->mu * IG_LN2) / exponent);
}

size_t ig_step_mirostat1(struct ig_sampler *s, double u) {
    ig_step_make_list(s);
    if (s->n > 1) {
        size_t front = s->n < 100 ? s->n : 100;
        select_front(s, front);
        double k = mirostat_k(s, front);
        if (!(k >= 1)) k = 1;
        if (k < (double)s->n) ig_step_top_k(s, (int32_t)k);
    }
    size_t chosen = ig_step_dist(s, u);
    mirostat_learn(s, chosen);
    return chosen;
}

/* Drops the tokens whose surprise is above mu. */
size_t ig_step_mirostat2(struct ig_sampler *s, double u) {
    ig_step_make_list(s);
    if (s->n > 1) {
        double max = list_max(s), least = max + ig_sample_ln(weigh(s, max)) - s->mu * IG_LN2;
        size_t kept = 0;
        for (size_t i = 0; i < s->n; i++) kept += (double)s->cands[i].logit >= least;
        if (!kept) keep_best(s);
        size_t n = s->n;
        for (size_t i = kept = 0; i < n; i++)
            if ((double)s->cands[i].logit >= least) s->cands[kept++] = s->cands[i];
        s->n = kept ? kept : 1;
    }
    size_t chosen = ig_step_dist(s, u);
    mirostat_learn(s, chosen);
    return chosen;
}
