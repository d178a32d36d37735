/* Standard output and standard error. Output is buffered by stdio and flushed where a reader waits
 * for it (after each piece of an answer). A reader that went away (`| head`) is no error to talk
 * about: the program ends with 141, as if SIGPIPE had ended it, but after cleaning up. */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static int broken; /* errno of the first failed write */

static void check(bool ok) {
    if (!ok && !broken) broken = errno ? errno : EIO;
}

void cli_put(const char *p, size_t n) {
    if (n && !broken) check(fwrite(p, 1, n, stdout) == n);
}

void cli_putz(const char *z) {
    cli_put(z, strlen(z));
}

void cli_putf(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    if (!broken) check(vprintf(fmt, args) >= 0);
    va_end(args);
}

void cli_put_buf(struct ig_buf *b) {
    if (b->failed) cli_error(3, NULL, "out of memory");
    cli_put(b->p ? b->p : "", b->n);
    ig_buf_free(b);
}

void cli_put_safe(const char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)p[i];
        if (ch == '\n')
            cli_putz("\\n");
        else if (ch == '\t')
            cli_putz("\\t");
        else if (ch < 0x20 || ch == 0x7f)
            cli_putf("\\x%02x", ch);
        else if (ch == 0xc2 && i + 1 < n && (unsigned char)p[i + 1] < 0xa0) /* C1 controls */
            cli_putf("\\u%04x", (unsigned char)p[++i]);
        else
            cli_put(p + i, 1);
    }
}

bool cli_flush(void) {
    if (!broken) check(fflush(stdout) == 0);
    return !broken;
}

int cli_finish(int code) {
    cli_flush();
    if (!broken) return code;
    if (broken == EPIPE) return 141;
    return cli_error(2, "is the disk full?", "standard output: %s", strerror(broken));
}

int cli_push_text(void *ud, const char *text, size_t n) {
    (void)ud;
    cli_put(text, n);
    return broken != 0;
}

int cli_collect(void *ud, const char *text, size_t n) {
    struct ig_buf *b = ud;
    ig_buf_add(b, text, n);
    return b->failed;
}

/* ---- Errors ---- */

static void print_line(const char *message, const char *hint) {
    cli_progress_clear();
    fflush(stdout);
    if (hint && hint[0])
        fprintf(stderr, "ingle: %s (%s)\n", message, hint);
    else
        fprintf(stderr, "ingle: %s\n", message);
}

int cli_fail(const ingle_error *err) {
    if (err->code != INGLE_CANCELLED)
        print_line(err->message, err->hint);
    else
        cli_progress_clear();
    return ingle_status_exit_code(err->code);
}

static void make_printable(char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f) *s = '?';
}

int cli_usage(const struct cli *c, const char *fmt, ...) {
    char message[512], hint[64];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    make_printable(message);
    snprintf(hint, sizeof hint, "see ingle help %s", c->command->name);
    print_line(message, hint);
    return 64;
}

int cli_error(int code, const char *hint, const char *fmt, ...) {
    char message[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    make_printable(message);
    print_line(message, hint);
    return code;
}

/* ---- Progress ---- */

static bool shown;
static double first_at, last_at;

void cli_progress_line(const char *line) {
    double now = cli_seconds();
    if (!cli_is_terminal(2)) return;
    if (first_at == 0) first_at = now;
    if (now - first_at < 0.3 || now - last_at < 0.1) return; /* short work shows nothing */
    last_at = now;
    shown = true;
    fprintf(stderr, "\r%s\x1b[K", line);
    fflush(stderr);
}

void cli_progress(const char *what, double done) {
    char line[128];
    snprintf(line, sizeof line, "%.100s %3.0f %%", what, 100 * done);
    cli_progress_line(line);
}

void cli_progress_clear(void) {
    if (shown) fputs("\r\x1b[K", stderr);
    shown = false;
    first_at = last_at = 0;
}
