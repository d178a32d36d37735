/* Finds NVIDIA's driver and its devices. Promises a reason and a mend for whatever is not there or cannot be used, and to
 * cost a failed dlopen where there is no driver. Knows nothing of kernels and memory: cuda.c does the work.
 *
 * INGLE_CUDA names another library in the place of the driver, for tests.
 *
 * The subtle thing: asking a device for its free memory by the driver would create a context, which takes a tenth of a
 * second and some of that very memory; the management library (NVML), which every driver brings, tells without one. */
#include "gpu/cuda_api.h"

#include <stdio.h>
#include <string.h>
#include "os/os.h"

/* Where a symbol goes in struct ig_cuda. A function's address arrives as a void *, which C does not convert. */
struct symbol {
    const char *name;
    size_t at;
    bool needed;
};
#define NEEDED(name, args) {#name, offsetof(struct ig_cuda, name), true},
#define EXTRA(name, args) {#name, offsetof(struct ig_cuda, name), false},
static const struct symbol symbols[] = {IG_CUDA_NEEDED(NEEDED) IG_CUDA_EXTRA(EXTRA)};

static void *open_first(const char *const *names) {
    void *lib = NULL;
    while (!lib && *names) lib = ig_os_dl_open(*names++);
    return lib;
}

static bool is_windows(void) {
    return strcmp(ig_os_name(), "windows") == 0;
}

static void *open_library(char why[256]) {
    static const char *const windows[] = {"nvcuda.dll", NULL};
    /* The last two are where WSL and NixOS put it, which not every loader's configuration knows. */
    static const char *const others[] = {"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1",
                                         "/run/opengl-driver/lib/libcuda.so.1", NULL};
    const char *other = ig_os_env("INGLE_CUDA");
    if (other && *other) {
        void *lib = ig_os_dl_open(other);
        if (!lib) snprintf(why, 256, "the library named by INGLE_CUDA cannot be opened: %s", other);
        return lib;
    }
    const char *const *names = is_windows() ? windows : others;
    void *lib = open_first(names);
    if (!lib)
        snprintf(why, 256,
                 "%s is not installed: an NVIDIA GPU needs NVIDIA's own driver (version 384 or "
                 "newer)",
                 names[0]);
    return lib;
}

static bool find_symbols(struct ig_cuda *cu, char why[256]) {
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        void *p = ig_os_dl_symbol(cu->lib, symbols[i].name);
        memcpy((char *)cu + symbols[i].at, &p, sizeof p);
        if (p || !symbols[i].needed) continue;
        snprintf(why, 256,
                 "the NVIDIA driver has no %s, it is too old: update the NVIDIA driver to 384 or "
                 "newer",
                 symbols[i].name);
        return false;
    }
    return true;
}

const char *ig_cuda_error_name(const struct ig_cuda *cu, cu_result r) {
    const char *name = NULL;
    if (cu->cuGetErrorName(r, &name) != CU_OK || !name) return "an unknown error";
    return name;
}

static const char *mend_of_start(cu_result r) {
    switch (r) {
    case CU_NO_DEVICE:
        return "the driver sees no GPU: is one plugged in, passed to this container, and not hidden "
               "by CUDA_VISIBLE_DEVICES?";
    case CU_DRIVER_MISMATCH:
        return "the driver was updated while it ran: restart the computer";
    case CU_UNKNOWN:
        return "the kernel module is not loaded or its device files cannot be opened: does nvidia-smi "
               "work?";
    default: return "does nvidia-smi work?";
    }
}

bool ig_cuda_start(struct ig_cuda *cu, char why[256]) {
    memset(cu, 0, sizeof *cu);
    why[0] = 0;
    cu->lib = open_library(why);
    if (!cu->lib || !find_symbols(cu, why)) return false;
    cu_result r = cu->cuInit(0);
    if (r == CU_OK) r = cu->cuDriverGetVersion(&cu->version);
    if (r == CU_OK) return true;
    snprintf(why, 256, "cuInit: %s: %s", ig_cuda_error_name(cu, r), mend_of_start(r));
    return false;
}

/* ---- NVML: the driver's number and the memory that is free ---- */

struct nvml_memory {
    unsigned long long total, left, used;
};
struct nvml {
    int (*init)(void);
    int (*shutdown)(void);
    int (*driver)(char *out, unsigned size);
    int (*device)(const char *uuid, void **device);
    int (*memory)(void *device, struct nvml_memory *out);
};

static bool nvml_symbol(void *lib, const char *name, void *to, size_t n) {
    void *p = ig_os_dl_symbol(lib, name);
    memcpy(to, &p, n);
    return p != NULL;
}

static bool nvml_start(struct nvml *n) {
    static const char *const windows[] = {"nvml.dll", NULL};
    static const char *const others[] = {"libnvidia-ml.so.1", "/usr/lib/wsl/lib/libnvidia-ml.so.1",
                                         "/run/opengl-driver/lib/libnvidia-ml.so.1", NULL};
    const char *other = ig_os_env("INGLE_CUDA");
    void *lib = other && *other ? ig_os_dl_open(other) : open_first(is_windows() ? windows : others);
    return lib && nvml_symbol(lib, "nvmlInit_v2", &n->init, sizeof n->init) &&
           nvml_symbol(lib, "nvmlShutdown", &n->shutdown, sizeof n->shutdown) &&
           nvml_symbol(lib, "nvmlSystemGetDriverVersion", &n->driver, sizeof n->driver) &&
           nvml_symbol(lib, "nvmlDeviceGetHandleByUUID", &n->device, sizeof n->device) &&
           nvml_symbol(lib, "nvmlDeviceGetMemoryInfo", &n->memory, sizeof n->memory) &&
           n->init() == 0;
}

