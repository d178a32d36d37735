/* The model store on the command line: which file MODEL means, and the commands models, rm and
 * verify. A name that exists here, or that is spelled like a path, is a path; anything else is
 * looked up in the store. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the hub with the command line's settings ---- */

static bool set(struct cli *c, ingle_hub *h, const char *name, const char *value) {
    return !value || !value[0] || ingle_hub_set(h, name, value, &c->err) == INGLE_OK;
}

/* The flag, else the environment. */
static const char *either(const struct cli *c, enum cli_flag flag, const char *variable) {
    return c->flag[flag] ? c->flag[flag] : getenv(variable);
}

static bool is_on(const char *value) {
    return value && value[0] && strcmp(value, "0") != 0 && strcmp(value, "false") != 0;
}

bool cli_offline(const struct cli *c) {
    return c->flag[CLI_OFFLINE] || is_on(getenv("HF_HUB_OFFLINE"));
}

int cli_open_hub(struct cli *c, ingle_http_fn http, void *ud, ingle_hub **out) {
    *out = NULL;
    if (ingle_hub_open(out, http, ud, &c->err) != INGLE_OK) return cli_fail(&c->err);
    ingle_hub *h = *out;
    bool ok = set(c, h, "endpoint", either(c, CLI_ENDPOINT, "HF_ENDPOINT")) &&
              set(c, h, "token", either(c, CLI_TOKEN, "HF_TOKEN")) &&
              set(c, h, "offline", cli_offline(c) ? "true" : NULL) &&
              set(c, h, "connections", c->flag[CLI_CONNECTIONS]) &&
              set(c, h, "range-bytes", c->flag[CLI_RANGE_BYTES]) &&
              set(c, h, "max-bytes", c->flag[CLI_MAX_BYTES]) &&
              set(c, h, "retries", c->flag[CLI_RETRIES]) &&
              set(c, h, "stall-seconds", c->flag[CLI_STALL]);
    if (ok) return 0;
    ingle_hub_close(h);
    *out = NULL;
    return cli_fail(&c->err);
}

/* ---- MODEL ---- */

/* OWNER/NAME[:FILE]: one slash, and not the beginning of a path. */
static bool may_be_source(const char *name) {
    const char *slash = strchr(name, '/');
    if (strstr(name, "://")) return true;
    return slash && slash != name && name[0] != '.' && name[0] != '~' && slash[1] &&
           !strchr(slash + 1, '/') && !strchr(name, '\\');
}

int cli_resolve(struct cli *c, const char *name, struct ig_buf *path) {
    ingle_hub *h;
    bool source = may_be_source(name);
    if (cli_is_file(name) || cli_is_folder(name) || (strchr(name, '/') && !source)) {
        ig_buf_z(path, name);
        return path->failed ? cli_error(3, NULL, "out of memory") : 0;
    }
    int code = cli_open_hub(c, NULL, NULL, &h);
    if (code) return code;
    ingle_status st = ingle_hub_find(h, name, cli_collect, path, &c->err);
    ingle_hub_close(h);
    if (path->failed) return cli_error(3, NULL, "out of memory");
    if (st == INGLE_OK) return 0;
    if (st != INGLE_NOT_FOUND || !source) return cli_fail(&c->err);
    char hint[300];
    snprintf(hint, sizeof hint, "ingle pull %.250s", name);
    return cli_error(2, hint, "%.250s: no such file, and not in the store", name);
}

/* ---- models ---- */

int cli_resolve_draft(struct cli *c) {
    const char *name = ingle_options_get(c->options, "draft-model");
    struct ig_buf path = {.mem = &c->mem};
    if (!*name) return 0;
    int code = cli_resolve(c, name, &path);
    if (!code && ingle_options_set(c->options, "draft-model", path.p, &c->err) != INGLE_OK)
        code = cli_fail(&c->err);
    ig_buf_free(&path);
    return code;
}

void cli_format_bytes(char out[24], int64_t bytes) {
    if (bytes >= 999950000)
        snprintf(out, 24, "%.2f GB", (double)bytes / 1e9);
    else
        snprintf(out, 24, "%.1f MB", (double)bytes / 1e6);
}

static void print_entry(const struct ig_json *e, size_t width) {
    struct ig_str name = ig_json_str(ig_json_get(e, "name"), ""),
                  source = ig_json_str(ig_json_get(e, "source"), "");
    int64_t bytes = ig_json_i64(ig_json_get(e, "bytes"), 0),
            part = ig_json_i64(ig_json_get(e, "part_bytes"), 0);
    bool complete = ig_json_bool(ig_json_get(e, "complete"), true);
    char size[24];
    cli_format_bytes(size, complete || !bytes ? bytes : part);
    cli_putf("%9s  ", size);
    cli_put_safe(name.p, name.n);
    if (source.n) {
        cli_putf("%*s  ", (int)(name.n < width ? width - name.n : 0), "");
        cli_put_safe(source.p, source.n);
    }
    if (!complete && bytes) cli_putf("  (unfinished, %.0f %%)", 100 * (double)part / (double)bytes);
    if (!complete && !bytes) cli_putz("  (unfinished)");
    cli_putz("\n");
}

