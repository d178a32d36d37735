/* Sampling parameters: llama.cpp's defaults, the chain's order as text, and the bounds that
 * ig_sampler_open relies on. The bounds are wider than those of the options table: they only keep
 * arithmetic out of trouble. */
#include "sample/chain.h"

#include <math.h>

static const struct {
    const char *name;
    char letter;
} kinds[IG_SAMPLER_KINDS] = {
#define X(id, name, letter) {name, letter},
    IG_SAMPLERS(X)
#undef X
};

static const struct ig_str breakers[] = {{"\n", 1}, {":", 1}, {"\"", 1}, {"*", 1}};

void ig_sample_defaults(struct ig_sample_params *p) {
    *p = (struct ig_sample_params){
        .temperature = 0.8,
        .dynatemp_exponent = 1.0,
        .top_p = 0.95,
        .min_p = 0.05,
        .typical_p = 1.0,
        .top_n_sigma = -1.0,
        .xtc_threshold = 0.1,
        .mirostat_tau = 5.0,
        .mirostat_eta = 0.1,
        .repeat_penalty = 1.0,
        .dry_base = 1.75,
        .top_k = 40,
        .repeat_last_n = 64,
        .dry_allowed_length = 2,
        .dry_penalty_last_n = -1,
        .n_order = IG_SAMPLER_KINDS,
        .dry_breakers = breakers,
        .n_dry_breakers = sizeof breakers / sizeof *breakers,
    };
    for (uint8_t i = 0; i < IG_SAMPLER_KINDS; i++) p->order[i] = i;
}

/* Names with '-' for '_' and the short "temp" and "typical_p" are understood too. */
static int find_kind(struct ig_str name) {
    static const struct {
        const char *name;
        int kind;
    } others[] = {{"temp", IG_SAMPLER_TEMPERATURE},
                  {"typical_p", IG_SAMPLER_TYP_P},
                  {"typical", IG_SAMPLER_TYP_P}};
    char text[24];
    if (name.n >= sizeof text) return -1;
    for (size_t i = 0; i < name.n; i++) text[i] = name.p[i] == '-' ? '_' : name.p[i];
    text[name.n] = 0;
    for (int i = 0; i < IG_SAMPLER_KINDS; i++)
        if (strcmp(text, kinds[i].name) == 0) return i;
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(text, others[i].name) == 0) return others[i].kind;
    return -1;
}

static bool parse_letters(struct ig_sample_params *p, struct ig_str text) {
    if (text.n > IG_SAMPLE_MAX_ORDER) return false;
    p->n_order = 0;
    for (size_t i = 0; i < text.n; i++) {
        int kind = 0;
        while (kind < IG_SAMPLER_KINDS && kinds[kind].letter != text.p[i]) kind++;
        if (kind == IG_SAMPLER_KINDS) return false;
        p->order[p->n_order++] = (uint8_t)kind;
    }
    return true;
}

ingle_status ig_sample_parse_order(struct ig_sample_params *p, struct ig_str text,
                                   ingle_error *err) {
    static const char hint[] =
        "the samplers are penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature";
    struct ig_sample_params q = *p;
    text = ig_str_trim(text);
    q.n_order = 0;
    for (size_t at = 0; at < text.n;) {
        size_t end = at;
        while (end < text.n && text.p[end] != ';' && text.p[end] != ',') end++;
        struct ig_str name = ig_str_trim((struct ig_str){text.p + at, end - at});
        at = end + 1;
        if (!name.n) continue;
        int kind = find_kind(name);
        if (kind < 0 && name.n == text.n && parse_letters(&q, text)) break;
        if (kind < 0)
            return ig_fail(err, INGLE_BAD_ARGUMENT, hint, "samplers: there is no sampler '%.*s'",
                           (int)(name.n < 64 ? name.n : 64), name.p);
        if (q.n_order == IG_SAMPLE_MAX_ORDER)
            return ig_fail(err, INGLE_BAD_ARGUMENT, "name each sampler once",
                           "samplers: more than %d in the chain", IG_SAMPLE_MAX_ORDER);
        q.order[q.n_order++] = (uint8_t)kind;
    }
    memcpy(p->order, q.order, sizeof p->order);
    p->n_order = q.n_order;
    return INGLE_OK;
}

struct bound {
    const char *name;
    double value, min, max;
};

ingle_status ig_sample_check(const struct ig_sample_params *p, ingle_error *err) {
    const struct bound bounds[] = {
        {"temperature", p->temperature, 0, 1e6},
        {"dynatemp_range", p->dynatemp_range, 0, 1e6},
        {"dynatemp_exponent", p->dynatemp_exponent, 0, 1e6},
        {"top_p", p->top_p, 0, 1e6},
        {"min_p", p->min_p, 0, 1},
        {"typical_p", p->typical_p, 0, 1e6},
        {"top_n_sigma", p->top_n_sigma, -1e6, 1e6},
        {"xtc_probability", p->xtc_probability, 0, 1e6},
        {"xtc_threshold", p->xtc_threshold, 0, 1e6},
        {"mirostat", p->mirostat, 0, 2},
        {"mirostat_tau", p->mirostat_tau, 0, 1e6},
        {"mirostat_eta", p->mirostat_eta, 0, 1e6},
        {"repeat_penalty", p->repeat_penalty, 1e-6, 1e6},
        {"frequency_penalty", p->frequency_penalty, -1e6, 1e6},
        {"presence_penalty", p->presence_penalty, -1e6, 1e6},
        {"dry_multiplier", p->dry_multiplier, 0, 1e6},
        {"dry_base", p->dry_base, 1, 1e6},
        {"dry_allowed_length", p->dry_allowed_length, 1, 1 << 30},
        {"repeat_last_n", p->repeat_last_n, -1, 1 << 30},
        {"dry_penalty_last_n", p->dry_penalty_last_n, -1, 1 << 30},
        {"n_context", p->n_context, 0, 1 << 30},
        {"min_keep", p->min_keep, 0, INT32_MAX},
        {"n_order", (double)p->n_order, 0, IG_SAMPLE_MAX_ORDER},
    };
    for (unsigned i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        const struct bound *b = &bounds[i];
        if (b->value >= b->min && b->value <= b->max) continue;
        return ig_fail(err, INGLE_BAD_ARGUMENT, "see ingle_options_describe for what is allowed",
                       "%s is %g, not within %g and %g", b->name, b->value, b->min, b->max);
    }
    for (size_t i = 0; i < p->n_order; i++)
        if (p->order[i] >= IG_SAMPLER_KINDS)
            return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "unknown sampler number %u", p->order[i]);
    for (size_t i = 0; i < p->n_bias; i++)
        if (!(fabsf(p->bias[i].bias) <= 1e6f) && p->bias[i].bias != -INFINITY)
            return ig_fail(err, INGLE_BAD_ARGUMENT, "give a number or false",
                           "logit bias of token %d is %g", p->bias[i].id, (double)p->bias[i].bias);
    return INGLE_OK;
}
