/* What the vocabulary targets do with one that opened: text to ids and back, piece by piece. */
#ifndef VOCAB_USE_H
#define VOCAB_USE_H

#include <stdlib.h>
#include "base/utf8.h"
#include "vocab/vocab.h"

static void use_vocab(const struct ig_vocab *v, struct ig_mem *mem, struct ig_str text) {
    struct ig_ids ids = {0};
    ingle_error err = {0};
    struct ig_buf out = {.mem = mem};
    for (unsigned flags = 0; flags < 4; flags++) {
        ids.n = 0;
        if (ig_vocab_encode(v, mem, text, flags, 0, &ids, &err)) continue;
        for (size_t i = 0; i < ids.n; i++)
            if (ids.p[i] < 0 || ids.p[i] >= ig_vocab_size(v)) abort();
        ig_buf_clear(&out);
        if (ig_vocab_decode(v, ids.p, ids.n, flags, &out, &err)) abort();
        if (!ig_utf8_valid(out.p ? out.p : "", out.n)) abort();
    }
    for (int32_t id = -1; id <= ig_vocab_size(v) && id < 1000; id++) {
        struct ig_str spelling = ig_vocab_spelling(v, id);
        ig_vocab_bytes(v, id);
        ig_vocab_is_end(v, id);
        if (spelling.p && spelling.n) ig_vocab_find(v, spelling);
    }
    for (int role = 0; role < IG_ROLES; role++)
        if (ig_vocab_special(v, (enum ig_token_role)role) >= ig_vocab_size(v)) abort();
    ig_ids_free(mem, &ids);
    ig_buf_free(&out);
}

#endif
