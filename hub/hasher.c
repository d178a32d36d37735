/* Reads behind the workers: checks the pieces of an earlier pull against their checksums, hashes
 * the file in order as far as it is there, and flushes it at the end, so that the calling thread
 * never waits for the disk.
 *
 * Subtle: a piece of an earlier pull is hashed only after its checksum fits, and from the same
 * bytes: what fails is given back to the workers before the hash has seen it. */
#include "transfer.h"

enum { FLUSH_EVERY = 16 << 20, FLUSH_SLICE = 4 << 20 };

/* Bytes from the start that are there and checked. */
static int64_t frontier(const struct ig_transfer *t) {
    if (t->streaming) return t->received;
    const struct ig_journal *j = &t->journal;
    size_t i = (size_t)(t->hashed / IG_PIECE);
    while (i < j->pieces && j->state[i] == IG_PIECE_DONE &&
           (int64_t)i * IG_PIECE < t->hashed + 4 * (int64_t)IG_PIECE)
        i++;
    int64_t at = (int64_t)i * IG_PIECE;
    return at < j->size ? at : j->size;
}

static size_t first_old(const struct ig_journal *j, size_t from) {
    while (from < j->pieces && j->state[from] != IG_PIECE_OLD) from++;
    return from;
}

static void hash(struct ig_transfer *t, struct ig_sha256 *sha, const uint8_t *p, size_t n) {
    ig_sha256_add(sha, p, n);
    ig_os_lock(&t->lock);
    t->hashed += (int64_t)n;
    ig_os_unlock(&t->lock);
    if (t->hashed - t->flushed < FLUSH_EVERY) return;
    ig_os_part_start_flush(t->part, (uint64_t)t->flushed, (uint64_t)(t->hashed - t->flushed));
    t->flushed = t->hashed;
}

/* Called without the lock; takes it for the verdict. */
static ingle_status check_old(struct ig_transfer *t, size_t piece, uint8_t *buffer,
                              struct ig_sha256 *sha, ingle_error *err) {
    struct ig_journal *j = &t->journal;
    size_t want = ig_journal_bytes(j, piece), got;
    IG_TRY(ig_os_part_read(t->part, (uint64_t)piece * IG_PIECE, buffer, want, &got, err));
    bool good = got == want && ig_journal_sum(buffer, want) == j->sum[piece];
    ig_os_lock(&t->lock);
    j->state[piece] = good ? IG_PIECE_DONE : IG_PIECE_MISSING;
    if (good) {
        t->done += (int64_t)want;
        t->resumed += (int64_t)want;
    }
    bool next = good && t->hashed == (int64_t)piece * IG_PIECE;
    ig_os_wake_all(&t->changed);
    ig_os_unlock(&t->lock);
    if (next) hash(t, sha, buffer, want);
    return INGLE_OK;
}

static ingle_status hash_more(struct ig_transfer *t, int64_t until, uint8_t *buffer,
                              struct ig_sha256 *sha, ingle_error *err) {
    int64_t left = until - t->hashed;
    size_t want = left < IG_PIECE ? (size_t)left : IG_PIECE, got;
    IG_TRY(ig_os_part_read(t->part, (uint64_t)t->hashed, buffer, want, &got, err));
    if (got < want)
        return ig_fail(err, INGLE_IO, "pull again", "%s: somebody else shortened the part file",
                       t->what);
    hash(t, sha, buffer, got);
    return INGLE_OK;
}

/* In slices first: a cancel does not wait until a slow disk has taken gigabytes. */
static ingle_status flush(struct ig_transfer *t, ingle_error *err) {
    for (int64_t at = 0; at < t->hashed; at += FLUSH_SLICE) {
        ig_os_part_flush_range(t->part, (uint64_t)at, FLUSH_SLICE);
        ig_os_lock(&t->lock);
        bool stop = t->stop;
        ig_os_unlock(&t->lock);
        if (stop) return INGLE_OK;
    }
    return ig_os_part_flush(t->part, err);
}

static ingle_status run(struct ig_transfer *t, uint8_t *buffer, ingle_error *err) {
    struct ig_sha256 sha;
    size_t old = 0;
    ig_sha256_begin(&sha);
    for (;;) {
        ig_os_lock(&t->lock);
        old = first_old(&t->journal, old);
        bool is_old = old < t->journal.pieces;
        int64_t until = frontier(t);
        bool all = ig_transfer_all_here(t) && t->hashed == until && !is_old;
        if (!t->stop && !all && !is_old && until == t->hashed)
            ig_os_wait_for(&t->changed, &t->lock, 0.1);
        bool stop = t->stop;
        ig_os_unlock(&t->lock);
        if (stop) return INGLE_OK;
        if (all) break;
        if (is_old)
            IG_TRY(check_old(t, old, buffer, &sha, err));
        else if (until > t->hashed)
            IG_TRY(hash_more(t, until, buffer, &sha, err));
    }
    ig_sha256_end(&sha, t->digest);
    return flush(t, err);
}

void ig_hasher_main(void *transfer) {
    struct ig_transfer *t = transfer;
    ingle_error err = {0};
    uint8_t *buffer = ig_alloc(t->call->mem, IG_PIECE);
    ingle_status s = buffer ? run(t, buffer, &err) : ig_fail_memory(&err, IG_PIECE);
    ig_free(t->call->mem, buffer);
    ig_os_lock(&t->lock);
    if (s)
        ig_transfer_fail(t, s, &err);
    else
        t->finished = !t->stop;
    ig_os_wake_all(&t->changed);
    ig_os_unlock(&t->lock);
}
