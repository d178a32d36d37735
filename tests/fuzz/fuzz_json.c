/* The JSON reader takes any bytes; what it accepts it writes and reads again as the same text. */
#include <stdint.h>
#include <stdlib.h>
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ig_mem mem = {.limit = 256u << 20};
    struct ig_arena a = {.mem = &mem};
    struct ig_buf one = {.mem = &mem}, two = {.mem = &mem};
    const struct ig_json *j, *again;
    struct ig_json_limits limits = {.unique_keys = size & 1};
    ingle_error err;
    struct ig_str text = {(const char *)data, size};
    if (ig_json_parse(&a, text, &limits, &j, &err) == INGLE_OK) {
        ig_json_put(&one, j);
        (void)ig_json_f64(j, 0);
        (void)ig_json_i64(j, 0);
        if (ig_json_parse(&a, ig_buf_view(&one), NULL, &again, &err) != INGLE_OK) abort();
        ig_json_put(&two, again);
        if (!ig_str_eq(ig_buf_view(&one), ig_buf_view(&two))) abort();
    }
    ig_buf_free(&one);
    ig_buf_free(&two);
    ig_arena_free(&a);
    if (ig_mem_used(&mem)) abort();
    return 0;
}
