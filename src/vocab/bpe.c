/* Byte-pair merging: BPE with a list of merges, and SentencePiece BPE, where a pair merges if its
 * text is a token and the token's score is its rank.
 *
 * Merges are not resolved to ids: a pair is known by the hashes of its two texts, 64 bits of which
 * the table keeps all but the ones its own index stands for. Only where the text of a merged pair
 * is not the two texts joined (prefixes and suffixes of tokenizer.json) are ids used ("id mode").
 * Words of up to SHORT symbols are merged in arrays by looking for the minimum; longer ones go
 * through the merge queue, so a run of ten million letters stays linear. */
#include "vocab/impl.h"
#include "base/utf8.h"

enum { SHORT = 40 };
#define NO_RANK UINT32_MAX

/* ---- merges ---- */

static uint64_t pair_key(uint64_t left, uint64_t right) {
    uint64_t h = (left * 0x9e3779b97f4a7c15u) ^ (right + 0x7f4a7c15u) * 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    h *= 0x9fb21c651e98df25u;
    return h ^ h >> 29;
}

static uint32_t find_rank(const struct ig_merges *m, uint64_t key) {
    uint64_t low = ((uint64_t)1 << m->rank_bits) - 1;
    for (uint32_t at = (uint32_t)key & m->mask;; at = (at + 1) & m->mask) {
        uint64_t slot = m->slots[at];
        if (!slot) return NO_RANK;
        if ((slot ^ key) <= low) return (uint32_t)(slot & low) - 1;
    }
}

static void insert(struct ig_merges *m, uint64_t key, uint32_t rank) {
    uint64_t low = ((uint64_t)1 << m->rank_bits) - 1;
    uint32_t at = (uint32_t)key & m->mask;
    for (unsigned probes = 0; probes < IG_MAX_PROBES; probes++, at = (at + 1) & m->mask) {
        uint64_t slot = m->slots[at];
        if (slot && (slot ^ key) <= low) return; /* the first of equal merges counts */
        if (slot) continue;
        m->slots[at] = (key & ~low) | (rank + 1u);
        return;
    }
    m->crowded = true;
}

static ingle_status check_crowding(const struct ig_merges *m, ingle_error *err) {
    if (!m->crowded) return INGLE_OK;
    return ig_fail(err, INGLE_BAD_FILE, "do not trust this file",
                   "the vocabulary's merges were chosen to collide");
}

static ingle_status allocate(struct ig_vocab *v, uint64_t n, ingle_error *err) {
    struct ig_merges *m = &v->merges;
    if (n > 1u << 23)
        return ig_fail(err, INGLE_BAD_FILE, "the file is damaged: download it again",
                       "the vocabulary claims %llu merges", (unsigned long long)n);
    uint32_t slots = 64;
    while (slots < n + n / 2) slots *= 2;
    for (m->rank_bits = 6; (uint64_t)1 << m->rank_bits < n + 2;) m->rank_bits++;
    m->mask = slots - 1;
    m->slots = ig_calloc(v->mem, slots, sizeof *m->slots);
    return m->slots ? INGLE_OK : ig_fail_memory(err, slots * sizeof *m->slots);
}

ingle_status ig_merges_begin(struct ig_vocab *v, size_t n, ingle_error *err) {
    IG_TRY(allocate(v, n, err));
    v->merges.result = ig_calloc(v->mem, n + 1, sizeof *v->merges.result);
    return v->merges.result ? INGLE_OK : ig_fail_memory(err, n * sizeof *v->merges.result);
}

ingle_status ig_merges_end(const struct ig_vocab *v, ingle_error *err) {
    return check_crowding(&v->merges, err);
}

void ig_merges_add(struct ig_vocab *v, int32_t left, int32_t right, int32_t result) {
    struct ig_merges *m = &v->merges;
    m->result[m->n] = result;
    insert(m, pair_key((uint64_t)left, (uint64_t)right), m->n++);
}

/* Two sides of a merge in byte mode, in one pass: false if it is not in the alphabet, as no word is
 * then. */
