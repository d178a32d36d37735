/* One connection: takes pieces, asks for their bytes, writes them, tries again when the network
 * fails.
 *
 * Promises: a byte is written where the server said it belongs, or not at all; a source that
 * changes under the pull is noticed (length, ETag, hash of the endpoint's redirect) and starts
 * anew; an HTML page is not taken for a model. A cut costs nothing: the next request begins at the
 * byte after the last one.
 *
 * Subtle: the first answer settles everything (size, whether ranges are served); until it came the
 * other workers are not started. A server that answers 200 gets no further connections, and after a
 * cut its first bytes are skipped. */
#include "transfer.h"
#include "url.h"

#include <stdio.h>

static ingle_status changed(struct ig_transfer *t) {
    t->restart = t->stop = true;
    ig_os_wake_all(&t->changed);
    return INGLE_CANCELLED;
}

static int fail_now(struct ig_transfer *t, ingle_status s, const ingle_error *err) {
    if (s != INGLE_CANCELLED) ig_transfer_fail(t, s, err);
    return 1;
}

/* ---- the head of an answer (under the lock) ---- */

/* A strong ETag, else the date of the last change; either fits If-Range. Empty: nothing that
 * identifies the content. */
static struct ig_str validator(const char *headers) {
    struct ig_str etag = ig_header(headers, "etag"), date = ig_header(headers, "last-modified");
    if (etag.n && etag.n < 200 && etag.p[0] == '"') return etag;
    return date.n < 100 ? date : (struct ig_str){NULL, 0};
}

static ingle_status check_space(struct ig_transfer *t, int64_t size, ingle_error *err) {
    const struct ig_hub_settings *set = &t->call->set;
    if (set->max_bytes && size > set->max_bytes)
        return ig_fail(err, INGLE_LIMIT, "raise max-bytes",
                       "%s has %.2f GB, more than the %.2f GB that are allowed", t->what,
                       (double)size / 1e9, (double)set->max_bytes / 1e9);
    uint64_t have = ig_os_free_space(t->folder), kept = 0;
    for (size_t i = 0; i < t->journal.pieces; i++)
        if (t->journal.state[i] == IG_PIECE_OLD || t->journal.state[i] == IG_PIECE_DONE)
            kept += IG_PIECE;
    uint64_t need = (uint64_t)size > kept ? (uint64_t)size - kept : 0;
    if (have < need)
        return ig_fail(err, INGLE_IO, "make room, or choose a smaller file",
                       "%s needs %.2f GB, the disk has %.2f GB left", t->what, (double)need / 1e9,
                       (double)have / 1e9);
    return INGLE_OK;
}

/* The size became known, and with it the pieces. */
static ingle_status settle(struct ig_transfer *t, struct ig_worker *w, int64_t size,
                           const char *headers, ingle_error *err) {
    struct ig_journal *j = &t->journal;
    if (size == 0)
        return ig_fail(err, INGLE_BAD_FILE, "check the address", "%s: the file is empty", t->what);
    if (j->size < 0) IG_TRY(ig_journal_size(j, size, err));
    IG_TRY(check_space(t, size, err));
    struct ig_str v = validator(headers);
    if (!t->sha256 && !j->oid.n) ig_buf_str(&j->oid, v);
    size_t last = (size_t)(w->at / IG_PIECE) + (size_t)(t->chunk / IG_PIECE);
    if (w->end > j->pieces || !w->end) w->end = last < j->pieces ? last : j->pieces;
    if (!t->ranges) w->end = j->pieces;
    for (size_t i = w->begin; i < w->end; i++)
        if (t->ranges || j->state[i] != IG_PIECE_OLD) j->state[i] = IG_PIECE_TAKEN;
    IG_TRY(ig_journal_rewrite(j, err));
    t->known = true;
    ig_os_wake_all(&t->changed);
    return INGLE_OK;
}

static bool other_content(const struct ig_transfer *t, const char *headers) {
    struct ig_str had = ig_buf_view(&t->journal.oid), now = validator(headers);
    return !t->sha256 && had.n && now.n && !ig_str_eq(had, now);
}

static ingle_status on_range(struct ig_transfer *t, struct ig_worker *w, const char *headers,
                             ingle_error *err) {
    int64_t first, last, total;
    if (!ig_header_range(ig_header(headers, "content-range"), &first, &last, &total) ||
        first != w->at)
        return ig_fail(err, INGLE_IO, "try again later",
                       "%s: the server sent another range than it was asked for", t->what);
    if (total < 0 && t->journal.size < 0)
        return ig_fail(err, INGLE_UNSUPPORTED, NULL,
                       "%s: the server does not say how long the file is", t->what);
    if (other_content(t, headers) ||
        (t->journal.size >= 0 && total >= 0 && total != t->journal.size))
        return changed(t);
    w->skip = 0;
    t->ranges = true;
    return t->known ? INGLE_OK : settle(t, w, total < 0 ? t->journal.size : total, headers, err);
}

