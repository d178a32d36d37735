/* Which guesses, and how many, are worth computing. A pass of 1 + k tokens costs more than one of
 * 1, by how much only measuring tells: averages are kept for a few sizes. A guess comes true with a
 * chance that grows with the length of the match behind it: that is learned from every token, also
 * where nothing was computed ahead, so it costs nothing. The k with the most expected tokens a
 * second wins; on text that does not repeat itself that is 0, and then a step is a plain step.
 *
 * The subtle thing: guesses lie in the cache behind the timeline's end and become part of it one by
 * one as they are confirmed. Nothing is ever cut back, and since a pass has at most `batch` tokens,
 * a window's ring has room for them. */
#include "engine/speculate.h"

const uint8_t ig_spec_sizes[IG_SPEC_SIZES] = {1, 2, 4, 8, 16, 1 + IG_SPEC_MOST};
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

ingle_status ig_spec_open(struct ig_spec **out, struct ingle_session *s, struct ig_draft *draft,
                          ingle_error *err) {
    struct ig_spec *sp = ig_calloc(&s->mem, 1, sizeof *sp);
    *out = NULL;
    if (!sp) return ig_fail_memory(err, sizeof *sp);
    sp->s = s;
    sp->draft = draft;
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

void ig_spec_begin(struct ig_spec *sp, enum ig_spec_mode mode) {
    sp->mode = mode;
    sp->drafted = sp->prompt_read = false;
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

/* Seconds of a pass of a size: measured, or as the smaller ones that were measured let expect. */
static double expected_cost(const struct ig_spec *sp, unsigned size) {
    unsigned from = size;
    const struct ig_spec_cost *c = &sp->cost[size];
    while (from && !is_known(sp, from)) from--;
    double plain = sp->cost[0].seconds, each = token_cost * plain;
    if (from && sp->cost[from].seconds - plain > each * (ig_spec_sizes[from] - 1))
        each = (sp->cost[from].seconds - plain) / (ig_spec_sizes[from] - 1);
    double hope = sp->cost[from].seconds + each * (ig_spec_sizes[size] - ig_spec_sizes[from]);
    return from == size ? c->seconds : c->samples > 1 && c->seconds < hope ? c->seconds : hope;
}

/* Sizes are tried one after the other, so that a machine where they are dear is found out early. */
static unsigned largest_size(const struct ig_spec *sp) {
    unsigned i = 0;
    while (i + 1 < IG_SPEC_SIZES && sp->cost[i].samples) i++;
    return i;
}

struct bet {
    double gain; /* tokens a second in plain steps; `margin` if nothing pays */
    uint32_t guesses;
};

/* The best number of guesses, of `most`: their chances in order, and the seconds each takes to get.
 */
static struct bet best_bet(const struct ig_spec *sp, const double *chance, uint32_t most,
                           double each) {
    struct bet best = {margin, 0};
    double run = 1, tokens = 1, plain = sp->cost[0].seconds;
    unsigned largest = largest_size(sp);
    uint32_t k = 0;
    if (sp->force) return (struct bet){margin, sp->force < most ? sp->force : most};
    for (unsigned i = 1; i <= largest && ig_spec_sizes[i] <= most + 1; i++) {
        for (; k + 1 < ig_spec_sizes[i]; k++) {
            run *= chance[k];
            tokens += run;
        }
        double gain = tokens * plain / (expected_cost(sp, i) + k * each);
        if (gain > best.gain) best = (struct bet){gain, k};
    }
    return best;
}

/* ---- The account ---- */

/* What a round with guesses took more than the plain steps it stood for. The first of a size, which
 * touches new memory, is not counted: that is paid once. */
static void settle(struct ig_spec *sp) {
    double plain = sp->cost[0].seconds;
    if ((!sp->held && !sp->drafted) || sp->first) return;
    sp->lost += sp->round - plain * (1 + sp->at);
    if (sp->lost < -30 * plain) sp->lost = -30 * plain; /* a good time does not pay for a bad one */
}

/* Estimates can be wrong: what guesses may lose in all is a small part of all time. */
static bool can_afford(const struct ig_spec *sp) {
    return sp->lost <= 0.012 * sp->total + 2.5 * sp->cost[0].seconds;
}

/* ---- The draft ---- */

/* Seconds of a guess; before one was made, by the models' sizes. */
static double draft_seconds(const struct ig_spec *sp) {
    const struct ig_draft *d = sp->draft;
    return d->samples > 1 ? d->seconds : sp->cost[0].seconds * d->size;
}

/* Where a draft does not seem to pay, one is tried now and then. */
static bool draft_pays(const struct ig_spec *sp, uint32_t most, double gain) {
    const struct ig_draft *d = sp->draft;
    double mean[IG_SPEC_MOST];
    if (!d || !most || sp->mode == IG_SPEC_NGRAM) return false;
    if (sp->force) return true;
    if (sp->cost[0].samples < 2) return false;
    if (sp->passes - sp->last_draft > STALE) return true;
    for (uint32_t i = 0; i < most; i++) mean[i] = d->mean;
    return best_bet(sp, mean, most, draft_seconds(sp)).gain > gain;
}

/* A further guess must be worth its own time and that of one more token in the pass. */
static double least_chance(const struct ig_spec *sp) {
    double plain = sp->cost[0].seconds, token = (expected_cost(sp, 2) - plain) / 3;
    return sp->force ? 0 : (draft_seconds(sp) + token) / plain;
}

/* ---- Stepping ---- */

static uint32_t most_guesses(const struct ig_spec *sp, uint32_t room) {
    const struct ingle_session *s = sp->s;
    uint32_t most = IG_SPEC_MOST;
    if (room < most + 1) most = room ? room - 1 : 0;
    if (s->batch - 1 < most) most = s->batch - 1;
    if (s->context - s->n - 1 < most) most = s->context - s->n - 1;
    return most;
}

/* A draft's first round in a request has the prompt to read: that is not held against its guesses.
 */
static ingle_status read_prompt(struct ig_spec *sp, ingle_error *err) {
    double start = ig_os_seconds();
    if (sp->prompt_read) return INGLE_OK;
    sp->prompt_read = true;
    IG_TRY(ig_draft_follow(sp->draft, sp->s->tokens, sp->s->n, err));
    sp->prompt_seconds = ig_os_seconds() - start;
    return INGLE_OK;
}

/* Puts guesses at what follows the token at s->tokens[s->n] into sp->guess: the text's or the
 * draft's, whichever promise more. */
static ingle_status make_guesses(struct ig_spec *sp, uint32_t most, uint32_t *n, ingle_error *err) {
    struct ingle_session *s = sp->s;
    double chance[IG_SPEC_MOST] = {0};
    bool only_draft = sp->mode == IG_SPEC_DRAFT || sp->mode == IG_SPEC_MTP;
    uint32_t found = only_draft || !sp->lookup.length ? 0 : most;
    for (uint32_t i = 0; i < found; i++) chance[i] = sp->chance[class_of(sp->lookup.length + i)];
    struct bet bet = best_bet(sp, chance, found, 0);
    *n = bet.guesses;
    if (draft_pays(sp, most, bet.gain)) {
        IG_TRY(read_prompt(sp, err));
        IG_TRY(ig_draft_guess(sp->draft, s->tokens, s->n + 1, most, least_chance(sp), sp->guess,
                              chance, &found, err));
        *n = best_bet(sp, chance, found, 0).guesses;
        sp->drafted = true;
        sp->last_draft = sp->passes;
    } else {
        ig_lookup_guess(&sp->lookup, sp->guess, *n);
    }
    memcpy(s->tokens + s->n + 1, sp->guess, *n * sizeof *sp->guess);
    return INGLE_OK;
}

static ingle_status run_ahead(struct ig_spec *sp, uint32_t room, ingle_error *err) {
    double before = ig_os_seconds();
    uint32_t n = 0, most = sp->force || can_afford(sp) ? most_guesses(sp, room) : 0;
    sp->prompt_seconds = 0;
    sp->drafted = false;
    IG_TRY(make_guesses(sp, most, &n, err));
    double start = ig_os_seconds();
    IG_TRY(ig_session_ahead(sp->s, 1 + n, err));
    double end = ig_os_seconds();
    sp->held = n;
    sp->guessed += n;
    sp->round = end - before - sp->prompt_seconds;
    sp->total += sp->round;
    for (unsigned i = 0; i < IG_SPEC_SIZES; i++)
        if (ig_spec_sizes[i] == 1 + n) {
            sp->first = !sp->cost[i].samples;
            learn_cost(sp, i, end - start);
        }
    return INGLE_OK;
}

ingle_status ig_spec_step(struct ig_spec *sp, int32_t id, uint32_t room, ingle_error *err) {
    struct ingle_session *s = sp->s;
    bool reached = sp->at < sp->held, came_true = reached && sp->guess[sp->at] == id;
    learn_chance(sp, id);
    if (reached && sp->drafted) ig_draft_learn(sp->draft, sp->at, came_true);
    if (came_true) {
        ig_session_take(s, ++sp->at);
        sp->accepted++;
        ig_lookup_add(&sp->lookup);
        return INGLE_OK;
    }
    settle(sp);
    sp->held = sp->at = 0;
    if (s->n >= s->context) return ig_session_step(s, id, err); /* says that it is full */
    s->tokens[s->n] = id;
    ig_lookup_add(&sp->lookup);
    return run_ahead(sp, room, err);
}
