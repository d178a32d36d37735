/* ingle bench: tokens a second for a prompt fed at once and for tokens generated one by one. Ids
 * are pseudo-random and new in each repetition, so that nothing is taken over from the one before;
 * one unmeasured round warms up. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_REPETITIONS = 1000 };

struct bench {
    struct cli *c;
    ingle_model *model;
    ingle_session *session;   /* the first of sessions */
    ingle_session **sessions; /* [n_sessions] advanced together by the generation test */
    size_t n_sessions;
    int32_t *ids; /* [n_ids] */
    size_t n_ids;
    uint64_t random;
    double speed[MAX_REPETITIONS];
    size_t repetitions;
};

static int32_t random_id(struct bench *b) {
    b->random = b->random * 6364136223846793005u + 1442695040888963407u;
    return (int32_t)((b->random >> 33) % (uint64_t)ingle_model_vocab_size(b->model));
}

static ingle_status prompt_once(struct bench *b, size_t n, double *seconds) {
    for (size_t i = 0; i < n; i++) b->ids[i] = random_id(b);
    size_t held;
    const int32_t *old = ingle_session_tokens(b->session, &held);
    if (held && old[0] == b->ids[0]) b->ids[0] = (b->ids[0] + 1) % ingle_model_vocab_size(b->model);
    double start = cli_seconds();
    IG_TRY(ingle_session_sync(b->session, b->ids, n, &b->c->err));
    *seconds = cli_seconds() - start;
    return INGLE_OK;
}

static ingle_status step_all(struct bench *b) {
    for (size_t i = 0; i < b->n_sessions; i++) b->ids[i] = random_id(b);
    if (b->n_sessions == 1) return ingle_session_step(b->session, b->ids[0], &b->c->err);
    return ingle_sessions_step(b->sessions, b->ids, b->n_sessions, &b->c->err);
}

static ingle_status generate_once(struct bench *b, size_t n, double *seconds) {
    for (size_t i = 0; i < b->n_sessions; i++) {
        b->ids[0] = random_id(b);
        IG_TRY(ingle_session_sync(b->sessions[i], b->ids, 1, &b->c->err));
    }
    double start = cli_seconds();
    for (size_t i = 0; i < n; i++) {
        IG_TRY(step_all(b));
        if (cli_interrupt_pending()) return ig_fail(&b->c->err, INGLE_CANCELLED, NULL, "cancelled");
    }
    *seconds = cli_seconds() - start;
    return INGLE_OK;
}

static void print_result(struct bench *b, bool prompt, size_t n, bool first) {
    double sum = 0, squares = 0, k = (double)b->repetitions;
    char test[32];
    for (size_t i = 0; i < b->repetitions; i++) sum += b->speed[i];
    for (size_t i = 0; i < b->repetitions; i++)
        squares += (b->speed[i] - sum / k) * (b->speed[i] - sum / k);
    double spread = b->repetitions > 1 ? sqrt(squares / (k - 1)) : 0;
    if (prompt || b->n_sessions == 1)
        snprintf(test, sizeof test, "%s%zu", prompt ? "pp" : "tg", n);
    else
        snprintf(test, sizeof test, "tg%zux%zu", n, b->n_sessions);
    cli_progress_clear();
    if (!b->c->flag[CLI_JSON]) {
        if (first) cli_putf("%-10s %12s %10s %6s\n", "test", "tokens/s", "+-", "runs");
        cli_putf("%-10s %12.2f %10.2f %6zu\n", test, sum / k, spread, b->repetitions);
        cli_flush();
        return;
    }
    cli_putf("%s{\"test\":\"%s\",\"tokens\":%zu,\"tokens_per_second\":%.6g,\"stddev\":%.6g,"
             "\"samples\":[",
             first ? "[" : ",", test, n, sum / k, spread);
    for (size_t i = 0; i < b->repetitions; i++) cli_putf("%s%.6g", i ? "," : "", b->speed[i]);
    cli_putz("]}");
}

static ingle_status run_test(struct bench *b, bool prompt, size_t n, bool first) {
    double seconds = 0;
    for (size_t i = 0; i <= b->repetitions; i++) { /* round 0 warms up */
        IG_TRY(prompt ? prompt_once(b, n, &seconds) : generate_once(b, n, &seconds));
        double tokens = (double)(prompt ? n : n * b->n_sessions);
        if (i) b->speed[i - 1] = tokens / (seconds > 1e-9 ? seconds : 1e-9);
        cli_progress(prompt ? "prompt" : "generation", (double)i / (double)b->repetitions);
    }
    print_result(b, prompt, n, first);
    return INGLE_OK;
}

static void cancel(void *ud) {
    ingle_session_cancel(ud);
}

static ingle_status open_sessions(struct bench *b) {
    for (size_t i = 0; i < b->n_sessions; i++)
        IG_TRY(ingle_session_open(&b->sessions[i], b->model, b->c->options, &b->c->err));
    b->session = b->sessions[0];
    return INGLE_OK;
}

static int run_tests(struct bench *b, size_t pp, size_t tg) {
    struct cli *c = b->c;
    char text[32];
    size_t longest = pp > tg + 1 ? pp : tg + 1;
    b->n_ids = longest > b->n_sessions ? longest : b->n_sessions;
    snprintf(text, sizeof text, "%zu", longest);
    if (!cli_option_is_set(c, "context")) ingle_options_set(c->options, "context", text, NULL);
    b->ids = ig_calloc(&c->mem, b->n_ids, sizeof *b->ids);
    b->sessions = ig_calloc(&c->mem, b->n_sessions, sizeof *b->sessions);
    if (!b->ids || !b->sessions) return cli_error(3, NULL, "out of memory");
    ingle_status st = open_sessions(b);
    if (st == INGLE_OK) {
        cli_on_interrupt(cancel, b->session);
        if (pp) st = run_test(b, true, pp, true);
        if (st == INGLE_OK && tg) st = run_test(b, false, tg, !pp);
        cli_on_interrupt(NULL, NULL);
    }
    if (st == INGLE_OK && c->flag[CLI_JSON]) cli_putz(pp || tg ? "]\n" : "[]\n");
    for (size_t i = 0; i < b->n_sessions; i++) ingle_session_close(b->sessions[i]);
    ig_free(&c->mem, b->sessions);
    ig_free(&c->mem, b->ids);
    return st == INGLE_OK ? 0 : cli_fail(&c->err);
}

int cli_bench(struct cli *c) {
    static struct bench b; /* 8 kB of samples: not for the stack */
    bool bad = false;
    b.c = c;
    b.random = 1;
    if (c->n_args > 1) return cli_usage(c, "bench takes one MODEL");
    size_t pp =
        (size_t)cli_number(c, CLI_PROMPT_TOKENS, c->flag[CLI_HASH] ? 64 : 512, 0, 1 << 24, &bad);
    size_t tg = (size_t)cli_number(c, CLI_GEN_TOKENS, 64, 0, 1 << 24, &bad);
    b.n_sessions = (size_t)cli_number(c, CLI_SESSIONS, 1, 1, 4096, &bad);
    b.repetitions = (size_t)cli_number(c, CLI_REPETITIONS, 5, 1, MAX_REPETITIONS, &bad);
    if (bad) return 64;
    if (c->flag[CLI_HASH] && !pp) return cli_usage(c, "--hash needs at least one token");
    int code = cli_open_model(c, &b.model);
    if (!code && c->flag[CLI_HASH])
        code = cli_bench_hash(c, b.model, pp);
    else if (!code)
        code = run_tests(&b, pp, tg);
    ingle_model_close(b.model);
    return code;
}
