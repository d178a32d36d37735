/* The sampler against a second, slow implementation written from the definitions: full sorts, libm,
 * no heaps. Then frequencies (chi-square), determinism, saved state, and inputs nobody should send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sample/number.h"
#include "sample/sample.h"

static struct ig_mem mem;

/* ---- The slow implementation ---- */

struct ref {
    int id;
    double logit, p, key;
};

static int by_logit(const void *a, const void *b) {
    const struct ref *x = a, *y = b;
    if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
    return x->id - y->id;
}

static int by_key(const void *a, const void *b) {
    const struct ref *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->id - y->id;
}

static void softmax(struct ref *r, size_t n) {
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++) max = fmax(max, r[i].logit);
    for (size_t i = 0; i < n; i++) sum += r[i].p = exp(r[i].logit - max);
    for (size_t i = 0; i < n; i++) r[i].p /= sum;
}

static double ref_entropy(const struct ref *r, size_t n) {
    double h = 0;
    for (size_t i = 0; i < n; i++)
        if (r[i].p > 0) h -= r[i].p * log(r[i].p);
    return h;
}

static size_t ref_step(struct ref *r, size_t n, int kind, const struct ig_sample_params *p) {
    size_t keep = (size_t)p->min_keep, m = 0;
    double sum = 0, mean = 0, var = 0;
    qsort(r, n, sizeof *r, by_logit);
    softmax(r, n);
    switch (kind) {
    case IG_SAMPLER_TOP_K:
        if (p->top_k <= 0) return n;
        m = (size_t)p->top_k > keep ? (size_t)p->top_k : keep;
        return m < n ? m : n;
    case IG_SAMPLER_TOP_P:
        if (p->top_p >= 1) return n;
        while (m < n && (sum < p->top_p || m < keep || m == 0)) sum += r[m++].p;
        return m;
    case IG_SAMPLER_MIN_P:
        while (m < n && (r[m].p >= p->min_p * r[0].p * (1 - 1e-12) || m < keep)) m++;
        return m;
    case IG_SAMPLER_TYP_P: {
        if (p->typical_p >= 1) return n;
        double h = ref_entropy(r, n);
        for (size_t i = 0; i < n; i++) r[i].key = fabs(-log(r[i].p) - h);
        qsort(r, n, sizeof *r, by_key);
        while (m < n && (sum <= p->typical_p || m < keep || m == 0)) sum += r[m++].p;
        return m;
    }
    case IG_SAMPLER_TOP_N_SIGMA:
        if (p->top_n_sigma <= 0) return n;
        for (size_t i = 0; i < n; i++) mean += r[i].logit / (double)n;
        for (size_t i = 0; i < n; i++) var += (r[i].logit - mean) * (r[i].logit - mean) / (double)n;
        while (m < n && (r[m].logit >= r[0].logit - p->top_n_sigma * sqrt(var) || m < keep)) m++;
        return m;
    case IG_SAMPLER_TEMPERATURE: {
        double t = p->temperature;
        if (p->dynatemp_range > 0) {
            if (n < 2) return n;
            double low = fmax(0, t - p->dynatemp_range), high = t + p->dynatemp_range;
            t = low + (high - low) * pow(ref_entropy(r, n) / log((double)n), p->dynatemp_exponent);
        }
        if (t < 1e-10) return 1;
        for (size_t i = 0; i < n; i++) r[i].logit = (double)(float)(r[i].logit / t);
        return n;
    }
    default: return n;
    }
}

/* ---- Helpers ---- */

static double uniform(uint64_t *state) {
    return ig_sample_uniform(77, (*state)++, 0);
}

