/* ingle run: one prompt, one answer. */
#include "answer.h"

#include <stdio.h>
#include <string.h>

static int get_prompt(struct cli *c, char **text, size_t *n) {
    const char *file = c->flag[CLI_FILE], *arg = c->n_args > 1 ? c->args[1] : NULL;
    if (c->n_args > 2) return cli_usage(c, "one PROMPT only: put quotes around it");
    if (file && arg) return cli_usage(c, "PROMPT or --file, not both");
    if (arg && strcmp(arg, "-") != 0) {
        *n = strlen(arg);
        *text = ig_calloc(&c->mem, *n + 1, 1);
        if (*text) memcpy(*text, arg, *n);
        return *text ? 0 : cli_error(3, NULL, "out of memory");
    }
    if (!file && !arg && cli_is_terminal(0))
        return cli_usage(c, "give a PROMPT, or ingle chat to talk");
    if (cli_read_file(&c->mem, file ? file : "-", text, n, &c->err) != INGLE_OK)
        return cli_fail(&c->err);
    if (!file && *n && (*text)[*n - 1] == '\n') (*text)[--*n] = 0;
    return 0;
}

static void build_request(struct cli *c, struct ig_buf *b, struct ig_str prompt) {
    if (!c->flag[CLI_CHAT]) {
        ig_buf_z(b, "{\"prompt\":");
        ig_json_put_str(b, prompt);
        ig_buf_z(b, "}");
        return;
    }
    ig_buf_z(b, "{\"messages\":[");
    if (c->flag[CLI_SYSTEM]) cli_add_message(b, "system", ig_str_of(c->flag[CLI_SYSTEM]));
    cli_add_message(b, "user", prompt);
    ig_buf_z(b, "]}");
}

static void print_json(struct cli *c, const struct cli_answer *a) {
    struct ig_buf b = {.mem = &c->mem};
    ig_buf_z(&b, "{\"text\":");
    ig_json_put_str(&b, ig_buf_view(&a->text));
    if (a->reasoning.n) {
        ig_buf_z(&b, ",\"reasoning\":");
        ig_json_put_str(&b, ig_buf_view(&a->reasoning));
    }
    ig_buf_z(&b, ",\"finish\":");
    ig_json_put_str(&b, ig_str_of(a->finish));
    ig_buf_f(&b,
             ",\"prompt_tokens\":%d,\"cached_tokens\":%d,\"output_tokens\":%d,\"prompt_seconds\":",
             a->prompt_tokens, a->cached_tokens, a->output_tokens);
    ig_json_put_f64(&b, a->prompt_seconds);
    ig_buf_z(&b, ",\"output_seconds\":");
    ig_json_put_f64(&b, a->output_seconds);
    ig_buf_f(&b, ",\"guessed_tokens\":%d,\"accepted_tokens\":%d", a->guessed_tokens,
             a->accepted_tokens);
    ig_buf_z(&b, "}\n");
    cli_put_buf(&b);
}

static int ask(struct cli *c, ingle_model *m, struct ig_str prompt) {
    ingle_engine *e = NULL;
    struct ig_buf request = {.mem = &c->mem};
    struct cli_answer a = {
        .print = !c->flag[CLI_JSON], .text = {.mem = &c->mem}, .reasoning = {.mem = &c->mem}};
    build_request(c, &request, prompt);
    if (request.failed) return cli_error(3, NULL, "out of memory");
    ingle_status st = ingle_engine_open(&e, m, c->options, &c->err);
    if (st == INGLE_OK) st = cli_ask(e, &request, &a, &c->err);
    if (a.print && a.last && a.last != '\n' && cli_is_terminal(1)) cli_putz("\n");
    int code = st == INGLE_OK ? 0 : st == INGLE_CANCELLED ? 130 : cli_fail(&c->err);
    if (!a.print && !code) print_json(c, &a);
    if (c->flag[CLI_STATS] && cli_flush() && (!code || code == 130)) cli_print_stats(&a);
    ingle_engine_close(e);
    cli_answer_free(&a);
    ig_buf_free(&request);
    return code;
}

int cli_run(struct cli *c) {
    char *text = NULL;
    size_t n = 0;
    ingle_model *m = NULL;
    if (!c->n_args) return cli_usage(c, "name a model");
    if (c->flag[CLI_SYSTEM] && !c->flag[CLI_CHAT]) return cli_usage(c, "--system needs --chat");
    int code = get_prompt(c, &text, &n);
    if (!code) code = cli_open_model(c, &m);
    if (!code) code = ask(c, m, (struct ig_str){text, n});
    ingle_model_close(m);
    ig_free(&c->mem, text);
    return code;
}
