/* The order in which pairs of symbols are merged: lowest rank first, then leftmost.
 *
 * A binary heap over ten million pairs spends its time on cache misses. Here every rank has its own
 * list of positions, and a small heap orders the ranks. Merging visits positions from left to
 * right, so pushes into a list come in ascending order and go to its end (or, next to the place
 * being merged, to its front); the few that fit neither end go to an ordinary heap that is
 * consulted at every pop. Memory is that of the entries alive. */
#include "vocab/impl.h"

enum { NONE = 0xffffffffu };

struct bucket {
    uint32_t rank, head, tail;
    bool queued;
};
struct entry {
    uint32_t pos, next;
};

struct ig_merge_queue {
    struct ig_mem *mem;
    struct ig_buf buckets, entries, order,
        strays;      /* struct bucket; struct entry; uint32_t bucket; uint64_t rank:pos */
    uint32_t *slots; /* bucket + 1 by rank */
    uint32_t n_slots, spare;
};

static struct bucket *bucket(struct ig_merge_queue *q, uint32_t i) {
    return (struct bucket *)(void *)q->buckets.p + i;
}
static struct entry *entry(struct ig_merge_queue *q, uint32_t i) {
    return (struct entry *)(void *)q->entries.p + i;
}
static uint32_t *order(struct ig_merge_queue *q) {
    return (uint32_t *)(void *)q->order.p;
}
static uint64_t *strays(struct ig_merge_queue *q) {
    return (uint64_t *)(void *)q->strays.p;
}

struct ig_merge_queue *ig_merge_queue_new(struct ig_mem *mem) {
    struct ig_merge_queue *q = ig_calloc(mem, 1, sizeof *q);
    if (!q) return NULL;
    q->mem = q->buckets.mem = q->entries.mem = q->order.mem = q->strays.mem = mem;
    q->n_slots = 256;
    q->spare = NONE;
    q->slots = ig_calloc(mem, q->n_slots, sizeof *q->slots);
    if (q->slots) return q;
    ig_free(mem, q);
    return NULL;
}

void ig_merge_queue_free(struct ig_merge_queue *q) {
    if (!q) return;
    ig_buf_free(&q->buckets);
    ig_buf_free(&q->entries);
    ig_buf_free(&q->order);
    ig_buf_free(&q->strays);
    ig_free(q->mem, q->slots);
    ig_free(q->mem, q);
}

void ig_merge_queue_clear(struct ig_merge_queue *q) {
    ig_buf_clear(&q->buckets);
    ig_buf_clear(&q->entries);
    ig_buf_clear(&q->order);
    ig_buf_clear(&q->strays);
    memset(q->slots, 0, q->n_slots * sizeof *q->slots);
    q->spare = NONE;
}

static uint32_t slot_of(const struct ig_merge_queue *q, uint32_t rank) {
    return (rank * 0x9e3779b1u >> 8) & (q->n_slots - 1);
}

static bool grow(struct ig_merge_queue *q) {
    uint32_t n = q->n_slots * 2;
    uint32_t *slots = ig_calloc(q->mem, n, sizeof *slots);
    if (!slots) return false;
    ig_free(q->mem, q->slots);
    q->slots = slots;
    q->n_slots = n;
    for (uint32_t i = 0; i < q->buckets.n / sizeof(struct bucket); i++) {
        uint32_t at = slot_of(q, bucket(q, i)->rank);
        while (slots[at]) at = (at + 1) & (n - 1);
        slots[at] = i + 1;
    }
    return true;
}

static uint32_t find_bucket(struct ig_merge_queue *q, uint32_t rank) {
    uint32_t at = slot_of(q, rank);
    for (; q->slots[at]; at = (at + 1) & (q->n_slots - 1))
        if (bucket(q, q->slots[at] - 1)->rank == rank) return q->slots[at] - 1;
    uint32_t n = (uint32_t)(q->buckets.n / sizeof(struct bucket));
    struct bucket b = {rank, NONE, NONE, false};
    ig_buf_add(&q->buckets, (const char *)&b, sizeof b);
    if (q->buckets.failed) return NONE;
    q->slots[at] = n + 1;
    if ((n + 1) * 2 > q->n_slots && !grow(q)) return NONE;
    return n;
}