static float normal(uint64_t *state) {
    double u = uniform(state) + 1e-300, v = uniform(state);
    return (float)(3 * sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

static struct ig_sampler *open_with(const struct ig_sample_params *p, int n_vocab) {
    struct ig_sampler *s;
    ingle_error err;
    if (ig_sampler_open(&s, &mem, p, n_vocab, NULL, NULL, &err) != INGLE_OK)
        fail_msg("%s", err.message);
    return s;
}

static int32_t pick(struct ig_sampler *s, const float *logits) {
    int32_t id;
    ingle_error err;
    if (ig_sampler_pick(s, logits, &id, &err) != INGLE_OK) fail_msg("%s", err.message);
    return id;
}

static int pair_by_id(const void *a, const void *b) {
    const struct ref *x = a, *y = b;
    return x->id - y->id;
}

/* Runs both on the same logits and compares who is left and with which chance. */
static void compare(const struct ig_sample_params *p, const float *logits, int n) {
    struct ref *want = calloc((size_t)n, sizeof *want), *got = calloc((size_t)n, sizeof *got);
    int32_t *ids = calloc((size_t)n, sizeof *ids);
    double *chances = calloc((size_t)n, sizeof *chances);
    size_t m = 0;
    for (int i = 0; i < n; i++)
        if (logits[i] != -INFINITY) want[m++] = (struct ref){i, (double)logits[i], 0, 0};
    for (size_t i = 0; i < p->n_order; i++) m = ref_step(want, m, p->order[i], p);
    softmax(want, m);
    struct ig_sampler *s = open_with(p, n);
    int32_t id = pick(s, logits);
    size_t k = ig_sampler_candidates(s, ids, chances, (size_t)n);
    assert_int_equal(k, m);
    bool among = false;
    for (size_t i = 0; i < k; i++) {
        got[i] = (struct ref){ids[i], 0, chances[i], 0};
        among |= ids[i] == id;
    }
    assert_true(among);
    qsort(want, m, sizeof *want, pair_by_id);
    qsort(got, k, sizeof *got, pair_by_id);
    for (size_t i = 0; i < k; i++) {
        assert_int_equal(got[i].id, want[i].id);
        assert_true(fabs(got[i].p - want[i].p) <= 1e-9);
    }
    ig_sampler_close(s);
    free(want);
    free(got);
    free(ids);
    free(chances);
}

static struct ig_sample_params only(const char *order) {
    struct ig_sample_params p;
    ig_sample_defaults(&p);
    assert_int_equal(ig_sample_parse_order(&p, ig_str_of(order), NULL), INGLE_OK);
    p.temperature = 1;
    return p;
}

typedef void (*tune_fn)(struct ig_sample_params *p, uint64_t *rng);

static void against_reference(const char *order, tune_fn tune) {
    static const int sizes[] = {1, 2, 7, 100, 1000, 5000};
    uint64_t rng = 1;
    for (int round = 0; round < 60; round++) {
        int n = sizes[round % 6];
        float *logits = calloc((size_t)n, sizeof *logits);
        float scale = round % 5 == 0 ? 0.1f : round % 5 == 1 ? 4 : 1;
        for (int i = 0; i < n; i++) logits[i] = scale * normal(&rng);
        for (int i = 0; i < n; i++) /* ties and masks */
            if (uniform(&rng) < 0.05)
                logits[i] = uniform(&rng) < 0.5 && n > 7 ? -INFINITY : logits[n / 2];
        if (logits[0] == -INFINITY) logits[0] = 1;
        struct ig_sample_params p = only(order);
        tune(&p, &rng);
        p.min_keep = round % 3 == 2 ? 5 : 0;
        compare(&p, logits, n);
        free(logits);
    }
}

/* ---- One test a sampler ---- */

static void tune_top_k(struct ig_sample_params *p, uint64_t *r) {
    p->top_k = (int32_t)(uniform(r) * 60);
}
static void tune_top_p(struct ig_sample_params *p, uint64_t *r) {
    p->top_p = uniform(r) * 1.05;
}
static void tune_min_p(struct ig_sample_params *p, uint64_t *r) {
    p->min_p = uniform(r) * uniform(r);
}
static void tune_typical(struct ig_sample_params *p, uint64_t *r) {
    p->typical_p = uniform(r) * 1.05;
}
static void tune_sigma(struct ig_sample_params *p, uint64_t *r) {
    p->top_n_sigma = uniform(r) * 3 - 0.1;
}
static void tune_temperature(struct ig_sample_params *p, uint64_t *r) {
    p->temperature = uniform(r) * 2;
}
static void tune_dynatemp(struct ig_sample_params *p, uint64_t *r) {
    p->temperature = uniform(r) * 2;
    p->dynatemp_range = uniform(r);
    p->dynatemp_exponent = 0.5 + uniform(r);
}
static void tune_all(struct ig_sample_params *p, uint64_t *r) {
    tune_top_k(p, r);
    tune_top_p(p, r);
    tune_min_p(p, r);
    tune_typical(p, r);
    tune_sigma(p, r);
    tune_temperature(p, r);
}

static void test_top_k(void **state) {
    (void)state, against_reference("top_k", tune_top_k);
}
static void test_top_p(void **state) {
    (void)state, against_reference("top_p", tune_top_p);
}
static void test_min_p(void **state) {
    (void)state, against_reference("min_p", tune_min_p);
}
static void test_typical(void **state) {
    (void)state, against_reference("typ_p", tune_typical);
}
static void test_sigma(void **state) {
    (void)state, against_reference("top_n_sigma", tune_sigma);
}
static void test_temperature(void **state) {
    (void)state, against_reference("temperature", tune_temperature);
}
static void test_dynatemp(void **state) {
    (void)state, against_reference("temperature", tune_dynatemp);
}
static void test_orders(void **state) {
    (void)state;
    against_reference("top_n_sigma;top_k;typ_p;top_p;min_p;temperature", tune_all);
    against_reference("temperature;min_p;top_p;typ_p;top_k;top_n_sigma", tune_all);
    against_reference("top_p;temperature;top_n_sigma;top_k", tune_all);
    against_reference("typ_p;min_p;top_p", tune_all);
}

static void test_greedy_ties(void **state) {
    (void)state;
    const float logits[] = {1, 5, 2, 5, -INFINITY, 5};
    struct ig_sample_params p;
    ig_sample_defaults(&p);
    p.temperature = 0;
    for (uint64_t seed = 0; seed < 5; seed++) {
        p.seed = seed;
        struct ig_sampler *s = open_with(&p, 6);
        assert_int_equal(pick(s, logits), 1);
        ig_sampler_close(s);
    }
    /* The general path must say the same: XTC off by threshold keeps it from being the short one.
     */
    p.typical_p = 0.999999;
    p.top_k = 2;
    struct ig_sampler *s = open_with(&p, 6);
    assert_int_equal(pick(s, logits), 1);
    int32_t ids[6];
    ig_sampler_close(s);
    p = only("top_k");
    p.top_k = 2;
    s = open_with(&p, 6);
    pick(s, logits);
    assert_int_equal(ig_sampler_candidates(s, ids, NULL, 6), 2);
    assert_int_equal(ids[0], 1);
    assert_int_equal(ids[1], 3);
    ig_sampler_close(s);
}

static void test_xtc(void **state) {
    (void)state;
    /* chances .4 .3 .2 .06 .04 */
    float logits[5];
    const double chance[] = {.06, .4, .2, .3, .04};
    for (int i = 0; i < 5; i++) logits[i] = (float)log(chance[i]);
    struct ig_sample_params p = only("xtc");
    p.xtc_threshold = 0.15;
    p.xtc_probability = 1;
    struct ig_sampler *s = open_with(&p, 5);
    int32_t ids[5];
    pick(s, logits);
    assert_int_equal(ig_sampler_candidates(s, ids, NULL, 5), 3);
    assert_int_equal(ids[0], 0);
    assert_int_equal(ids[1], 2);
    assert_int_equal(ids[2], 4);
    ig_sampler_close(s);
    p.min_keep = 4; /* only 3 would be left: hands off */
    s = open_with(&p, 5);
    pick(s, logits);
    assert_int_equal(ig_sampler_candidates(s, ids, NULL, 5), 5);
    ig_sampler_close(s);
    p.min_keep = 0;
    p.xtc_threshold = 0.35; /* one token is above: nothing to exclude */
    s = open_with(&p, 5);
    pick(s, logits);
    assert_int_equal(ig_sampler_candidates(s, ids, NULL, 5), 5);
    ig_sampler_close(s);
    p.xtc_threshold = 0.15;
    p.xtc_probability = 0.3;
    s = open_with(&p, 5);
    int cut = 0;
    for (int i = 0; i < 10000; i++) {
        pick(s, logits);
        cut += ig_sampler_candidates(s, NULL, NULL, 0) == 3;
    }
    assert_true(cut > 2800 && cut < 3200);
    ig_sampler_close(s);
}

/* logit after the penalties, read back from the chances of a full list. */
static double shifted(struct ig_sampler *s, const float *logits, int n, int id, int zero) {
    int32_t ids[64];
    double chances[64], a = 0, b = 0;
    pick(s, logits);
    size_t k = ig_sampler_candidates(s, ids, chances, 64);
    assert_int_equal(k, n);
    for (size_t i = 0; i < k; i++) {
        if (ids[i] == id) a = chances[i];
        if (ids[i] == zero) b = chances[i];
    }
    return log(a / b) + (double)logits[zero];
}

static void test_penalties(void **state) {
    (void)state;
    const char *const orders[] = {"penalties", "min_p;penalties"};
    float logits[10] = {0, 2, -1, 1, 3, 0.5f, 0, 0, 0, 0};
    for (int o = 0; o < 2; o++) {
        struct ig_sample_params p = only(orders[o]);
        p.min_p = 1e-9;
        p.repeat_penalty = 1.3;
        p.frequency_penalty = 0.2;
        p.presence_penalty = 0.5;
        p.repeat_last_n = 4;
        struct ig_sampler *s = open_with(&p, 10);
        const int32_t history[] = {5, 4, 4, 4, 1, 2, 1, 3}; /* in the window: 1 2 1 3 */
        for (int i = 0; i < 8; i++) ig_sampler_accept(s, history[i]);
        ig_sampler_accept(s, -1);
        ig_sampler_accept(s, 10); /* no such tokens */
        for (int again = 0; again < 2; again++) {
            assert_true(fabs(shifted(s, logits, 10, 1, 9) - (2 / 1.3 - 2 * 0.2 - 0.5)) < 1e-6);
            assert_true(fabs(shifted(s, logits, 10, 2, 9) - (-1 * 1.3 - 0.2 - 0.5)) < 1e-6);
            assert_true(fabs(shifted(s, logits, 10, 3, 9) - (1 / 1.3 - 0.2 - 0.5)) < 1e-6);
            assert_true(fabs(shifted(s, logits, 10, 4, 9) - 3) < 1e-6);
            assert_true(fabs(shifted(s, logits, 10, 5, 9) - 0.5) < 1e-6);
        }
        ig_sampler_reset(s);
        assert_true(fabs(shifted(s, logits, 10, 1, 9) - 2) < 1e-6);
        ig_sampler_close(s);
    }
}

static void test_bias_and_ban(void **state) {
    (void)state;
    float logits[6] = {0, 1, 2, 3, 4, 5};
    const struct ig_logit_bias bias[] = {{1, 10}, {5, -INFINITY}};
    struct ig_sample_params p = only("temperature");
    p.bias = bias;
    p.n_bias = 2;
    struct ig_sampler *s = open_with(&p, 6);
    for (int i = 0; i < 2000; i++) assert_int_not_equal(pick(s, logits), 5);
    const int32_t end[] = {1, 4};
    assert_int_equal(ig_sampler_ban(s, end, 2, NULL), INGLE_OK);
    for (int i = 0; i < 2000; i++) {
        int32_t id = pick(s, logits);
        assert_true(id == 0 || id == 2 || id == 3);
    }
    const int32_t rest[] = {0, 2, 3};
    assert_int_equal(ig_sampler_ban(s, rest, 3, NULL), INGLE_OK);
    int32_t id;
    assert_int_equal(ig_sampler_pick(s, logits, &id, NULL), INGLE_NUMERIC);
    ig_sampler_close(s);
    const struct ig_logit_bias wrong = {6, 1};
    p.bias = &wrong;
    p.n_bias = 1;
    assert_int_equal(ig_sampler_open(&s, &mem, &p, 6, NULL, NULL, NULL), INGLE_BAD_ARGUMENT);
    assert_null(s);
}

/* ---- DRY: brute force over all pairs of positions ---- */

static void ref_dry(const int *h, const bool *breaks, int n, int window, int allowed, int *best,
                    int n_vocab) {
    for (int i = 0; i < n_vocab; i++) best[i] = 0;
    int from = n > window ? n - window : 0, limit = 0;
    while (limit < n - from && !breaks[n - 1 - limit]) limit++;
    for (int e = from; e + 1 < n; e++) { /* an earlier end; h[e + 1] followed it */
        int len = 0;
        while (len < limit && e - len >= from && h[e - len] == h[n - 1 - len]) len++;
        if (len >= allowed && len > best[h[e + 1]]) best[h[e + 1]] = len;
    }
}

static const char *const words[] = {"a", "b", "cc", "\n", "x.", ".y", "ab", "c"};

static bool word_of(void *ud, int32_t id, const char **text, size_t *n) {
    (void)ud;
    *text = words[id];
    *n = strlen(words[id]);
    return true;
}

static void test_dry(void **state) {
    (void)state;
    enum { V = 8, N = 120 };
    const struct ig_str texts[] = {{"\n", 1}, {"..", 2}}; /* ".." only across "x." ".y" */
    const int32_t seq[] = {6, 7};
    const struct ig_token_seq seqs[] = {{seq, 2}};
    float logits[V] = {0};
    uint64_t rng = 9;
    for (int round = 0; round < 40; round++) {
        struct ig_sample_params p = only(round % 2 ? "dry" : "min_p;dry");
        p.min_p = 1e-12;
        p.dry_multiplier = 0.1;
        p.dry_base = 1.2;
        p.dry_allowed_length = 1 + round % 3;
        p.dry_penalty_last_n = round % 4 == 0 ? 20 : -1;
        p.n_context = 1000;
        p.dry_breakers = texts;
        p.n_dry_breakers = 2;
        p.dry_breaker_ids = seqs;
        p.n_dry_breaker_ids = 1;
        struct ig_sampler *s;
        assert_int_equal(ig_sampler_open(&s, &mem, &p, V, word_of, NULL, NULL), INGLE_OK);
        int h[N], best[V], window = p.dry_penalty_last_n < 0 ? 1000 : p.dry_penalty_last_n;
        bool breaks[N];
        int alphabet = round % 5 == 4 ? V : 3;
        for (int n = 0; n < N; n++) {
            h[n] = (int)(uniform(&rng) * alphabet);
            if (n > 20 && uniform(&rng) < 0.7) h[n] = h[n - 7];
            breaks[n] =
                h[n] == 3 || (n && h[n - 1] == 4 && h[n] == 5) || (n && h[n - 1] == 6 && h[n] == 7);
            ig_sampler_accept(s, h[n]);
            ref_dry(h, breaks, n + 1, window, p.dry_allowed_length, best, V);
            int zero = 0;
            while (zero < V && best[zero]) zero++;
            if (zero == V) continue;
            for (int t = 0; t < V; t++) {
                double want = best[t] ? -0.1 * pow(1.2, best[t] - p.dry_allowed_length) : 0;
                double got = shifted(s, logits, V, t, zero);
                if (want < -20) continue; /* gone from the list of chances that can be told apart */
                assert_true(fabs(got - want) < 1e-5);
            }
        }
        ig_sampler_close(s);
    }
}

/* ---- Mirostat ---- */

static void test_mirostat(void **state) {
    (void)state;
    enum { V = 2000 };
    static float logits[V];
    for (int i = 0; i < V; i++) logits[(i * 7) % V] = (float)(-1.1 * log(i + 1.0));
    for (int version = 1; version <= 2; version++)
        for (int tau = 3; tau <= 6; tau++) {
            struct ig_sample_params p;
            ig_sample_defaults(&p);
            p.temperature = 1;
            p.mirostat = version;
            p.mirostat_tau = tau;
            p.seed = (uint64_t)tau;
            struct ig_sampler *s = open_with(&p, V);
            static int32_t ids[V];
            static double chances[V];
            double bits = 0;
            int count = 0;
            for (int i = 0; i < 3000; i++) {
                int32_t id = pick(s, logits);
                size_t k = ig_sampler_candidates(s, ids, chances, V);
                for (size_t j = 0; j < k && i >= 500; j++)
                    if (ids[j] == id) {
                        bits -= log2(chances[j]);
                        count++;
                    }
            }
            /* The point of mirostat: the mean surprise is the target. */
            assert_true(fabs(bits / count - tau) < 0.25);
            ig_sampler_close(s);
        }
}

/* Mirostat 2 keeps exactly the tokens of surprise at most mu, which begins at 2 tau. */
static void test_mirostat2_cut(void **state) {
    (void)state;
    const double chance[] = {.5, .25, .125, .0625, .0625};
    float logits[5];
    for (int i = 0; i < 5; i++) logits[i] = (float)log(chance[i]);
    struct ig_sample_params p = only("temperature");
    p.mirostat = 2;
    p.mirostat_tau = 1.25; /* mu 2.5 bits: the first two */
    struct ig_sampler *s = open_with(&p, 5);
    pick(s, logits);
    assert_int_equal(ig_sampler_candidates(s, NULL, NULL, 0), 2);
    ig_sampler_close(s);
}

/* ---- Numbers ---- */

static void test_numbers(void **state) {
    (void)state;
    for (double x = -690; x < 690; x += 0.7371)
        assert_true(fabs(ig_sample_exp(x) / exp(x) - 1) < 2e-15);
    for (double x = 1e-310; x < 1e300; x *= 1.37)
        assert_true(fabs(ig_sample_ln(x) - log(x)) <= 2e-15 * fabs(log(x)) + 1e-16);
    assert_true(ig_sample_exp(0) == 1 && ig_sample_ln(1) == 0);
    assert_true(ig_sample_exp(-1e9) == 0 && ig_sample_exp(-INFINITY) == 0);
    /* From tools/golden/sampler_numbers.py: the definition in exact integers. */
    static const struct {
        uint64_t seed, at;
        unsigned lane;
        double u;
    } golden[] = {
#include "sample_numbers.inc"
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++)
        assert_true(ig_sample_uniform(golden[i].seed, golden[i].at, golden[i].lane) == golden[i].u);
}

static void test_chi_square(void **state) {
    (void)state;
    enum { V = 300, N = 60000 };
    static float logits[V];
    uint64_t rng = 4;
    for (int i = 0; i < V; i++) logits[i] = normal(&rng) * 0.5f;
    for (int kind = 0; kind < 3; kind++) {
        struct ig_sample_params p;
        ig_sample_defaults(&p);
        p.seed = 1234 + (uint64_t)kind;
        if (kind == 1) p = only("temperature"), p.temperature = 1.5;
        if (kind == 2) p.top_k = 5, p.xtc_probability = 0;
        struct ig_sampler *s = open_with(&p, V);
        static int hits[V];
        static int32_t ids[V];
        static double chances[V];
        memset(hits, 0, sizeof hits);
        for (int i = 0; i < N; i++) hits[pick(s, logits)]++;
        size_t k = ig_sampler_candidates(s, ids, chances, V);
        double chi = 0, df = 0;
        int seen = 0;
        for (size_t i = 0; i < k; i++) {
            double expected = chances[i] * N, d = hits[ids[i]] - expected;
            seen += hits[ids[i]];
            if (expected < 5) continue;
            chi += d * d / expected;
            df++;
        }
        assert_int_equal(seen, N);
        df -= 1;
        assert_true(chi < df + 4.5 * sqrt(2 * df) + 8);
        ig_sampler_close(s);
    }
}

/* ---- Determinism and state ---- */

static void fill(float *logits, int n, uint64_t step) {
    uint64_t rng = 1000 * step;
    for (int i = 0; i < n; i++) logits[i] = normal(&rng);
}

static void test_same_seed_same_text(void **state) {
    (void)state;
    enum { V = 64, N = 80 };
    float logits[V];
    struct ig_sample_params p;
    ig_sample_defaults(&p);
    p.temperature = 2;
    p.repeat_penalty = 1.1;
    p.dry_multiplier = 0.8;
    p.n_context = 100;
    p.xtc_probability = 0.5;
    int32_t text[3][N];
    for (int run = 0; run < 3; run++) {
        p.seed = run < 2 ? 5 : 6;
        struct ig_sampler *s = open_with(&p, V);
        for (int i = 0; i < N; i++) {
            fill(logits, V, (uint64_t)i);
            ig_sampler_accept(s, text[run][i] = pick(s, logits));
        }
        if (run == 1) { /* reset begins again */
            ig_sampler_reset(s);
            fill(logits, V, 0);
            assert_int_equal(pick(s, logits), text[0][0]);
        }
        ig_sampler_close(s);
    }
    assert_memory_equal(text[0], text[1], sizeof text[0]);
    assert_memory_not_equal(text[0], text[2], sizeof text[0]);
}

/* The same tokens on every machine: computed by tools/golden/sampler_numbers.py. */
static void test_same_text_everywhere(void **state) {
    (void)state;
    enum { V = 1000, N = 120 };
    static const int32_t want[N] = {
#include "sample_text.inc"
    };
    static float logits[V];
    struct ig_sample_params p;
    ig_sample_defaults(&p);
    p.seed = 42;
    struct ig_sampler *s = open_with(&p, V);
    for (uint32_t step = 0; step < N; step++) {
        for (uint32_t i = 0; i < V; i++)
            logits[i] = (float)((i * 2654435761u + step * 40503u) >> 16) / 4096.0f;
        assert_int_equal(pick(s, logits), want[step]);
    }
    ig_sampler_close(s);
}

static void go_on(struct ig_sampler *s, int32_t *out, int from, int to) {
    float logits[8];
    for (int i = from; i < to; i++) {
        fill(logits, 8, (uint64_t)i);
        ig_sampler_accept(s, *out++ = pick(s, logits));
    }
}

static void test_save_and_clone(void **state) {
    (void)state;
    for (int mirostat = 0; mirostat < 3; mirostat++) {
        struct ig_sample_params p;
        ig_sample_defaults(&p);
        p.mirostat = mirostat;
        p.repeat_penalty = 1.2;
        p.repeat_last_n = 16;
        p.dry_multiplier = 1;
        p.n_context = 50;
        p.temperature = 1.5;
        struct ig_sampler *s, *copy, *other;
        int32_t before[60], a[60], b[60], c[60];
        assert_int_equal(ig_sampler_open(&s, &mem, &p, 8, word_of, NULL, NULL), INGLE_OK);
        assert_int_equal(ig_sampler_open(&other, &mem, &p, 8, word_of, NULL, NULL), INGLE_OK);
        const int32_t banned = 6;
        ig_sampler_ban(s, &banned, 1, NULL);
        ig_sampler_ban(other, &banned, 1, NULL);
        go_on(s, before, 0, 60);
        size_t n = ig_sampler_state_size(s);
        uint8_t *bytes = malloc(n);
        ig_sampler_save(s, bytes);
        assert_int_equal(ig_sampler_clone(&copy, s, NULL), INGLE_OK);
        assert_int_equal(ig_sampler_load(other, bytes, n, NULL), INGLE_OK);
        go_on(s, a, 60, 120);
        go_on(copy, b, 60, 120);
        go_on(other, c, 60, 120);
        assert_memory_equal(a, b, sizeof a);
        assert_memory_equal(a, c, sizeof a);
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(ig_sampler_load(other, bytes, cut, NULL), INGLE_BAD_FILE);
        bytes[0] ^= 1;
        assert_int_equal(ig_sampler_load(other, bytes, n, NULL), INGLE_BAD_FILE);
        bytes[0] ^= 1;
        for (size_t i = 0; i < n; i++) { /* any flipped byte: refused or harmless */
            bytes[i] ^= 0xff;
            ig_sampler_load(other, bytes, n, NULL);
            bytes[i] ^= 0xff;
        }
        free(bytes);
        ig_sampler_close(s);
        ig_sampler_close(copy);
        ig_sampler_close(other);
    }
    assert_int_equal(ig_mem_used(&mem), 0);
}

/* ---- Inputs nobody should send ---- */

static void test_not_finite(void **state) {
    (void)state;
    float logits[5] = {0, 1, 2, 3, 4};
    struct ig_sample_params p;
    ig_sample_defaults(&p);
    struct ig_sampler *s = open_with(&p, 5);
    const float bad[] = {NAN, -NAN, INFINITY};
    for (int i = 0; i < 3; i++) {
        int32_t id = 7;
        ingle_error err;
        logits[3] = bad[i];
        assert_int_equal(ig_sampler_pick(s, logits, &id, &err), INGLE_NUMERIC);
        assert_int_equal(id, -1);
        assert_non_null(strstr(err.message, "token 3"));
        assert_non_null(strstr(err.hint, "damaged"));
    }
    for (int i = 0; i < 5; i++) logits[i] = -INFINITY;
    int32_t id;
    assert_int_equal(ig_sampler_pick(s, logits, &id, NULL), INGLE_NUMERIC);
    logits[2] = -FLT_MAX;
    assert_int_equal(pick(s, logits), 2);
    ig_sampler_close(s);
}

/* Every combination of extreme settings on extreme logits ends with a token that is allowed. */
static void test_extremes(void **state) {
    (void)state;
    uint64_t rng = 3;
    for (int round = 0; round < 4000; round++) {
        struct ig_sample_params p;
        ig_sample_defaults(&p);
        float logits[16];
        const float values[] = {0, FLT_MAX, -FLT_MAX, 1e30f, -1e30f, FLT_MIN, -0.0f, 80, -INFINITY};
        for (int i = 0; i < 16; i++) logits[i] = values[(int)(uniform(&rng) * 9)];
        logits[5] = 1;
        const double t[] = {0, 1e-300, 1e-9, 1, 1e6};
        p.temperature = t[(int)(uniform(&rng) * 5)];
        p.dynatemp_range = uniform(&rng) < 0.3 ? t[(int)(uniform(&rng) * 5)] : 0;
        p.dynatemp_exponent = uniform(&rng) < 0.5 ? 0 : 1e3;
        p.top_k = (int32_t)(uniform(&rng) * 20) - 1;
        p.top_p = uniform(&rng) < 0.3 ? 0 : uniform(&rng);
        p.min_p = uniform(&rng) < 0.3 ? 1 : uniform(&rng);
        p.typical_p = uniform(&rng) < 0.3 ? 0 : uniform(&rng) * 2;
        p.top_n_sigma = uniform(&rng) < 0.5 ? -1 : uniform(&rng) * 1e-3;
        p.xtc_probability = uniform(&rng);
        p.xtc_threshold = uniform(&rng) * 0.6;
        p.mirostat = (int32_t)(uniform(&rng) * 6) - 3 > 0 ? (int32_t)(uniform(&rng) * 3) : 0;
        p.mirostat_tau = t[(int)(uniform(&rng) * 5)];
        p.mirostat_eta = t[(int)(uniform(&rng) * 5)];
        p.repeat_penalty = uniform(&rng) < 0.5 ? 1e-6 : 1e6;
        p.frequency_penalty = 1e6 * (uniform(&rng) - 0.5);
        p.presence_penalty = 1e6 * (uniform(&rng) - 0.5);
        p.dry_multiplier = uniform(&rng) < 0.5 ? 1e6 : 0;
        p.dry_base = 1e6;
        p.dry_allowed_length = 1;
        p.dry_penalty_last_n = 1 + (int32_t)(uniform(&rng) * 50);
        p.repeat_last_n = (int32_t)(uniform(&rng) * 50);
        p.min_keep = (int32_t)(uniform(&rng) * 20);
        p.n_order = (size_t)(uniform(&rng) * 17);
        for (size_t i = 0; i < p.n_order; i++)
            p.order[i] = (uint8_t)(uniform(&rng) * IG_SAMPLER_KINDS);
        p.seed = (uint64_t)round;
        struct ig_sampler *s = open_with(&p, 16);
        for (int i = 0; i < 30; i++) {
            int32_t id = pick(s, logits);
            assert_true(id >= 0 && id < 16 && logits[id] != -INFINITY);
            ig_sampler_accept(s, id);
        }
        ig_sampler_close(s);
    }
}

static void test_bad_parameters(void **state) {
    (void)state;
    struct ig_sample_params p;
    struct ig_sampler *s;
#define REFUSED(field, value)                                                                      \
    ig_sample_defaults(&p);                                                                        \
    p.field = value;                                                                               \
    assert_int_equal(ig_sampler_open(&s, &mem, &p, 4, NULL, NULL, NULL), INGLE_BAD_ARGUMENT)
    REFUSED(temperature, NAN);
    REFUSED(temperature, -1);
    REFUSED(top_p, -0.1);
    REFUSED(min_p, INFINITY);
    REFUSED(repeat_penalty, 0);
    REFUSED(dry_base, 0.5);
    REFUSED(mirostat, 3);
    REFUSED(min_keep, -1);
    REFUSED(n_order, 17);
    REFUSED(order[0], 200);
    ig_sample_defaults(&p);
    p.dry_multiplier = 1; /* window -1, and no context size told */
    assert_int_equal(ig_sampler_open(&s, &mem, &p, 4, NULL, NULL, NULL), INGLE_BAD_ARGUMENT);
    ig_sample_defaults(&p);
    assert_int_equal(ig_sampler_open(&s, &mem, &p, 0, NULL, NULL, NULL), INGLE_BAD_ARGUMENT);
    assert_int_equal(ig_mem_used(&mem), 0);
}

static void test_parse_order(void **state) {
    (void)state;
    struct ig_sample_params p, q;
    ig_sample_defaults(&p);
    ig_sample_defaults(&q);
    static const char full[] = "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature";
    assert_int_equal(ig_sample_parse_order(&q, ig_str_of(full), NULL), INGLE_OK);
    assert_int_equal(q.n_order, p.n_order);
    assert_memory_equal(p.order, q.order, p.n_order);
    assert_int_equal(ig_sample_parse_order(&q, ig_str_of("edskypmxt"), NULL), INGLE_OK);
    assert_memory_equal(p.order, q.order, p.n_order);
    assert_int_equal(ig_sample_parse_order(&q, ig_str_of(" top-k, temp "), NULL), INGLE_OK);
    assert_int_equal(q.n_order, 2);
    assert_int_equal(q.order[0], IG_SAMPLER_TOP_K);
    assert_int_equal(q.order[1], IG_SAMPLER_TEMPERATURE);
    assert_int_equal(ig_sample_parse_order(&q, ig_str_of(""), NULL), INGLE_OK);
    assert_int_equal(q.n_order, 0);
    ingle_error err;
    assert_int_equal(ig_sample_parse_order(&q, ig_str_of("top_k;nonsense"), &err),
                     INGLE_BAD_ARGUMENT);
    assert_non_null(strstr(err.message, "nonsense"));
    assert_int_equal(ig_sample_parse_order(&q, ig_str_of("kkkkkkkkkkkkkkkkk"), NULL),
                     INGLE_BAD_ARGUMENT);
}

/* Allocation failures: a status each time, nothing leaks. */
static long fuse;
static void *failing(void *ud, void *p, size_t old, size_t now) {
    (void)ud;
    (void)old;
    if (!now) {
        free(p);
        return NULL;
    }
    return fuse-- > 0 ? realloc(p, now) : NULL;
}

static void test_no_memory(void **state) {
    (void)state;
    struct ig_mem m = {.hook = failing};
    struct ig_sample_params p;
    ig_sample_defaults(&p);
    const struct ig_logit_bias bias = {1, 1};
    p.bias = &bias;
    p.n_bias = 1;
    p.dry_multiplier = p.repeat_penalty = 2;
    p.n_context = 9;
    ingle_status st = INGLE_NO_MEMORY;
    for (long n = 0; st != INGLE_OK; n++) {
        struct ig_sampler *s;
        fuse = n;
        st = ig_sampler_open(&s, &m, &p, 100, NULL, NULL, NULL);
        assert_true(st == INGLE_OK ? s != NULL : st == INGLE_NO_MEMORY && !s);
        assert_true(n < 100);
        ig_sampler_close(s);
        assert_int_equal(ig_mem_used(&m), 0);
    }
}

/* A generous bound (sanitizers, slow machines): the default chain on 256k tokens, and top-p alone
 * on a flat row. */
static void test_speed(void **state) {
    (void)state;
    enum { V = 262144, N = 20 };
    float *logits = malloc(V * sizeof *logits);
    uint64_t rng = 8;
    for (int i = 0; i < V; i++) logits[i] = normal(&rng);
    for (int kind = 0; kind < 3; kind++) {
        struct ig_sample_params p;
        ig_sample_defaults(&p);
        if (kind == 1) p = only("top_p"), p.top_p = 0.95;
        if (kind == 2) p.temperature = 0;
        struct ig_sampler *s = open_with(&p, V);
        pick(s, logits);
        clock_t from = clock();
        for (int i = 0; i < N; i++) pick(s, logits);
        double ms = 1e3 * (double)(clock() - from) / CLOCKS_PER_SEC / N;
        print_message("%s: %.3f ms a pick of %d\n",
                      kind == 0   ? "default chain"
                      : kind == 1 ? "top-p alone"
                                  : "greedy",
                      ms, V);
        assert_true(ms < (kind == 1 ? 600 : 60));
        ig_sampler_close(s);
    }
    free(logits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top_k),
        cmocka_unit_test(test_top_p),
        cmocka_unit_test(test_min_p),
        cmocka_unit_test(test_typical),
        cmocka_unit_test(test_sigma),
        cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_dynatemp),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_greedy_ties),
        cmocka_unit_test(test_xtc),
        cmocka_unit_test(test_penalties),
        cmocka_unit_test(test_bias_and_ban),
        cmocka_unit_test(test_dry),
        cmocka_unit_test(test_mirostat),
        cmocka_unit_test(test_mirostat2_cut),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_chi_square),
        cmocka_unit_test(test_same_seed_same_text),
        cmocka_unit_test(test_same_text_everywhere),
        cmocka_unit_test(test_save_and_clone),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_bad_parameters),
        cmocka_unit_test(test_parse_order),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
