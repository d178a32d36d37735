/* A vocabulary from tokenizer.json. */
#include "vocab/impl.h"

ingle_status ig_vocab_open_json(struct ig_vocab **out, struct ig_mem *mem,
                                const struct ig_vocab_json *source, const struct ig_log *log,
                                ingle_error *err) {
    (void)out, (void)mem, (void)source, (void)log;
    return ig_fail(err, INGLE_UNSUPPORTED, "use the GGUF file",
                   "tokenizer.json cannot be read yet");
}
