/* Finding OpenCL devices: opening the library, listing what its drivers show, and asking each
 * device what the executor and the compiler of kernels want to know (opencl.c uses them).
 *
 * Promises: nothing is computed or allocated on a device, and a machine without a driver is left
 * within some failed attempts to open a file. Whatever cannot be used has a reason that says what
 * to do. Knows no models of devices: only what they report.
 *
 * Subtle: drivers answer with 4 or 8 bytes where the specification says one of them, with names
 * padded by blanks, and lists of extensions that are thousands of characters long; nothing here
 * trusts a length. */
#include "base/str.h"
#include "gpu/opencl_api.h"
#include "os/os.h"

#include <stdio.h>
#include <string.h>

enum {
    MOST_PLATFORMS = 16,
    EXTENSIONS = 12 << 10, /* characters; a longer list counts as none */
    NAME = 64,             /* of a platform */
    LEAST_GROUP = 64
};

const char *ig_opencl_code(int32_t code) {
    static const struct {
        int32_t code;
        const char *text;
    } known[] = {
        {OCL_DEVICE_NOT_FOUND, "no device"},
        {OCL_DEVICE_NOT_AVAILABLE, "device not available"},
        {-3, "no compiler"},
        {OCL_ALLOCATION_FAILURE, "no device memory"},
        {OCL_OUT_OF_RESOURCES, "out of resources"},
        {OCL_OUT_OF_HOST_MEMORY, "out of host memory"},
        {-11, "build failure"},
        {-14, "an earlier command failed"},
        {-30, "invalid value"},
        {-36, "invalid queue"},
        {-38, "invalid buffer"},
        {-42, "invalid binary"},
        {-43, "invalid build options"},
        {-45, "program not built"},
        {-46, "no such kernel"},
        {-52, "argument not set"},
        {-54, "invalid group size"},
        {-61, "invalid buffer size"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].code == code) return known[i].text;
    return "failed";
}

/* ---- The library ---- */

