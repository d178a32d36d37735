/* From argv and the environment to options and flags. The library's options come from
 * ingle_options_describe, so a new row there is a flag here at once; a command takes those of its
 * groups. Later beats earlier, argv beats the environment. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- What there is ---- */

static unsigned distance(const char *a, const char *b) {
    enum { MAX = 40 };
    size_t n = strlen(a), m = strlen(b);
    unsigned row[MAX + 1];
    if (n > MAX || m > MAX) return 99;
    for (unsigned j = 0; j <= m; j++) row[j] = j;
    for (unsigned i = 1; i <= n; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= m; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

struct nearest {
    const char *to, *name;
    unsigned distance;
};

static void consider(struct nearest *n, const char *name) {
    unsigned d = distance(n->to, name);
    size_t same = 0;
    while (name[same] && n->to[same] == name[same]) same++;
    if ((same >= 4 || !n->to[same]) && d > 2) d = 2; /* "--tempp", "--top" */
    if (d >= n->distance) return;
    n->distance = d;
    n->name = name;
}

const struct cli_command *cli_find_command(const char *name) {
    struct nearest near = {name, NULL, 3};
    for (size_t i = 0; i < cli_n_commands; i++) {
        if (strcmp(name, cli_commands[i].name) == 0) return &cli_commands[i];
        consider(&near, cli_commands[i].name);
    }
    char hint[80];
    snprintf(hint, sizeof hint, near.name ? "did you mean %s?" : "ingle help lists them",
             near.name);
    cli_error(64, hint, "there is no command '%.64s'", name);
    return NULL;
}

/* Is `name` one of the words? "*" is every word. */
static bool has_word(const char *words, const char *name) {
    size_t n = strlen(name);
    for (const char *at = words; *at;) {
        size_t len = strcspn(at, " ");
        if ((len == n && memcmp(at, name, n) == 0) || (len == 1 && *at == '*')) return true;
        at += len + (at[len] == ' ');
    }
    return false;
}

bool cli_command_has_flag(const struct cli_command *cmd, const struct cli_flag_row *flag) {
    return has_word(flag->commands, cmd->name);
}

bool cli_command_has_option(const struct cli_command *cmd, const ingle_option_info *option) {
    char letter = strcmp(option->group, "sampling") == 0 ? 'p' : option->group[0];
    return strchr(cmd->groups, letter) != NULL;
}

/* ---- Looking a flag up ---- */

struct found {
    enum cli_flag flag;              /* CLI_FLAGS if it is an option */
    const ingle_option_info *option; /* or NULL for an alias */
    const char *name;
    bool known, negated;
};

static bool same_name(const char *name, size_t n, const char *row) {
    for (size_t i = 0; i < n; i++)
        if (!row[i] || (name[i] == '_' ? '-' : name[i]) != row[i]) return false;
    return !row[n];
}

static struct found find_long(const struct cli *c, const char *name, size_t n, char *copy,
                              size_t cap) {
    struct found f = {CLI_FLAGS, NULL, copy, false, false};
    for (int i = 0; i < CLI_FLAGS; i++)
        if (cli_command_has_flag(c->command, &cli_flags[i]) &&
            same_name(name, n, cli_flags[i].name)) {
            f.flag = (enum cli_flag)i;
            f.known = true;
            return f;
        }
    for (int pass = 0; pass < 2; pass++) { /* --ignore-eos, --no-ignore-eos */
        if (pass && (n < 4 || memcmp(name, "no-", 3) != 0)) break;
        const char *bare = name + 3 * pass;
        size_t len = n - 3 * (size_t)pass;
        const ingle_option_info *r;
        for (size_t i = 0; (r = ingle_options_describe(i)); i++) {
            if (!same_name(bare, len, r->name) || !cli_command_has_option(c->command, r)) continue;
            if (pass && strcmp(r->type, "bool") != 0) continue;
            f.option = r;
            f.known = true;
            f.negated = pass;
            snprintf(copy, cap, "%s", r->name);
            return f;
        }
    }
    if (n >= cap) return f;
    memcpy(copy, name, n);
    copy[n] = 0;
    /* Names the library knows but does not list are aliases of sampling options ("temp"). */
    const ingle_option_info *r;
    for (size_t i = 0; (r = ingle_options_describe(i)); i++)
        if (same_name(name, n, r->name)) return f;
    f.known = strchr(c->command->groups, 'p') && ingle_options_get(c->options, copy);
    return f;
}

static struct found find_letter(const struct cli *c, char letter, char *copy, size_t cap) {
    struct found f = {CLI_FLAGS, NULL, copy, false, false};
    const ingle_option_info *r;
    for (int i = 0; i < CLI_FLAGS; i++)
        if (cli_flags[i].letter[0] == letter && cli_command_has_flag(c->command, &cli_flags[i])) {
            f.flag = (enum cli_flag)i;
            f.known = true;
            return f;
        }
    for (size_t i = 0; (r = ingle_options_describe(i)); i++)
        if (r->flag[0] == letter && cli_command_has_option(c->command, r)) {
            f.option = r;
            f.known = true;
            snprintf(copy, cap, "%s", r->name);
        }
    return f;
}

static int unknown_flag(const struct cli *c, const char *arg) {
    const char *name = arg + 1 + (arg[1] == '-');
    char bare[48];
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(name, "="), name);
    struct nearest near = {bare, NULL, 3};
    const ingle_option_info *r;
    for (int i = 0; i < CLI_FLAGS && arg[1] == '-'; i++)
        if (cli_command_has_flag(c->command, &cli_flags[i])) consider(&near, cli_flags[i].name);
    for (size_t i = 0; arg[1] == '-' && (r = ingle_options_describe(i)); i++)
        if (cli_command_has_option(c->command, r)) consider(&near, r->name);
    char hint[96];
    if (near.name)
        snprintf(hint, sizeof hint, "did you mean --%s?", near.name);
    else
        snprintf(hint, sizeof hint, "see ingle help %s", c->command->name);
    return cli_error(64, hint, "%s has no option %s", c->command->name, arg);
}

/* ---- Parsing ---- */

static int set_option(struct cli *c, const char *name, const char *value) {
    if (ingle_options_set(c->options, name, value, &c->err) == INGLE_OK) return 0;
    return cli_fail(&c->err);
}

static void add_texts(struct cli *c, struct ig_buf *b, const char *value) {
    struct ig_arena arena = {.mem = &c->mem};
    const struct ig_json *j = NULL;
    struct ig_str text = ig_str_of(value);
    bool list = value[0] == '[' && ig_json_parse(&arena, text, NULL, &j, NULL) == INGLE_OK;
    for (const struct ig_json *t = list ? j->child : NULL; t; t = t->next) {
        ig_buf_z(b, b->n ? "," : "[");
        ig_json_put(b, t);
    }
    if (!list && text.n) {
        ig_buf_z(b, b->n ? "," : "[");
        ig_json_put_str(b, text);
    }
    ig_arena_free(&arena);
}

/* --stop may be given more than once: the texts gather in one list. */
static int add_stop(struct cli *c, const char *value) {
    struct ig_buf b = {.mem = &c->mem};
    add_texts(c, &b, c->stop_given ? ingle_options_get(c->options, "stop") : "");
    add_texts(c, &b, value);
    if (b.n) ig_buf_ch(&b, ']');
    int code =
        b.failed ? cli_error(3, NULL, "out of memory") : set_option(c, "stop", b.n ? b.p : "");
    c->stop_given = true;
    ig_buf_free(&b);
    return code;
}

/* `value` is what stands in the same argument (--name=value, -nvalue) or NULL; `next` the following
 * one or NULL. Sets *used to 1 if it took that. */
static int take(struct cli *c, struct found f, const char *arg, const char *value, char *next,
                int *used) {
    bool is_flag = f.flag != CLI_FLAGS;
    bool wants = is_flag ? cli_flags[f.flag].argument[0] != 0
                         : !f.option || strcmp(f.option->type, "bool") != 0;
    if (is_flag && !wants && value) return cli_usage(c, "%s takes no value", arg);
    if (!wants && !value) value = is_flag ? "" : f.negated ? "false" : "true";
    if (!value) {
        if (!next) return cli_usage(c, "%s needs a value", arg);
        value = next;
        *used = 1;
    }
    if (is_flag) {
        c->flag[f.flag] = value;
        return 0;
    }
    if (strcmp(f.name, "stop") == 0) return add_stop(c, value);
    return set_option(c, f.name, value);
}

static int parse_arg(struct cli *c, char *arg, char *next, int *used) {
    char copy[64];
    if (arg[1] == '-') {
        size_t n = strcspn(arg + 2, "=");
        struct found f = find_long(c, arg + 2, n, copy, sizeof copy);
        if (!f.known) return unknown_flag(c, arg);
        return take(c, f, arg, arg[2 + n] ? arg + 3 + n : NULL, next, used);
    }
    for (char *at = arg + 1; *at; at++) { /* -vh is -v -h; -n5 is -n 5 */
        struct found f = find_letter(c, *at, copy, sizeof copy);
        if (!f.known) return unknown_flag(c, arg);
        bool wants = f.flag != CLI_FLAGS ? cli_flags[f.flag].argument[0] != 0 : true;
        int code = take(c, f, arg, wants && at[1] ? at + 1 : NULL, next, used);
        if (code || wants) return code;
    }
    return 0;
}

static int read_environment(struct cli *c) {
    const ingle_option_info *r;
    for (size_t i = 0; (r = ingle_options_describe(i)); i++) {
        char name[64] = "INGLE_";
        size_t n = strlen(name);
        for (const char *k = r->key; *k && n + 1 < sizeof name; k++)
            name[n++] = (char)(*k >= 'a' && *k <= 'z' ? *k - 32 : *k);
        name[n] = 0;
        const char *value = getenv(name);
        if (!value || !value[0] || !cli_command_has_option(c->command, r)) continue;
        if (ingle_options_set(c->options, r->name, value, &c->err) == INGLE_OK) continue;
        ig_fail_in(&c->err, "in the environment: %s", name);
        return cli_fail(&c->err);
    }
    const char *verbose = getenv("INGLE_VERBOSE");
    if (verbose && verbose[0] && strcmp(verbose, "0") != 0) c->flag[CLI_VERBOSE] = "";
    return 0;
}

static void print_log(void *ud, ingle_log_level level, const char *line) {
    static const char *const names[] = {"debug", "info", "warning", "error"};
    (void)ud;
    cli_progress_clear();
    fprintf(stderr, "ingle: %s: %s\n", names[level & 3], line);
}

int cli_parse(struct cli *c, int argc, char **argv) {
    c->args = ig_calloc(&c->mem, (size_t)argc + 1, sizeof *c->args);
    if (!c->args) return cli_error(3, NULL, "out of memory");
    if (strcmp(c->command->name, "logits") == 0) set_option(c, "kv", "f32");
    int code = read_environment(c);
    bool plain = false;
    for (int i = 0; i < argc && !code; i++) {
        char *arg = argv[i];
        if (plain || arg[0] != '-' || !arg[1]) {
            c->args[c->n_args++] = arg;
        } else if (strcmp(arg, "--") == 0) {
            plain = true;
        } else {
            int used = 0;
            code = parse_arg(c, arg, i + 1 < argc ? argv[i + 1] : NULL, &used);
            i += used;
        }
    }
    if (c->flag[CLI_VERBOSE]) ingle_options_on_log(c->options, print_log, NULL, INGLE_LOG_DEBUG);
    return code;
}

int64_t cli_number(struct cli *c, enum cli_flag id, int64_t fallback, int64_t min, int64_t max,
                   bool *bad) {
    int64_t v;
    if (!c->flag[id]) return fallback;
    if (ig_str_to_i64(ig_str_of(c->flag[id]), &v) && v >= min && v <= max) return v;
    cli_usage(c, "--%s: '%s' is not a whole number from %lld to %lld", cli_flags[id].name,
              c->flag[id], (long long)min, (long long)max);
    *bad = true;
    return fallback;
}

/* A value equal to the default counts as not set: it makes no difference to anyone who asks. */
bool cli_option_is_set(const struct cli *c, const char *name) {
    const ingle_option_info *r;
    const char *value = ingle_options_get(c->options, name);
    for (size_t i = 0; (r = ingle_options_describe(i)); i++)
        if (strcmp(r->name, name) == 0)
            return value != r->initial && strcmp(value, r->initial) != 0;
    return false;
}
