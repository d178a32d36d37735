/* What opencl.c calls of OpenCL 1.2, written down here so that neither a vendor's header nor a
 * library is needed to build: the interface is a stable binary one, its numbers are those of the
 * Khronos specification. The library is opened at run time and each function found by its name;
 * struct ocl holds them. */
#ifndef IG_OPENCL_API_H
#define IG_OPENCL_API_H

#include "gpu/device.h"

#if defined(_WIN32) && !defined(_WIN64)
#define OCL_CALL __stdcall
#else
#define OCL_CALL
#endif

struct ocl_platform; /* handles; never looked into */
struct ocl_device;
struct ocl_context;
struct ocl_queue;
struct ocl_buffer;
struct ocl_program;
struct ocl_kernel;
struct ocl_event;

typedef void(OCL_CALL *ocl_notify)(const char *text, const void *info, size_t n, void *ud);
typedef void(OCL_CALL *ocl_built)(struct ocl_program *p, void *ud);

enum { /* results */
       OCL_SUCCESS = 0,
       OCL_DEVICE_NOT_FOUND = -1,
       OCL_DEVICE_NOT_AVAILABLE = -2,
       OCL_ALLOCATION_FAILURE = -4,
       OCL_OUT_OF_RESOURCES = -5,
       OCL_OUT_OF_HOST_MEMORY = -6,
       OCL_NO_PLATFORM = -1001 /* of the loader: no driver is registered */
};
enum { /* what may be asked of platforms, devices and programs */
       OCL_PLATFORM_VERSION = 0x0901,
       OCL_PLATFORM_NAME = 0x0902,
       OCL_TYPE = 0x1000,
       OCL_MAX_COMPUTE_UNITS = 0x1002,
       OCL_MAX_WORK_GROUP_SIZE = 0x1004,
       OCL_MAX_MEM_ALLOC_SIZE = 0x1010,
       OCL_SINGLE_FP_CONFIG = 0x101B,
       OCL_GLOBAL_MEM_SIZE = 0x101F,
       OCL_LOCAL_MEM_SIZE = 0x1023,
       OCL_ENDIAN_LITTLE = 0x1026,
       OCL_AVAILABLE = 0x1027,
       OCL_COMPILER_AVAILABLE = 0x1028,
       OCL_NAME = 0x102B,
       OCL_DRIVER = 0x102D,
       OCL_PROFILE = 0x102E,
       OCL_VERSION = 0x102F,
       OCL_EXTENSIONS = 0x1030,
       OCL_UNIFIED_MEMORY = 0x1035,
       OCL_C_VERSION = 0x103D,
       OCL_UUID = 0x106A,           /* cl_khr_device_uuid: 16 bytes */
       OCL_WARP_NV = 0x4003,        /* cl_nv_device_attribute_query */
       OCL_BOARD_NAME_AMD = 0x4038, /* cl_amd_device_attribute_query */
       OCL_FREE_MEMORY_AMD = 0x4039,
       OCL_WAVE_AMD = 0x4043,
       OCL_SUBGROUPS_INTEL = 0x4108, /* cl_intel_required_subgroup_size: the sizes, size_t each */
       OCL_BINARY_SIZES = 0x1165,
       OCL_BINARIES = 0x1166,
       OCL_BUILD_LOG = 0x1183
};
enum { OCL_TYPE_CPU = 2, OCL_TYPE_GPU = 4, OCL_TYPE_ACCELERATOR = 8 };
enum { OCL_FP_INF_NAN = 2, OCL_FP_NEAREST = 4, OCL_FP_EXACT_DIVIDE = 0x80 };
enum { OCL_READ_WRITE = 1, OCL_READ_ONLY = 4, OCL_USE_HOST_PTR = 8 };

