/* Threads, barrier and work counters.
 *
 * The barrier is a generation number: the last thread to arrive resets the counters and moves it
 * on. A thread that has waited in vain for a while sleeps in a place of its own, so whoever ends
 * the wait wakes only those that really sleep, and a library call never leaves busy threads behind.
 *
 * The subtle thing is a busy machine. A barrier needs every thread of the team, and one that the
 * system has put aside for another program holds up all others, dozens of times a token. So the
 * pool measures how long its threads sleep at barriers; where that is a large part of a run, the
 * next runs are done by a smaller team, and now and then the larger one is tried again. */
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

#if defined(__GNUC__)
#define PREFETCH(p) __builtin_prefetch(p, 0, 2)
#else
#define PREFETCH(p) ((void)(p))
#endif

enum { LEAST_SPINS = 50, MOST_SPINS = 4000, LINE = 64 };
static const double short_sleep = 100e-6; /* seconds; such a wait was better spun through */
static const double most_slept = 0.25;    /* part of a run's time that threads may sleep */
static const double retry_cost = 1 / 20.; /* part of the time spent on trying a larger team */
static const double longest_retry = 30;

struct place {                         /* of one thread */
    _Alignas(64) _Atomic uint32_t job; /* runs started so far */
    _Atomic uint32_t asleep;
    int spins; /* before it sleeps: fewer where waits are long anyway */
    struct ig_mutex mutex;
    struct ig_cond cond;
    struct ig_pool *pool;
    struct ig_thread thread;
    unsigned index;
};

struct ig_pool {
    struct ig_mem *mem;
    unsigned threads, started; /* started: workers that run, besides the caller */
    unsigned team;             /* threads of the running or last run */
    unsigned strikes;          /* runs in a row whose threads slept too long */
    double retry;              /* when a larger team is tried */
    void (*fn)(void *ud, unsigned thread);
    void *ud;
    bool background; /* workers run at lower priority */
    struct {
        _Alignas(64) _Atomic uint32_t next;
    } counter[IG_POOL_COUNTERS]; /* of units of work */
    _Alignas(64) _Atomic uint32_t arrived;
    _Alignas(64) _Atomic uint32_t generation; /* of the barrier */
    _Alignas(64) _Atomic uint64_t slept;      /* nanoseconds of this run, all threads */
    _Atomic bool quit;
    struct place place[]; /* [threads] */
};

/* ---- Waiting ---- */

/* Until *word differs from `old`; returns the seconds slept. */
static double sleep_here(struct place *me, _Atomic uint32_t *word, uint32_t old) {
    double start = ig_os_seconds();
    ig_os_lock(&me->mutex);
    atomic_store(&me->asleep, 1);
    while (atomic_load(word) == old) ig_os_wait(&me->cond, &me->mutex);
    atomic_store(&me->asleep, 0);
    ig_os_unlock(&me->mutex);
    return ig_os_seconds() - start;
}

/* The same, first spinning and meanwhile asking memory for `next`. */
static double wait_change(struct place *me, _Atomic uint32_t *word, uint32_t old,
                          struct ig_pool_next next) {
    for (int i = 0; i < me->spins; i++) {
        if (atomic_load_explicit(word, memory_order_acquire) != old) return 0;
        if ((size_t)i * LINE < next.bytes) PREFETCH((const char *)next.p + (size_t)i * LINE);
        PAUSE();
    }
    double slept = sleep_here(me, word, old);
    me->spins = slept < short_sleep ? me->spins * 4 : me->spins / 2;
    if (me->spins > MOST_SPINS) me->spins = MOST_SPINS;
    if (me->spins < LEAST_SPINS) me->spins = LEAST_SPINS;
    return slept;
}

static void wake(struct place *p) {
    if (!atomic_load(&p->asleep)) return;
    ig_os_lock(&p->mutex);
    ig_os_wake_all(&p->cond);
    ig_os_unlock(&p->mutex);
}

uint32_t ig_pool_take(struct ig_pool *p, unsigned counter) {
    return atomic_fetch_add_explicit(&p->counter[counter].next, 1, memory_order_relaxed);
}

static void reset_counters(struct ig_pool *p) {
    for (unsigned i = 0; i < IG_POOL_COUNTERS; i++)
        atomic_store_explicit(&p->counter[i].next, p->team, memory_order_relaxed);
}

