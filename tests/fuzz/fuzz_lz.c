/* The unpacker takes any bytes. The first two say how large the output is; what it accepts it unpacks again alike, and
 * not one byte shorter. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/lz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    size_t out_n = (size_t)data[0] | (size_t)data[1] << 8, n = size - 2;
    uint8_t *in = malloc(n ? n : 1), *out = malloc(out_n ? out_n : 1), *again = malloc(out_n ? out_n : 1);
    if (!in || !out || !again) abort();
    if (n) memcpy(in, data + 2, n);
    if (ig_lz_unpack(in, n, out, out_n)) {
        if (!ig_lz_unpack(in, n, again, out_n) || memcmp(out, again, out_n)) abort();
        if (out_n && ig_lz_unpack(in, n, again, out_n - 1)) abort();
    }
    free(in);
    free(out);
    free(again);
    return 0;
}
