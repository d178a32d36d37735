/* The journal beside a part file: text, one line for each finished piece of 1 MiB, only ever
 * appended.
 *
 *     ingle-part 1
 *     size 4683073184
 *     oid "5f3a..."
 *     0 8c6f2d11e09ab7c4
 *
 * Promises: after a kill at any moment the journal names only pieces that were written; after a
 * power failure, pieces whose bytes did not reach the disk do not match their checksum and are
 * loaded again. So nothing has to be flushed while a download runs. A torn last line is left out.
 * Does not know: what the bytes are. */
#include "journal.h"

#include "base/hash.h"

static const char magic[] = "ingle-part 1\n";
enum { MAX_OID = 200, MAX_LINE = 40 };

uint64_t ig_journal_sum(const void *p, size_t n) {
    return ig_checksum(0, p, n);
}

void ig_journal_begin(struct ig_journal *j, struct ig_mem *mem) {
    *j = (struct ig_journal){.mem = mem, .size = -1, .oid = {.mem = mem}};
}

static void drop_pieces(struct ig_journal *j) {
    ig_free(j->mem, j->state);
    ig_free(j->mem, j->sum);
    j->state = NULL;
    j->sum = NULL;
    j->pieces = 0;
    j->size = -1;
}

void ig_journal_end(struct ig_journal *j) {
    drop_pieces(j);
    ig_buf_free(&j->oid);
    ig_os_part_close(j->file);
    j->file = NULL;
}

ingle_status ig_journal_size(struct ig_journal *j, int64_t size, ingle_error *err) {
    drop_pieces(j);
    if (size < 0) return INGLE_OK;
    int64_t pieces = size / IG_PIECE + (size % IG_PIECE != 0);
    if (pieces > IG_MAX_PIECES)
        return ig_fail(err, INGLE_LIMIT, NULL, "a file of %lld bytes is too large",
                       (long long)size);
    size_t n = pieces ? (size_t)pieces : 1;
    j->state = ig_calloc(j->mem, n, sizeof *j->state);
    j->sum = ig_calloc(j->mem, n, sizeof *j->sum);
    if (!j->state || !j->sum) {
        drop_pieces(j);
        return ig_fail_memory(err, n * 9);
    }
    j->pieces = (size_t)pieces;
    j->size = size;
    return INGLE_OK;
}

size_t ig_journal_bytes(const struct ig_journal *j, size_t i) {
    int64_t left = j->size - (int64_t)i * IG_PIECE;
    return left < IG_PIECE ? (size_t)left : IG_PIECE;
}

/* ---- reading ---- */

/* The next whole line without its end; false at the end of the text. */
static bool next_line(struct ig_str *text, struct ig_str *line) {
    const char *end = text->n ? memchr(text->p, '\n', text->n) : NULL;
    if (!end) return false;
    *line = (struct ig_str){text->p, (size_t)(end - text->p)};
    text->n -= line->n + 1;
    text->p = end + 1;
    return true;
}

static bool field(struct ig_str *text, struct ig_str name, struct ig_str *value) {
    struct ig_str line;
    if (!next_line(text, &line) || !ig_str_starts(line, name)) return false;
    *value = (struct ig_str){line.p + name.n, line.n - name.n};
    return true;
}

