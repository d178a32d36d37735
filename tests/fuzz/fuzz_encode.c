/* A GGUF-shaped vocabulary and a text, both from the input. The first bytes choose the model, the
 * pre-tokenizer and flags; then come, each with a length byte, token texts (their first byte is the
 * type), merges, and the text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/utf8.h"
#include "vocab/vocab.h"

static const char *const models[] = {"gpt2", "llama", "t5", "bert", "gemma4", "none"};
static const char *const names[] = {
#define PRE(name, id, flags) name,
#include "vocab/pre.def"
};

struct input {
    const uint8_t *p;
    size_t n;
};

static unsigned byte(struct input *in) {
    if (!in->n) return 0;
    in->n--;
    return *in->p++;
}

static size_t strings(struct input *in, struct ig_buf *out, uint8_t *types, size_t cap) {
    size_t count = 0, most = byte(in);
    for (; count < most && count < cap && in->n; count++) {
        unsigned head = byte(in);
        uint64_t len = head >> 3;
        if (len > in->n) len = in->n;
        if (types) types[4 * count] = (uint8_t)(head & 7);
        ig_buf_add(out, (const char *)&len, 8);
        ig_buf_add(out, (const char *)in->p, (size_t)len);
        in->p += len;
        in->n -= (size_t)len;
    }
    return count;
}

static void use(const struct ig_vocab *v, struct ig_mem *mem, struct ig_str text, unsigned flags) {
    struct ig_ids ids = {0};
    struct ig_buf all = {.mem = mem}, pieces = {.mem = mem};
    struct ig_detok d;
    ingle_error err;
    if (ig_vocab_encode(v, mem, text, flags, 0, &ids, &err) == INGLE_OK) {
        if (ig_vocab_decode(v, ids.p, ids.n, flags, &all, &err) != INGLE_OK) abort();
        ig_detok_begin(&d, v, flags);
        for (size_t i = 0; i < ids.n; i++) {
            ig_detok_add(&d, ids.p[i], &pieces);
            if (!ig_utf8_valid(pieces.p, pieces.n)) abort();
        }
        ig_detok_end(&d, &pieces);
        if (!ig_str_eq(ig_buf_view(&all), ig_buf_view(&pieces))) abort();
    }
    ig_buf_free(&all);
    ig_buf_free(&pieces);
    ig_ids_free(mem, &ids);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ig_mem mem = {.limit = 512u << 20};
    struct input in = {data, size};
    struct ig_buf tokens = {.mem = &mem}, merges = {.mem = &mem};
    uint8_t types[4 * 256] = {0}, scores[4 * 256];
    struct ig_vocab_gguf g = {0};
    struct ig_vocab *v = NULL;
    ingle_error err;
    unsigned flags = byte(&in);
    g.model = ig_str_of(models[byte(&in) % (sizeof models / sizeof *models)]);
    g.pre = ig_str_of(names[byte(&in) % (sizeof names / sizeof *names)]);
    for (int r = 0; r < IG_ROLES; r++) g.role[r] = (int8_t)byte(&in);
    g.add_bos = g.add_eos = g.add_space_prefix = (int8_t)(flags >> 2 & 1);
    g.add_sep = g.remove_extra_whitespaces = (int8_t)(flags >> 3 & 1);
    g.escape_whitespaces = g.lowercase = g.strip_accents = (int8_t)(flags >> 4 & 1);
    for (size_t i = 0; i < sizeof scores; i++) scores[i] = (uint8_t)(i * 7 ^ flags);
    g.tokens.count = strings(&in, &tokens, types, 256);
    g.merges.count = strings(&in, &merges, NULL, 256);
    g.tokens.data = (const uint8_t *)tokens.p;
    g.tokens.bytes = tokens.n;
    g.merges.data = (const uint8_t *)merges.p;
    g.merges.bytes = merges.n;
    g.tokens.length_size = g.merges.length_size = 8;
    g.types = types;
    g.scores = scores;
    g.n_types = g.n_scores = 256;
    if (ig_vocab_open_gguf(&v, &mem, &g, NULL, &err) == INGLE_OK)
        use(v, &mem, (struct ig_str){(const char *)in.p, in.n}, flags & 3);
    ig_vocab_close(v);
    ig_buf_free(&tokens);
    ig_buf_free(&merges);
    if (ig_mem_used(&mem)) abort();
    return 0;
}
