/* Threads, barrier and work counter. The barrier is a generation number: the last thread to arrive
 * resets the counters and moves it on. A thread that has waited long sleeps on the condition
 * variable, so an oversubscribed machine still progresses and a library call never leaves busy
 * threads behind. */
#include "cpu/pool.h"

#include <stdatomic.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define PAUSE() _mm_pause()
#elif defined(__aarch64__) && defined(__GNUC__)
#define PAUSE() __asm__ volatile("yield")
#else
#define PAUSE() ((void)0)
#endif

enum { SPINS = 4000, YIELDS = 64 };

struct worker {
    struct ig_pool *pool;
    struct ig_thread thread;
    unsigned index;
};

struct ig_pool {
    struct ig_mem *mem;
    unsigned threads, started; /* started: workers that run, besides the caller */
    void (*fn)(void *ud, unsigned thread);
    void *ud;
    bool background; /* workers run at lower priority */
    struct {
        _Alignas(64) _Atomic uint32_t next;
    } counter[IG_POOL_COUNTERS]; /* of units of work */
    _Alignas(64) _Atomic uint32_t arrived;
    _Alignas(64) _Atomic uint32_t generation; /* of the barrier */
    _Alignas(64) _Atomic uint32_t job;        /* runs started so far */
    _Atomic uint32_t sleepers;
    _Atomic bool quit;
    struct ig_mutex mutex;
    struct ig_cond cond;
    struct worker worker[]; /* [threads - 1] */
};

/* Until *word differs from `old`. */
static void wait_change(struct ig_pool *p, _Atomic uint32_t *word, uint32_t old, bool idle) {
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != old) return;
        PAUSE();
    }
    for (int i = 0; i < YIELDS && !idle; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != old) return;
        ig_os_yield();
    }
    ig_os_lock(&p->mutex);
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(word) == old) ig_os_wait(&p->cond, &p->mutex);
    atomic_fetch_sub(&p->sleepers, 1);
    ig_os_unlock(&p->mutex);
}

static void change(struct ig_pool *p, _Atomic uint32_t *word) {
    atomic_fetch_add(word, 1);
    if (!atomic_load(&p->sleepers)) return;
    ig_os_lock(&p->mutex);
    ig_os_wake_all(&p->cond);
    ig_os_unlock(&p->mutex);
}

uint32_t ig_pool_next(struct ig_pool *p, unsigned counter) {
    return atomic_fetch_add_explicit(&p->counter[counter].next, 1, memory_order_relaxed);
}

static void reset_counters(struct ig_pool *p) {
    for (unsigned i = 0; i < IG_POOL_COUNTERS; i++)
        atomic_store_explicit(&p->counter[i].next, p->threads, memory_order_relaxed);
}

void ig_pool_barrier(struct ig_pool *p) {
    uint32_t generation = atomic_load_explicit(&p->generation, memory_order_acquire);
    if (atomic_fetch_add_explicit(&p->arrived, 1, memory_order_acq_rel) + 1 < p->threads) {
        wait_change(p, &p->generation, generation, false);
        return;
    }
    atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
    reset_counters(p);
    if (p->threads > 1) change(p, &p->generation);
}

static void run_here(struct ig_pool *p, unsigned thread) {
    /* Hosts (browsers, audio) change the rounding and denormal modes of their threads: results must
     * not depend on that. */
#if defined(__x86_64__)
    unsigned saved = _mm_getcsr();
    _mm_setcsr(0x1f80);
    p->fn(p->ud, thread);
    _mm_setcsr(saved);
#elif defined(__aarch64__) && defined(__GNUC__)
    uint64_t saved, plain = 0;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"(plain));
    p->fn(p->ud, thread);
    __asm__ volatile("msr fpcr, %0" : : "r"(saved));
#else
    p->fn(p->ud, thread);
#endif
}

static void work(void *ud) {
    struct worker *w = ud;
    struct ig_pool *p = w->pool;
    if (p->background) ig_os_thread_background();
    for (uint32_t seen = 0;; seen++) {
        wait_change(p, &p->job, seen, true);
        if (atomic_load(&p->quit)) return;
        run_here(p, w->index);
        ig_pool_barrier(p);
    }
}

static ingle_status start(struct ig_pool *p, ingle_error *err) {
    while (p->started + 1 < p->threads) {
        struct worker *w = &p->worker[p->started];
        *w = (struct worker){.pool = p, .index = p->started + 1};
        IG_TRY(ig_os_thread_start(&w->thread, work, w, 0, err));
        p->started++;
    }
    return INGLE_OK;
}

ingle_status ig_pool_run(struct ig_pool *p, void (*fn)(void *, unsigned), void *ud,
                         ingle_error *err) {
    if (p->started + 1 < p->threads) IG_TRY(start(p, err));
    p->fn = fn;
    p->ud = ud;
    reset_counters(p);
    if (p->threads > 1) change(p, &p->job);
    run_here(p, 0);
    ig_pool_barrier(p);
    return INGLE_OK;
}

ingle_status ig_pool_open(struct ig_pool **out, struct ig_mem *mem, unsigned threads,
                          bool background, ingle_error *err) {
    size_t size = sizeof(struct ig_pool) + (size_t)(threads - 1) * sizeof(struct worker);
    struct ig_pool *p = ig_calloc(mem, 1, size);
    *out = NULL;
    if (!p) return ig_fail_memory(err, size);
    p->mem = mem;
    p->threads = threads;
    p->background = background;
    ig_os_mutex_init(&p->mutex);
    ig_os_cond_init(&p->cond);
    *out = p;
    return INGLE_OK;
}

void ig_pool_close(struct ig_pool *p) {
    if (!p) return;
    atomic_store(&p->quit, true);
    change(p, &p->job);
    for (unsigned i = 0; i < p->started; i++) ig_os_thread_join(&p->worker[i].thread);
    ig_os_cond_free(&p->cond);
    ig_os_mutex_free(&p->mutex);
    ig_free(p->mem, p);
}

unsigned ig_pool_threads(const struct ig_pool *p) {
    return p->threads;
}