void ig_pool_barrier(struct ig_pool *p, unsigned thread, struct ig_pool_next next) {
    uint32_t generation = atomic_load_explicit(&p->generation, memory_order_acquire);
    unsigned team = p->team; /* once the others go on, the caller may change it */
    if (atomic_fetch_add_explicit(&p->arrived, 1, memory_order_acq_rel) + 1 < team) {
        double slept = wait_change(&p->place[thread], &p->generation, generation, next);
        if (slept > short_sleep) atomic_fetch_add(&p->slept, (uint64_t)(slept * 1e9));
        return;
    }
    atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
    reset_counters(p);
    if (team == 1) return;
    atomic_fetch_add(&p->generation, 1);
    for (unsigned i = 0; i < team; i++)
        if (i != thread) wake(&p->place[i]);
}

/* ---- Running ---- */

static const struct ig_pool_next nothing = {NULL, 0};

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
    struct place *me = ud;
    struct ig_pool *p = me->pool;
    if (p->background) ig_os_thread_background();
    for (uint32_t seen = 0;; seen++) {
        wait_change(me, &me->job, seen, nothing);
        if (atomic_load(&p->quit)) return;
        run_here(p, me->index);
        ig_pool_barrier(p, me->index, nothing);
    }
}

static ingle_status start(struct ig_pool *p, ingle_error *err) {
    while (p->started + 1 < p->team) {
        struct place *w = &p->place[p->started + 1];
        IG_TRY(ig_os_thread_start(&w->thread, work, w, 0, err));
        p->started++;
    }
    return INGLE_OK;
}

/* A team that slept too much at barriers, twice in a row, is halved; trying the larger one again
 * may cost no more than a small part of the time. */
static void judge(struct ig_pool *p, double began, double now) {
    double took = now - began, slept = (double)atomic_load(&p->slept) * 1e-9;
    bool bad = slept > most_slept * took * p->team;
    if (!bad) {
        p->strikes = 0;
        if (p->team == p->threads || now < p->retry) return;
        p->team = p->team * 2 < p->threads ? p->team * 2 : p->threads;
        p->strikes = 1;
        return;
    }
    if (p->team == 1 || ++p->strikes < 2) return;
    double pause = took / retry_cost;
    p->team -= p->team / 2;
    p->strikes = 1;
    p->retry = now + (pause < longest_retry ? pause : longest_retry);
}

ingle_status ig_pool_run(struct ig_pool *p, void (*fn)(void *, unsigned), void *ud,
                         ingle_error *err) {
    if (p->started + 1 < p->team) IG_TRY(start(p, err));
    double began = ig_os_seconds();
    p->fn = fn;
    p->ud = ud;
    atomic_store(&p->slept, 0);
    reset_counters(p);
    for (unsigned i = 1; i < p->team; i++) {
        atomic_fetch_add(&p->place[i].job, 1);
        wake(&p->place[i]);
    }
    run_here(p, 0);
    ig_pool_barrier(p, 0, nothing);
    judge(p, began, ig_os_seconds());
    return INGLE_OK;
}

void ig_pool_run_alone(struct ig_pool *p, void (*fn)(void *, unsigned), void *ud) {
    p->fn = fn;
    p->ud = ud;
    run_here(p, 0);
}

ingle_status ig_pool_open(struct ig_pool **out, struct ig_mem *mem, unsigned threads,
                          bool background, ingle_error *err) {
    size_t size = sizeof(struct ig_pool) + (size_t)threads * sizeof(struct place);
    struct ig_pool *p = ig_calloc(mem, 1, size);
    *out = NULL;
    if (!p) return ig_fail_memory(err, size);
    p->mem = mem;
    p->threads = p->team = threads;
    p->background = background;
    for (unsigned i = 0; i < threads; i++) {
        p->place[i].pool = p;
        p->place[i].index = i;
        p->place[i].spins = MOST_SPINS;
        ig_os_mutex_init(&p->place[i].mutex);
        ig_os_cond_init(&p->place[i].cond);
    }
    *out = p;
    return INGLE_OK;
}

void ig_pool_close(struct ig_pool *p) {
    if (!p) return;
    atomic_store(&p->quit, true);
    for (unsigned i = 1; i <= p->started; i++) {
        atomic_fetch_add(&p->place[i].job, 1);
        wake(&p->place[i]);
        ig_os_thread_join(&p->place[i].thread);
    }
    for (unsigned i = 0; i < p->threads; i++) {
        ig_os_cond_free(&p->place[i].cond);
        ig_os_mutex_free(&p->place[i].mutex);
    }
    ig_free(p->mem, p);
}

unsigned ig_pool_threads(const struct ig_pool *p) {
    return p->threads;
}
unsigned ig_pool_team(const struct ig_pool *p) {
    return p->team;
}