static void sift_up_order(struct ig_merge_queue *q) {
    uint32_t *h = order(q);
    size_t i = q->order.n / sizeof *h - 1;
    for (; i && bucket(q, h[(i - 1) / 2])->rank > bucket(q, h[i])->rank; i = (i - 1) / 2) {
        uint32_t t = h[i];
        h[i] = h[(i - 1) / 2];
        h[(i - 1) / 2] = t;
    }
}

static void drop_order(struct ig_merge_queue *q) {
    uint32_t *h = order(q);
    bucket(q, h[0])->queued = false;
    q->order.n -= sizeof *h;
    size_t n = q->order.n / sizeof *h, i = 0;
    h[0] = h[n];
    for (;;) {
        size_t least = i;
        for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < n; c++)
            if (bucket(q, h[c])->rank < bucket(q, h[least])->rank) least = c;
        if (least == i) return;
        uint32_t t = h[i];
        h[i] = h[least];
        h[least] = t;
        i = least;
    }
}

static bool push_stray(struct ig_merge_queue *q, uint64_t key) {
    ig_buf_add(&q->strays, (const char *)&key, sizeof key);
    if (q->strays.failed) return false;
    uint64_t *h = strays(q);
    for (size_t i = q->strays.n / sizeof *h - 1; i && h[(i - 1) / 2] > h[i]; i = (i - 1) / 2) {
        h[i] = h[(i - 1) / 2];
        h[(i - 1) / 2] = key;
    }
    return true;
}

static uint64_t pop_stray(struct ig_merge_queue *q) {
    uint64_t *h = strays(q), top = h[0];
    q->strays.n -= sizeof *h;
    size_t n = q->strays.n / sizeof *h, i = 0;
    uint64_t key = h[n];
    for (size_t c; (c = 2 * i + 1) < n; i = c) {
        if (c + 1 < n && h[c + 1] < h[c]) c++;
        if (h[c] >= key) break;
        h[i] = h[c];
    }
    h[i] = key;
    return top;
}

static uint32_t new_entry(struct ig_merge_queue *q, uint32_t pos) {
    struct entry e = {pos, NONE};
    uint32_t i = q->spare;
    if (i != NONE) {
        q->spare = entry(q, i)->next;
        *entry(q, i) = e;
        return i;
    }
    i = (uint32_t)(q->entries.n / sizeof e);
    ig_buf_add(&q->entries, (const char *)&e, sizeof e);
    return q->entries.failed ? NONE : i;
}

bool ig_merge_queue_push(struct ig_merge_queue *q, uint32_t rank, uint32_t pos) {
    uint32_t i = find_bucket(q, rank);
    if (i == NONE) return false;
    struct bucket *b = bucket(q, i);
    bool back = b->head == NONE || pos > entry(q, b->tail)->pos,
         front = !back && pos < entry(q, b->head)->pos;
    if (!back && !front) return push_stray(q, (uint64_t)rank << 32 | pos);
    uint32_t e = new_entry(q, pos);
    if (e == NONE) return false;
    if (b->head == NONE)
        b->head = b->tail = e;
    else if (back)
        b->tail = entry(q, b->tail)->next = e;
    else
        entry(q, e)->next = b->head, b->head = e;
    if (b->queued) return true;
    b->queued = true;
    ig_buf_add(&q->order, (const char *)&i, sizeof i);
    if (q->order.failed) return false;
    sift_up_order(q);
    return true;
}

bool ig_merge_queue_pop(struct ig_merge_queue *q, uint32_t *rank, uint32_t *pos) {
    while (q->order.n && bucket(q, order(q)[0])->head == NONE) drop_order(q);
    if (!q->order.n && !q->strays.n) return false;
    struct bucket *b = q->order.n ? bucket(q, order(q)[0]) : NULL;
    uint64_t first = b ? (uint64_t)b->rank << 32 | entry(q, b->head)->pos : UINT64_MAX;
    if (q->strays.n && strays(q)[0] <= first) {
        first = pop_stray(q);
    } else {
        uint32_t e = b->head;
        b->head = entry(q, e)->next;
        entry(q, e)->next = q->spare;
        q->spare = e;
    }
    *rank = (uint32_t)(first >> 32);
    *pos = (uint32_t)first;
    return true;
}