static bool hex16(struct ig_str s, uint64_t *out) {
    if (s.n != 16) return false;
    *out = 0;
    for (size_t i = 0; i < 16; i++) {
        char c = s.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        *out = *out << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static void read_piece(struct ig_journal *j, struct ig_str line) {
    const char *space = line.n <= MAX_LINE && line.n ? memchr(line.p, ' ', line.n) : NULL;
    int64_t piece;
    uint64_t sum;
    if (!space) return;
    size_t n = (size_t)(space - line.p);
    if (!ig_str_to_i64((struct ig_str){line.p, n}, &piece) || piece < 0 ||
        (uint64_t)piece >= j->pieces)
        return;
    if (!hex16((struct ig_str){space + 1, line.n - n - 1}, &sum)) return;
    j->state[piece] = IG_PIECE_OLD;
    j->sum[piece] = sum;
}

bool ig_journal_parse(struct ig_journal *j, struct ig_str text) {
    struct ig_str value, line;
    int64_t size;
    if (!ig_str_starts(text, ig_str_of(magic))) return false;
    text.p += sizeof magic - 1;
    text.n -= sizeof magic - 1;
    if (!field(&text, IG_STR("size "), &value) || !ig_str_to_i64(value, &size) || size < 0)
        return false;
    if (!field(&text, IG_STR("oid "), &value) || value.n > MAX_OID) return false;
    if (ig_journal_size(j, size, NULL)) return false;
    ig_buf_clear(&j->oid);
    ig_buf_str(&j->oid, value);
    while (next_line(&text, &line)) read_piece(j, line);
    return !j->oid.failed;
}

static ingle_status read_file(struct ig_journal *j, ingle_error *err) {
    struct ig_buf text = {.mem = j->mem};
    size_t got = 1, limit = (size_t)IG_MAX_PIECES * MAX_LINE;
    ingle_status s = INGLE_OK;
    while (!s && got && text.n < limit) {
        if (!ig_buf_reserve(&text, 65536)) s = ig_fail_memory(err, text.n + 65536);
        if (!s) s = ig_os_part_read(j->file, text.n, text.p + text.n, 65536, &got, err);
        if (!s) text.n += got;
    }
    if (!s && !ig_journal_parse(j, ig_buf_view(&text))) {
        drop_pieces(j);
        ig_buf_clear(&j->oid);
    }
    ig_buf_free(&text);
    return s;
}

ingle_status ig_journal_open(struct ig_journal *j, const char *path, ingle_error *err) {
    IG_TRY(ig_os_part_open(&j->file, j->mem, path, err));
    return read_file(j, err);
}

int64_t ig_journal_peek(struct ig_mem *mem, const char *path) {
    struct ig_journal j;
    int64_t bytes = 0;
    ig_journal_begin(&j, mem);
    if (!ig_os_part_open_read(&j.file, mem, path, NULL) && !read_file(&j, NULL))
        for (size_t i = 0; i < j.pieces; i++)
            if (j.state[i] == IG_PIECE_OLD) bytes += (int64_t)ig_journal_bytes(&j, i);
    ig_journal_end(&j);
    return bytes;
}

/* ---- writing ---- */

static void put_piece(struct ig_buf *b, size_t piece, uint64_t sum) {
    ig_buf_f(b, "%u %016llx\n", (unsigned)piece, (unsigned long long)sum);
}

static ingle_status put(struct ig_journal *j, struct ig_buf *b, ingle_error *err) {
    ingle_status s =
        b->failed ? ig_fail_memory(err, b->n) : ig_os_part_write(j->file, j->at, b->p, b->n, err);
    j->at += b->n;
    ig_buf_free(b);
    return s;
}

ingle_status ig_journal_rewrite(struct ig_journal *j, ingle_error *err) {
    struct ig_buf b = {.mem = j->mem};
    IG_TRY(ig_os_part_resize(j->file, 0, err));
    j->at = 0;
    if (j->size < 0) return INGLE_OK;
    ig_buf_f(&b, "%ssize %lld\noid ", magic, (long long)j->size);
    ig_buf_str(&b, j->oid.n <= MAX_OID ? ig_buf_view(&j->oid) : (struct ig_str){NULL, 0});
    ig_buf_ch(&b, '\n');
    for (size_t i = 0; i < j->pieces; i++)
        if (j->state[i] == IG_PIECE_OLD || j->state[i] == IG_PIECE_DONE)
            put_piece(&b, i, j->sum[i]);
    return put(j, &b, err);
}

ingle_status ig_journal_done(struct ig_journal *j, size_t piece, uint64_t sum, ingle_error *err) {
    struct ig_buf b = {.mem = j->mem};
    j->state[piece] = IG_PIECE_DONE;
    j->sum[piece] = sum;
    put_piece(&b, piece, sum);
    return put(j, &b, err);
}
