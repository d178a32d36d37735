/* Devices as reports show them: their JSON, and how fast they are (doctor.c). */
#ifndef IG_ENGINE_DEVICES_H
#define IG_ENGINE_DEVICES_H

#include "base/json.h"
#include "gpu/device.h"

/* The id that options name: "cuda0". */
void ig_device_id(const struct ig_device_info *d, char out[32]);
/* The array that ingle_devices pushes. `l` may be NULL: the CPU alone. */
void ig_devices_json(struct ig_buf *b, const char *kernels, const struct ig_device_list *l);

struct ig_device_speed {
    double
        memory; /* bytes a second that copies inside the device read and write; 0: not measured */
    double upload; /* bytes a second from the host */
    double launch; /* seconds a command takes at least */
    char why[256]; /* empty, or why nothing could be measured */
};
/* Takes about `seconds` and some memory of the device. */
void ig_device_measure(struct ig_mem *mem, const struct ig_device_info *d, double seconds,
                       struct ig_device_speed *out);

/* Bytes a second that so many threads read from the processor's memory; 0: not measured, memory is
 * short. */
double ig_processor_speed(struct ig_mem *mem, unsigned threads);

#endif
