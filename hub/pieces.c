/* Who loads which pieces of a file. All functions run under the transfer's lock.
 *
 * Work is given out from the front, so that the hasher can follow closely; when nothing is left, an
 * idle worker takes the second half of what the slowest one still has before it. */
#include "transfer.h"

void ig_transfer_fail(struct ig_transfer *t, ingle_status s, const ingle_error *err) {
    if (!t->status) {
        t->status = s;
        t->err = *err;
    }
    t->stop = true;
    ig_os_wake_all(&t->changed);
}

bool ig_transfer_all_here(const struct ig_transfer *t) {
    if (t->streaming) return t->ended;
    return t->known && t->done == t->journal.size;
}

static void give(struct ig_transfer *t, struct ig_worker *w, size_t begin, size_t end) {
    w->begin = begin;
    w->end = end;
    w->at = (int64_t)begin * IG_PIECE;
    w->fill = 0;
    for (size_t i = begin; i < end; i++) t->journal.state[i] = IG_PIECE_TAKEN;
}

static bool steal(struct ig_transfer *t, struct ig_worker *w) {
    struct ig_worker *victim = NULL;
    size_t most = 8; /* pieces that are worth a request */
    for (int i = 0; i < MAX_WORKERS; i++) {
        struct ig_worker *v = &t->workers[i];
        if (v == w || !v->running || v->end <= v->begin + most) continue;
        most = v->end - v->begin;
        victim = v;
    }
    if (!victim) return false;
    size_t end = victim->end, middle = end - most / 2;
    victim->end = middle;
    give(t, w, middle, end);
    return true;
}

bool ig_transfer_take(struct ig_transfer *t, struct ig_worker *w) {
    const struct ig_journal *j = &t->journal;
    size_t from = 0, most = (size_t)(t->chunk / IG_PIECE), n = 0;
    if (!most) most = 1;
    while (from < j->pieces && j->state[from] != IG_PIECE_MISSING) from++;
    while (from + n < j->pieces && n < most && j->state[from + n] == IG_PIECE_MISSING) n++;
    if (n) {
        give(t, w, from, from + n);
        return true;
    }
    return t->ranges && steal(t, w);
}
