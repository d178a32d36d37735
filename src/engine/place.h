/* Which device computes what: pure arithmetic on a plan, sizes and free memory. Opens nothing. */
#ifndef IG_PLACE_H
#define IG_PLACE_H

#include "engine/options.h"
#include "gpu/gpu.h"

enum { IG_PLACE_TEXT = 512 };

/* ---- Which devices (option "device") ---- */

/* Bytes a second that a device reads from its memory, or the processor from its own (device NULL);
 * 0: not measured. */
typedef double (*ig_place_speed_fn)(void *ud, const struct ig_device_info *device);

struct ig_place_choice {
    uint8_t index[IG_DEVICE_MOST]; /* into the list, the preferred one first */
    uint32_t n;
    char why[256]; /* n 0: why there is none, or empty */
};

/* `text`: "auto", "none", "cpu", or names as "cuda0,opencl1"; a name that is not in the list is an
 * error. auto takes no software device and none that is slower than the processor; one that is very
 * small or shares the processor's memory only if it was measured to be faster, and none that shares
 * it beside one with memory of its own. `speed` may be NULL. */
ingle_status ig_place_choose(struct ig_place_choice *out, const struct ig_device_list *list,
                             const char *text, ig_place_speed_fn speed, void *ud, ingle_error *err);
/* Does auto take the device if nothing was measured? NULL, or why not. */
const char *ig_place_not_auto(const struct ig_device_info *d);
bool ig_place_same(const struct ig_device_info *a, const struct ig_device_info *b);
bool ig_place_named(const char *text); /* the user named devices */

/* ---- What where (option "gpu-layers") ---- */

struct ig_place_device {
    const struct ig_device_info *info;
    uint64_t free; /* bytes */
};

struct ig_place_wish {
    int64_t layers; /* so many from the end, and the output; IG_LAYERS_AUTO: as many as fit */
    uint32_t context, batch;
    enum ig_cache_type kv;
    const struct ig_place_device *devices;
    uint32_t n_devices;
};

struct ig_placement {
    int8_t *where;            /* [plan->n_ops] a device, or -1; NULL: all on the processor */
    uint32_t layers, experts; /* on devices: layers, and those whose experts are there too */
    const struct ig_device_info *on[IG_DEVICE_MOST]; /* the devices of the wish, and */
    uint64_t bytes[IG_DEVICE_MOST];                  /* what is taken there */
    bool fits;
    char text[IG_PLACE_TEXT]; /* "20 of 32 layers and the output on cuda0 (5.1 of 7.8 GB free)" */
};

/* `where` is allocated in the arena. */
ingle_status ig_place_make(struct ig_placement *out, struct ig_arena *arena,
                           const struct ig_plan *plan, const struct ig_place_wish *wish,
                           ingle_error *err);

#endif