static void print_models(const struct cli *c, const struct ig_json *list) {
    size_t width = 0;
    for (const struct ig_json *e = list->child; e; e = e->next) {
        struct ig_str name = ig_json_str(ig_json_get(e, "name"), "");
        if (name.n > width && name.n <= 60) width = name.n;
    }
    for (const struct ig_json *e = list->child; e; e = e->next) {
        struct ig_str name = ig_json_str(ig_json_get(e, "name"), "");
        if (!c->flag[CLI_NAMES]) {
            print_entry(e, width);
        } else if (ig_json_bool(ig_json_get(e, "complete"), true)) {
            cli_put_safe(name.p, name.n);
            cli_putz("\n");
        }
    }
}

/* The store as a JSON text in `b`, and its tree. */
static int read_store(struct cli *c, ingle_hub *h, struct ig_buf *b, struct ig_arena *arena,
                      const struct ig_json **list) {
    ingle_status st = ingle_hub_list(h, cli_collect, b, &c->err);
    if (b->failed) return cli_error(3, NULL, "out of memory");
    if (st == INGLE_OK) st = ig_json_parse(arena, ig_buf_view(b), NULL, list, &c->err);
    return st == INGLE_OK ? 0 : cli_fail(&c->err);
}

int cli_models(struct cli *c) {
    struct ig_buf b = {.mem = &c->mem};
    struct ig_arena arena = {.mem = &c->mem};
    const struct ig_json *list = NULL;
    ingle_hub *h;
    if (c->n_args) return cli_usage(c, "models takes no argument");
    int code = cli_open_hub(c, NULL, NULL, &h);
    if (code) return code;
    code = read_store(c, h, &b, &arena, &list);
    if (!code && c->flag[CLI_JSON])
        cli_put(b.p, b.n);
    else if (!code && !list->child && !c->flag[CLI_NAMES])
        cli_error(0, "ingle pull OWNER/NAME loads a model", "the store is empty");
    else if (!code)
        print_models(c, list);
    ig_arena_free(&arena);
    ig_buf_free(&b);
    ingle_hub_close(h);
    return code;
}

int cli_rm(struct cli *c) {
    ingle_hub *h;
    if (!c->n_args) return cli_usage(c, "name a model");
    int code = cli_open_hub(c, NULL, NULL, &h), worst = 0;
    for (int i = 0; !code && i < c->n_args; i++)
        if (ingle_hub_remove(h, c->args[i], &c->err) != INGLE_OK) worst = cli_fail(&c->err);
    ingle_hub_close(h);
    return code ? code : worst;
}

/* ---- verify ---- */

static void nothing(void *ud) {
    (void)ud;
}

/* One line for a model: "ok", "damaged", "no record". */
static int verify_one(struct cli *c, ingle_hub *h, const char *name, bool must, bool *first) {
    ingle_status st = ingle_hub_verify(h, name, cli_show_transfer, NULL, &c->err);
    cli_progress_clear();
    if (st == INGLE_CANCELLED) return 130;
    bool skip = st == INGLE_UNSUPPORTED && !must;
    const char *word = st == INGLE_OK ? "ok" : skip ? "no record" : "damaged";
    if (c->flag[CLI_JSON]) {
        struct ig_buf b = {.mem = &c->mem};
        ig_buf_z(&b, *first ? "{\"name\":" : ",\n{\"name\":");
        ig_json_put_str(&b, ig_str_of(name));
        ig_buf_f(&b, ",\"result\":\"%s\",\"message\":",
                 st == INGLE_OK || skip || st == INGLE_BAD_FILE ? word : "error");
        ig_json_put_str(&b, ig_str_of(st == INGLE_OK ? "" : c->err.message));
        ig_buf_z(&b, "}");
        cli_put_buf(&b);
        *first = false;
        return st == INGLE_OK || skip ? 0 : ingle_status_exit_code(st);
    }
    if (st == INGLE_OK || skip) {
        cli_putf("%-9s  ", word);
        cli_put_safe(name, strlen(name));
        cli_putz("\n");
        cli_flush();
        return 0;
    }
    return cli_fail(&c->err);
}

static int verify_all(struct cli *c, ingle_hub *h, bool *first) {
    struct ig_buf b = {.mem = &c->mem};
    struct ig_arena arena = {.mem = &c->mem};
    const struct ig_json *list = NULL;
    int code = read_store(c, h, &b, &arena, &list), worst = 0;
    for (const struct ig_json *e = code ? NULL : list->child; e && worst != 130; e = e->next) {
        struct ig_str s = ig_json_str(ig_json_get(e, "name"), "");
        char *name = ig_arena_copy(&arena, s.p, s.n);
        if (!name || !ig_json_bool(ig_json_get(e, "complete"), true)) continue;
        int one = verify_one(c, h, name, false, first);
        if (one) worst = one;
    }
    ig_arena_free(&arena);
    ig_buf_free(&b);
    return code ? code : worst;
}

int cli_verify(struct cli *c) {
    ingle_hub *h;
    bool first = true;
    int code = cli_open_hub(c, NULL, NULL, &h), worst = 0;
    if (code) return code;
    cli_on_interrupt(nothing, NULL); /* the progress callback sees the flag */
    if (c->flag[CLI_JSON]) cli_putz("[");
    if (!c->n_args) worst = verify_all(c, h, &first);
    for (int i = 0; i < c->n_args && worst != 130; i++) {
        int one = verify_one(c, h, c->args[i], true, &first);
        if (one) worst = one;
    }
    if (c->flag[CLI_JSON]) cli_putz("]\n");
    cli_on_interrupt(NULL, NULL);
    ingle_hub_close(h);
    return worst;
}
