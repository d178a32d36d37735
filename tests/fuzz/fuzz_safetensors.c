/* The safetensors reader takes any bytes; what it accepts tiles the buffer and can be read through.
 */
#include <stdint.h>
#include <stdlib.h>
#include "file/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static volatile uint64_t sink;
    struct ig_mem mem = {0};
    struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}};
    ingle_error err = {0};
    ingle_status s = ig_safetensors_read(&v, data, size, &err);
    if (s && (!err.message[0] || !err.hint[0] || err.code != s)) abort();
    uint64_t bytes = 0;
    for (size_t i = 0; !s && i < v.n_tensors; i++) {
        const struct ig_tensor *t = &v.tensors[i];
        if (t->data < data || t->bytes > size || t->data + t->bytes > data + size || !t->dtype.n)
            abort();
        if (t->bytes) sink = t->data[0] + t->data[t->bytes - 1];
        if (ig_view_tensor(&v, t->name) != t) abort();
        bytes += t->bytes;
    }
    uint64_t header = 0;
    for (int i = 7; !s && i >= 0; i--) header = header << 8 | data[i];
    if (!s && bytes != size - 8 - header) abort();
    (void)sink;
    if (mem.peak > 4 * size + (16u << 20)) abort();
    ig_view_close(&v);
    if (ig_mem_used(&mem)) abort();
    return 0;
}
