/* ingle doctor and ingle devices: what this machine can compute on, how fast, and what stands in
 * the way. The library's JSON, put in words. */
#include "cli.h"

#include <string.h>

static void put_text(const struct ig_json *j, const char *key) {
    struct ig_str s = ig_json_str(ig_json_get(j, key), "");
    cli_put_safe(s.p, s.n);
}

static double number(const struct ig_json *j, const char *key) {
    return ig_json_f64(ig_json_get(j, key), 0);
}

static void put_facts(const struct ig_json *d) {
    if (ig_str_is(ig_json_str(ig_json_get(d, "kind"), ""), "cpu")) {
        cli_putf(", %.0f cores, %.0f threads, %.1f GB, kernels ", number(d, "cores"),
                 number(d, "threads"), number(d, "memory_bytes") / 1e9);
        put_text(d, "kernels");
        return;
    }
    cli_putf(", %.1f GB%s, driver ", number(d, "memory_bytes") / 1e9,
             ig_json_bool(ig_json_get(d, "unified"), false) ? " shared with the processor" : "");
    put_text(d, "driver");
}

static void put_devices(const struct ig_json *list) {
    for (const struct ig_json *d = list->child; d; d = d->next) {
        bool usable = ig_json_bool(ig_json_get(d, "usable"), false);
        bool automatic = ig_json_bool(ig_json_get(d, "automatic"), usable);
        struct ig_str id = ig_json_str(ig_json_get(d, "id"), "");
        cli_putf("%-9s %-8.*s ",
                 !usable     ? "not used"
                 : automatic ? "usable"
                             : "on demand",
                 (int)id.n, id.p);
        put_text(d, "name");
        put_facts(d);
        if (ig_json_str(ig_json_get(d, "reason"), "").n) {
            cli_putz("\n          ");
            put_text(d, "reason");
        }
        cli_putz("\n");
    }
}

/* Drivers that are not there. */
static void put_backends(const struct ig_json *list) {
    for (const struct ig_json *b = list ? list->child : NULL; b; b = b->next) {
        struct ig_str name = ig_json_str(ig_json_get(b, "name"), "");
        if (!ig_json_str(ig_json_get(b, "reason"), "").n) continue;
        cli_putf("%-9s %-8.*s ", "no driver", (int)name.n, name.p);
        put_text(b, "reason");
        cli_putz("\n");
    }
}

static void put_model(const struct ig_json *m) {
    if (!ig_json_is(m, IG_JSON_OBJECT)) return;
    cli_putf("%-9s ", "model");
    put_text(m, "path");
    cli_putf(", %.2f GB of weights, needs %.2f GB with its context: %s\n",
             ig_json_f64(ig_json_get(m, "weights_bytes"), 0) / 1e9,
             ig_json_f64(ig_json_get(m, "needed_bytes"), 0) / 1e9,
             ig_json_bool(ig_json_get(m, "fits"), false) ? "fits" : "does not fit");
    cli_putf("%-9s ", "placed");
    put_text(m, "placement");
    cli_putz("\n");
}

static void put_device_speeds(const struct ig_json *list) {
    for (const struct ig_json *d = list ? list->child : NULL; d; d = d->next) {
        struct ig_str id = ig_json_str(ig_json_get(d, "id"), "");
        double limit = number(d, "tokens_per_second_limit");
        if (number(d, "memory_bytes_per_second") <= 0) continue;
        cli_putf(
            "%-9.*s %.1f GB/s in its memory, %.1f GB/s from the processor's, %.1f us a command",
            (int)id.n, id.p, number(d, "memory_bytes_per_second") / 1e9,
            number(d, "upload_bytes_per_second") / 1e9, number(d, "launch_seconds") * 1e6);
        if (limit > 0)
            cli_putf(": at most %.0f tokens/s with the %.0f %% of the model that fit", limit,
                     100 * number(d, "model_share"));
        cli_putz("\n");
    }
}

static void put_speed(const struct ig_json *s) {
    double bytes = number(s, "memory_bytes_per_second");
    double limit = number(s, "tokens_per_second_limit");
    if (bytes > 0) cli_putf("%-9s %.1f GB/s read by all threads", "memory", bytes / 1e9);
    if (limit > 0)
        cli_putf(": at most %.0f tokens/s on the processor with the memory as busy as it is now",
                 limit);
    if (bytes > 0) cli_putz("\n");
    put_device_speeds(ig_json_get(s, "devices"));
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
    put_backends(ig_json_get(j, "backends"));
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
