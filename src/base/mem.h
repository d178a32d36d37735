/* Memory. One allocator per model or session: the host's hook, a hard limit, and a count of what is in use.
 * Every block remembers its size, so freeing needs only the pointer. All functions are thread safe if the hook is.
 * Size arithmetic on numbers that came from outside goes through ig_mul / ig_add, which report overflow. */
#ifndef IG_MEM_H
#define IG_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ingle.h"

struct ig_mem {
    ingle_alloc_fn hook; /* NULL: the C library */
    void *ud;
    size_t limit;        /* bytes, 0 = none */
    size_t used;         /* changed atomically */
    size_t peak;
};

/* Alignment 64. NULL when the hook fails, the limit is reached or n is 0. Contents are not cleared. */
void *ig_alloc(struct ig_mem *m, size_t n);
void *ig_calloc(struct ig_mem *m, size_t count, size_t size); /* cleared; NULL on overflow too */
void *ig_realloc(struct ig_mem *m, void *p, size_t n);        /* on failure p stays valid */
void ig_free(struct ig_mem *m, void *p);                      /* p may be NULL */
size_t ig_mem_used(const struct ig_mem *m);

/* *out = a * b or a + b; false (and *out untouched) if that does not fit. */
static inline bool ig_mul(size_t a, size_t b, size_t *out) {
    if (b && a > SIZE_MAX / b) return false;
    *out = a * b;
    return true;
}
static inline bool ig_add(size_t a, size_t b, size_t *out) {
    if (a > SIZE_MAX - b) return false;
    *out = a + b;
    return true;
}
/* Same for file offsets. */
static inline bool ig_mul_u64(uint64_t a, uint64_t b, uint64_t *out) {
    if (b && a > UINT64_MAX / b) return false;
    *out = a * b;
    return true;
}
static inline bool ig_add_u64(uint64_t a, uint64_t b, uint64_t *out) {
    if (a > UINT64_MAX - b) return false;
    *out = a + b;
    return true;
}

/* Bump allocation for things that die together. Zero-initialise with only `mem` set; free in one call.
 * Blocks grow from 4 KiB; a request larger than a block gets one of its own. */
struct ig_arena {
    struct ig_mem *mem;
    void *blocks;
    size_t left, next_size;
    char *at;
};
void *ig_arena_alloc(struct ig_arena *a, size_t n); /* aligned to 16, not cleared */
void *ig_arena_calloc(struct ig_arena *a, size_t count, size_t size);
char *ig_arena_copy(struct ig_arena *a, const char *p, size_t n); /* adds a NUL */
void ig_arena_free(struct ig_arena *a);

#endif
