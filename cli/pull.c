/* ingle pull: loads a model into the store. The hub does the work, http_curl.c the network; here
 * are the progress line, Ctrl-C and the last word. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static void nothing(void *ud) {
    (void)ud;
}

static void put_time(char out[32], double seconds) {
    if (seconds < 0)
        out[0] = 0;
    else if (seconds < 90)
        snprintf(out, 32, "  %.0f s left", seconds);
    else if (seconds < 5400)
        snprintf(out, 32, "  %.0f min left", seconds / 60);
    else
        snprintf(out, 32, "  %.1f h left", seconds / 3600);
}

/* Both ends of a long name: what tells files apart stands at the end. */
static void shorten(char out[40], const char *name, size_t most) {
    size_t n = strlen(name), tail = most / 2 + 2;
    if (n <= most)
        snprintf(out, 40, "%s", name);
    else
        snprintf(out, 40, "%.*s..%s", (int)(most - tail - 2), name, name + n - tail);
}

static void format_line(char *out, size_t cap, const ingle_hub_progress *p) {
    char done[24], total[24], left[32], name[40], file[80];
    const char *verb = strcmp(p->phase, "verify") == 0 ? "checking "
                       : strcmp(p->phase, "wait") == 0 ? "waiting for "
                                                       : "";
    cli_format_bytes(done, p->bytes_done);
    put_time(left, p->seconds_left);
    if (strcmp(p->phase, "resolve") == 0) {
        snprintf(out, cap, "asking the server");
        return;
    }
    shorten(name, p->file[0] ? p->file : "another program's pull", p->files > 1 ? 18 : 24);
    if (p->files > 1)
        snprintf(file, sizeof file, "%s (%d/%d)", name, (int)p->file_index + 1, (int)p->files);
    else
        snprintf(file, sizeof file, "%s", name);
    if (p->bytes_total > 0) {
        cli_format_bytes(total, p->bytes_total);
        snprintf(out, cap, "%s%s %3.0f %%  %s of %s  %.1f MB/s%s", verb, file,
                 100 * (double)p->bytes_done / (double)p->bytes_total, done, total,
                 p->bytes_per_second / 1e6, left);
    } else {
        snprintf(out, cap, "%s%s  %s  %.1f MB/s", verb, file, done, p->bytes_per_second / 1e6);
    }
}

struct shown {
    int64_t done, total;
};

int cli_show_transfer(void *ud, const ingle_hub_progress *p) {
    char line[256];
    struct shown *s = ud;
    if (s) *s = (struct shown){p->bytes_done, p->bytes_total};
    format_line(line, sizeof line, p);
    cli_progress_line(line);
    return cli_interrupt_pending();
}

static int stopped(const struct shown *s) {
    char done[24], total[24];
    cli_progress_clear();
    cli_format_bytes(done, s->done);
    cli_format_bytes(total, s->total);
    if (s->total > 0 && s->done > 0)
        return cli_error(130, "the same command goes on from there", "stopped; %s of %s are kept",
                         done, total);
    return cli_error(130, NULL, "stopped");
}

static int print_result(struct cli *c, const struct ig_buf *result, double seconds) {
    struct ig_arena arena = {.mem = &c->mem};
    const struct ig_json *j = NULL;
    int code = 0;
    if (ig_json_parse(&arena, ig_buf_view(result), NULL, &j, &c->err) != INGLE_OK) {
        code = cli_fail(&c->err);
    } else if (c->flag[CLI_JSON]) {
        cli_put(result->p, result->n);
    } else {
        struct ig_str path = ig_json_str(ig_json_get(j, "path"), ""),
                      name = ig_json_str(ig_json_get(j, "name"), "");
        cli_put_safe(path.p, path.n);
        cli_putz("\n");
        if (cli_flush() && cli_is_terminal(2))
            fprintf(stderr, "%.*s is in the store (%.0f s). Talk with it: ingle chat %.*s\n",
                    (int)name.n, name.p, seconds, (int)name.n, name.p);
    }
    ig_arena_free(&arena);
    return code;
}

int cli_pull(struct cli *c) {
    ingle_hub *h = NULL;
    struct ig_buf result = {.mem = &c->mem};
    struct shown shown = {0, -1};
    double start = cli_seconds();
    if (c->n_args != 1) return cli_usage(c, "name one OWNER/NAME or URL");
    struct cli_http *http = cli_http_open(c);
    if (!http && !cli_offline(c)) return cli_fail(&c->err);
    int code = cli_open_hub(c, http ? cli_http : NULL, http, &h);
    if (!code) {
        cli_on_interrupt(nothing, NULL); /* the progress callback sees the flag */
        ingle_status st =
            ingle_hub_pull(h, c->args[0], cli_show_transfer, &shown, cli_collect, &result, &c->err);
        cli_on_interrupt(NULL, NULL);
        cli_progress_clear();
        if (result.failed)
            code = cli_error(3, NULL, "out of memory");
        else if (st == INGLE_CANCELLED)
            code = stopped(&shown);
        else
            code = st == INGLE_OK ? print_result(c, &result, cli_seconds() - start)
                                  : cli_fail(&c->err);
    }
    ig_buf_free(&result);
    ingle_hub_close(h);
    cli_http_close(http);
    return code;
}
