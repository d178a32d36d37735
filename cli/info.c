/* info and plan: what is in a model. The library describes it as JSON; people get it as lines. Text
 * from the file is escaped before it reaches a terminal. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static int view(struct cli *c, const ingle_model *m, ingle_model_view which, struct ig_buf *b) {
    if (ingle_model_describe(m, which, cli_collect, b, &c->err) == INGLE_OK && !b->failed) return 0;
    if (b->failed) return cli_error(3, NULL, "out of memory");
    return c->err.code == INGLE_NOT_FOUND ? -1 : cli_fail(&c->err);
}

static void print_value(struct cli *c, const struct ig_json *j) {
    struct ig_buf b = {.mem = &c->mem};
    if (j->kind == IG_JSON_STRING) {
        cli_put_safe(j->text.p, j->text.n < 300 ? j->text.n : 300);
        if (j->text.n > 300) cli_putf("... (%zu bytes)", j->text.n);
        return;
    }
    ig_json_put(&b, j);
    if (b.p) cli_put_safe(b.p, b.n);
    ig_buf_free(&b);
}

static void print_line(struct cli *c, struct ig_str parent, const struct ig_json *j, size_t width) {
    size_t n = j->key.n + (parent.n ? parent.n + 1 : 0);
    cli_put_safe(parent.p, parent.n);
    if (parent.n) cli_putz(".");
    cli_put_safe(j->key.p, j->key.n);
    cli_putf("%*s", (int)(n + 2 < width ? width - n : 2), "");
    const struct ig_json *id = ig_json_get(j, "id"), *text = ig_json_get(j, "text");
    if (j->kind == IG_JSON_OBJECT && id && text) { /* a token */
        print_value(c, id);
        cli_putz("  ");
        j = text;
    }
    print_value(c, j);
    if (ig_str_is(parent, "memory") && ig_json_i64(j, 0) >= 1000000)
        cli_putf("  (%.1f MB)", ig_json_f64(j, 0) / 1e6);
    cli_putz("\n");
}

/* Objects inside become lines of their own, "memory.weights". */
static void print_lines(struct cli *c, const struct ig_json *object, size_t width) {
    for (const struct ig_json *j = object->child; j; j = j->next) {
        bool nested = j->kind == IG_JSON_OBJECT && j->child && !ig_json_get(j, "count");
        if (!nested) print_line(c, (struct ig_str){NULL, 0}, j, width);
        for (const struct ig_json *k = j->child; nested && k; k = k->next)
            print_line(c, j->key, k, width);
    }
}

static int print_object(struct cli *c, const ingle_model *m, ingle_model_view which, size_t width) {
    struct ig_buf b = {.mem = &c->mem};
    struct ig_arena arena = {.mem = &c->mem};
    const struct ig_json *j;
    int code = view(c, m, which, &b);
    if (!code && ig_json_parse(&arena, ig_buf_view(&b), NULL, &j, &c->err) != INGLE_OK)
        code = cli_fail(&c->err);
    if (!code) print_lines(c, j, width);
    ig_arena_free(&arena);
    ig_buf_free(&b);
    return code;
}

static void print_tensor(const struct ig_json *t) {
    struct ig_str name = ig_json_str(ig_json_get(t, "name"), "?"),
                  type = ig_json_str(ig_json_get(t, "type"), "?");
    const struct ig_json *shape = ig_json_get(t, "shape");
    char dims[128];
    size_t n = 0;
    dims[0] = 0;
    for (const struct ig_json *d = shape ? shape->child : NULL; d && n < sizeof dims - 24;
         d = d->next)
        n += (size_t)snprintf(dims + n, sizeof dims - n, n ? " x %lld" : "%lld",
                              (long long)ig_json_i64(d, 0));
    cli_putf("%12lld  ", (long long)ig_json_i64(ig_json_get(t, "bytes"), 0));
    cli_put_safe(type.p, type.n);
    cli_putf("%*s%-20s  ", (int)(type.n < 8 ? 9 - type.n : 1), "", dims);
    cli_put_safe(name.p, name.n);
    cli_putz("\n");
}

struct kind {
    struct ig_str type;
    int64_t count, bytes;
};

