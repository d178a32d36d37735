/* The parts of NVIDIA's driver interface that cuda.c calls, in our own words (no toolkit is needed), and the table of its
 * functions, filled from libcuda.so.1 or nvcuda.dll at run time. Names end in _v2 where the library says so.
 *
 * Also what cuda_list.c and cuda.c have in common: opening the library and telling its error codes. */
#ifndef IG_CUDA_API_H
#define IG_CUDA_API_H

#include "gpu/device.h"

typedef int cu_result; /* 0 is success */
typedef int cu_device;
typedef uint64_t cu_pointer; /* device memory */
typedef struct cu_context_of *cu_context;
typedef struct cu_stream_of *cu_stream;
typedef struct cu_event_of *cu_event;
typedef struct cu_module_of *cu_module;
typedef struct cu_function_of *cu_function;
typedef struct cu_graph_of *cu_graph;
typedef struct cu_exec_of *cu_exec;
struct cu_uuid {
    uint8_t bytes[16];
};

enum { /* cu_result */
    CU_OK = 0,
    CU_OUT_OF_MEMORY = 2,
    CU_NO_DEVICE = 100,
    CU_NO_BINARY = 209,
    CU_INVALID_PTX = 218,
    CU_JIT_NOT_FOUND = 221,
    CU_PTX_VERSION = 222,
    CU_NOT_READY = 600,
    CU_ILLEGAL_ADDRESS = 700,
    CU_LAUNCH_TIMEOUT = 702,
    CU_MISALIGNED = 716,
    CU_LAUNCH_FAILED = 719,
    CU_DRIVER_MISMATCH = 803,
    CU_UNKNOWN = 999
};
enum { /* attributes of a device */
    CU_AT_GROUP_ITEMS = 1,
    CU_AT_GROUP_LOCAL = 8,
    CU_AT_WARP = 10,
    CU_AT_UNITS = 16,
    CU_AT_COMPUTE_MODE = 20,
    CU_AT_MAJOR = 75,
    CU_AT_MINOR = 76
};
enum { CU_COMPUTE_PROHIBITED = 2 };
enum { CU_STREAM_NON_BLOCKING = 1, CU_EVENT_DISABLE_TIMING = 2, CU_CAPTURE_RELAXED = 2 };
enum { CU_JIT_ERROR_LOG = 5, CU_JIT_ERROR_LOG_BYTES = 6 };

/* Without these there is no driver that we can use. */
#define IG_CUDA_NEEDED(X)                                                                          \
    X(cuInit, (unsigned flags))                                                                    \
    X(cuDriverGetVersion, (int *version))                                                          \
    X(cuGetErrorName, (cu_result r, const char **name))                                            \
    X(cuDeviceGetCount, (int *n))                                                                  \
    X(cuDeviceGet, (cu_device * d, int index))                                                     \
    X(cuDeviceGetName, (char *name, int size, cu_device d))                                        \
    X(cuDeviceGetAttribute, (int *value, int attribute, cu_device d))                              \
    X(cuDeviceTotalMem_v2, (size_t *bytes, cu_device d))                                           \
    X(cuDevicePrimaryCtxRetain, (cu_context * c, cu_device d))                                     \
    X(cuDevicePrimaryCtxRelease, (cu_device d))                                                    \
    X(cuCtxPushCurrent_v2, (cu_context c))                                                         \
    X(cuCtxPopCurrent_v2, (cu_context * c))                                                        \
    X(cuMemGetInfo_v2, (size_t *left, size_t *total))                                              \
    X(cuMemAlloc_v2, (cu_pointer * p, size_t bytes))                                               \
    X(cuMemFree_v2, (cu_pointer p))                                                                \
    X(cuMemAllocHost_v2, (void **p, size_t bytes))                                                 \
    X(cuMemFreeHost, (void *p))                                                                    \
    X(cuMemcpyHtoDAsync_v2, (cu_pointer to, const void *from, size_t bytes, cu_stream s))          \
    X(cuMemcpyDtoHAsync_v2, (void *to, cu_pointer from, size_t bytes, cu_stream s))                \
    X(cuMemcpyDtoDAsync_v2, (cu_pointer to, cu_pointer from, size_t bytes, cu_stream s))           \
    X(cuStreamCreate, (cu_stream * s, unsigned flags))                                             \
    X(cuStreamDestroy_v2, (cu_stream s))                                                           \
    X(cuStreamSynchronize, (cu_stream s))                                                          \
    X(cuStreamQuery, (cu_stream s))                                                                \
    X(cuEventCreate, (cu_event * e, unsigned flags))                                               \
    X(cuEventDestroy_v2, (cu_event e))                                                             \
    X(cuEventRecord, (cu_event e, cu_stream s))                                                    \
    X(cuEventSynchronize, (cu_event e))                                                            \
    X(cuModuleLoadDataEx,                                                                          \
      (cu_module * m, const void *image, unsigned n, const int *options, void **values))           \
    X(cuModuleUnload, (cu_module m))                                                               \
    X(cuModuleGetFunction, (cu_function * f, cu_module m, const char *name))                       \
    X(cuLaunchKernel,                                                                              \
      (cu_function f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,             \
       unsigned bz, unsigned local, cu_stream s, void **params, void **extra))

/* NULL in older drivers: graphs came with CUDA 10, in this form with 11.4. */
#define IG_CUDA_EXTRA(X)                                                                           \
    X(cuDeviceGetUuid, (struct cu_uuid * uuid, cu_device d))                                       \
    X(cuDeviceGetUuid_v2, (struct cu_uuid * uuid, cu_device d))                                    \
    X(cuStreamBeginCapture_v2, (cu_stream s, int mode))                                            \
    X(cuStreamEndCapture, (cu_stream s, cu_graph *g))                                              \
    X(cuGraphInstantiateWithFlags, (cu_exec * e, cu_graph g, unsigned long long flags))            \
    X(cuGraphLaunch, (cu_exec e, cu_stream s))                                                     \
    X(cuGraphDestroy, (cu_graph g))                                                                \
    X(cuGraphExecDestroy, (cu_exec e))

struct ig_cuda {
    void *lib;
#define IG_CUDA_MEMBER(name, args) cu_result(*name) args;
    IG_CUDA_NEEDED(IG_CUDA_MEMBER)
    IG_CUDA_EXTRA(IG_CUDA_MEMBER)
#undef IG_CUDA_MEMBER
    int version; /* 12020 for CUDA 12.2 */
};

/* The least that is asked of device and driver: PTX is of version 6.0 for compute capability 7.0, which came with CUDA
 * 9.0; code for 8.0 is PTX 7.0, of CUDA 11.0. */
enum { IG_CUDA_LEAST_VERSION = 9000, IG_CUDA_LEAST_CAPABILITY = 70 };
enum { IG_CUDA_AMPERE_VERSION = 11000 };

/* Opens the library, finds its functions and starts the driver; false: `why` says what to do about it. The library stays
 * in the process: a driver has threads of its own that must not lose their code. */
bool ig_cuda_start(struct ig_cuda *cu, char why[256]);
/* "CUDA_ERROR_OUT_OF_MEMORY" */
const char *ig_cuda_error_name(const struct ig_cuda *cu, cu_result r);
void ig_cuda_list(struct ig_device_list *out, char why[256]);

#endif