/* X(result, name without "cl", parameters) */
#define OCL_FUNCTIONS(X)                                                                           \
    X(int32_t, GetPlatformIDs, (uint32_t, struct ocl_platform **, uint32_t *))                     \
    X(int32_t, GetPlatformInfo, (struct ocl_platform *, uint32_t, size_t, void *, size_t *))       \
    X(int32_t, GetDeviceIDs,                                                                       \
      (struct ocl_platform *, uint64_t, uint32_t, struct ocl_device **, uint32_t *))               \
    X(int32_t, GetDeviceInfo, (struct ocl_device *, uint32_t, size_t, void *, size_t *))           \
    X(struct ocl_context *, CreateContext,                                                         \
      (const intptr_t *, uint32_t, struct ocl_device *const *, ocl_notify, void *, int32_t *))     \
    X(int32_t, ReleaseContext, (struct ocl_context *))                                             \
    X(struct ocl_queue *, CreateCommandQueue,                                                      \
      (struct ocl_context *, struct ocl_device *, uint64_t, int32_t *))                            \
    X(int32_t, ReleaseCommandQueue, (struct ocl_queue *))                                          \
    X(struct ocl_buffer *, CreateBuffer,                                                           \
      (struct ocl_context *, uint64_t, size_t, void *, int32_t *))                                 \
    X(int32_t, ReleaseMemObject, (struct ocl_buffer *))                                            \
    X(struct ocl_program *, CreateProgramWithSource,                                               \
      (struct ocl_context *, uint32_t, const char **, const size_t *, int32_t *))                  \
    X(struct ocl_program *, CreateProgramWithBinary,                                               \
      (struct ocl_context *, uint32_t, struct ocl_device *const *, const size_t *,                 \
       const unsigned char **, int32_t *, int32_t *))                                              \
    X(int32_t, BuildProgram,                                                                       \
      (struct ocl_program *, uint32_t, struct ocl_device *const *, const char *, ocl_built,        \
       void *))                                                                                    \
    X(int32_t, GetProgramInfo, (struct ocl_program *, uint32_t, size_t, void *, size_t *))         \
    X(int32_t, GetProgramBuildInfo,                                                                \
      (struct ocl_program *, struct ocl_device *, uint32_t, size_t, void *, size_t *))             \
    X(int32_t, ReleaseProgram, (struct ocl_program *))                                             \
    X(struct ocl_kernel *, CreateKernel, (struct ocl_program *, const char *, int32_t *))          \
    X(int32_t, SetKernelArg, (struct ocl_kernel *, uint32_t, size_t, const void *))                \
    X(int32_t, ReleaseKernel, (struct ocl_kernel *))                                               \
    X(int32_t, EnqueueReadBuffer,                                                                  \
      (struct ocl_queue *, struct ocl_buffer *, uint32_t, size_t, size_t, void *, uint32_t,        \
       struct ocl_event *const *, struct ocl_event **))                                            \
    X(int32_t, EnqueueWriteBuffer,                                                                 \
      (struct ocl_queue *, struct ocl_buffer *, uint32_t, size_t, size_t, const void *, uint32_t,  \
       struct ocl_event *const *, struct ocl_event **))                                            \
    X(int32_t, EnqueueCopyBuffer,                                                                  \
      (struct ocl_queue *, struct ocl_buffer *, struct ocl_buffer *, size_t, size_t, size_t,       \
       uint32_t, struct ocl_event *const *, struct ocl_event **))                                  \
    X(int32_t, EnqueueNDRangeKernel,                                                               \
      (struct ocl_queue *, struct ocl_kernel *, uint32_t, const size_t *, const size_t *,          \
       const size_t *, uint32_t, struct ocl_event *const *, struct ocl_event **))                  \
    X(int32_t, Flush, (struct ocl_queue *))                                                        \
    X(int32_t, Finish, (struct ocl_queue *))

struct ocl {
    void *lib;
#define OCL_MEMBER(R, name, parameters) R(OCL_CALL *name) parameters;
    OCL_FUNCTIONS(OCL_MEMBER)
#undef OCL_MEMBER
};

/* ---- opencl_find.c ---- */

struct ocl_found {
    struct ocl_platform *platform;
    struct ocl_device *device;
};

const char *ig_opencl_code(int32_t code); /* what a result means, static */
/* Opens the library. False: `why` says what is missing. */
bool ig_opencl_open(struct ocl *cl, char why[256]);
/* All devices of all platforms, in the order of the library. 0: `why` says why, and the library is
 * closed if it has no driver at all. */
uint32_t ig_opencl_find(struct ocl *cl, struct ocl_found out[IG_DEVICE_MOST], char why[256]);
void ig_opencl_info(const struct ocl *cl, const struct ocl_found *f, uint32_t index,
                    struct ig_device_info *info);
/* "" or 0: the device does not tell. */
void ig_opencl_text(const struct ocl *cl, struct ocl_device *id, uint32_t what, char *out,
                    size_t cap);
uint64_t ig_opencl_number(const struct ocl *cl, struct ocl_device *id, uint32_t what);
uint32_t ig_opencl_version(const char *text); /* "OpenCL C 1.2 ..." is 120 */
/* 32 only where the sub-groups of our kernels are sure to have that size, *intel: if told to. */
uint32_t ig_opencl_subgroup(const struct ocl *cl, struct ocl_device *id, const char *extensions,
                            uint32_t c_version, bool *intel);

#endif