static bool bytes_hashes(struct ig_str pair, char *scratch, uint64_t *left, uint64_t *right) {
    size_t n = 0, cut = 0;
    if (pair.n > 1024) return false;
    for (size_t i = 0; i < pair.n;) {
        unsigned char c = (unsigned char)pair.p[i];
        if (c > 32 && c < 127) {
            scratch[n++] = (char)c;
            i++;
        } else if (c == ' ' && !cut) {
            cut = n;
            i++;
        } else if (c >= 0xc2 && c <= 0xc5 && i + 1 < pair.n &&
                   ((unsigned char)pair.p[i + 1] & 0xc0) == 0x80) {
            int b = ig_alphabet_decode((uint32_t)(c & 0x1f) << 6 |
                                       ((unsigned char)pair.p[i + 1] & 0x3f));
            if (b < 0) return false;
            scratch[n++] = (char)b;
            i += 2;
        } else {
            return false;
        }
    }
    *left = ig_vocab_hash(scratch, cut);
    *right = ig_vocab_hash(scratch + cut, n - cut);
    return true;
}

/* Hash of one side of a merge, in the form the words will have. */
static bool side_hash(const struct ig_vocab *v, struct ig_str s, char *scratch, uint64_t *hash) {
    if (v->tokens.bytes) {
        if (s.n > 1024) return false;
        size_t n = ig_alphabet_text(s, scratch);
        if (n == SIZE_MAX) return false;
        s = (struct ig_str){scratch, n};
    }
    *hash = ig_vocab_hash(s.p, s.n);
    return true;
}

ingle_status ig_merges_begin_texts(struct ig_vocab *v, size_t n, ingle_error *err) {
    return allocate(v, n, err);
}

void ig_merges_add_texts(struct ig_vocab *v, struct ig_str left, struct ig_str right) {
    char scratch[1024];
    uint64_t a, b;
    if (side_hash(v, left, scratch, &a) && side_hash(v, right, scratch, &b))
        insert(&v->merges, pair_key(a, b), v->merges.n);
    v->merges.n++;
}

ingle_status ig_merges_build(struct ig_vocab *v, const struct ig_vocab_strings *pairs,
                             ingle_error *err) {
    const char *hint = "the file is damaged: download it again";
    char scratch[1024];
    uint64_t at = 0, ahead[IG_AHEAD];
    size_t known = 0;
    uint32_t rank_of[IG_AHEAD];
    struct ig_merges *m = &v->merges;
    /* Before anything is allocated: the count must be possible. */
    if (pairs->count > pairs->bytes / (pairs->length_size ? pairs->length_size : 1))
        return ig_fail(err, INGLE_BAD_FILE, hint, "the vocabulary claims %llu merges",
                       (unsigned long long)pairs->count);
    IG_TRY(allocate(v, pairs->count, err));
    for (uint64_t i = 0; i < pairs->count; i++) {
        uint64_t n = 0;
        if (pairs->bytes - at < pairs->length_size)
            return ig_fail(err, INGLE_BAD_FILE, hint, "merge %llu lies behind the end of its array",
                           (unsigned long long)i);
        for (unsigned b = pairs->length_size; b-- > 0;) n = n << 8 | pairs->data[at + b];
        at += pairs->length_size;
        if (n > pairs->bytes - at)
            return ig_fail(err, INGLE_BAD_FILE, hint,
                           "merge %llu of %llu bytes does not fit its array", (unsigned long long)i,
                           (unsigned long long)n);
        const char *p = (const char *)pairs->data + at;
        at += n;
        const char *space = n > 1 ? memchr(p + 1, ' ', (size_t)n - 1) : NULL;
        uint64_t left = 0, right = 0;
        if (!space || space + 1 == p + n)
            return ig_fail(err, INGLE_BAD_FILE, hint,
                           "merge %llu is not two texts with a space between",
                           (unsigned long long)i);
        struct ig_str a = {p, (size_t)(space - p)}, b = {space + 1, (size_t)(p + n - space - 1)};
        if (v->tokens.bytes ? !bytes_hashes((struct ig_str){p, (size_t)n}, scratch, &left, &right)
                            : !side_hash(v, a, scratch, &left) || !side_hash(v, b, scratch, &right))
            continue;
        if (known >= IG_AHEAD) insert(m, ahead[known % IG_AHEAD], rank_of[known % IG_AHEAD]);
        ahead[known % IG_AHEAD] = pair_key(left, right);
        rank_of[known % IG_AHEAD] = (uint32_t)i;
        IG_PREFETCH(m->slots + ((uint32_t)ahead[known % IG_AHEAD] & m->mask));
        known++;
    }
    for (size_t i = known < IG_AHEAD ? 0 : known - IG_AHEAD; i < known; i++)
        insert(m, ahead[i % IG_AHEAD], rank_of[i % IG_AHEAD]);
    v->merges.n = (uint32_t)pairs->count;
    return ig_merges_end(v, err);
}