/* The whole file from its first byte, although perhaps a range was asked for. */
static ingle_status on_whole(struct ig_transfer *t, struct ig_worker *w, const char *headers,
                             ingle_error *err) {
    struct ig_str text = ig_header(headers, "content-length");
    int64_t size = -1;
    if (text.p && (!ig_str_to_i64(text, &size) || size < 0)) size = -1;
    if (other_content(t, headers) || (t->journal.size >= 0 && size >= 0 && size != t->journal.size))
        return changed(t);
    if (t->ranges) return changed(t); /* If-Range says so */
    if (!t->known && t->journal.size < 0 && size < 0) {
        t->known = t->streaming = true;
        IG_TRY(check_space(t, 1, err));
        w->at = w->skip = 0;
        return INGLE_OK;
    }
    if (t->streaming) return changed(t); /* a second try begins anew */
    if (!t->known) {
        for (size_t i = 0; i < t->journal.pieces;
             i++) /* nobody can load what lies behind a hole: begin at the front */
            t->journal.state[i] = IG_PIECE_MISSING;
        w->begin = 0;
        w->at = 0;
        w->fill = 0;
        IG_TRY(settle(t, w, size < 0 ? t->journal.size : size, headers, err));
    }
    w->skip = w->at;
    return INGLE_OK;
}

static ingle_status settle_head(struct ig_transfer *t, struct ig_worker *w, struct ig_fetch *f,
                                const char *headers, ingle_error *err) {
    if (t->sha256 && f->linked.n == 64 && !ig_str_is(ig_buf_view(&f->linked), t->sha256))
        return changed(t);
    struct ig_str disposition = ig_header(headers, "content-disposition");
    if (disposition.p && !t->name.n) ig_header_file_name(&t->name, disposition);
    return f->status == 206 ? on_range(t, w, headers, err) : on_whole(t, w, headers, err);
}

static int on_head(void *ud, struct ig_fetch *f, const char *headers) {
    struct ig_worker *w = ud;
    struct ig_transfer *t = w->t;
    ingle_error err = {0};
    ingle_status s = INGLE_OK;
    w->last_byte = ig_os_seconds();
    if (f->status != 200 && f->status != 206) return 1; /* load() looks at the status */
    ig_os_lock(&t->lock);
    if (t->stop)
        s = INGLE_CANCELLED;
    else if (ig_header(headers, "content-encoding").n &&
             !ig_str_is(ig_header(headers, "content-encoding"), "identity"))
        s = ig_fail(&err, INGLE_UNSUPPORTED, NULL, "%s: the server compresses what must not be",
                    t->what);
    else
        s = settle_head(t, w, f, headers, &err);
    if (!s && strcmp(f->at.p, t->url) != 0 && !t->direct.n) {
        ig_buf_str(&t->direct, ig_buf_view(&f->at));
        t->direct_no_token = f->no_token;
        if (t->direct.failed) s = ig_fail_memory(&err, f->at.n);
    }
    int stop = s ? fail_now(t, s, &err) : 0;
    ig_os_unlock(&t->lock);
    return stop;
}

/* ---- the body ---- */

static ingle_status look(const struct ig_transfer *t, const uint8_t *p, size_t n,
                         ingle_error *err) {
    static const char *const hint =
        "open the address in a browser: it may need a login, or not be the file itself";
    struct ig_str s = ig_str_trim((struct ig_str){(const char *)p, n < 64 ? n : 64});
    if (ig_str_starts(s, IG_STR("version https://git-lfs")))
        return ig_fail(err, INGLE_BAD_FILE, hint,
                       "%s: the server sent a Git LFS pointer, not the file", t->what);
    bool page = t->content != IG_CONTENT_ANY && s.n && s.p[0] == '<';
    if (page)
        return ig_fail(err, INGLE_BAD_FILE, hint, "%s: the server sent a web page, not a model",
                       t->what);
    if (t->content == IG_CONTENT_GGUF && (n < 4 || memcmp(p, "GGUF", 4) != 0))
        return ig_fail(err, INGLE_BAD_FILE, "only GGUF files can be pulled so",
                       "%s: this is not a GGUF file", t->what);
    if (t->content == IG_CONTENT_SAFETENSORS && (n < 10 || p[8] != '{' || p[5] || p[6] || p[7]))
        return ig_fail(err, INGLE_BAD_FILE, "choose another source",
                       "%s: this is not a safetensors file", t->what);
    return INGLE_OK;
}

