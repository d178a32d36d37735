/* One formatted line per call, handed to the host's callback. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void ig_log(const struct ig_log *log, ingle_log_level level, const char *fmt, ...) {
    if (!log || !log->fn || level < log->level) return;
    char line[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    log->fn(log->ud, level, line);
}