void ig_merges_free(struct ig_merges *m, struct ig_mem *mem) {
    ig_free(mem, m->slots);
    ig_free(mem, m->result);
    *m = (struct ig_merges){0};
}

/* ---- merging ---- */

/* A symbol as the pair look-up needs it: where its text is, and its hash (text mode) or id (id
 * mode). */
struct side {
    uint32_t start, end;
    uint64_t key;
};

static uint32_t score_rank(float score) {
    uint32_t bits;
    if (score != score) return NO_RANK - 1;
    memcpy(&bits, &score, 4);
    uint32_t ascending = bits >> 31 ? ~bits : bits | 0x80000000u;
    return ascending ? ~ascending : NO_RANK - 1;
}

static uint32_t pair_rank(const struct ig_vocab *v, const char *word, struct side a,
                          struct side b) {
    if (v->model != IG_MODEL_SPM)
        return v->merges.slots ? find_rank(&v->merges, pair_key(a.key, b.key)) : NO_RANK;
    size_t n = b.end - a.start;
    if (n > v->tokens.longest) return NO_RANK;
    int32_t id = ig_tokens_find(&v->tokens, word + a.start, n, ig_vocab_hash(word + a.start, n));
    return id < 0 ? NO_RANK : score_rank(ig_tokens_score(&v->tokens, id));
}

static uint64_t merged_key(const struct ig_vocab *v, const char *word, uint32_t start, uint32_t end,
                           uint32_t rank) {
    if (v->merges.result) return (uint64_t)v->merges.result[rank];
    return v->model == IG_MODEL_SPM ? 0 : ig_vocab_hash(word + start, end - start);
}

/* ---- symbols to ids ---- */

ingle_status ig_enc_unknown(struct ig_enc *e, struct ig_str text, bool *last_unknown) {
    const struct ig_vocab *v = e->v;
    bool bytes = v->byte_fallback || v->model == IG_MODEL_SPM || (v->tokens.bytes && text.n > 1);
    for (size_t i = 0; i < text.n && bytes && v->byte_fallback; i++)
        bytes = v->tokens.byte_id[(unsigned char)text.p[i]] != IG_NO_TOKEN;
    for (size_t i = 0; i < text.n && bytes; i++) {
        int32_t id = v->tokens.byte_id[(unsigned char)text.p[i]];
        if (id == IG_NO_TOKEN) id = v->unk;
        if (id != IG_NO_TOKEN) IG_TRY(ig_enc_put(e, id));
    }
    if (bytes) {
        *last_unknown = false;
        return INGLE_OK;
    }
    if (v->unk == IG_NO_TOKEN || (*last_unknown && v->fuse_unk)) return INGLE_OK;
    *last_unknown = true;
    return ig_enc_put(e, v->unk);
}

static ingle_status put_symbol(struct ig_enc *e, struct ig_str text, int32_t id,
                               bool *last_unknown) {
    const struct ig_vocab *v = e->v;
    if (!v->merges.result)
        id = ig_tokens_find(&v->tokens, text.p, text.n, ig_vocab_hash(text.p, text.n));
    if (id < 0) return ig_enc_unknown(e, text, last_unknown);
    *last_unknown = false;
    return ig_enc_put(e, id);
}

/* The id of a single character in id mode: with the affixes its place asks for. */
static int32_t char_id(const struct ig_vocab *v, struct ig_str word, size_t start, size_t end) {
    char text[256];
    size_t n = 0;
    bool first = start == 0, last = end == word.n;
    size_t before = first ? 0 : v->prefix.n, after = last ? v->suffix.n : 0;
    if (before + after + (end - start) > sizeof text) return IG_NO_TOKEN;
    if (before) memcpy(text, v->prefix.p, before);
    n = before;
    memcpy(text + n, word.p + start, end - start);
    n += end - start;
    if (after) memcpy(text + n, v->suffix.p, after);
    n += after;
    return ig_tokens_find(&v->tokens, text, n, ig_vocab_hash(text, n));
}

