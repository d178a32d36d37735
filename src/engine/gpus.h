/* The devices of a model: found when first asked for, opened when first used, shared by its
 * sessions. All functions may be called by any thread. */
#ifndef IG_GPUS_H
#define IG_GPUS_H

#include "engine/options.h"
#include "engine/place.h"

struct ig_exec_gate;
struct ingle_model;
struct ig_model_devices;

ingle_status ig_model_devices_open(struct ig_model_devices **out, struct ig_mem *mem,
                                   const struct ig_log *log, ingle_error *err);
void ig_model_devices_close(struct ig_model_devices *d); /* NULL is fine */
/* Gives the devices' memory back until the next pass. */
void ig_model_devices_rest(struct ig_model_devices *d);

struct ig_exec_gate *ig_model_devices_gate(struct ig_model_devices *d);

/* What the options say, where free memory allows it. */
struct ig_placed {
    struct ig_placement place;                      /* `where` in the arena, by index of devices */
    struct ig_gpu_weights *devices[IG_DEVICE_MOST]; /* opened, if `open` */
    uint32_t n;
    char why[256]; /* `where` NULL: why no device is used, or empty if none was wanted */
    struct ig_arena arena;
};

struct ig_place_room {
    uint32_t context, batch;           /* positions of a timeline, tokens of a pass */
    const struct ig_placement *beside; /* what another plan will take, or NULL */
};

/* `open`: and opens the devices in use; one that fails is left out, unless the user named it. */
ingle_status ig_model_place(struct ig_placed *out, const struct ingle_model *m,
                            const struct ig_plan *plan, struct ig_mem *mem, const ingle_options *o,
                            const struct ig_place_room *room, bool open, ingle_error *err);
void ig_placed_free(struct ig_placed *p);

#endif
