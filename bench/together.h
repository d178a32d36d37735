/* Runs one function on several threads that start together; wall time from the first start to the
 * last end, in seconds. Used by the benches; POSIX threads. */
#ifndef BENCH_TOGETHER_H
#define BENCH_TOGETHER_H

enum { TOGETHER_MAX = 64 };

double together(int threads, void (*fn)(void *ud, int thread), void *ud);

#endif