static uint64_t first_key(const struct ig_vocab *v, struct ig_str word, size_t start, size_t end) {
    if (v->merges.result) return (uint64_t)(int64_t)char_id(v, word, start, end);
    return v->model == IG_MODEL_SPM ? 0 : ig_vocab_hash(word.p + start, end - start);
}

static size_t symbol_length(const struct ig_vocab *v, struct ig_str word, size_t at) {
    uint32_t cp;
    if (v->tokens.bytes) return 1;
    unsigned len = ig_utf8_decode(word.p + at, word.n - at, &cp);
    return len ? len : 1;
}

/* Up to SHORT symbols: the minimum is looked for anew after every merge. */
static ingle_status merge_short(struct ig_enc *e, struct ig_str word, struct side *s, size_t n) {
    const struct ig_vocab *v = e->v;
    uint32_t rank[SHORT + 1];
    bool last_unknown = false;
    for (size_t i = 0; i + 1 < n; i++) rank[i] = pair_rank(v, word.p, s[i], s[i + 1]);
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best]) best = i;
        if (rank[best] == NO_RANK) break;
        s[best].key = merged_key(v, word.p, s[best].start, s[best + 1].end, rank[best]);
        s[best].end = s[best + 1].end;
        n--;
        memmove(s + best + 1, s + best + 2, (n - best - 1) * sizeof *s);
        if (n > best + 1) memmove(rank + best + 1, rank + best + 2, (n - best - 1) * sizeof *rank);
        if (best + 1 < n) rank[best] = pair_rank(v, word.p, s[best], s[best + 1]);
        if (best) rank[best - 1] = pair_rank(v, word.p, s[best - 1], s[best]);
    }
    for (size_t i = 0; i < n; i++) {
        struct ig_str text = {word.p + s[i].start, s[i].end - s[i].start};
        IG_TRY(put_symbol(e, text, (int32_t)(int64_t)s[i].key, &last_unknown));
    }
    return INGLE_OK;
}

/* ---- long words ---- */

static struct side side_at(const struct ig_vocab *v, const struct ig_symbol *sym,
                           struct ig_str word, uint32_t at) {
    struct side s = {at, sym[at].next, 0};
    if (v->merges.result)
        s.key = (uint64_t)(int64_t)sym[at].id;
    else if (v->model != IG_MODEL_SPM)
        s.key = ig_vocab_hash(word.p + at, s.end - at);
    return s;
}

/* Looks the pair at `at` up again and queues it. */
static bool requeue(struct ig_enc *e, struct ig_str word, uint32_t at) {
    struct ig_symbol *sym = e->bpe.sym;
    uint32_t next = sym[at].next;
    sym[at].rank = NO_RANK;
    if (next >= word.n) return true;
    sym[at].rank =
        pair_rank(e->v, word.p, side_at(e->v, sym, word, at), side_at(e->v, sym, word, next));
    return sym[at].rank == NO_RANK || ig_merge_queue_push(e->bpe.queue, sym[at].rank, at);
}

static ingle_status prepare_long(struct ig_enc *e, struct ig_str word) {
    struct ig_bpe *b = &e->bpe;
    if (word.n > UINT32_MAX / 2)
        return ig_fail(e->err, INGLE_LIMIT, "split the text",
                       "a word of %zu bytes cannot be tokenized", word.n);
    if (b->cap < word.n) {
        ig_free(e->mem, b->sym);
        b->cap = 0;
        b->sym = ig_alloc(e->mem, word.n * sizeof *b->sym);
        if (!b->sym) return ig_fail_memory(e->err, word.n * sizeof *b->sym);
        b->cap = word.n;
    }
    if (!b->queue) b->queue = ig_merge_queue_new(e->mem);
    if (!b->queue) return ig_fail_memory(e->err, 1024);
    ig_merge_queue_clear(b->queue);
    return INGLE_OK;
}

