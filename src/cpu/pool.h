/* A team of threads that walks a plan together. ig_pool_run calls fn on every thread of the team,
 * the caller's included; inside, units of work are claimed from counters and ig_pool_barrier ends a
 * phase. Waiting threads spin briefly, then sleep. Workers start on first use and sleep between
 * runs. On a busy machine the team is smaller than the pool. One run at a time. */
#ifndef IG_POOL_H
#define IG_POOL_H

#include "os/os.h"

struct ig_pool;

/* `threads` >= 1, the caller counts as one. `background`: workers run at lower priority. */
ingle_status ig_pool_open(struct ig_pool **out, struct ig_mem *mem, unsigned threads,
                          bool background, ingle_error *err);
void ig_pool_close(struct ig_pool *p);
unsigned ig_pool_threads(const struct ig_pool *p); /* at most */
unsigned ig_pool_team(const struct ig_pool *p);    /* of the running or the next run */
ingle_status ig_pool_run(struct ig_pool *p, void (*fn)(void *ud, unsigned thread), void *ud,
                         ingle_error *err);
/* On the calling thread only: for an fn that takes no units and meets no barrier. */
void ig_pool_run_alone(struct ig_pool *p, void (*fn)(void *ud, unsigned thread), void *ud);
/* Within fn: the next of `counter`'s units in this phase. Units below the size of the team are not
 * handed out: each thread takes the one of its own number first. */
enum { IG_POOL_COUNTERS = 4 };
uint32_t ig_pool_take(struct ig_pool *p, unsigned counter);
/* Within fn: waits for all threads; the counters start again. Meanwhile memory is asked for `next`.
 */
struct ig_pool_next {
    const void *p;
    size_t bytes;
};
void ig_pool_barrier(struct ig_pool *p, unsigned thread, struct ig_pool_next next);

#endif
