/* How many guesses are worth computing. A pass of 1 + k tokens costs more than one of 1, by how
 * much only measuring tells: averages are kept for a few sizes. A guess comes true with a chance
 * that grows with the length of the match behind it: that is learned from every token, also where
 * nothing was computed ahead, so it costs nothing. The k with the most expected tokens a second
 * wins; on text that does not repeat itself that is 0, and then a step is a plain step.
 *
 * The subtle thing: guesses lie in the cache behind the timeline's end and become part of it one by
 * one as they are confirmed. Nothing is ever cut back, and since a pass has at most `batch` tokens,
 * a window's ring has room for them. */
#include "engine/speculate.h"

const uint8_t ig_spec_sizes[IG_SPEC_SIZES] = {1, 2, 3, 4, 6, 8, 12, 16, 1 + IG_SPEC_MOST};
/* The longest match of a class, and what is believed before anything was seen. */
static const uint8_t longest[IG_SPEC_CLASSES] = {
    1, 2, 3, 4, 6, 9, 15, 31, IG_LOOKUP_LONGEST - 1, IG_LOOKUP_LONGEST};
static const double prior[IG_SPEC_CLASSES] = {0, 0.1, 0.25, 0.35, 0.45, 0.6, 0.7, 0.8, 0.85, 0.9};

static const double margin = 1.04;    /* what speculation must promise to be tried */
static const double token_cost = 0.1; /* of a further token in a pass, before it was measured */
enum {
    MEMORY = 48, /* tokens over which a chance is averaged */
    STALE = 400  /* passes after which a cost is doubted */
};

ingle_status ig_spec_open(struct ig_spec **out, struct ingle_session *s, ingle_error *err) {
    struct ig_spec *sp = ig_calloc(&s->mem, 1, sizeof *sp);
    *out = NULL;
    if (!sp) return ig_fail_memory(err, sizeof *sp);
    sp->s = s;
    memcpy(sp->chance, prior, sizeof prior);
    ingle_status status = ig_lookup_open(&sp->lookup, &s->mem, s->context, err);
    if (status != INGLE_OK)
        ig_spec_close(sp);
    else
        *out = sp;
    return status;
}

void ig_spec_close(struct ig_spec *sp) {
    if (!sp) return;
    if (sp->lookup.mem) ig_lookup_close(&sp->lookup);
    ig_free(&sp->s->mem, sp);
}

void ig_spec_begin(struct ig_spec *sp) {
    ig_lookup_begin(&sp->lookup, sp->s->tokens, sp->s->n);
    sp->held = sp->at = 0;
    sp->guessed = sp->accepted = 0;
}

/* ---- What was learned ---- */

static unsigned class_of(uint32_t length) {
    unsigned c = 0;
    while (longest[c] < length && c + 1 < IG_SPEC_CLASSES) c++;
    return c;
}

static void learn_chance(struct ig_spec *sp, int32_t id) {
    const struct ig_lookup *l = &sp->lookup;
    if (!l->length) return;
    double *chance = &sp->chance[class_of(l->length)];
    *chance += ((l->tokens[l->source] == id) - *chance) / MEMORY;
}

/* The first pass of a size also touches new memory and is not counted; later ones count at most
 * double, so that one that another program held up does not stay in mind. */
static void learn_cost(struct ig_spec *sp, unsigned size, double seconds) {
    struct ig_spec_cost *c = &sp->cost[size];
    sp->passes++;
    c->last = sp->passes;
    c->samples++;
    if (c->samples <= 2)
        c->seconds = seconds;
    else
        c->seconds += 0.15 * ((seconds < 2 * c->seconds ? seconds : 2 * c->seconds) - c->seconds);
}

static bool is_known(const struct ig_spec *sp, unsigned size) {
    const struct ig_spec_cost *c = &sp->cost[size];
    return c->samples > 1 && sp->passes - c->last < STALE;
}

/* Seconds of a pass of a size: measured, or hoped for from the next smaller one that was. */
static double expected_cost(const struct ig_spec *sp, unsigned size) {
    unsigned from = size;
    while (from && !is_known(sp, from)) from--;
    double hope = sp->cost[from].seconds +
                  token_cost * (ig_spec_sizes[size] - ig_spec_sizes[from]) * sp->cost[0].seconds;
    const struct ig_spec_cost *c = &sp->cost[size];
    return from == size ? c->seconds : c->samples > 1 && c->seconds < hope ? c->seconds : hope;
}

/* Guesses worth computing, of `most`. */
static uint32_t choose(const struct ig_spec *sp, uint32_t most) {
    double best = margin, run = 1, tokens = 1;
    uint32_t guesses = 0, k = 0;
    if (sp->force) return sp->force < most ? sp->force : most;
    if (sp->cost[0].samples < 2) return 0;
    for (unsigned i = 1; i < IG_SPEC_SIZES && ig_spec_sizes[i] <= most + 1; i++) {
        for (; k + 1 < ig_spec_sizes[i]; k++) {
            run *= sp->chance[class_of(sp->lookup.length + k)];
            tokens += run;
        }
        double gain = tokens * sp->cost[0].seconds / expected_cost(sp, i);
        if (gain <= best) continue;
        best = gain;
        guesses = k;
    }
    return guesses;
}

/* ---- Stepping ---- */

static uint32_t most_guesses(const struct ig_spec *sp, uint32_t room) {
    const struct ingle_session *s = sp->s;
    uint32_t most = IG_SPEC_MOST;
    if (!sp->lookup.length) return 0;
    if (room < most + 1) most = room ? room - 1 : 0;
    if (s->batch - 1 < most) most = s->batch - 1;
    if (s->context - s->n - 1 < most) most = s->context - s->n - 1;
    return most;
}

static ingle_status run_ahead(struct ig_spec *sp, uint32_t guesses, ingle_error *err) {
    struct ingle_session *s = sp->s;
    double start = ig_os_seconds();
    ig_lookup_guess(&sp->lookup, sp->guess, guesses);
    memcpy(s->tokens + s->n + 1, sp->guess, guesses * sizeof *sp->guess);
    IG_TRY(ig_session_ahead(s, 1 + guesses, err));
    sp->held = guesses;
    sp->guessed += guesses;
    for (unsigned i = 0; i < IG_SPEC_SIZES; i++)
        if (ig_spec_sizes[i] == 1 + guesses) learn_cost(sp, i, ig_os_seconds() - start);
    return INGLE_OK;
}

ingle_status ig_spec_step(struct ig_spec *sp, int32_t id, uint32_t room, ingle_error *err) {
    struct ingle_session *s = sp->s;
    learn_chance(sp, id);
    if (sp->at < sp->held && sp->guess[sp->at] == id) {
        ig_session_take(s, ++sp->at);
        sp->accepted++;
        ig_lookup_add(&sp->lookup);
        return INGLE_OK;
    }
    sp->held = sp->at = 0;
    if (s->n >= s->context) return ig_session_step(s, id, err); /* says that it is full */
    s->tokens[s->n] = id;
    ig_lookup_add(&sp->lookup);
    return run_ahead(sp, choose(sp, most_guesses(sp, room)), err);
}
