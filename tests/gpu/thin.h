/* Long lists of cases are thinned so that `make test` stays short; INGLE_TEST_ALL=1 runs all of them. */
#ifndef IG_GPU_THIN_H
#define IG_GPU_THIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static inline bool all_cases(void) {
    return getenv("INGLE_TEST_ALL") != NULL;
}

/* One case of so many is run: `sanitized` under sanitizers, which take four times as long, `plain` elsewhere. */
static inline uint32_t thin(uint32_t sanitized, uint32_t plain) {
    if (all_cases()) return 1;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)plain;
    return sanitized;
#else
    (void)sanitized;
    return plain;
#endif
}

#endif
