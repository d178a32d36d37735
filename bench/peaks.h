/* What the machine can do at most: the yardstick of bench/kernels.c. */
#ifndef BENCH_PEAKS_H
#define BENCH_PEAKS_H

#include <stddef.h>
#include <stdint.h>

struct peaks {
    const char *int8_name, *fma_name; /* the instructions; NULL: not known for this table */
    double int8, fma;                 /* multiply-adds per second, of all threads */
    double read;                      /* bytes per second, of all threads */
};

/* For the kernel table of this name. `memory` is read once by all threads, each its own part; it
 * must be much larger than the caches. */
struct peaks peaks_measure(const char *table, int threads, const uint8_t *memory, size_t bytes);

#endif
