#define _POSIX_C_SOURCE 200809L
#include "together.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct start {
    void (*fn)(void *ud, int thread);
    void *ud;
    int threads;
    atomic_int ready;
};

struct one {
    struct start *start;
    int thread;
    double from, to;
};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void *run_one(void *ud) {
    struct one *o = ud;
    struct start *s = o->start;
    atomic_fetch_add(&s->ready, 1);
    while (atomic_load(&s->ready) < s->threads) sched_yield();
    o->from = now();
    s->fn(s->ud, o->thread);
    o->to = now();
    return NULL;
}

double together(int threads, void (*fn)(void *ud, int thread), void *ud) {
    struct start s = {.fn = fn, .ud = ud, .threads = threads};
    struct one all[TOGETHER_MAX];
    pthread_t ids[TOGETHER_MAX];
    for (int i = 0; i < threads; i++) all[i] = (struct one){.start = &s, .thread = i};
    for (int i = 1; i < threads; i++)
        if (pthread_create(&ids[i], NULL, run_one, &all[i])) {
            fprintf(stderr, "cannot start a thread\n");
            exit(1);
        }
    run_one(&all[0]);
    double from = all[0].from, to = all[0].to;
    for (int i = 1; i < threads; i++) {
        pthread_join(ids[i], NULL);
        from = all[i].from < from ? all[i].from : from;
        to = all[i].to > to ? all[i].to : to;
    }
    return to - from;
}