static void uuid_text(const uint8_t b[16], char out[64]) {
    snprintf(out, 64,
             "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

/* What NVML adds to the devices [first, n) of the list; all stays as it is where it tells nothing. */
static void add_nvml(struct ig_device_list *out, uint32_t first, int version) {
    struct nvml n = {0};
    if (out->n == first || !nvml_start(&n)) return;
    char number[64], uuid[64];
    bool numbered = n.driver(number, sizeof number) == 0;
    for (uint32_t i = first; i < out->n; i++) {
        struct ig_device_info *d = &out->device[i];
        void *handle = NULL;
        struct nvml_memory m;
        if (numbered)
            snprintf(d->driver, sizeof d->driver, "%.40s (CUDA %d.%d)", number, version / 1000,
                     version % 1000 / 10);
        uuid_text(d->uuid, uuid);
        if (n.device(uuid, &handle) == 0 && n.memory(handle, &m) == 0 && m.left < d->memory)
            d->memory_free = m.left;
    }
    n.shutdown();
}

/* ---- The devices ---- */

static uint32_t attribute(const struct ig_cuda *cu, cu_device d, int what) {
    int value = 0;
    if (cu->cuDeviceGetAttribute(&value, what, d) != CU_OK || value < 0) return 0;
    return (uint32_t)value;
}

static void judge(const struct ig_cuda *cu, cu_device d, struct ig_device_info *out) {
    if (cu->version < IG_CUDA_LEAST_VERSION)
        snprintf(out->why, sizeof out->why,
                 "the driver is for CUDA %d.%d and takes no PTX of version 6.0: update the NVIDIA "
                 "driver to 384 or newer",
                 cu->version / 1000, cu->version % 1000 / 10);
    else if (out->version >= 80 && cu->version < IG_CUDA_AMPERE_VERSION)
        snprintf(out->why, sizeof out->why,
                 "the driver is for CUDA %d.%d, this GPU needs 11.0: update the NVIDIA driver to "
                 "450 or newer",
                 cu->version / 1000, cu->version % 1000 / 10);
    else if (out->version < IG_CUDA_LEAST_CAPABILITY)
        snprintf(out->why, sizeof out->why,
                 "compute capability %u.%u is below 7.0: no CUDA code for this GPU; its OpenCL "
                 "may do",
                 (unsigned)out->version / 10, (unsigned)out->version % 10);
    else if (attribute(cu, d, CU_AT_COMPUTE_MODE) == CU_COMPUTE_PROHIBITED)
        snprintf(out->why, sizeof out->why,
                 "its compute mode is \"prohibited\": nvidia-smi -c DEFAULT allows programs");
    else
        out->usable = true;
}

static cu_result describe(const struct ig_cuda *cu, cu_device d, struct ig_device_info *out) {
    size_t bytes = 0;
    cu_result r = cu->cuDeviceGetName(out->name, (int)sizeof out->name, d);
    if (r == CU_OK) r = cu->cuDeviceTotalMem_v2(&bytes, d);
    if (r != CU_OK) return r;
    out->name[sizeof out->name - 1] = 0;
    snprintf(out->driver, sizeof out->driver, "CUDA %d.%d", cu->version / 1000,
             cu->version % 1000 / 10);
    out->memory = out->memory_free = out->most_alloc = bytes;
    out->units = attribute(cu, d, CU_AT_UNITS);
    out->local_bytes = attribute(cu, d, CU_AT_GROUP_LOCAL);
    out->most_group = attribute(cu, d, CU_AT_GROUP_ITEMS);
    out->subgroup = attribute(cu, d, CU_AT_WARP) == 32 ? 32 : 0;
    out->version = attribute(cu, d, CU_AT_MAJOR) * 10 + attribute(cu, d, CU_AT_MINOR);
    struct cu_uuid uuid;
    if ((cu->cuDeviceGetUuid_v2 && cu->cuDeviceGetUuid_v2(&uuid, d) == CU_OK) ||
        (cu->cuDeviceGetUuid && cu->cuDeviceGetUuid(&uuid, d) == CU_OK))
        memcpy(out->uuid, uuid.bytes, sizeof out->uuid);
    judge(cu, d, out);
    return CU_OK;
}

static void add_device(const struct ig_cuda *cu, int index, struct ig_device_list *out) {
    struct ig_device_info *info = &out->device[out->n++];
    *info = (struct ig_device_info){.backend = "cuda", .index = (uint32_t)index};
    cu_device d = 0;
    cu_result r = cu->cuDeviceGet(&d, index);
    if (r == CU_OK) r = describe(cu, d, info);
    if (r != CU_OK)
        snprintf(info->why, sizeof info->why, "the driver does not describe it: %s: %s",
                 ig_cuda_error_name(cu, r), mend_of_start(r));
}

void ig_cuda_list(struct ig_device_list *out, char why[256]) {
    struct ig_cuda cu;
    if (!ig_cuda_start(&cu, why)) return;
    int n = 0;
    cu_result r = cu.cuDeviceGetCount(&n);
    if (r == CU_OK && n <= 0) r = CU_NO_DEVICE;
    if (r != CU_OK)
        snprintf(why, 256, "cuDeviceGetCount: %s: %s", ig_cuda_error_name(&cu, r),
                 mend_of_start(r));
    uint32_t first = out->n;
    for (int i = 0; r == CU_OK && i < n && out->n < IG_DEVICE_MOST; i++) add_device(&cu, i, out);
    add_nvml(out, first, cu.version);
}
