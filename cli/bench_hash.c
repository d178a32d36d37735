/* ingle bench --hash: one number for all logits of a fixed sequence of tokens. Machines that print
 * the same number for the same file compute the same bits (docs/reproducibility.md). */
#include "cli.h"

#include <stdio.h>

#include "base/hash.h"

struct hash {
    uint64_t state;
    size_t n_vocab;
};

static int add_row(void *ud, size_t position, const float *logits) {
    struct hash *h = ud;
    (void)position;
    h->state = ig_checksum(h->state, logits, h->n_vocab * sizeof *logits);
    return cli_interrupt_pending();
}

static void cancel(void *ud) {
    ingle_session_cancel(ud);
}

/* The sequence never changes: the documented numbers depend on it. */
static void fixed_ids(int32_t *ids, size_t n, size_t n_vocab) {
    uint64_t random = 1;
    for (size_t i = 0; i < n; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (int32_t)((random >> 33) % n_vocab);
    }
}

static ingle_status compute(struct cli *c, ingle_model *m, const int32_t *ids, size_t n,
                            struct hash *h) {
    ingle_session *s = NULL;
    char text[32];
    snprintf(text, sizeof text, "%zu", n);
    if (!cli_option_is_set(c, "context")) ingle_options_set(c->options, "context", text, NULL);
    IG_TRY(ingle_session_open(&s, m, c->options, &c->err));
    cli_on_interrupt(cancel, s);
    ingle_status st = ingle_session_sync_each(s, ids, n, add_row, h, &c->err);
    cli_on_interrupt(NULL, NULL);
    ingle_session_close(s);
    return st;
}

int cli_bench_hash(struct cli *c, ingle_model *m, size_t n) {
    struct hash h = {.n_vocab = (size_t)ingle_model_vocab_size(m)};
    int32_t *ids = ig_calloc(&c->mem, n, sizeof *ids);
    if (!ids) return cli_error(3, NULL, "out of memory");
    fixed_ids(ids, n, h.n_vocab);
    ingle_status st = compute(c, m, ids, n, &h);
    ig_free(&c->mem, ids);
    if (st != INGLE_OK) return cli_fail(&c->err);
    const char *kv = ingle_options_get(c->options, "kv");
    cli_putf(c->flag[CLI_JSON]
                 ? "{\"hash\":\"%016llx\",\"tokens\":%zu,\"vocab_size\":%zu,\"kv\":\"%s\"}\n"
                 : "%016llx  %zu tokens, %zu logits each, kv %s\n",
             (unsigned long long)h.state, n, h.n_vocab, kv);
    return 0;
}
