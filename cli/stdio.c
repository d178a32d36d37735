/* ingle stdio: the engine as a process of its own, for programs that want a crash or a kill of it
 * to be no crash of theirs. JSON-RPC 2.0, one object a line, on standard input and output; notes go
 * to standard error. It ends with its input, and with its parent. */
#include "stdio_server.h"

#include <stdio.h>

struct input {
    struct ig_buf line;
    bool skipping; /* the rest of a line that was refused */
};

static void refuse(struct stdio *s, const ingle_error *err) {
    struct ig_buf b = {.mem = &s->mem};
    stdio_put_error(&b, IG_STR("null"), STDIO_PARSE, err);
    stdio_out_line(&s->out, &b);
    ig_buf_free(&b);
}

/* More of the line that is being read. */
static void add(struct stdio *s, struct input *in, const char *p, size_t n) {
    ingle_error err;
    if (in->skipping) return;
    bool fits = n <= (size_t)STDIO_LINE - in->line.n;
    if (fits) ig_buf_add(&in->line, p, n);
    if (fits && !in->line.failed) return;
    if (fits)
        ig_fail_memory(&err, in->line.n + n);
    else
        ig_fail(&err, INGLE_LIMIT, "send less at once; files are named by their path",
                "a line is longer than %d bytes", STDIO_LINE);
    refuse(s, &err);
    ig_buf_free(&in->line);
    in->skipping = true;
}

static void end_line(struct stdio *s, struct input *in) {
    struct ig_buf line = in->line;
    bool blank = in->skipping || !ig_str_trim(ig_buf_view(&line)).n;
    in->line = (struct ig_buf){.mem = line.mem};
    in->skipping = false;
    if (blank)
        ig_buf_free(&line);
    else
        stdio_take_line(s, line.p, line.n);
}

static void feed(struct stdio *s, struct input *in, const char *p, size_t n) {
    while (n && !s->shutdown) {
        const char *end = memchr(p, '\n', n);
        size_t len = end ? (size_t)(end - p) : n;
        add(s, in, p, len);
        if (end) end_line(s, in);
        p += len + (end != NULL);
        n -= len + (end != NULL);
    }
}

static void read_all(struct stdio *s) {
    static char chunk[65536];
    struct input in = {.line = {.mem = &s->mem}};
    long got = 0;
    while (!s->shutdown && (got = stdio_read(chunk, sizeof chunk)) > 0)
        feed(s, &in, chunk, (size_t)got);
    if (!s->shutdown) end_line(s, &in);
    ig_buf_free(&in.line);
}

/* True once nothing runs any more. */
static bool stop_all(struct stdio *s, double end) {
    stdio_take(s->lock);
    s->quit = true;
    for (struct stdio_call *c = s->calls; c; c = c->next_all)
        if (c->method->flags & STDIO_LONG) stdio_cancel_call(c);
    stdio_wake(s->lock);
    for (;;) {
        for (struct stdio_model *m = s->models; m; m = m->next)
            if (m->requests || m->embeds) stdio_cancel_model(s, m);
        if ((!s->n_calls && !s->requests && !s->n_threads) || cli_seconds() >= end) break;
        stdio_wait(s->lock, 0.02);
    }
    bool idle = !s->n_calls && !s->requests && !s->n_threads;
    stdio_give(s->lock);
    return idle;
}

/* One second for everything: what is not done by then ends with the process. */
static void finish(struct stdio *s) {
    double end = cli_seconds() + 1;
    bool idle = stop_all(s, end - 0.2);
    if (idle) stdio_close_models(s);
    if (!stdio_out_close(&s->out, end - cli_seconds()) || !idle) stdio_exit(0);
    stdio_out_free(&s->out);
    stdio_lock_close(s->lock);
}

int cli_stdio(struct cli *c) {
    static struct stdio s;
    if (c->n_args) return cli_usage(c, "stdio takes no argument");
    if (cli_is_terminal(0))
        fputs("ingle: speaks JSON-RPC, one object a line; Ctrl-D ends it (see docs/stdio.md)\n",
              stderr);
    if (!stdio_claim_streams()) return cli_error(2, NULL, "standard input or output is closed");
    stdio_end_with_parent();
    s.cli = c;
    s.mem.limit = (size_t)1 << 31;
    s.lock = stdio_lock_open();
    s.lanes[STDIO_QUICK].max = 1;
    s.lanes[STDIO_SLOW].max = STDIO_SLOW_THREADS;
    if (!s.lock || !stdio_out_open(&s.out)) return cli_error(3, NULL, "out of memory");
    read_all(&s);
    finish(&s);
    return 0;
}
