/* tokenize and detokenize. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

/* Text from --text-file, an argument, or standard input. */
static int get_text(struct cli *c, char **text, size_t *n) {
    const char *file = c->flag[CLI_TEXT_FILE];
    if (c->n_args > 2) return cli_usage(c, "one TEXT only: put quotes around it");
    if (!file && c->n_args == 2 && strcmp(c->args[1], "-") != 0) {
        *n = strlen(c->args[1]);
        *text = ig_calloc(&c->mem, *n + 1, 1);
        if (*text) memcpy(*text, c->args[1], *n);
        return *text ? 0 : cli_error(3, NULL, "out of memory");
    }
    if (file && c->n_args == 2) return cli_usage(c, "TEXT or --text-file, not both");
    if (!file && c->n_args < 2 && cli_is_terminal(0))
        return cli_usage(c, "give a TEXT or --text-file");
    if (cli_read_file(&c->mem, file ? file : "-", text, n, &c->err) == INGLE_OK) return 0;
    return cli_fail(&c->err);
}

static void print_ids(const int32_t *ids, size_t n) {
    cli_putz("[");
    for (size_t i = 0; i < n; i++) cli_putf(i ? ",%d" : "%d", ids[i]);
    cli_putz("]\n");
}

static int print_table(struct cli *c, const ingle_model *m, const int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *bytes;
        size_t len;
        if (ingle_token_bytes(m, ids[i], &bytes, &len, &c->err) != INGLE_OK)
            return cli_fail(&c->err);
        cli_putf("%7d  '", ids[i]);
        cli_put_safe(bytes, len);
        cli_putz("'\n");
    }
    return 0;
}

int cli_tokenize(struct cli *c) {
    char *text = NULL;
    int32_t *ids = NULL;
    ingle_model *m = NULL;
    size_t len = 0, n;
    unsigned flags = (c->flag[CLI_NO_SPECIAL] ? 0 : (unsigned)INGLE_ADD_SPECIAL) |
                     (c->flag[CLI_PARSE_SPECIAL] ? (unsigned)INGLE_PARSE_SPECIAL : 0);
    if (!c->n_args) return cli_usage(c, "name a model");
    int code = get_text(c, &text, &len);
    if (!code) code = cli_open_model(c, &m);
    if (!code && cli_get_ids(c, m, text, len, flags, &ids, &n) != INGLE_OK)
        code = cli_fail(&c->err);
    if (!code && c->flag[CLI_JSON])
        print_ids(ids, n);
    else if (!code)
        code = print_table(c, m, ids, n);
    ig_free(&c->mem, ids);
    ig_free(&c->mem, text);
    ingle_model_close(m);
    return code;
}

/* Ids from --ids, arguments or standard input, as one text. */
static int get_ids_text(struct cli *c, struct ig_buf *b) {
    const char *flag = c->flag[CLI_IDS];
    bool from_stdin = flag ? strcmp(flag, "-") == 0 : c->n_args < 2 || strcmp(c->args[1], "-") == 0;
    if (flag && c->n_args > 1) return cli_usage(c, "ids as arguments or --ids, not both");
    if (from_stdin) {
        char *text;
        size_t n;
        if (!flag && c->n_args < 2 && cli_is_terminal(0)) return cli_usage(c, "give token ids");
        if (cli_read_file(&c->mem, "-", &text, &n, &c->err) != INGLE_OK) return cli_fail(&c->err);
        ig_buf_add(b, text, n);
        ig_free(&c->mem, text);
    } else if (flag) {
        ig_buf_z(b, flag);
    }
    for (int i = 1; i < c->n_args && !from_stdin; i++) {
        ig_buf_z(b, c->args[i]);
        ig_buf_ch(b, ' ');
    }
    ig_buf_ch(b, ' ');
    return b->failed ? cli_error(3, NULL, "out of memory") : 0;
}

int cli_detokenize(struct cli *c) {
    struct ig_buf b = {.mem = &c->mem};
    int32_t *ids = NULL;
    ingle_model *m = NULL;
    size_t n = 0;
    unsigned flags = c->flag[CLI_PARSE_SPECIAL] ? (unsigned)INGLE_PARSE_SPECIAL : 0;
    if (!c->n_args) return cli_usage(c, "name a model");
    int code = get_ids_text(c, &b);
    if (!code) ids = cli_parse_ids(c, b.p, &n, &code);
    if (!code) code = cli_open_model(c, &m);
    if (!code && ingle_detokenize(m, ids, n, flags, cli_push_text, NULL, &c->err) != INGLE_OK &&
        cli_flush())
        code = cli_fail(&c->err);
    if (!code && cli_is_terminal(1)) cli_putz("\n");
    ingle_model_close(m);
    ig_free(&c->mem, ids);
    ig_buf_free(&b);
    return code;
}
