/* Where notes for the developer of the host go. Nothing in ingle prints. */
#ifndef IG_LOG_H
#define IG_LOG_H

#include "base/status.h"

struct ig_log {
    ingle_log_fn fn; /* NULL: silence */
    void *ud;
    ingle_log_level level; /* lines below it are not formatted */
};

void ig_log(const struct ig_log *log, ingle_log_level level, const char *fmt, ...) IG_PRINTF(3, 4);

#endif
