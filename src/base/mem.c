/* The allocator every room uses. A block is [32..64 bytes of header | payload aligned to 64]; the header keeps the
 * hook's own pointer and sizes, so the Lua-style hook (ud, ptr, old, new) always learns the old size. The limit is
 * checked before the hook is asked: a host that set one never sees it exceeded. */
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64 };

struct header {
    void *raw;      /* what the hook returned */
    size_t raw_size;
    size_t size;    /* payload */
};

static void *call_hook(struct ig_mem *m, void *p, size_t old_size, size_t new_size) {
    if (m->hook) return m->hook(m->ud, p, old_size, new_size);
    if (!new_size) {
        free(p);
        return NULL;
    }
    return realloc(p, new_size);
}

static struct header *header_of(void *p) {
    return (struct header *)(void *)((char *)p - ALIGN);
}

static bool reserve(struct ig_mem *m, size_t n) {
    size_t used = __atomic_add_fetch(&m->used, n, __ATOMIC_RELAXED);
    if (m->limit && used > m->limit) {
        __atomic_sub_fetch(&m->used, n, __ATOMIC_RELAXED);
        return false;
    }
    size_t peak = __atomic_load_n(&m->peak, __ATOMIC_RELAXED);
    while (used > peak &&
           !__atomic_compare_exchange_n(&m->peak, &peak, used, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
    return true;
}

void *ig_alloc(struct ig_mem *m, size_t n) {
    size_t raw_size;
    if (!n || !ig_add(n, 2 * ALIGN, &raw_size) || !reserve(m, raw_size)) return NULL;
    char *raw = call_hook(m, NULL, 0, raw_size);
    if (!raw) {
        __atomic_sub_fetch(&m->used, raw_size, __ATOMIC_RELAXED);
        return NULL;
    }
    uintptr_t at = ((uintptr_t)raw + 2 * ALIGN - 1) & ~(uintptr_t)(ALIGN - 1);
    if (at - (uintptr_t)raw < sizeof(struct header)) at += ALIGN;
    char *p = raw + (at - (uintptr_t)raw);
    *header_of(p) = (struct header){raw, raw_size, n};
    return p;
}

void *ig_calloc(struct ig_mem *m, size_t count, size_t size) {
    size_t n;
    if (!ig_mul(count, size, &n)) return NULL;
    void *p = ig_alloc(m, n);
    if (p) memset(p, 0, n);
    return p;
}

void *ig_realloc(struct ig_mem *m, void *p, size_t n) {
    if (!p) return ig_alloc(m, n);
    void *q = ig_alloc(m, n);
    if (!q) return NULL;
    size_t old = header_of(p)->size;
    memcpy(q, p, old < n ? old : n);
    ig_free(m, p);
    return q;
}

void ig_free(struct ig_mem *m, void *p) {
    if (!p) return;
    struct header h = *header_of(p);
    call_hook(m, h.raw, h.raw_size, 0);
    __atomic_sub_fetch(&m->used, h.raw_size, __ATOMIC_RELAXED);
}

size_t ig_mem_used(const struct ig_mem *m) { return __atomic_load_n(&m->used, __ATOMIC_RELAXED); }

/* An arena block starts with a pointer to the one before it. */
void *ig_arena_alloc(struct ig_arena *a, size_t n) {
    size_t want;
    if (!ig_add(n, 15, &want)) return NULL;
    want &= ~(size_t)15;
    if (want > a->left || !a->at) {
        size_t size = a->next_size ? a->next_size : 4096, total;
        if (size < want) size = want;
        if (!ig_add(size, 16, &total)) return NULL;
        char *block = ig_alloc(a->mem, total);
        if (!block) return NULL;
        memcpy(block, &a->blocks, sizeof a->blocks);
        a->blocks = block;
        a->at = block + 16;
        a->left = size;
        a->next_size = size < (1u << 20) ? size * 2 : size;
    }
    void *p = a->at;
    a->at += want;
    a->left -= want;
    return p;
}

void *ig_arena_calloc(struct ig_arena *a, size_t count, size_t size) {
    size_t n;
    if (!ig_mul(count, size, &n)) return NULL;
    void *p = ig_arena_alloc(a, n);
    if (p) memset(p, 0, n);
    return p;
}

char *ig_arena_copy(struct ig_arena *a, const char *p, size_t n) {
    size_t total;
    char *q = ig_add(n, 1, &total) ? ig_arena_alloc(a, total) : NULL;
    if (!q) return NULL;
    if (n) memcpy(q, p, n);
    q[n] = 0;
    return q;
}

void ig_arena_free(struct ig_arena *a) {
    for (void *b = a->blocks, *before; b; b = before) {
        memcpy(&before, b, sizeof before);
        ig_free(a->mem, b);
    }
    *a = (struct ig_arena){.mem = a->mem};
}
