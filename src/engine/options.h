/* Named settings behind ingle_options_*: one table (options.def), values checked when they are set,
 * typed readers for the engine, and a request's JSON fields laid over them. */
#ifndef IG_OPTIONS_H
#define IG_OPTIONS_H

#include "base/json.h"
#include "base/log.h"
#include "sample/sample.h"

enum ig_option {
#define X(id, name, key, flag, group, type, initial, min, max, choices, help) IG_OPT_##id,
#include "engine/options.def"
#undef X
    IG_OPTIONS
};

enum { IG_LAYERS_AUTO = -1, IG_LAYERS_ALL = -2 }; /* values of "gpu-layers" that are words */

struct ig_options_hooks {
    struct ig_log log;
    ingle_progress_fn progress;
    void *progress_ud;
    ingle_alloc_fn alloc;
    void *alloc_ud;
};

/* `o` may be NULL in all readers: then the defaults are in force. */
int64_t ig_options_int(const ingle_options *o, enum ig_option id); /* INT, BYTES */
double ig_options_float(const ingle_options *o, enum ig_option id);
bool ig_options_bool(const ingle_options *o, enum ig_option id);
int ig_options_choice(const ingle_options *o, enum ig_option id); /* index into the row's choices */
/* The texts of a TEXTS option; valid until the next set of that name. */
const struct ig_str *ig_options_texts(const ingle_options *o, enum ig_option id, size_t *n);
/* Was it set, or is the default in force? (A model's recommended sampling goes between the two.) */
bool ig_options_is_set(const ingle_options *o, enum ig_option id);
/* Never NULL; all members are zero if nothing was hooked. */
const struct ig_options_hooks *ig_options_hooks(const ingle_options *o);

/* All of group "sampling" but max-tokens, stop and ignore-eos. A seed of -1 becomes a fresh one.
 * n_context stays 0: the caller knows it. Pointers in *p are valid until the next set on `o`. */
void ig_options_sampling(const ingle_options *o, struct ig_sample_params *p);

/* A copy with everything, hooks included. `o` may be NULL. */
ingle_status ig_options_copy(ingle_options **out, const ingle_options *o, ingle_error *err);
/* Lays the fields of the object `request` over the options of group "sampling"; null and unknown
 * fields are skipped. INGLE_BAD_REQUEST names the field. */
ingle_status ig_options_apply_json(ingle_options *o, const struct ig_json *request,
                                   ingle_error *err);

#endif
