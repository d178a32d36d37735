/* Reading a model's weights ahead of the first pass, in the order in which it uses them. */
#ifndef IG_AHEAD_H
#define IG_AHEAD_H

#include "engine/model.h"

struct ig_ahead {
    struct ig_thread thread;
    const struct ingle_model *model;
    _Atomic bool quit;
    bool started;
};

/* Starts a thread of low priority unless one has read this model before or memory is short. It is
 * no error if none can be had. */
void ig_ahead_start(struct ig_ahead *a, const struct ingle_model *m);
/* Ends it, after at most one small piece. */
void ig_ahead_stop(struct ig_ahead *a);

#endif
