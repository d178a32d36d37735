/* Status texts and the error record. Nothing here allocates: an out-of-memory error must be reportable. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *text;
    int exit_code;
} statuses[] = {
#define X(name, number, exit_code, text) [number] = {text, exit_code},
#include "base/status.def"
#undef X
};
enum { N_STATUS = sizeof statuses / sizeof *statuses };

const char *ig_status_text(ingle_status code) {
    return (unsigned)code < N_STATUS ? statuses[code].text : "unknown status";
}

int ig_status_exit_code(ingle_status code) {
    return (unsigned)code < N_STATUS ? statuses[code].exit_code : 70;
}

/* Replaces bytes that could steer a terminal and cuts a broken UTF-8 tail left by truncation. */
static void make_printable(char *s, size_t cap) {
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f) s[i] = '?';
    if (n + 1 < cap) return;
    while (n && ((unsigned char)s[n - 1] & 0xc0) == 0x80) n--;
    if (n && ((unsigned char)s[n - 1] & 0x80)) n--;
    s[n] = 0;
}

ingle_status ig_fail(ingle_error *err, ingle_status code, const char *hint, const char *fmt, ...) {
    if (!err) return code;
    va_list args;
    va_start(args, fmt);
    err->code = code;
    vsnprintf(err->message, sizeof err->message, fmt, args);
    va_end(args);
    make_printable(err->message, sizeof err->message);
    snprintf(err->hint, sizeof err->hint, "%s", hint ? hint : "");
    return code;
}

ingle_status ig_fail_in(ingle_error *err, const char *prefix_fmt, ...) {
    if (!err) return INGLE_INTERNAL;
    char old[sizeof err->message];
    memcpy(old, err->message, sizeof old);
    va_list args;
    va_start(args, prefix_fmt);
    int n = vsnprintf(err->message, sizeof err->message, prefix_fmt, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n, left = strlen(old) + 1;
    if (used + 2 < sizeof err->message) { /* what does not fit is cut: a message is one line */
        size_t room = sizeof err->message - used - 2;
        memcpy(err->message + used, ": ", 2);
        memcpy(err->message + used + 2, old, left < room ? left : room);
        err->message[sizeof err->message - 1] = 0;
    }
    make_printable(err->message, sizeof err->message);
    return err->code;
}

ingle_status ig_fail_memory(ingle_error *err, size_t bytes) {
    return ig_fail(err, INGLE_NO_MEMORY, "close other programs, use a smaller context (-c) or raise the memory limit",
                   "could not get %zu bytes of memory", bytes);
}
