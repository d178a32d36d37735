/* A device as the executor (run.c) sees it, and what a host driver (opencl.c, cuda.c, metal.c, tests/gpu/host.cpp) has
 * to bring: memory, copies, kernels, one queue in which everything happens in order. Drivers know no plan, no model and
 * no block type; they open the system's library at run time and keep what they find out about why not.
 *
 * One device may be used by one thread at a time (the executor locks). Every function that can fail returns a status
 * whose message names the call and the driver's own code; after a failure the device is still safe to close. Nothing
 * here blocks for longer than the work it waits for. */
#ifndef IG_DEVICE_H
#define IG_DEVICE_H

#include "base/log.h"
#include "base/mem.h"
#include "base/status.h"

enum { IG_DEVICE_NAME = 96, IG_DEVICE_MOST = 16, IG_DEVICE_BUFFERS = 10 };

struct ig_device_info {
    const char *backend; /* "opencl", "cuda", "metal": static */
    uint32_t index;      /* of the backend's devices, in its order */
    char name[IG_DEVICE_NAME], driver[IG_DEVICE_NAME]; /* "NVIDIA GeForce RTX 4070", "535.104 (CUDA 12.2)" */
    char why[256];       /* empty, or why it cannot be used and what to do about it */
    bool usable;
    bool software;       /* PoCL, llvmpipe: never chosen by itself */
    bool unified;        /* shares the host's memory: host memory can be wrapped */
    uint64_t memory, memory_free; /* bytes; free = memory where the driver does not tell */
    uint64_t most_alloc; /* bytes of one buffer */
    uint32_t units;      /* compute units, multiprocessors */
    uint32_t local_bytes, most_group; /* memory and items of a group */
    uint32_t subgroup;   /* 32 where kernels may rely on it, else 0 */
    uint32_t version;    /* CUDA: compute capability, 75 for 7.5; others 0 */
    uint8_t uuid[16];    /* all 0 if unknown: the same GPU behind two backends is one */
};

/* What a backend found, also if it is nothing: "" or "libOpenCL.so.1 is not installed: ..." */
struct ig_device_list {
    struct ig_device_info device[IG_DEVICE_MOST];
    uint32_t n;
    char why[3][256]; /* of cuda, metal, opencl */
};

struct ig_device;  /* opened; private to the driver */
struct ig_dev_mem; /* a buffer */
struct ig_dev_kernel;

struct ig_launch {
    struct ig_dev_kernel *kernel;
    uint32_t groups[3]; /* each >= 1; the size of a group is the kernel's own */
    struct ig_dev_mem *buffer[IG_DEVICE_BUFFERS];
    uint32_t n_buffers;
    const void *args; /* struct of args.h, copied by the call */
    uint32_t args_bytes;
};

struct ig_device_config {
    struct ig_mem *mem; /* of the host; outlives the device */
    const struct ig_log *log;
    const char *cache; /* folder for compiled programs, or NULL: none */
};

struct ig_backend {
    const char *name;
    /* Appends the devices. Costs less than a millisecond where there is no driver. Never fails: says why. */
    void (*list)(struct ig_device_list *out, char why[256]);
    ingle_status (*open)(struct ig_device **out, const struct ig_device_info *info,
                         const struct ig_device_config *config, ingle_error *err);
    void (*close)(struct ig_device *d); /* frees what is left, buffers too; NULL is fine */
    /* `wrap`: host memory that outlives the buffer, to be used in place where the device can; NULL: new memory. */
    ingle_status (*alloc)(struct ig_device *d, struct ig_dev_mem **out, size_t bytes, const void *wrap,
                          ingle_error *err);
    void (*free)(struct ig_device *d, struct ig_dev_mem *m);
    /* The source may be reused when the call returns. */
    ingle_status (*upload)(struct ig_device *d, struct ig_dev_mem *m, size_t at, const void *p, size_t n,
                           ingle_error *err);
    /* Waits for everything before. */
    ingle_status (*download)(struct ig_device *d, struct ig_dev_mem *m, size_t at, void *p, size_t n,
                             ingle_error *err);
    ingle_status (*copy)(struct ig_device *d, struct ig_dev_mem *from, size_t from_at, struct ig_dev_mem *to,
                         size_t to_at, size_t n, ingle_error *err); /* within the device */
    /* Compiles or loads the module (kernels.def) if need be. The kernel belongs to the device. */
    ingle_status (*kernel)(struct ig_device *d, struct ig_dev_kernel **out, const char *module,
                           const char *name, ingle_error *err);
    ingle_status (*launch)(struct ig_device *d, const struct ig_launch *l, ingle_error *err);
    ingle_status (*flush)(struct ig_device *d, ingle_error *err); /* begin now, do not wait */
    ingle_status (*sync)(struct ig_device *d, ingle_error *err);  /* wait for all; reports late faults */
    uint64_t (*memory_free)(struct ig_device *d);                 /* 0 if unknown */
    /* Recording a sequence of launches to be replayed (CUDA graphs); all NULL where there is none. Between begin and end
     * launches are not run. A graph's launches use the buffers and arguments of its recording. */
    ingle_status (*record_begin)(struct ig_device *d, ingle_error *err);
    ingle_status (*record_end)(struct ig_device *d, void **graph, ingle_error *err);
    ingle_status (*replay)(struct ig_device *d, void *graph, ingle_error *err);
    void (*graph_free)(struct ig_device *d, void *graph);
};

/* Where `unified` is set in the info that open() gets, programs are compiled with PLANES 0 (prelude.h), weights lie as in
 * the file and may be wrapped; else PLANES 1. Whoever opens may clear it. */

/* cuda.c, metal.c, opencl.c */
extern const struct ig_backend ig_backend_cuda, ig_backend_metal, ig_backend_opencl;
/* In the order of preference: cuda, metal, opencl; NULL past the end. */
const struct ig_backend *ig_backend_at(uint32_t i);
/* Tests put a backend of their own in front (NULL takes it away). Not thread safe. */
void ig_backend_test(const struct ig_backend *b);
/* Devices of all backends, the same GPU once (by uuid, the preferred backend), usable ones first: discrete before
 * unified before software, more memory first. */
void ig_devices_list(struct ig_device_list *out);

/* ---- The kernels' code (gen/, written by tools/gpu.py) ---- */

/* Text of a module for OpenCL or Metal: prelude, arguments and kernels; to be freed with ig_free. NULL: no memory, or no
 * such module. Modules: "rows", "attend", "route", "linear_q4_k", ... */
char *ig_gpu_source(struct ig_mem *mem, const char *module, size_t *n);
/* PTX of a module for compute capability `sm` or the nearest below it that was built; NULL if there is none. */
char *ig_gpu_ptx(struct ig_mem *mem, const char *module, uint32_t sm, size_t *n);
/* Items of a group of a kernel: the W of its KERNEL, from kernels.def. 0: no such kernel. */
uint32_t ig_gpu_group_items(const char *kernel);
/* 64-bit hash of all sources, for caches. */
uint64_t ig_gpu_source_hash(void);

#endif
