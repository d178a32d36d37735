/* ingle template: renders a conversation with a model's template or a file's. */
#include "cli.h"

#include <string.h>

static bool is_one_of(struct ig_str key, const char *const *names) {
    for (; *names; names++)
        if (ig_str_is(key, *names)) return true;
    return false;
}

static void add_fields(struct ig_buf *b, const struct ig_json *object,
                       const char *const *leave_out) {
    for (const struct ig_json *j = object->child; j; j = j->next) {
        if (is_one_of(j->key, leave_out)) continue;
        ig_buf_ch(b, b->n > 1 ? ',' : ' ');
        ig_json_put_str(b, j->key);
        ig_buf_ch(b, ':');
        ig_json_put(b, j);
    }
}

/* The case's own bookkeeping is not for the template; what stands in kwargs is, as a variable each.
 */
static int read_case(struct cli *c, const char *path, struct ig_buf *b) {
    static const char *const ours[] = {"template", "case", "kwargs", "expected", "error", NULL},
                             *const none[] = {NULL};
    struct ig_arena arena = {.mem = &c->mem};
    char *text = NULL;
    size_t n;
    const struct ig_json *j;
    ingle_status st = cli_read_file(&c->mem, path, &text, &n, &c->err);
    if (st == INGLE_OK) {
        st = ig_json_parse(&arena, (struct ig_str){text, n}, NULL, &j, &c->err);
        if (st == INGLE_OK && !ig_json_is(j, IG_JSON_OBJECT))
            st = ig_fail(&c->err, INGLE_BAD_FILE, "give an object with messages",
                         "not a JSON object");
        if (st != INGLE_OK) {
            ig_fail_in(&c->err, "%s", path);
            c->err.code = INGLE_BAD_FILE;
        }
    }
    if (st == INGLE_OK) {
        const struct ig_json *kwargs = ig_json_get(j, "kwargs");
        ig_buf_ch(b, '{');
        add_fields(b, j, ours);
        if (ig_json_is(kwargs, IG_JSON_OBJECT)) add_fields(b, kwargs, none);
        ig_buf_ch(b, '}');
    }
    int code = st != INGLE_OK ? cli_fail(&c->err)
               : b->failed    ? cli_error(3, NULL, "out of memory")
                              : 0;
    ig_arena_free(&arena);
    ig_free(&c->mem, text);
    return code;
}

int cli_template(struct cli *c) {
    struct ig_buf vars = {.mem = &c->mem};
    struct ig_buf out = {.mem = &c->mem};
    const char *file = c->flag[CLI_TEMPLATE_FILE], *input = c->flag[CLI_INPUT];
    char *source = NULL;
    size_t n = 0;
    ingle_model *m = NULL;
    if (!file && !c->n_args) return cli_usage(c, "name a model or give --template FILE");
    if (c->n_args > 1) return cli_usage(c, "template takes one MODEL");
    if (!input) return cli_usage(c, "give the conversation with --input FILE");
    int code = read_case(c, input, &vars);
    if (!code && file && cli_read_file(&c->mem, file, &source, &n, &c->err) != INGLE_OK)
        code = cli_fail(&c->err);
    if (!code && c->n_args) code = cli_open_model(c, &m);
    if (!code &&
        ingle_template_render(m, source, n, vars.p, vars.n, cli_collect, &out, &c->err) != INGLE_OK)
        code = cli_fail(&c->err);
    if (!code) cli_put_buf(&out); /* all or nothing */
    ingle_model_close(m);
    ig_buf_free(&out);
    ig_buf_free(&vars);
    ig_free(&c->mem, source);
    return code;
}
