/* The vocabulary in a GGUF file's metadata, whatever it says; then text through it and back. */
#include <stdint.h>
#include "engine/vocab_source.h"
#include "quant/quant.h"
#include "vocab_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool type_size(uint32_t type, uint32_t *weights, uint32_t *bytes, const char **name,
                      const char **why) {
    const struct ig_quant *q = ig_quant_by_id(type);
    *why = ig_quant_removed(type);
    if (!q) return false;
    *weights = q->block;
    *bytes = q->bytes;
    *name = q->name;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ig_mem mem = {0};
    struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}};
    struct ig_vocab *vocab = NULL;
    ingle_error err = {0};
    if (!ig_gguf_read(&v, data, size, type_size, &err)) {
        ingle_status s = ig_vocab_source_open(&vocab, &mem, &v, &(struct ig_log){0}, &err);
        if (s && (!err.message[0] || err.code != s)) abort();
        if (!s)
            use_vocab(
                vocab, &mem,
                IG_STR("Hello  w\xc3\xb6rld <s>\n\t1234 \xf0\x9f\x98\x80\xff ab</s>\xe2\x96\x81"
                       "a"));
        if (!s) ig_vocab_close(vocab);
    }
    if (mem.peak > 64 * size + (64u << 20)) abort();
    ig_view_close(&v);
    if (ig_mem_used(&mem)) abort();
    return 0;
}

#include "gguf_mutator.h"
