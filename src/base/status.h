/* Status codes and the error record. Every fallible function of ingle returns an ingle_status and
 * takes an ingle_error * (may be NULL) as its last argument. A message names the place; a hint says
 * what to do about it. The two public types come from ingle.h, the only header every room shares. */
#ifndef IG_STATUS_H
#define IG_STATUS_H

#include "ingle.h"

/* Bits are part of the contract (docs/reproducibility.md): no a * b + c becomes a fused operation behind our back, also
 * where the library is compiled without the project's own flags. gcc does not contract under -std=c11. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#if defined(__GNUC__)
#define IG_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define IG_PRINTF(fmt, args)
#endif

/* Fills *err (if not NULL) and returns `code`, so that a check is one line:
 *     return ig_fail(err, INGLE_BAD_FILE, "download it again", "%s: header is cut at byte %zu", ...);
 * The hint is a literal or NULL. Control characters in the message are replaced: file text is not trusted. */
ingle_status ig_fail(ingle_error *err, ingle_status code, const char *hint, const char *fmt, ...)
    IG_PRINTF(4, 5);

/* Puts "prefix: " in front of the message of an error that a lower room reported; returns err's code. */
ingle_status ig_fail_in(ingle_error *err, const char *prefix_fmt, ...) IG_PRINTF(2, 3);

ingle_status ig_fail_memory(ingle_error *err, size_t bytes);

const char *ig_status_text(ingle_status code);
int ig_status_exit_code(ingle_status code);

/* Returns early with the status of `call` unless it is INGLE_OK. */
#define IG_TRY(call)                                                                               \
    do {                                                                                           \
        ingle_status ig_try_status_ = (call);                                                      \
        if (ig_try_status_ != INGLE_OK) return ig_try_status_;                                     \
    } while (0)

#endif
