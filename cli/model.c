/* Opening a model (store.c says which file MODEL means), and lists of tokens. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Opening ---- */

static int show_progress(void *ud, const char *what, double done) {
    (void)ud;
    cli_progress(what, done);
    return cli_interrupt_pending();
}

static void nothing(void *ud) {
    (void)ud;
}

int cli_open_model(struct cli *c, ingle_model **out) {
    struct ig_buf path = {.mem = &c->mem};
    *out = NULL;
    if (!c->n_args) return cli_usage(c, "name a model");
    int code = cli_resolve(c, c->args[0], &path);
    if (!code) code = cli_resolve_draft(c);
    if (!code) {
        cli_on_interrupt(nothing, NULL); /* the progress callback sees the flag */
        ingle_options_on_progress(c->options, show_progress, NULL);
        ingle_status st = ingle_model_open(out, path.p, c->options, &c->err);
        cli_on_interrupt(NULL, NULL);
        cli_progress_clear();
        if (st != INGLE_OK) code = cli_fail(&c->err);
    }
    ig_buf_free(&path);
    return code;
}

/* ---- Tokens ---- */

int32_t *cli_parse_ids(struct cli *c, const char *text, size_t *n, int *code) {
    size_t cap = strlen(text) / 2 + 1, count = 0, bytes;
    int32_t *ids = ig_mul(cap, sizeof *ids, &bytes) ? ig_alloc(&c->mem, bytes) : NULL;
    *code = ids ? 0 : cli_error(3, NULL, "out of memory");
    for (const char *at = text; ids && *at;) {
        size_t skip = strspn(at, " \t\r\n,[]"), len = strcspn(at + skip, " \t\r\n,[]");
        int64_t v;
        at += skip;
        if (!len) break;
        if (!ig_str_to_i64((struct ig_str){at, len}, &v) || v < 0 || v > INT32_MAX) {
            *code = cli_usage(c, "'%.*s' is not a token id", (int)(len < 40 ? len : 40), at);
            ig_free(&c->mem, ids);
            return NULL;
        }
        ids[count++] = (int32_t)v;
        at += len;
    }
    *n = count;
    return ids;
}

ingle_status cli_get_ids(struct cli *c, ingle_model *m, const char *text, size_t len,
                         unsigned flags, int32_t **ids, size_t *n) {
    *ids = NULL;
    IG_TRY(ingle_tokenize(m, text, len, flags, NULL, 0, n, &c->err));
    *ids = ig_calloc(&c->mem, *n + 1, sizeof **ids);
    if (!*ids) return ig_fail_memory(&c->err, *n * sizeof **ids);
    if (!*n) return INGLE_OK;
    return ingle_tokenize(m, text, len, flags, *ids, *n, n, &c->err);
}
