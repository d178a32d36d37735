/* What `ingle stdio` sends: whole lines in the order they were added, written by a thread of its
 * own, so that neither the reader nor a call is held up by the other side. Engines are: they pause
 * while much is waiting, or a slow reader would fill the memory. A broken output ends the process,
 * there is nobody left to talk to. */
#include "stdio_server.h"

#include <stdio.h>

enum { KEEP = 1 << 20, LIMIT = 1 << 30 };

static void end_broken(void) {
    cli_error(2, NULL, "standard output: nobody reads it any more");
    stdio_exit(141);
}

static bool next_lines(struct stdio_out *o) {
    stdio_take(o->lock);
    if (o->writing.cap > KEEP)
        ig_buf_free(&o->writing);
    else
        ig_buf_clear(&o->writing);
    stdio_wake(o->lock);
    while (!o->waiting.n && o->open) stdio_wait(o->lock, -1);
    struct ig_buf taken = o->waiting;
    o->waiting = o->writing;
    o->writing = taken;
    stdio_wake(o->lock);
    stdio_give(o->lock);
    return taken.n > 0;
}

static void write_lines(void *ud) {
    struct stdio_out *o = ud;
    while (next_lines(o))
        if (!stdio_write(o->writing.p, o->writing.n)) end_broken();
    stdio_take(o->lock);
    o->ended = true;
    stdio_wake(o->lock);
    stdio_give(o->lock);
}

bool stdio_out_open(struct stdio_out *o) {
    o->lock = stdio_lock_open();
    o->mem.limit = LIMIT;
    o->waiting.mem = o->writing.mem = &o->mem;
    o->open = true;
    return o->lock && stdio_start_thread(write_lines, o);
}

void stdio_out_line(struct stdio_out *o, const struct ig_buf *line) {
    stdio_take(o->lock);
    bool wake = !o->waiting.n;
    ig_buf_add(&o->waiting, line->p, line->n);
    ig_buf_ch(&o->waiting, '\n');
    if (o->waiting.failed ||
        line->failed) { /* an answer that is lost would be waited for for ever */
        cli_error(3, "read faster, or ask for less at once",
                  "no memory for what waits to be written");
        stdio_exit(3);
    }
    if (wake) stdio_wake(o->lock);
    stdio_give(o->lock);
}

void stdio_out_pause(struct stdio_out *o, const bool *flag, const atomic_bool *stop) {
    stdio_take(o->lock);
    while (flag && !*flag) stdio_wait(o->lock, -1);
    while (o->waiting.n > STDIO_EVENTS && o->open && !atomic_load(stop)) stdio_wait(o->lock, -1);
    stdio_give(o->lock);
}

void stdio_out_flag(struct stdio_out *o, bool *flag) {
    stdio_take(o->lock);
    if (flag) *flag = true;
    stdio_wake(o->lock);
    stdio_give(o->lock);
}

bool stdio_out_close(struct stdio_out *o, double seconds) {
    double end = cli_seconds() + seconds;
    stdio_take(o->lock);
    o->open = false;
    stdio_wake(o->lock);
    while (!o->ended && cli_seconds() < end) stdio_wait(o->lock, 0.05);
    bool ended = o->ended;
    stdio_give(o->lock);
    return ended;
}

void stdio_out_free(struct stdio_out *o) {
    stdio_lock_close(o->lock);
    ig_buf_free(&o->waiting);
    ig_buf_free(&o->writing);
}
