/* ingle perplexity, counted as llama.cpp counts it: the text's tokens in chunks of N, the first
 * token of each replaced by BOS if the model adds one, and of each chunk the second half scored:
 * the logits of positions N/2 .. N-2 against the token that follows them. PPL = exp(mean of -ln p);
 * its error is the standard error of that mean times PPL. */
#include "cli.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct score {
    const int32_t *ids; /* the chunk, [n] */
    size_t n, first, n_vocab, seen;
    double nll, nll2;
    size_t count;
    bool not_finite;
};

/* -ln softmax(logits)[id], the sum in double. */
static double surprise(const float *logits, size_t n, int32_t id) {
    double sum = 0;
    float max = logits[0];
    for (size_t i = 1; i < n; i++) max = logits[i] > max ? logits[i] : max;
    for (size_t i = 0; i < n; i++) sum += (double)expf(logits[i] - max);
    return log(sum) - (double)(logits[id] - max);
}

static int on_row(void *ud, size_t position, const float *logits) {
    struct score *s = ud;
    s->seen++;
    if (position < s->first || position + 1 >= s->n) return cli_interrupt_pending();
    double v = surprise(logits, s->n_vocab, s->ids[position + 1]);
    if (!isfinite(v)) s->not_finite = true;
    s->nll += v;
    s->nll2 += v * v;
    s->count++;
    return s->not_finite || cli_interrupt_pending();
}

static void cancel(void *ud) {
    ingle_session_cancel(ud);
}

/* A session of its own for each chunk: nothing of the one before can be taken over. */
static ingle_status score_chunk(struct cli *c, ingle_model *m, struct score *s) {
    ingle_session *session = NULL;
    IG_TRY(ingle_session_open(&session, m, c->options, &c->err));
    cli_on_interrupt(cancel, session);
    ingle_status st = ingle_session_sync_each(session, s->ids, s->n, on_row, s, &c->err);
    cli_on_interrupt(NULL, NULL);
    ingle_session_close(session);
    if (s->not_finite)
        return ig_fail(&c->err, INGLE_NUMERIC, "the weights are damaged: get the model again",
                       "a logit is not finite");
    return st;
}

/* The token the model puts first, or -1: what tokenising with and without special tokens differs by
 * at the front. */
static int32_t find_bos(struct cli *c, ingle_model *m) {
    int32_t *with = NULL, *without = NULL, bos = -1;
    size_t n = 0, k = 0;
    if (cli_get_ids(c, m, "a", 1, INGLE_ADD_SPECIAL, &with, &n) == INGLE_OK &&
        cli_get_ids(c, m, "a", 1, 0, &without, &k) == INGLE_OK && n > k && k &&
        with[0] != without[0])
        bos = with[0];
    ig_free(&c->mem, with);
    ig_free(&c->mem, without);
    return bos;
}

static void estimate(const struct score *s, double *ppl, double *error) {
    double n = (double)s->count, mean = s->nll / n, var = s->nll2 / n - mean * mean;
    *ppl = exp(mean);
    *error = var > 0 && s->count > 1 ? sqrt(var / (n - 1)) * *ppl : 0;
}

static void print_chunk(struct cli *c, size_t i, const struct score *s) {
    double ppl, error;
    estimate(s, &ppl, &error);
    if (c->flag[CLI_JSON]) return;
    cli_putf("[%zu]%.4f,", i + 1, ppl);
    cli_flush();
}

static int report(struct cli *c, size_t chunks, const struct score *s) {
    double ppl, error;
    estimate(s, &ppl, &error);
    if (c->flag[CLI_JSON]) {
        cli_putf("{\"perplexity\":%.9g,\"error\":%.9g,\"chunks\":%zu,\"tokens_per_chunk\":%zu,"
                 "\"scored\":%zu}\n",
                 ppl, error, chunks, s->n, s->count);
        return 0;
    }
    cli_putf("\nFinal estimate: PPL = %.4f +/- %.5f\n", ppl, error);
    return 0;
}

static int run_chunks(struct cli *c, ingle_model *m, int32_t *ids, size_t n, size_t len,
                      size_t limit) {
    struct score s = {.n = len, .first = len / 2, .n_vocab = (size_t)ingle_model_vocab_size(m)};
    size_t chunks = n / len < limit ? n / len : limit;
    int32_t bos = find_bos(c, m);
    double start = cli_seconds();
    if (!chunks)
        return cli_error(64, "use a longer text or a smaller -c",
                         "the text has %zu tokens, one chunk needs %zu", n, len);
    for (size_t i = 0; i < chunks; i++) {
        s.ids = ids + i * len;
        if (bos >= 0) ids[i * len] = bos;
        ingle_status st = score_chunk(c, m, &s);
        if (st != INGLE_OK) {
            if (i && !c->flag[CLI_JSON]) cli_putz("\n");
            return cli_fail(&c->err);
        }
        print_chunk(c, i, &s);
        if (i == 0 && cli_is_terminal(2))
            fprintf(stderr, "ingle: %zu chunks of %zu tokens, about %.0f s\n", chunks, len,
                    (cli_seconds() - start) * (double)chunks);
        if (!cli_flush()) return 0;
    }
    return report(c, chunks, &s);
}

int cli_perplexity(struct cli *c) {
    char *text = NULL;
    size_t len = 0, n = 0;
    int32_t *ids = NULL;
    ingle_model *m = NULL;
    int64_t context = 0;
    bool bad = false;
    if (c->n_args != 2) return cli_usage(c, "give MODEL and FILE");
    int64_t limit = cli_number(c, CLI_CHUNKS, INT32_MAX, 1, INT32_MAX, &bad);
    ig_str_to_i64(ig_str_of(ingle_options_get(c->options, "context")), &context);
    if (!context) {
        context = 512;
        ingle_options_set(c->options, "context", "512", NULL);
    }
    if (bad) return 64;
    if (context < 4) return cli_usage(c, "-c must be at least 4");
    if (cli_read_file(&c->mem, c->args[1], &text, &len, &c->err) != INGLE_OK)
        return cli_fail(&c->err);
    int code = cli_open_model(c, &m);
    if (!code && cli_get_ids(c, m, text, len, INGLE_ADD_SPECIAL, &ids, &n) != INGLE_OK)
        code = cli_fail(&c->err);
    if (!code) code = run_chunks(c, m, ids, n, (size_t)context, (size_t)limit);
    ingle_model_close(m);
    ig_free(&c->mem, ids);
    ig_free(&c->mem, text);
    return code;
}
