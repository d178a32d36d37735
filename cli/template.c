/* ingle template: renders a conversation with a model's template or a file's. */
#include "cli.h"

/* The case goes to the library as it is; reading it here first tells a broken file from a template
 * that fails. */
static int read_case(struct cli *c, const char *path, char **text, size_t *n) {
    struct ig_arena arena = {.mem = &c->mem};
    const struct ig_json *j;
    ingle_status st = cli_read_file(&c->mem, path, text, n, &c->err);
    if (st != INGLE_OK) return cli_fail(&c->err);
    st = ig_json_parse(&arena, (struct ig_str){*text, *n}, NULL, &j, &c->err);
    if (st == INGLE_OK && !ig_json_is(j, IG_JSON_OBJECT))
        st = ig_fail(&c->err, INGLE_BAD_FILE, "give an object with messages", "not a JSON object");
    ig_arena_free(&arena);
    if (st == INGLE_OK) return 0;
    ig_fail_in(&c->err, "%s", path);
    if (st != INGLE_NO_MEMORY) c->err.code = INGLE_BAD_FILE;
    return cli_fail(&c->err);
}

int cli_template(struct cli *c) {
    struct ig_buf out = {.mem = &c->mem};
    const char *file = c->flag[CLI_TEMPLATE_FILE], *input = c->flag[CLI_INPUT];
    char *source = NULL, *vars = NULL;
    size_t n = 0, vars_n = 0;
    ingle_model *m = NULL;
    if (!file && !c->n_args) return cli_usage(c, "name a model or give --template FILE");
    if (c->n_args > 1) return cli_usage(c, "template takes one MODEL");
    if (!input) return cli_usage(c, "give the conversation with --input FILE");
    int code = read_case(c, input, &vars, &vars_n);
    if (!code && file && cli_read_file(&c->mem, file, &source, &n, &c->err) != INGLE_OK)
        code = cli_fail(&c->err);
    if (!code && c->n_args) code = cli_open_model(c, &m);
    if (!code &&
        ingle_template_render(m, source, n, vars, vars_n, cli_collect, &out, &c->err) != INGLE_OK) {
        code = cli_fail(&c->err);
        if (c->err.code != INGLE_NOT_FOUND && c->err.code != INGLE_NO_MEMORY) code = 1;
    }
    if (!code) cli_put_buf(&out); /* all or nothing */
    ingle_model_close(m);
    ig_buf_free(&out);
    ig_free(&c->mem, vars);
    ig_free(&c->mem, source);
    return code;
}
