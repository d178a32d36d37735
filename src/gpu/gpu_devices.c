/* The backends that are compiled in and the devices that they find, best first.
 *
 * Knows nothing about any driver: each backend lists its own devices and says why it found none.
 * The subtle thing is that one GPU may stand behind several drivers (CUDA and OpenCL, or two OpenCL
 * platforms); the same uuid is taken for the same GPU and the entry of the preferred backend is
 * kept, unless only the other one can be used. */
#include "gpu/device.h"

#include <string.h>

enum { BACKENDS = 3 };

static const struct ig_backend *test_backend;

static const struct ig_backend *real_backend(uint32_t i) {
    static const struct ig_backend *const all[BACKENDS] = {&ig_backend_cuda, &ig_backend_metal,
                                                           &ig_backend_opencl};
    return i < BACKENDS ? all[i] : NULL;
}

const struct ig_backend *ig_backend_at(uint32_t i) {
    if (test_backend && i == 0) return test_backend;
    return real_backend(i - (test_backend ? 1 : 0));
}

void ig_backend_test(const struct ig_backend *b) {
    test_backend = b;
}

static bool same_gpu(const struct ig_device_info *a, const struct ig_device_info *b) {
    static const uint8_t none[sizeof a->uuid];
    return memcmp(a->uuid, none, sizeof none) && !memcmp(a->uuid, b->uuid, sizeof none);
}

/* Takes out later entries of a GPU that is there already. */
static void drop_twins(struct ig_device_list *l) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        uint32_t twin = 0;
        while (twin < kept && !same_gpu(&l->device[twin], &l->device[i])) twin++;
        if (twin == kept)
            l->device[kept++] = l->device[i];
        else if (!l->device[twin].usable && l->device[i].usable)
            l->device[twin] = l->device[i];
    }
    l->n = kept;
}

/* Lower is better. */
static int rank(const struct ig_device_info *d) {
    return (d->usable ? 0 : 4) + (d->software ? 2 : d->unified ? 1 : 0);
}

static bool better(const struct ig_device_info *a, const struct ig_device_info *b) {
    return rank(a) != rank(b) ? rank(a) < rank(b) : a->memory > b->memory;
}

/* Insertion: a handful of devices, and equal ones stay in their backend's order. */
static void sort(struct ig_device_list *l) {
    for (uint32_t i = 1; i < l->n; i++) {
        struct ig_device_info d = l->device[i];
        uint32_t at = i;
        for (; at && better(&d, &l->device[at - 1]); at--) l->device[at] = l->device[at - 1];
        l->device[at] = d;
    }
}

void ig_devices_list(struct ig_device_list *out) {
    char ignored[sizeof out->why[0]];
    memset(out, 0, sizeof *out);
    if (test_backend) test_backend->list(out, ignored);
    for (uint32_t i = 0; i < BACKENDS; i++) real_backend(i)->list(out, out->why[i]);
    drop_twins(out);
    sort(out);
}
