/* From an opened file or folder to a vocabulary: the only place that knows both sides' names. */
#ifndef IG_VOCAB_SOURCE_H
#define IG_VOCAB_SOURCE_H

#include "file/view.h"
#include "vocab/vocab.h"

/* Opens the vocabulary of `view`, which must outlive it. A file without one gives INGLE_NOT_FOUND.
 */
ingle_status ig_vocab_source_open(struct ig_vocab **out, struct ig_mem *mem,
                                  const struct ig_view *view, const struct ig_log *log,
                                  ingle_error *err);

#endif
