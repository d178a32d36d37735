/* A GGUF file as the library's user meets it: opened, described, run for a few tokens, closed.
 * Whatever the file says, the answer is a status; nothing is read or written outside, on any
 * kernel. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ingle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ignore(void *ud, const char *text, size_t len) {
    (void)ud;
    (void)text;
    return len > 100000000;
}

enum { N = 20 };

static void run(const ingle_model *m, const ingle_options *o) {
    ingle_error err = {INGLE_OK, "", ""};
    ingle_session *s = NULL;
    int32_t id, ids[N];
    for (int32_t i = 0; i < N; i++) ids[i] = i * 37 % ingle_model_vocab_size(m);
    if (ingle_session_open(&s, m, o, &err) != INGLE_OK) return;
    ingle_status status = ingle_session_sync(s, ids, N, &err);
    if (status == INGLE_OK) status = ingle_session_sample(s, &id, &err);
    if (status == INGLE_OK) status = ingle_session_step(s, id, &err);
    if (status == INGLE_OK) status = ingle_session_sync(s, ids, 3, &err);
    if (status != INGLE_OK && (!err.message[0] || err.code != status)) abort();
    ingle_session_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const kernels[] = {"scalar", "avx2", "auto"};
    ingle_error err = {INGLE_OK, "", ""};
    ingle_options *o = NULL;
    ingle_model *m = NULL;
    char path[64];
    int fd = memfd_create("fuzz", 0);
    if (fd < 0) return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (write(fd, data, size) == (ssize_t)size && ingle_options_new(&o, &err) == INGLE_OK) {
        ingle_options_set(o, "threads", "1", &err);
        ingle_options_set(o, "context", "64", &err);
        ingle_options_set(o, "memory-limit", "256M", &err);
        ingle_options_set(o, "cpu", kernels[size % 3], &err);
        if (ingle_model_open(&m, path, o, &err) == INGLE_OK) {
            for (int v = INGLE_VIEW_INFO; v <= INGLE_VIEW_PLAN; v++)
                ingle_model_describe(m, (ingle_model_view)v, ignore, NULL, &err);
            run(m, o);
        }
    }
    ingle_model_close(m);
    ingle_options_free(o);
    close(fd);
    return 0;
}

#include "gguf_mutator.h"
