/* An opened model: what all sessions share. Immutable after open, so threads need no lock. */
#ifndef IG_MODEL_H
#define IG_MODEL_H

#include <stdatomic.h>

#include "chat/chat.h"
#include "engine/gpus.h"
#include "engine/options.h"
#include "plan/plan.h"
#include "vocab/vocab.h"

struct ingle_model {
    struct ig_mem mem;
    struct ig_arena arena;
    struct ig_log log;
    char *path;
    struct ig_view view;
    struct ig_arch arch;
    struct ig_plan plan;
    struct ig_plan predict; /* of arch.predict, if there is one */
    struct ig_model_devices *devices;
    struct ig_vocab *vocab;      /* NULL: the file has none, only token ids work */
    struct ig_str template_text; /* chat template; p NULL if there is none */
    struct ig_chat *chat;        /* of the template, or of ChatML; NULL without a vocabulary */
    int cpu_choice;              /* IG_OPT_CPU */
    double load_seconds;
    _Atomic bool *read_ahead; /* some session reads or has read the weights ahead */
};

/* Bytes of weights as they lie in the file. */
uint64_t ig_model_weight_bytes(const struct ingle_model *m);
/* Bytes of keys and values a position takes, for an element type of enum ig_cache_type. */
uint64_t ig_model_kv_bytes(const struct ingle_model *m, int cache_type);
/* What the file recommends for sampling (general.sampling.*, generation_config.json), for options
 * the caller left alone. */
ingle_status ig_model_recommend(const struct ingle_model *m, struct ig_mem *mem, ingle_options *o,
                                ingle_error *err);

#endif