static bool find_functions(struct ocl *cl) {
#define OCL_FIND(R, name, parameters)                                                              \
    {                                                                                              \
        void *p = ig_os_dl_symbol(cl->lib, "cl" #name);                                            \
        if (!p) return false;                                                                      \
        memcpy(&cl->name, &p, sizeof p);                                                           \
    }
    OCL_FUNCTIONS(OCL_FIND)
#undef OCL_FIND
    return true;
}

static void *open_library(void) {
    static const struct {
        const char *system, *name;
    } names[] = {{"macos", "/System/Library/Frameworks/OpenCL.framework/OpenCL"},
                 {"windows", "OpenCL.dll"},
                 {"", "libOpenCL.so.1"},
                 {"", "libOpenCL.so"},
                 {"", "/vendor/lib64/libOpenCL.so"}}; /* Android */
    const char *forced = ig_os_env("INGLE_OPENCL"), *system = ig_os_name();
    if (forced && forced[0]) return ig_os_dl_open(forced);
    bool own = !strcmp(system, "macos") || !strcmp(system, "windows");
    void *lib = NULL;
    for (size_t i = 0; !lib && i < sizeof names / sizeof *names; i++)
        if (!strcmp(names[i].system, own ? system : "")) lib = ig_os_dl_open(names[i].name);
    return lib;
}

/* False: `why` says what is missing. */
bool ig_opencl_open(struct ocl *cl, char why[256]) {
    memset(cl, 0, sizeof *cl);
    cl->lib = open_library();
    if (!cl->lib) {
        snprintf(why, 256,
                 "no OpenCL library is installed: install the driver of the GPU's maker; Debian "
                 "and Ubuntu "
                 "also need the package ocl-icd-libopencl1");
        return false;
    }
    if (find_functions(cl)) return true;
    snprintf(why, 256,
             "the OpenCL library lacks functions of version 1.2: update the GPU's driver");
    ig_os_dl_close(cl->lib);
    return false;
}

/* All devices of all platforms, in the order of the library. */
uint32_t ig_opencl_find(struct ocl *cl, struct ocl_found out[IG_DEVICE_MOST], char why[256]) {
    struct ocl_platform *platforms[MOST_PLATFORMS];
    uint32_t n_platforms = 0, n = 0;
    int32_t code = cl->GetPlatformIDs(MOST_PLATFORMS, platforms, &n_platforms);
    if (code == OCL_NO_PLATFORM || (code == OCL_SUCCESS && !n_platforms)) {
        snprintf(why, 256,
                 "the OpenCL library is here, but no driver is registered with it: install the "
                 "GPU's driver "
                 "(on Linux with its OpenCL part, such as intel-opencl-icd or rocm-opencl)");
        ig_os_dl_close(cl->lib);
        return 0;
    }
    if (code != OCL_SUCCESS) {
        snprintf(why, 256, "clGetPlatformIDs: %s (%d): update the GPU's driver",
                 ig_opencl_code(code), (int)code);
        return 0;
    }
    if (n_platforms > MOST_PLATFORMS) n_platforms = MOST_PLATFORMS;
    for (uint32_t p = 0; p < n_platforms; p++) {
        struct ocl_device *ids[IG_DEVICE_MOST];
        uint32_t n_ids = 0;
        if (cl->GetDeviceIDs(platforms[p], OCL_TYPE_CPU | OCL_TYPE_GPU | OCL_TYPE_ACCELERATOR,
                             IG_DEVICE_MOST, ids, &n_ids) != OCL_SUCCESS)
            continue;
        for (uint32_t i = 0; i < n_ids && i < IG_DEVICE_MOST && n < IG_DEVICE_MOST; i++)
            out[n++] = (struct ocl_found){platforms[p], ids[i]};
    }
    if (!n)
        snprintf(why, 256,
                 "an OpenCL driver is here, but shows no device: on Linux, your user must be "
                 "allowed to open "
                 "/dev/dri/renderD128 (groups render and video)");
    return n;
}

/* ---- What a device is ---- */

void ig_opencl_text(const struct ocl *cl, struct ocl_device *id, uint32_t what, char *out,
                    size_t cap) {
    size_t n = 0;
    out[0] = 0;
    if (cl->GetDeviceInfo(id, what, cap, out, &n) != OCL_SUCCESS || n > cap) n = 0;
    out[n < cap ? n : cap - 1] = 0;
}

uint64_t ig_opencl_number(const struct ocl *cl, struct ocl_device *id, uint32_t what) {
    uint64_t wide = 0;
    uint32_t narrow = 0;
    size_t n = 0;
    if (cl->GetDeviceInfo(id, what, sizeof wide, &wide, &n) != OCL_SUCCESS) return 0;
    if (n == sizeof wide) return wide;
    if (n != sizeof narrow) return 0;
    memcpy(&narrow, &wide, sizeof narrow);
    return narrow;
}

/* "OpenCL C 1.2 ..." is 120. */
uint32_t ig_opencl_version(const char *text) {
    unsigned major = 0, minor = 0;
    while (*text && (*text < '0' || *text > '9')) text++;
    if (sscanf(text, "%u.%u", &major, &minor) != 2 || major > 99 || minor > 9) return 0;
    return major * 100 + minor * 10;
}

/* Computing on the CPU, whatever it says of itself. */
static bool is_software(uint64_t type, const char *name) {
    static const char *const names[] = {"llvmpipe",    "lavapipe", "softpipe",    "swrast",
                                        "SwiftShader", "pthread-", "Basic Render"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strstr(name, names[i])) return true;
    return type & OCL_TYPE_CPU;
}

/* 32 only where the sub-groups of our kernels are sure to have that size. */
uint32_t ig_opencl_subgroup(const struct ocl *cl, struct ocl_device *id, const char *extensions,
                            uint32_t c_version, bool *intel) {
    size_t sizes[16] = {0}, n = 0;
    *intel = false;
    if (c_version < 200 || !ig_str_in_list(extensions, IG_STR("cl_khr_subgroups")) ||
        !ig_str_in_list(extensions, IG_STR("cl_khr_subgroup_shuffle")))
        return 0;
    if (ig_opencl_number(cl, id, OCL_WARP_NV) == 32 || ig_opencl_number(cl, id, OCL_WAVE_AMD) == 32)
        return 32;
    if (!ig_str_in_list(extensions, IG_STR("cl_intel_required_subgroup_size")) ||
        cl->GetDeviceInfo(id, OCL_SUBGROUPS_INTEL, sizeof sizes, sizes, &n) != OCL_SUCCESS)
        return 0;
    for (size_t i = 0; i < n / sizeof *sizes; i++)
        if (sizes[i] == 32) *intel = true;
    return *intel ? 32 : 0;
}

/* Why kernels cannot run on it; NULL if they can. */
static const char *unfit(const struct ocl *cl, struct ocl_device *id, uint64_t type,
                         uint32_t version, const char *platform) {
    uint64_t fp = ig_opencl_number(cl, id, OCL_SINGLE_FP_CONFIG);
    char profile[32];
    ig_opencl_text(cl, id, OCL_PROFILE, profile, sizeof profile);
    if (!(type & (OCL_TYPE_CPU | OCL_TYPE_GPU))) return "it is neither a GPU nor a CPU";
    if (!ig_opencl_number(cl, id, OCL_AVAILABLE))
        return "its driver says that it is not available: another program may hold it, or the "
               "driver must be updated";
    if (!ig_opencl_number(cl, id, OCL_COMPILER_AVAILABLE))
        return "its driver has no compiler for OpenCL C: install the full driver";
    if (!ig_opencl_number(cl, id, OCL_ENDIAN_LITTLE)) return "it is big-endian";
    if (strstr(platform, "Clover"))
        return "Mesa's Clover is abandoned and computes wrongly: use rusticl (RUSTICL_ENABLE) or "
               "the maker's driver";
    if (version < 120) return "its driver knows OpenCL below 1.2 only: update it";
    if (strcmp(profile, "FULL_PROFILE")) return "it has only the embedded profile of OpenCL";
    if (!(fp & OCL_FP_NEAREST) || !(fp & OCL_FP_INF_NAN))
        return "its floats are not rounded to nearest or know no infinity";
    if (ig_opencl_number(cl, id, OCL_MAX_WORK_GROUP_SIZE) < LEAST_GROUP)
        return "its groups are too small";
    return NULL;
}

static void fill_free_memory(const struct ocl *cl, struct ocl_device *id,
                             struct ig_device_info *info) {
    size_t kib[2] = {0}, n = 0;
    info->memory_free = info->memory;
    if (cl->GetDeviceInfo(id, OCL_FREE_MEMORY_AMD, sizeof kib, kib, &n) == OCL_SUCCESS &&
        n >= sizeof *kib && kib[0] && (uint64_t)kib[0] << 10 < info->memory)
        info->memory_free = (uint64_t)kib[0] << 10;
}

static void fill_names(const struct ocl *cl, const struct ocl_found *f, const char *extensions,
                       struct ig_device_info *info, char platform[NAME]) {
    char text[IG_DEVICE_NAME];
    size_t n = 0;
    platform[0] = 0;
    if (cl->GetPlatformInfo(f->platform, OCL_PLATFORM_NAME, NAME, platform, &n) != OCL_SUCCESS)
        platform[0] = 0;
    platform[NAME - 1] = 0;
    ig_opencl_text(cl, f->device, OCL_NAME, text, sizeof text);
    if (ig_str_in_list(extensions, IG_STR("cl_amd_device_attribute_query"))) {
        char board[IG_DEVICE_NAME];
        ig_opencl_text(cl, f->device, OCL_BOARD_NAME_AMD, board, sizeof board);
        if (board[0]) memcpy(text, board, sizeof text);
    }
    struct ig_str name = ig_str_trim(ig_str_of(text));
    snprintf(info->name, sizeof info->name, "%.*s", (int)name.n, name.n ? name.p : "");
    if (!info->name[0]) snprintf(info->name, sizeof info->name, "device without a name");
    ig_opencl_text(cl, f->device, OCL_DRIVER, text, sizeof text);
    snprintf(info->driver, sizeof info->driver, "%.40s (%.50s)", text, platform);
}

void ig_opencl_info(const struct ocl *cl, const struct ocl_found *f, uint32_t index,
                    struct ig_device_info *info) {
    char extensions[EXTENSIONS], text[128], platform[NAME];
    bool intel;
    struct ocl_device *id = f->device;
    memset(info, 0, sizeof *info);
    info->backend = "opencl";
    info->index = index;
    ig_opencl_text(cl, id, OCL_EXTENSIONS, extensions, sizeof extensions);
    fill_names(cl, f, extensions, info, platform);
    uint64_t type = ig_opencl_number(cl, id, OCL_TYPE);
    info->software = is_software(type, info->name);
    info->unified = ig_opencl_number(cl, id, OCL_UNIFIED_MEMORY) != 0;
    info->memory = ig_opencl_number(cl, id, OCL_GLOBAL_MEM_SIZE);
    info->most_alloc = ig_opencl_number(cl, id, OCL_MAX_MEM_ALLOC_SIZE);
    info->units = (uint32_t)ig_opencl_number(cl, id, OCL_MAX_COMPUTE_UNITS);
    uint64_t local = ig_opencl_number(cl, id, OCL_LOCAL_MEM_SIZE);
    uint64_t group = ig_opencl_number(cl, id, OCL_MAX_WORK_GROUP_SIZE);
    info->local_bytes = local < UINT32_MAX ? (uint32_t)local : UINT32_MAX;
    info->most_group = group < UINT32_MAX ? (uint32_t)group : UINT32_MAX;
    fill_free_memory(cl, id, info);
    ig_opencl_text(cl, id, OCL_C_VERSION, text, sizeof text);
    info->subgroup = ig_opencl_subgroup(cl, id, extensions, ig_opencl_version(text), &intel);
    size_t n = 0;
    if (!ig_str_in_list(extensions, IG_STR("cl_khr_device_uuid")) ||
        cl->GetDeviceInfo(id, OCL_UUID, sizeof info->uuid, info->uuid, &n) != OCL_SUCCESS)
        memset(info->uuid, 0, sizeof info->uuid);
    ig_opencl_text(cl, id, OCL_VERSION, text, sizeof text);
    const char *why = unfit(cl, id, type, ig_opencl_version(text), platform);
    info->usable = !why;
    if (why) snprintf(info->why, sizeof info->why, "%s", why);
}