/* A piece is whole (streaming: or the body is). Returns non-zero when this worker has nothing more
 * to load. */
static int piece_done(struct ig_transfer *t, struct ig_worker *w) {
    ingle_error err = {0};
    int64_t from = w->at - (int64_t)w->fill;
    ingle_status s = INGLE_OK;
    if (from == 0) s = look(t, w->buffer, w->fill, &err);
    if (!s) s = ig_os_part_write(t->part, (uint64_t)from, w->buffer, w->fill, &err);
    uint64_t sum = t->streaming ? 0 : ig_journal_sum(w->buffer, w->fill);
    ig_os_lock(&t->lock);
    t->live -= (int64_t)w->fill;
    if (!s && t->streaming) {
        t->received = w->at;
    } else if (!s) {
        s = ig_journal_done(&t->journal, (size_t)(from / IG_PIECE), sum, &err);
        t->done += (int64_t)w->fill;
        w->begin = (size_t)(from / IG_PIECE) + 1;
    }
    w->fill = 0;
    int stop = s ? fail_now(t, s, &err) : !t->streaming && w->begin >= w->end;
    ig_os_wake_all(&t->changed);
    ig_os_unlock(&t->lock);
    return stop;
}

static int too_long(struct ig_transfer *t) {
    ingle_error err = {0};
    ig_os_lock(&t->lock);
    fail_now(t,
             ig_fail(&err, INGLE_BAD_FILE, "try again later",
                     "%s: the server sends more than it announced", t->what),
             &err);
    ig_os_unlock(&t->lock);
    return 1;
}

static int over_limit(struct ig_transfer *t) {
    ingle_error err = {0};
    ig_os_lock(&t->lock);
    fail_now(t,
             ig_fail(&err, INGLE_LIMIT, "raise max-bytes",
                     "%s is larger than the %.2f GB that are allowed", t->what,
                     (double)t->call->set.max_bytes / 1e9),
             &err);
    ig_os_unlock(&t->lock);
    return 1;
}

/* The first bytes are looked at as soon as there are some: a web page may never fill a piece. */
static int look_early(struct ig_transfer *t, struct ig_worker *w) {
    ingle_error err = {0};
    ingle_status s = look(t, w->buffer, w->fill, &err);
    ig_os_lock(&t->lock);
    t->looked = true;
    if (s) fail_now(t, s, &err);
    ig_os_unlock(&t->lock);
    return s != INGLE_OK;
}

static int on_body(void *ud, const void *bytes, size_t n) {
    struct ig_worker *w = ud;
    struct ig_transfer *t = w->t;
    const uint8_t *p = bytes;
    int64_t size = t->streaming ? INT64_MAX : t->journal.size;
    w->last_byte = ig_os_seconds();
    if (w->skip) {
        size_t drop = (uint64_t)w->skip < n ? (size_t)w->skip : n;
        w->skip -= (int64_t)drop;
        p += drop;
        n -= drop;
    }
    if (n) w->tries = 0; /* what is here already is no progress */
    ig_os_lock(&t->lock);
    bool over = t->known && !t->streaming && w->begin >= w->end,
         stop = t->stop || (over && w->at < size);
    if (!stop) t->live += (int64_t)n;
    ig_os_unlock(&t->lock);
    if (stop) return 1; /* over: another worker took the rest of this range */
    while (n) {
        size_t room = IG_PIECE - w->fill;
        if (size - w->at < (int64_t)room) room = (size_t)(size - w->at);
        if (!room) return too_long(t);
        size_t take = n < room ? n : room;
        memcpy(w->buffer + w->fill, p, take);
        w->fill += take;
        w->at += (int64_t)take;
        p += take;
        n -= take;
        if (t->streaming && t->call->set.max_bytes && w->at > t->call->set.max_bytes)
            return over_limit(t);
        if (w->at == (int64_t)w->fill && !t->looked && w->fill >= 32 && look_early(t, w)) return 1;
        if (w->fill < IG_PIECE && w->at < size) break;
        if (!piece_done(t, w)) continue;
        if (!n) return 0; /* the range ends here: let the connection end it in order */
        ig_os_lock(&t->lock);
        t->live -= (int64_t)n;
        ig_os_unlock(&t->lock);
        return w->at == size ? too_long(t) : 1;
    }
    return 0;
}

