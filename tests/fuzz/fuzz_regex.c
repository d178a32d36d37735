/* A pattern and a text: the input up to its first zero byte, and what follows. Matches must be in
 * order and inside. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "vocab/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ig_mem mem = {.limit = 256u << 20};
    struct ig_regex *r;
    ingle_error err;
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t cut = zero ? (size_t)(zero - data) : size;
    const char *text = (const char *)data + (zero ? cut + 1 : size);
    size_t n = zero ? size - cut - 1 : 0;
    if (ig_regex_open(&r, &mem, (struct ig_str){(const char *)data, cut}, size & 1, &err) ==
        INGLE_OK) {
        uint16_t *notes = malloc((n + 1) * sizeof *notes);
        size_t at = 0, start, end;
        if (!notes) abort();
        ig_regex_prepare(r, text, n, notes);
        while (at <= n && ig_regex_next(r, text, n, notes, at, &start, &end)) {
            if (start < at || end < start || end > n) abort();
            at = end > start ? end : n + 1;
        }
        free(notes);
        ig_regex_close(r);
    }
    if (ig_mem_used(&mem)) abort();
    return 0;
}
