/* One file, seen from the calling thread: opens part and journal, starts the workers and the
 * hasher, shows progress, cancels, and begins anew when the source changed or the hash does not
 * fit.
 *
 * Promises: the host hears of it every 20 ms; after a cancel all threads have ended when the call
 * returns. Does not know: repositories and names. */
#include "download.h"

#include "file_names.h"

enum { MIB = 1 << 20, RESTARTS = 2 };

enum ig_content ig_content_of(const char *name) {
    struct ig_str s = ig_str_of(name);
    if (ig_hub_is_gguf(s)) return IG_CONTENT_GGUF;
    if (ig_str_ends(s, IG_STR(".safetensors"))) return IG_CONTENT_SAFETENSORS;
    return ig_str_ends(s, IG_STR(".json")) ? IG_CONTENT_JSON : IG_CONTENT_ANY;
}

/* How much a connection asks for at a time. */
static int64_t chunk_of(const struct ig_call *c, int64_t size) {
    int64_t n = c->set.range_bytes;
    if (!n) n = size < 0 ? 8 * MIB : size / c->set.connections / 8;
    if (!c->set.range_bytes && n < 8 * MIB) n = 8 * MIB;
    if (!c->set.range_bytes && n > 64 * MIB) n = 64 * MIB;
    return n / MIB * MIB;
}

static int64_t bytes_missing(const struct ig_journal *j) {
    int64_t n = 0;
    for (size_t i = 0; i < j->pieces; i++)
        if (j->state[i] == IG_PIECE_MISSING || j->state[i] == IG_PIECE_TAKEN) n += IG_PIECE;
    return n;
}

/* Can what the journal describes be gone on with? */
static bool fits(const struct ig_journal *j, const struct ig_download *d) {
    if (j->size < 0 || (d->size >= 0 && j->size != d->size) || !j->oid.n) return false;
    return !d->sha256 || ig_str_is(ig_buf_view(&j->oid), d->sha256);
}

static ingle_status open_files(struct ig_transfer *t, struct ig_download *d, bool anew,
                               ingle_error *err) {
    struct ig_journal *j = &t->journal;
    IG_TRY(ig_os_part_open(&t->part, t->call->mem, d->part, err));
    IG_TRY(ig_journal_open(j, d->journal, err));
    if (!anew && fits(j, d)) return INGLE_OK;
    ig_buf_clear(&j->oid);
    if (d->sha256) ig_buf_z(&j->oid, d->sha256);
    IG_TRY(ig_journal_size(j, d->size, err));
    IG_TRY(ig_os_part_resize(j->file, 0, err));
    return ig_os_part_resize(t->part, 0, err);
}

/* Under the lock. */
static ingle_status start_worker(struct ig_transfer *t, ingle_error *err) {
    for (int i = 0; i < MAX_WORKERS; i++) {
        struct ig_worker *w = &t->workers[i];
        if (w->running) continue;
        if (w->started) ig_os_thread_join(&w->thread); /* it has left the lock for the last time */
        w->started = false;
        w->tries = 0;
        w->t = t;
        IG_TRY(ig_os_thread_start(&w->thread, ig_worker_main, w, 0, err));
        w->started = w->running = true;
        t->running++;
        return INGLE_OK;
    }
    return INGLE_OK;
}

/* The first worker, whose answer settles size and ranges. If everything is there already, nobody is
 * asked. */
static ingle_status start_first(struct ig_transfer *t, ingle_error *err) {
    struct ig_worker *w = &t->workers[0];
    *w = (struct ig_worker){0};
    t->wanted = 1;
    if (t->journal.size >= 0 && !ig_transfer_take(t, w)) {
        t->known = t->ranges = true;
        return ig_journal_rewrite(&t->journal, err);
    }
    return start_worker(t, err);
}

static int workers_for(const struct ig_transfer *t) {
    if (!t->ranges) return 1;
    int64_t n = bytes_missing(&t->journal) / (t->call->set.range_bytes ? t->chunk : 8 * MIB) + 1;
    return n < t->call->set.connections ? (int)n : t->call->set.connections;
}

/* Under the lock, after the first answer. A thread less is no failure as long as there is one. */
static ingle_status add_workers(struct ig_transfer *t, bool *hashing, ingle_error *err) {
    if (!t->known || t->stop) return INGLE_OK;
    if (!*hashing) {
        if (t->journal.size > 0 && !t->call->set.range_bytes)
            t->chunk = chunk_of(t->call, t->journal.size);
        t->wanted = workers_for(t);
        IG_TRY(ig_os_thread_start(&t->hasher, ig_hasher_main, t, 0, err));
        *hashing = true;
    }
    while (t->running < t->wanted && bytes_missing(&t->journal) > 0 && !ig_transfer_all_here(t)) {
        ingle_status s = start_worker(t, err);
        if (s && t->running == 0) return s;
        if (s) t->wanted = t->running;
    }
    return INGLE_OK;
}