static void print_kinds(const struct ig_json *list) {
    struct kind kinds[64];
    size_t n = 0;
    for (const struct ig_json *t = list->child; t; t = t->next) {
        struct ig_str type = ig_json_str(ig_json_get(t, "type"), "?");
        size_t i = 0;
        while (i < n && !ig_str_eq(kinds[i].type, type)) i++;
        if (i == 64) continue;
        if (i == n) kinds[n++] = (struct kind){type, 0, 0};
        kinds[i].count++;
        kinds[i].bytes += ig_json_i64(ig_json_get(t, "bytes"), 0);
    }
    for (size_t i = 0; i < n; i++) {
        cli_putf("%6lld  ", (long long)kinds[i].count);
        cli_put_safe(kinds[i].type.p, kinds[i].type.n);
        cli_putf("%*s%12.1f MB\n", (int)(kinds[i].type.n < 8 ? 8 - kinds[i].type.n : 1), "",
                 (double)kinds[i].bytes / 1e6);
    }
}

static int print_tensors(struct cli *c, const ingle_model *m, bool each) {
    struct ig_buf b = {.mem = &c->mem};
    struct ig_arena arena = {.mem = &c->mem};
    const struct ig_json *j = NULL;
    int code = view(c, m, INGLE_VIEW_TENSORS, &b);
    if (!code && ig_json_parse(&arena, ig_buf_view(&b), NULL, &j, &c->err) != INGLE_OK)
        code = cli_fail(&c->err);
    if (!code && each)
        for (const struct ig_json *t = j->child; t; t = t->next) print_tensor(t);
    if (!code && !each) print_kinds(j);
    ig_arena_free(&arena);
    ig_buf_free(&b);
    return code;
}

static int print_json(struct cli *c, const ingle_model *m) {
    static const char *const names[] = {"info", "metadata", "tensors", "template"};
    struct ig_buf all = {.mem = &c->mem};
    int code = 0;
    for (int i = 0; i < 4 && !code; i++) {
        struct ig_buf b = {.mem = &c->mem};
        code = view(c, m, (ingle_model_view)i, &b);
        ig_buf_f(&all, "%s\"%s\":", i ? "," : "{", names[i]);
        if (code > 0) break;
        if (code < 0)
            ig_buf_z(&all, "null");
        else if (i == INGLE_VIEW_TEMPLATE)
            ig_json_put_str(&all, ig_buf_view(&b));
        else
            ig_buf_str(&all, ig_str_trim(ig_buf_view(&b)));
        code = 0;
        ig_buf_free(&b);
    }
    ig_buf_z(&all, "}\n");
    if (!code) cli_put_buf(&all);
    ig_buf_free(&all);
    return code;
}

static int print_template(struct cli *c, const ingle_model *m) {
    int code =
        ingle_model_describe(m, INGLE_VIEW_TEMPLATE, cli_push_text, NULL, &c->err) == INGLE_OK
            ? 0
            : cli_fail(&c->err);
    if (!code && cli_is_terminal(1)) cli_putz("\n");
    return code;
}

static int print_all(struct cli *c, const ingle_model *m) {
    struct ig_buf b = {.mem = &c->mem};
    int code = print_object(c, m, INGLE_VIEW_INFO, 30);
    if (!code) cli_putz("\nmetadata\n");
    if (!code) code = print_object(c, m, INGLE_VIEW_METADATA, 46);
    if (!code) cli_putz("\ntensors\n");
    if (!code) code = print_tensors(c, m, false);
    if (!code) code = view(c, m, INGLE_VIEW_TEMPLATE, &b);
    if (!code) cli_putf("\nchat template: %zu bytes (--template prints it)\n", b.n);
    if (code < 0) cli_putz("\nchat template: none\n");
    ig_buf_free(&b);
    return code < 0 ? 0 : code;
}

int cli_info(struct cli *c) {
    ingle_model *m;
    if (c->n_args > 1) return cli_usage(c, "info takes one MODEL");
    int code = cli_open_model(c, &m);
    if (code) return code;
    if (c->flag[CLI_JSON])
        code = print_json(c, m);
    else if (c->flag[CLI_METADATA])
        code = print_object(c, m, INGLE_VIEW_METADATA, 46);
    else if (c->flag[CLI_TENSORS])
        code = print_tensors(c, m, true);
    else if (c->flag[CLI_SHOW_TEMPLATE])
        code = print_template(c, m);
    else
        code = print_all(c, m);
    ingle_model_close(m);
    return code;
}

int cli_plan(struct cli *c) {
    ingle_model *m;
    if (c->n_args > 1) return cli_usage(c, "plan takes one MODEL");
    int code = cli_open_model(c, &m);
    if (code) return code;
    if (ingle_model_describe(m, INGLE_VIEW_PLAN, cli_push_text, NULL, &c->err) != INGLE_OK &&
        cli_flush())
        code = cli_fail(&c->err);
    ingle_model_close(m);
    return code;
}
