/* ingle logits: the logits of every position as one safetensors file, written row by row as they
 * come. The file has its final name only when it is whole. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct sink {
    FILE *file;
    size_t n_vocab, next; /* next: the position that must come */
    bool failed, wrong_order;
};

static int on_row(void *ud, size_t position, const float *logits) {
    struct sink *s = ud;
    if (position != s->next++) s->wrong_order = true;
    if (fwrite(logits, sizeof *logits, s->n_vocab, s->file) != s->n_vocab) s->failed = true;
    return s->failed || s->wrong_order || cli_interrupt_pending();
}

static bool write_header(FILE *f, size_t rows, size_t n_vocab) {
    char json[256];
    int n =
        snprintf(json, sizeof json,
                 "{\"logits\":{\"dtype\":\"F32\",\"shape\":[%zu,%zu],\"data_offsets\":[0,%llu]}}",
                 rows, n_vocab, (unsigned long long)rows * n_vocab * 4);
    while (n % 8) json[n++] = ' ';
    for (int i = 0; i < 8; i++) fputc((int)((uint64_t)n >> (8 * i) & 0xff), f);
    return fwrite(json, 1, (size_t)n, f) == (size_t)n;
}

static void cancel(void *ud) {
    ingle_session_cancel(ud);
}

/* Longer and longer beginnings of the sequence: the session computes only what is new. */
static ingle_status feed(struct cli *c, ingle_session *s, const int32_t *ids, size_t n,
                         size_t chunk, struct sink *sink) {
    ingle_status st = INGLE_OK;
    cli_on_interrupt(cancel, s);
    for (size_t at = 0; at < n && st == INGLE_OK;) {
        at = n - at < chunk ? n : at + chunk;
        st = ingle_session_sync_each(s, ids, at, on_row, sink, &c->err);
        cli_progress("computing", (double)at / (double)n);
    }
    cli_on_interrupt(NULL, NULL);
    cli_progress_clear();
    return st;
}

/* The context holds the sequence, whatever the default is. */
static void fit_context(struct cli *c, size_t n) {
    int64_t now = 0;
    char text[32];
    ig_str_to_i64(ig_str_of(ingle_options_get(c->options, "context")), &now);
    if (now >= (int64_t)n) return;
    snprintf(text, sizeof text, "%zu", n);
    if (!cli_option_is_set(c, "context")) ingle_options_set(c->options, "context", text, NULL);
}

static int write_logits(struct cli *c, ingle_model *m, const int32_t *ids, size_t n, size_t chunk,
                        const char *path) {
    char part[4096];
    ingle_session *s = NULL;
    bool to_stdout = strcmp(path, "-") == 0;
    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part)
        return cli_error(2, NULL, "the name is too long");
    struct sink sink = {to_stdout ? stdout : fopen(part, "wb"), (size_t)ingle_model_vocab_size(m),
                        0, false, false};
    if (!sink.file)
        return cli_error(2, "check that the folder may be written", "%s: %s", path,
                         strerror(errno));
    sink.failed = !write_header(sink.file, n, sink.n_vocab);
    fit_context(c, n);
    ingle_status st = ingle_session_open(&s, m, c->options, &c->err);
    if (st == INGLE_OK) st = feed(c, s, ids, n, chunk, &sink);
    ingle_session_close(s);
    int why = errno;
    if (!to_stdout && fclose(sink.file) != 0) sink.failed = true, why = errno;
    int code = 0;
    if (sink.failed && !to_stdout)
        code = cli_error(2, "is the disk full?", "%s: %s", path, strerror(why));
    else if (sink.wrong_order || (st == INGLE_OK && sink.next != n))
        code = cli_error(70, "please report this", "positions came in the wrong order");
    else if (st != INGLE_OK)
        code = cli_fail(&c->err);
    if (to_stdout) return code;
    if (code)
        remove(part);
    else if (rename(part, path) != 0)
        code = cli_error(2, NULL, "%s: %s", path, strerror(errno));
    return code;
}

int cli_logits(struct cli *c) {
    char *text = NULL;
    size_t n = 0;
    int code = 0;
    int32_t *ids = NULL;
    bool bad = false;
    ingle_model *m = NULL;
    if (!c->n_args) return cli_usage(c, "name a model");
    if (c->n_args > 1) return cli_usage(c, "logits takes one MODEL");
    if (!c->flag[CLI_IDS] || !c->flag[CLI_OUT]) return cli_usage(c, "give --ids and --out");
    size_t chunk = (size_t)cli_number(c, CLI_CHUNK, INT32_MAX, 1, INT32_MAX, &bad);
    if (bad) return 64;
    if (strcmp(c->flag[CLI_IDS], "-") == 0 &&
        cli_read_file(&c->mem, "-", &text, &n, &c->err) != INGLE_OK)
        return cli_fail(&c->err);
    ids = cli_parse_ids(c, text ? text : c->flag[CLI_IDS], &n, &code);
    if (!code && !n) code = cli_usage(c, "--ids holds no token");
    if (!code) code = cli_open_model(c, &m);
    if (!code) code = write_logits(c, m, ids, n, chunk, c->flag[CLI_OUT]);
    ingle_model_close(m);
    ig_free(&c->mem, ids);
    ig_free(&c->mem, text);
    return code;
}
