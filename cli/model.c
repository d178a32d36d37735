/* Which file MODEL means, and opening it. A name with a slash, or one that exists here, is a path;
 * anything else is looked up in the store: the whole name, then a beginning that fits only one
 * model. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *name;
    struct entry *next;
};

struct store {
    struct ig_arena arena;
    struct ig_buf folder;
    struct entry *first;
    size_t n;
};

/* "x-00001-of-00003.gguf" is the model x; the other parts are not models. */
static bool strip_part(char *name) {
    size_t n = strlen(name);
    unsigned part, parts;
    char rest;
    if (n < 16 || sscanf(name + n - 15, "-%5u-of-%5u%c", &part, &parts, &rest) != 2) return true;
    name[n - 15] = 0;
    return part == 1;
}

static bool ends_with(const char *s, const char *end) {
    size_t n = strlen(s), m = strlen(end);
    return n > m && strcmp(s + n - m, end) == 0;
}

static void add_name(void *ud, const char *name) {
    struct store *s = ud;
    struct entry *e = ig_arena_alloc(&s->arena, sizeof *e);
    char *copy = ig_arena_copy(&s->arena, name, strlen(name));
    if (!e || !copy) return;
    if (ends_with(name, ".gguf")) {
        copy[strlen(copy) - 5] = 0;
        if (!strip_part(copy)) return;
    } else {
        char config[4096];
        snprintf(config, sizeof config, "%s/%s/config.json", s->folder.p, name);
        if (name[0] == '.' || !cli_is_file(config)) return;
    }
    struct entry **at = &s->first;
    while (*at && strcmp((*at)->name, copy) < 0) at = &(*at)->next;
    *e = (struct entry){copy, *at};
    *at = e;
    s->n++;
}

static void open_store(struct cli *c, struct store *s) {
    *s = (struct store){.arena = {.mem = &c->mem}, .folder = {.mem = &c->mem}};
    if (!cli_home(&s->folder)) return;
    ig_buf_z(&s->folder, "/models");
    if (!s->folder.failed) cli_each_name(s->folder.p, add_name, s);
}

static void close_store(struct store *s) {
    ig_arena_free(&s->arena);
    ig_buf_free(&s->folder);
}

/* NAME.gguf, NAME-00001-of-0000N.gguf or the folder NAME. */
struct part_search {
    const char *name;
    char found[512];
};

static void find_part(void *ud, const char *file) {
    struct part_search *p = ud;
    size_t n = strlen(p->name);
    if (strncmp(file, p->name, n) != 0 || strncmp(file + n, "-00001-of-", 10) != 0 ||
        !ends_with(file, ".gguf"))
        return;
    snprintf(p->found, sizeof p->found, "%s", file);
}

static void path_of(const struct store *s, const char *name, struct ig_buf *path) {
    struct part_search p = {name, ""};
    ig_buf_clear(path);
    ig_buf_f(path, "%s/%s.gguf", s->folder.p, name);
    if (path->failed || cli_is_file(path->p)) return;
    cli_each_name(s->folder.p, find_part, &p);
    ig_buf_clear(path);
    ig_buf_f(path, "%s/%s", s->folder.p, p.found[0] ? p.found : name);
}

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static size_t common_start(const char *a, const char *b) {
    size_t n = 0;
    while (a[n] && lower(a[n]) == lower(b[n])) n++;
    return n;
}

static void list_names(struct ig_buf *b, const struct store *s, const char *start,
                       size_t at_least) {
    size_t shown = 0;
    for (const struct entry *e = s->first; e && shown < 6; e = e->next) {
        if (common_start(start, e->name) < at_least) continue;
        ig_buf_f(b, "%s%s", shown++ ? ", " : "", e->name);
    }
}