static int on_beat(void *ud) {
    struct ig_worker *w = ud;
    struct ig_transfer *t = w->t;
    ig_os_lock(&t->lock);
    bool stop = t->stop;
    ig_os_unlock(&t->lock);
    if (!stop && ig_os_seconds() - w->last_byte > t->call->set.stall_seconds) w->stalled = true;
    return stop || w->stalled;
}

/* ---- requests ---- */

static bool stopped(struct ig_transfer *t) {
    ig_os_lock(&t->lock);
    bool stop = t->stop;
    ig_os_unlock(&t->lock);
    return stop;
}

static void headers_for(struct ig_transfer *t, struct ig_worker *w, struct ig_buf *b) {
    ig_os_lock(&t->lock);
    int64_t end = (int64_t)w->end * IG_PIECE, size = t->journal.size;
    if (!t->known && size < 0) end = t->chunk;
    if (size >= 0 && end > size) end = size;
    bool whole = w->at == 0 && size >= 0 && size <= IG_PIECE;
    if (!t->streaming && !(t->known && !t->ranges) && !whole && !t->no_ranges) {
        ig_buf_f(b, "Range: bytes=%lld-%lld\n", (long long)w->at, (long long)end - 1);
        if (!t->sha256 && !t->unconditional && t->journal.oid.n && (w->at || t->known))
            ig_buf_f(b, "If-Range: %s\n", t->journal.oid.p);
    }
    ig_buf_z(b, t->extra);
    ig_os_unlock(&t->lock);
}

/* One exchange. `url` is a copy: another worker may find the direct address stale meanwhile. */
static ingle_status ask(struct ig_transfer *t, struct ig_worker *w, struct ig_fetch *f,
                        ingle_error *err) {
    struct ig_buf headers = {.mem = t->call->mem}, url = {.mem = t->call->mem};
    headers_for(t, w, &headers);
    ig_os_lock(&t->lock);
    w->direct = t->direct.n > 0;
    ig_buf_z(&url, w->direct ? t->direct.p : t->url);
    f->no_token = w->direct && t->direct_no_token;
    ig_os_unlock(&t->lock);
    w->stalled = false;
    w->last_byte = ig_os_seconds();
    f->url = url.p;
    f->extra = headers.n ? headers.p : "";
    f->ud = w;
    f->head = on_head;
    f->body = on_body;
    f->beat = on_beat;
    ingle_status s = headers.failed || url.failed ? ig_fail_memory(err, 256) : ig_fetch_run(f, err);
    if (w->stalled)
        s = ig_fail(err, INGLE_IO, "try again later: what was received stays",
                    "%s: no byte came for %.0f seconds", t->what, t->call->set.stall_seconds);
    ig_buf_free(&headers);
    ig_buf_free(&url);
    return s;
}

/* Whether everything that this worker had to load is there. */
static bool served(struct ig_transfer *t, struct ig_worker *w) {
    ig_os_lock(&t->lock);
    bool done = t->streaming ? t->ended : t->known && w->begin >= w->end;
    ig_os_unlock(&t->lock);
    return done;
}

/* The address behind the redirects is signed for a while only. */
static bool forget_direct(struct ig_transfer *t, struct ig_worker *w, int status) {
    bool stale = w->direct && (status == 400 || status == 401 || status == 403 || status == 404 ||
                               status == 410);
    if (!stale) return false;
    ig_os_lock(&t->lock);
    ig_buf_clear(&t->direct);
    ig_os_unlock(&t->lock);
    return true;
}

/* Waits before the next try; false: give up (or stop). */
static bool wait_for_retry(struct ig_transfer *t, struct ig_worker *w, int64_t after) {
    double delay = ig_retry_delay(t->call, ++w->tries, after);
    if (delay < 0) return false;
    double until = ig_os_seconds() + delay;
    ig_os_lock(&t->lock);
    if (after > 0 && t->hold_until < until) t->hold_until = until;
    while (!t->stop) {
        double left = (until > t->hold_until ? until : t->hold_until) - ig_os_seconds();
        if (left <= 0) break;
        ig_os_wait_for(&t->changed, &t->lock, left < 0.05 ? left : 0.05);
    }
    bool go_on = !t->stop;
    ig_os_unlock(&t->lock);
    return go_on;
}

/* Streaming without an announced size: the end of the body is the end of the file. */
static void end_stream(struct ig_transfer *t, struct ig_worker *w) {
    if (w->fill) piece_done(t, w);
    ig_os_lock(&t->lock);
    t->ended = !t->stop;
    t->received = w->at;
    ig_os_wake_all(&t->changed);
    ig_os_unlock(&t->lock);
}

