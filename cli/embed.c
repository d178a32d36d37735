/* ingle embed: texts in, vectors out, one line each. */
#include "cli.h"

struct rows {
    struct cli *c;
    bool json;
};

static int print_row(void *ud, size_t index, const float *values, size_t width, int32_t tokens) {
    struct rows *r = ud;
    struct ig_buf b = {.mem = &r->c->mem};
    if (r->json) ig_buf_f(&b, "{\"index\":%zu,\"tokens\":%d,\"embedding\":[", index, tokens);
    for (size_t i = 0; i < width; i++) {
        if (i) ig_buf_ch(&b, r->json ? ',' : ' ');
        ig_buf_f(&b, "%.9g", (double)values[i]);
    }
    ig_buf_z(&b, r->json ? "]}\n" : "\n");
    cli_put_buf(&b);
    return !cli_flush() || cli_interrupt_pending();
}

/* {"input": [lines], "pooling": ...}: every argument is a text, or every line of the input. */
static void build_request(struct cli *c, struct ig_str text, struct ig_buf *b) {
    const char *pooling = c->flag[CLI_POOLING];
    ig_buf_z(b, "{\"input\":[");
    for (int i = 1; i < c->n_args && text.p == NULL; i++) {
        if (i > 1) ig_buf_ch(b, ',');
        ig_json_put_str(b, ig_str_of(c->args[i]));
    }
    for (bool first = true; text.n; first = false) {
        size_t n = 0;
        if (!ig_str_find(text, IG_STR("\n"), &n)) n = text.n;
        if (!first) ig_buf_ch(b, ',');
        ig_json_put_str(b, (struct ig_str){text.p, n});
        n += n < text.n;
        text = (struct ig_str){text.p + n, text.n - n};
    }
    ig_buf_f(b, "],\"normalize\":%s,\"pooling\":", c->flag[CLI_RAW] ? "false" : "true");
    ig_json_put_str(b, ig_str_of(pooling ? pooling : "mean"));
    ig_buf_z(b, "}");
}

static void cancel(void *ud) {
    ingle_engine_cancel(ud, 0);
}

static int embed(struct cli *c, const ingle_model *m, struct ig_str text) {
    ingle_engine *e = NULL;
    struct rows rows = {c, c->flag[CLI_JSON] != NULL};
    struct ig_buf request = {.mem = &c->mem};
    build_request(c, text, &request);
    if (request.failed) return cli_error(3, NULL, "out of memory");
    ingle_status st = ingle_engine_open(&e, m, c->options, &c->err);
    if (st == INGLE_OK) {
        cli_on_interrupt(cancel, e);
        st = ingle_engine_embed(e, request.p, request.n, print_row, &rows, &c->err);
        cli_on_interrupt(NULL, NULL);
    }
    int code = st == INGLE_OK ? 0 : st == INGLE_CANCELLED ? 130 : cli_fail(&c->err);
    ingle_engine_close(e);
    ig_buf_free(&request);
    return code;
}

int cli_embed(struct cli *c) {
    char *text = NULL;
    size_t n = 0;
    ingle_model *m = NULL;
    if (!c->n_args) return cli_usage(c, "name a model");
    bool from_input = c->n_args == 1 || (c->n_args == 2 && ig_str_is(ig_str_of(c->args[1]), "-"));
    if (c->n_args == 1 && cli_is_terminal(0)) return cli_usage(c, "give a TEXT");
    if (from_input && cli_read_file(&c->mem, "-", &text, &n, &c->err) != INGLE_OK)
        return cli_fail(&c->err);
    int code = cli_open_model(c, &m);
    if (!code) code = embed(c, m, (struct ig_str){text, n});
    ingle_model_close(m);
    ig_free(&c->mem, text);
    return code;
}
