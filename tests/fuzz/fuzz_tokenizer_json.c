/* Any JSON as tokenizer.json: opening it, encoding and decoding must end, within the memory limit
 * and without a leak. */
#include <stdint.h>
#include <stdlib.h>
#include "base/utf8.h"
#include "vocab/vocab.h"

static void use(const struct ig_vocab *v, struct ig_mem *mem, struct ig_str text) {
    struct ig_ids ids = {0};
    struct ig_buf out = {.mem = mem};
    ingle_error err;
    for (unsigned flags = 0; flags < 4; flags++) {
        ids.n = 0;
        if (ig_vocab_encode(v, mem, text, flags, 0, &ids, &err) != INGLE_OK) continue;
        for (size_t i = 0; i < ids.n; i++)
            if (ids.p[i] < 0 || ids.p[i] >= ig_vocab_size(v)) abort();
        ig_buf_clear(&out);
        if (ig_vocab_decode(v, ids.p, ids.n, flags, &out, &err) == INGLE_OK &&
            !ig_utf8_valid(out.p, out.n))
            abort();
    }
    ig_buf_free(&out);
    ig_ids_free(mem, &ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ig_mem mem = {.limit = 256u << 20};
    struct ig_arena arena = {.mem = &mem};
    struct ig_vocab_json j = {0};
    struct ig_vocab *v = NULL;
    ingle_error err;
    struct ig_str text = {(const char *)data, size};
    if (ig_json_parse(&arena, text, NULL, &j.tokenizer, &err) == INGLE_OK) {
        j.tokenizer_config = ig_json_get(j.tokenizer, "tokenizer_config");
        j.config = ig_json_get(j.tokenizer, "config");
        if (ig_vocab_open_json(&v, &mem, &j, NULL, &err) == INGLE_OK) {
            use(v, &mem, IG_STR("Hello wor\xc3\xa9ld  <s> 123\n\xe6\xbc\xa2\xe2\x96\x81x\xff"));
            use(v, &mem, (struct ig_str){text.p, text.n < 300 ? text.n : 300});
        }
        ig_vocab_close(v);
    }
    ig_arena_free(&arena);
    if (ig_mem_used(&mem)) abort();
    return 0;
}