static int fail_name(const struct store *s, const char *name, size_t matches) {
    struct ig_buf b = {.mem = s->arena.mem};
    int code;
    if (matches > 1) {
        ig_buf_z(&b, "which of ");
        list_names(&b, s, name, strlen(name));
        ig_buf_z(&b, "?");
        code = cli_error(2, b.failed ? NULL : b.p, "%s: more than one model begins so", name);
    } else {
        size_t best = 1;
        for (const struct entry *e = s->first; e; e = e->next)
            if (common_start(name, e->name) > best) best = common_start(name, e->name);
        if (!s->n)
            ig_buf_f(&b, "the store %s is empty: give a path, or run make demo for a small model",
                     s->folder.p ? s->folder.p : "");
        else {
            ig_buf_z(&b, "the store has ");
            list_names(&b, s, name, best > 1 ? best : 0);
        }
        code = cli_error(2, b.failed ? NULL : b.p,
                         "%s: no such file, and no such model in the store", name);
    }
    ig_buf_free(&b);
    return code;
}

int cli_resolve(struct cli *c, const char *name, struct ig_buf *path) {
    struct store s;
    ig_buf_z(path, name);
    if (strchr(name, '/') || cli_is_file(name) || cli_is_folder(name)) return 0;
    open_store(c, &s);
    const char *hit = NULL;
    size_t matches = 0, n = strlen(name);
    if (ends_with(name, ".gguf")) n -= 5;
    for (const struct entry *e = s.first; e; e = e->next) {
        if (common_start(name, e->name) < n) continue;
        hit = e->name;
        matches++;
        if (strlen(e->name) != n) continue;
        matches = 1;
        break;
    }
    int code = 0;
    if (matches == 1)
        path_of(&s, hit, path);
    else
        code = fail_name(&s, name, matches);
    close_store(&s);
    return path->failed ? cli_error(3, NULL, "out of memory") : code;
}

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

/* ---- models ---- */

static void print_size(int64_t bytes) {
    if (bytes < 0)
        cli_putz("     -   ");
    else if (bytes >= 1000000000)
        cli_putf("%6.2f GB", (double)bytes / 1e9);
    else
        cli_putf("%6.1f MB", (double)bytes / 1e6);
}

static void add_size(void *ud, const char *name) {
    struct {
        const char *folder;
        int64_t sum;
    } *t = ud;
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", t->folder, name);
    if (cli_is_file(path)) t->sum += cli_file_size(path);
}

static int64_t size_of(const char *path) {
    struct {
        const char *folder;
        int64_t sum;
    } total = {path, 0};
    if (!cli_is_folder(path)) return cli_file_size(path);
    cli_each_name(path, add_size, &total);
    return total.sum;
}

int cli_models(struct cli *c) {
    struct store s;
    if (c->n_args) return cli_usage(c, "models takes no argument");
    open_store(c, &s);
    struct ig_buf b = {.mem = &c->mem}, path = {.mem = &c->mem};
    bool json = c->flag[CLI_JSON] != NULL;
    if (json) cli_putz("[");
    if (!json && !s.n) cli_error(0, NULL, "the store %s is empty", s.folder.p ? s.folder.p : "");
    for (const struct entry *e = s.first; e; e = e->next) {
        path_of(&s, e->name, &path);
        if (path.failed) break;
        if (!json) {
            print_size(size_of(path.p));
            cli_putz("  ");
            cli_put_safe(e->name, strlen(e->name));
            cli_putz("\n");
            continue;
        }
        ig_buf_clear(&b);
        ig_buf_z(&b, e == s.first ? "{\"name\":" : ",{\"name\":");
        ig_json_put_str(&b, ig_str_of(e->name));
        ig_buf_z(&b, ",\"path\":");
        ig_json_put_str(&b, ig_str_of(path.p));
        ig_buf_f(&b, ",\"bytes\":%lld}", (long long)size_of(path.p));
        cli_put(b.p ? b.p : "", b.n);
    }
    if (json) cli_putz("]\n");
    ig_buf_free(&b);
    ig_buf_free(&path);
    close_store(&s);
    return 0;
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