static ingle_status merge_long(struct ig_enc *e, struct ig_str word) {
    const struct ig_vocab *v = e->v;
    IG_TRY(prepare_long(e, word));
    struct ig_symbol *sym = e->bpe.sym;
    uint32_t prev = NO_RANK, rank, at;
    bool ok = true, last_unknown = false;
    for (size_t i = 0, len; i < word.n; i += len) {
        len = symbol_length(v, word, i);
        int32_t id = v->merges.result ? char_id(v, word, i, i + len) : IG_NO_TOKEN;
        sym[i] = (struct ig_symbol){prev, (uint32_t)(i + len), NO_RANK, id};
        prev = (uint32_t)i;
    }
    for (uint32_t i = 0; i < word.n && ok; i = sym[i].next) ok = requeue(e, word, i);
    while (ok && ig_merge_queue_pop(e->bpe.queue, &rank, &at)) {
        if (sym[at].rank != rank) continue; /* the pair is gone */
        uint32_t gone = sym[at].next, next = sym[gone].next;
        if (v->merges.result) sym[at].id = v->merges.result[rank];
        sym[at].next = next;
        sym[gone].rank = NO_RANK;
        if (next < word.n) sym[next].prev = at;
        ok = requeue(e, word, at) && (sym[at].prev == NO_RANK || requeue(e, word, sym[at].prev));
    }
    if (!ok) return ig_fail_memory(e->err, word.n);
    for (uint32_t i = 0; i < word.n; i = sym[i].next) {
        struct ig_str text = {word.p + i, sym[i].next - i};
        IG_TRY(put_symbol(e, text, sym[i].id, &last_unknown));
    }
    return INGLE_OK;
}

/* ---- one word ---- */

static ingle_status merge_word(struct ig_enc *e, struct ig_str word) {
    struct side s[SHORT];
    size_t n = 0;
    for (size_t at = 0, len; at < word.n; at += len) {
        if (n == SHORT) return merge_long(e, word);
        len = symbol_length(e->v, word, at);
        s[n++] =
            (struct side){(uint32_t)at, (uint32_t)(at + len), first_key(e->v, word, at, at + len)};
    }
    return merge_short(e, word, s, n);
}

static bool all_newlines(struct ig_str word) {
    for (size_t i = 0; i < word.n; i++)
        if (word.p[i] != '\n') return false;
    return word.n > 0;
}

static ingle_status encode_word(struct ig_enc *e, struct ig_str word, uint64_t hash) {
    const struct ig_vocab *v = e->v;
    if (v->ignore_merges || (v->newline_words && all_newlines(word))) {
        int32_t id = ig_tokens_find(&v->tokens, word.p, word.n, hash);
        if (id >= 0) return ig_enc_put(e, id);
    }
    return merge_word(e, word);
}

ingle_status ig_encode_bpe(struct ig_enc *e, struct ig_str word) {
    if (!word.n) return INGLE_OK;
    uint64_t hash = ig_vocab_hash(word.p, word.n);
    if (!e->cache || word.n > 256) return encode_word(e, word, hash);
    struct ig_cached_word *c = e->cache + (hash & e->cache_mask);
    if (c->hash == hash && c->turn == e->turn && c->n == word.n && !memcmp(c->p, word.p, word.n)) {
        IG_TRY(ig_enc_room(e, (size_t)c->count));
        for (int32_t i = 0; i < c->count; i++) e->out->p[e->out->n++] = c->ids[i];
        return INGLE_OK;
    }
    size_t from = e->out->n;
    IG_TRY(encode_word(e, word, hash));
    size_t count = e->out->n - from;
    if (count > IG_CACHE_IDS) return INGLE_OK;
    *c = (struct ig_cached_word){
        .hash = hash, .p = word.p, .n = (uint32_t)word.n, .turn = e->turn, .count = (int32_t)count};
    memcpy(c->ids, e->out->p + from, count * sizeof *c->ids);
    return INGLE_OK;
}

void ig_bpe_free(struct ig_bpe *b, struct ig_mem *mem) {
    ig_free(mem, b->sym);
    ig_merge_queue_free(b->queue);
    *b = (struct ig_bpe){0};
}