/* 416: the file is shorter than it was. */
static ingle_status judge(struct ig_transfer *t, struct ig_worker *w, struct ig_fetch *f,
                          bool *again, ingle_error *err) {
    *again = true;
    if (f->status == 200 || f->status == 206) return INGLE_OK;
    if (forget_direct(t, w, f->status) && ++w->tries <= 3) return INGLE_OK;
    if (f->status == 416) {
        ig_os_lock(&t->lock);
        bool had = t->journal.size >= 0;
        if (had) changed(t);
        bool ask_plainly = !had && !t->no_ranges; /* an empty file has no first byte */
        t->no_ranges = true;
        ig_os_unlock(&t->lock);
        if (had) return INGLE_CANCELLED;
        if (ask_plainly) return INGLE_OK;
    }
    *again = ig_fetch_may_retry(f->status);
    return ig_fetch_fail(f, t->what, err);
}

/* Loads the pieces the worker holds. INGLE_CANCELLED: the transfer stops. Another status: this
 * worker gives up. */
static ingle_status load(struct ig_transfer *t, struct ig_worker *w, ingle_error *err) {
    while (!served(t, w)) {
        struct ig_fetch f;
        bool again = true;
        ig_fetch_begin(&f, t->call);
        int64_t before = w->at;
        ingle_status s = ask(t, w, &f, err);
        bool head_only = f.status && f.status != 200 && f.status != 206;
        if (stopped(t))
            s = INGLE_CANCELLED;
        else if (head_only && (s == INGLE_OK || s == INGLE_CANCELLED))
            s = judge(t, w, &f, &again, err);
        else if (s == INGLE_CANCELLED)
            s = INGLE_OK; /* it had all it wanted */
        else if (s == INGLE_IO)
            again = true;
        else
            again = s == INGLE_OK;
        int64_t after = f.retry_after;
        bool body = !s && !head_only;
        ig_fetch_end(&f);
        if (s == INGLE_CANCELLED) return s;
        if (body && t->streaming) end_stream(t, w);
        if (!s && (!body || served(t, w) || w->at > before)) continue;
        if (!s)
            s = ig_fail(err, INGLE_IO, "try again later", "%s: the server sent nothing", t->what);
        if (!again) return s;
        if (t->streaming) { /* what came cannot be joined to what comes next */
            ig_os_lock(&t->lock);
            changed(t);
            ig_os_unlock(&t->lock);
        }
        if (!wait_for_retry(t, w, after)) return stopped(t) ? INGLE_CANCELLED : s;
    }
    return INGLE_OK;
}

static void give_back(struct ig_transfer *t, struct ig_worker *w) {
    for (size_t i = w->begin; i < w->end && i < t->journal.pieces; i++)
        if (t->journal.state[i] == IG_PIECE_TAKEN) t->journal.state[i] = IG_PIECE_MISSING;
    t->live -= (int64_t)w->fill;
    w->begin = w->end = 0;
    w->fill = 0;
}

/* Waits until there is work. false: all is there, or the transfer stops. */
static bool next_work(struct ig_transfer *t, struct ig_worker *w) {
    ig_os_lock(&t->lock);
    bool have = false;
    while (!t->stop && !ig_transfer_all_here(t) && !(have = ig_transfer_take(t, w)))
        ig_os_wait_for(&t->changed, &t->lock, 0.1);
    ig_os_unlock(&t->lock);
    return have;
}

void ig_worker_main(void *worker) {
    struct ig_worker *w = worker;
    struct ig_transfer *t = w->t;
    ingle_error err = {0};
    ingle_status s = INGLE_OK;
    w->buffer = ig_alloc(t->call->mem, IG_PIECE);
    if (!w->buffer) s = ig_fail_memory(&err, IG_PIECE);
    bool first = !t->known;
    while (!s && (first || next_work(t, w))) {
        first = false;
        s = load(t, w, &err);
    }
    ig_os_lock(&t->lock);
    give_back(t, w);
    w->running = false;
    t->running--;
    /* Others may get through where this one does not: servers limit connections. */
    if (s && t->wanted > t->running) t->wanted = t->running;
    if (s && s != INGLE_CANCELLED && (t->running == 0 || s != INGLE_IO))
        ig_transfer_fail(t, s, &err);
    ig_os_wake_all(&t->changed);
    ig_os_unlock(&t->lock);
    ig_free(t->call->mem, w->buffer);
    w->buffer = NULL;
}
