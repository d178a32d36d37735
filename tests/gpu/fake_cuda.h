/* How a test and the stand-in for NVIDIA's driver (fake_cuda.cpp) talk: the world that the driver shows, and what went
 * wrong in it. */
#ifndef IG_FAKE_CUDA_H
#define IG_FAKE_CUDA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAKE_CUDA_DEVICES = 4 };
struct fake_cuda {
    /* The world: as the library is opened, one device of capability 8.6 with 256 MB behind a driver for CUDA 12.2 */
    int version, count, init; /* init: what cuInit returns */
    struct {
        const char *name;
        int major, minor, mode;
        size_t memory;
    } device[FAKE_CUDA_DEVICES];
    bool nvml;
    /* The n-th call from now on returns the code (and does nothing, if it is no freeing one), and with `forever` all
     * after it; n = 0: none. `only`: count calls of this name alone. */
    unsigned fail_at;
    int fail_code;
    bool fail_forever;
    const char *only;
    int late; /* what the next kernel ends with: sync and the like return it */
    /* What happened */
    unsigned calls, launches, replays, failed; /* failed: calls that were made to fail */
    char last_failed[64];
    unsigned live;       /* contexts, memory, streams, ... that nobody has given back */
    char complaint[256]; /* the first thing that the real driver would punish */
};

#endif
