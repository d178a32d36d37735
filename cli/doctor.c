/* ingle doctor and ingle devices: what this machine can compute on, how fast, and what stands in
 * the way. The library's JSON, put in words. */
#include "cli.h"

#include <string.h>

static void put_text(const struct ig_json *j, const char *key) {
    struct ig_str s = ig_json_str(ig_json_get(j, key), "");
    cli_put_safe(s.p, s.n);
}

static void put_devices(const struct ig_json *list) {
    for (const struct ig_json *d = list->child; d; d = d->next) {
        bool usable = ig_json_bool(ig_json_get(d, "usable"), false);
        cli_putf("%-8s ", usable ? "usable" : "not used");
        put_text(d, "name");
        if (usable) {
            cli_putf(", %lld cores, %lld threads, %.1f GB, kernels ",
                     (long long)ig_json_i64(ig_json_get(d, "cores"), 0),
                     (long long)ig_json_i64(ig_json_get(d, "threads"), 0),
                     ig_json_f64(ig_json_get(d, "memory_bytes"), 0) / 1e9);
            put_text(d, "kernels");
        } else {
            cli_putz(": ");
            put_text(d, "reason");
        }
        cli_putz("\n");
    }
}

static void put_model(const struct ig_json *m) {
    if (!ig_json_is(m, IG_JSON_OBJECT)) return;
    cli_putz("model    ");
    put_text(m, "path");
    cli_putf(", %.2f GB of weights, needs %.2f GB with its context: %s\n",
             ig_json_f64(ig_json_get(m, "weights_bytes"), 0) / 1e9,
             ig_json_f64(ig_json_get(m, "needed_bytes"), 0) / 1e9,
             ig_json_bool(ig_json_get(m, "fits"), false) ? "fits" : "does not fit");
}

static void put_speed(const struct ig_json *s) {
    double bytes = ig_json_f64(ig_json_get(s, "memory_bytes_per_second"), 0);
    double limit = ig_json_f64(ig_json_get(s, "tokens_per_second_limit"), 0);
    if (bytes > 0) cli_putf("memory   %.1f GB/s read by all threads\n", bytes / 1e9);
    if (limit > 0)
        cli_putf("speed    at most %.0f tokens/s with the memory as busy as it is now\n", limit);
}

static void put_problems(const struct ig_json *list) {
    if (!list || !list->count) cli_putz("\nNothing stands in the way.\n");
    for (const struct ig_json *p = list ? list->child : NULL; p; p = p->next) {
        cli_putz("\n");
        put_text(p, "severity");
        cli_putz(": ");
        put_text(p, "what");
        cli_putz("\n    ");
        put_text(p, "hint");
        cli_putz("\n");
    }
}

static void put_report(const struct ig_json *j) {
    const struct ig_json *system = ig_json_get(j, "system");
    cli_putz("ingle ");
    put_text(j, "version");
    cli_putz(" on ");
    put_text(system, "os");
    cli_putz(" ");
    put_text(system, "arch");
    cli_putf(", %.1f GB of memory free\n\n",
             ig_json_f64(ig_json_get(system, "memory_available_bytes"), 0) / 1e9);
    put_devices(ig_json_get(j, "devices"));
    put_model(ig_json_get(j, "model"));
    put_speed(ig_json_get(j, "speed"));
    put_problems(ig_json_get(j, "problems"));
}

/* Prints the library's text as it is, or in words. */
static int show(struct cli *c, struct ig_buf *text, void (*in_words)(const struct ig_json *)) {
    struct ig_arena arena = {.mem = &c->mem};
    const struct ig_json *j;
    if (c->flag[CLI_JSON]) {
        ig_buf_ch(text, '\n');
        cli_put_buf(text);
        return 0;
    }
    ingle_status st = ig_json_parse(&arena, ig_buf_view(text), NULL, &j, &c->err);
    if (st == INGLE_OK) in_words(j);
    ig_arena_free(&arena);
    ig_buf_free(text);
    return st == INGLE_OK ? 0 : cli_fail(&c->err);
}

int cli_devices(struct cli *c) {
    struct ig_buf b = {.mem = &c->mem};
    if (c->n_args) return cli_usage(c, "devices takes no argument");
    if (ingle_devices(cli_collect, &b, &c->err) != INGLE_OK) return cli_fail(&c->err);
    return show(c, &b, put_devices);
}

int cli_doctor(struct cli *c) {
    struct ig_buf b = {.mem = &c->mem};
    ingle_model *m = NULL;
    if (c->n_args > 1) return cli_usage(c, "doctor takes one MODEL or none");
    int code = c->n_args ? cli_open_model(c, &m) : 0;
    if (!code && ingle_doctor(m, c->options, cli_collect, &b, &c->err) != INGLE_OK)
        code = cli_fail(&c->err);
    if (!code) code = show(c, &b, put_report);
    ingle_model_close(m);
    return code;
}