/* Under the lock: what the host is told. */
static void show(struct ig_call *c, struct ig_transfer *t, int64_t total_known) {
    ingle_hub_progress *p = &c->progress;
    bool here = t->known && ig_transfer_all_here(t);
    int64_t done = (t->streaming ? t->received : t->done) + t->live;
    if (!t->streaming && t->journal.size >= 0 && done > t->journal.size) done = t->journal.size;
    p->phase =
        here && t->hashed < (t->streaming ? t->received : t->journal.size) ? "verify" : "download";
    if (total_known < 0 && t->known && !t->streaming)
        p->bytes_total = c->base_done + t->journal.size;
    p->bytes_resumed = c->base_resumed + t->resumed;
    ig_call_bytes(c, c->base_done + (here ? t->hashed : done));
}

static ingle_status watch(struct ig_call *c, struct ig_transfer *t, int64_t total_known,
                          ingle_error *err) {
    bool hashing = false;
    ingle_status s = INGLE_OK;
    ig_os_lock(&t->lock);
    while (!s && !t->stop && !t->finished) {
        s = add_workers(t, &hashing, err);
        if (!s) ig_os_wait_for(&t->changed, &t->lock, 0.02);
        show(c, t, total_known);
        ig_os_unlock(&t->lock);
        bool cancel = ig_call_tick(c);
        ig_os_lock(&t->lock);
        if (!s && cancel && !t->finished) s = ig_call_cancelled(err);
    }
    if (!t->finished) t->stop = true;
    ig_os_wake_all(&t->changed);
    ig_os_unlock(&t->lock);
    for (int i = 0; i < MAX_WORKERS; i++)
        if (t->workers[i].started) ig_os_thread_join(&t->workers[i].thread);
    if (hashing) ig_os_thread_join(&t->hasher);
    if (s || t->finished || t->restart) return s;
    if (err) *err = t->err;
    return t->status ? t->status
                     : ig_fail(err, INGLE_INTERNAL, NULL, "%s: the download stopped", t->what);
}

static void begin(struct ig_transfer *t, struct ig_call *c, struct ig_download *d) {
    *t = (struct ig_transfer){.call = c,
                              .url = d->url,
                              .sha256 = d->sha256,
                              .what = d->what,
                              .extra = "",
                              .content = d->content,
                              .chunk = chunk_of(c, d->size),
                              .folder = d->folder,
                              .direct = {.mem = c->mem},
                              .name = {.mem = c->mem}};
    ig_os_mutex_init(&t->lock);
    ig_os_cond_init(&t->changed);
    ig_journal_begin(&t->journal, c->mem);
}

static void end(struct ig_transfer *t) {
    ig_os_part_close(t->part);
    ig_journal_end(&t->journal);
    ig_buf_free(&t->direct);
    ig_buf_free(&t->name);
    ig_os_cond_free(&t->changed);
    ig_os_mutex_free(&t->lock);
}

/* Swaps the buffers, so that the results outlive the transfer. */
static void hand_over(struct ig_buf *to, struct ig_buf *from) {
    struct ig_buf old = *to;
    *to = *from;
    *from = old;
}

/* One attempt. *again: begin anew with an empty part. */
static ingle_status attempt(struct ig_call *c, struct ig_transfer *t, struct ig_download *d,
                            bool anew, bool *again, ingle_error *err) {
    int64_t total_known = d->size;
    *again = false;
    t->unconditional = anew; /* some servers take every condition for a change */
    IG_TRY(open_files(t, d, anew, err));
    ig_os_lock(&t->lock);
    ingle_status s = start_first(t, err);
    ig_os_unlock(&t->lock);
    if (s) return s;
    IG_TRY(watch(c, t, total_known, err));
    if (t->restart) {
        *again = true;
        return ig_fail(err, INGLE_IO, "try again later",
                       "%s: the file changes at the source while it is loaded", d->what);
    }
    d->bytes = t->streaming ? t->received : t->journal.size;
    if (d->bytes == 0)
        return ig_fail(err, INGLE_BAD_FILE, "check the address", "%s: the file is empty", d->what);
    memcpy(d->digest, t->digest, sizeof d->digest);
    hand_over(&d->name, &t->name);
    hand_over(&d->tag, &t->journal.oid);
    if (!d->sha256 || strcmp(d->sha256, d->digest) == 0) return INGLE_OK;
    *again = t->resumed > 0;
    ig_os_part_resize(t->part, 0, NULL); /* of no use to anybody */
    ig_os_part_resize(t->journal.file, 0, NULL);
    return ig_fail(err, INGLE_BAD_FILE,
                   "nothing was kept; pull again, and if it stays so the source is damaged",
                   "%s: the SHA-256 is %.12s..., it should be %.12s...", d->what, d->digest,
                   d->sha256);
}

ingle_status ig_download(struct ig_call *c, struct ig_download *d, ingle_error *err) {
    bool again = false;
    ingle_status s = INGLE_OK;
    for (int i = 0; i <= RESTARTS; i++) {
        struct ig_transfer *t = ig_alloc(c->mem, sizeof *t);
        if (!t) return ig_fail_memory(err, sizeof *t);
        begin(t, c, d);
        s = attempt(c, t, d, again, &again, err);
        end(t);
        ig_free(c->mem, t);
        if (!again || !s) break;
        for (double until = ig_os_seconds() + 0.5 * i; ig_os_seconds() < until; ig_os_sleep(0.01))
            if (ig_call_tick(c)) return ig_call_cancelled(err);
    }
    if (!s) ig_os_remove(d->journal, NULL);
    return s;
}
