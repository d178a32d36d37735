/* Stands in for the OpenCL library (INGLE_OPENCL names this file): forwards to the real one, counts
 * what is created and released, and fails the n-th call of a chosen function, once or from then on.
 *
 * From outside: INGLE_FAULT_CL="clCreateBuffer 3 once" (or "forever") and INGLE_FAULT_REPORT=FILE,
 * which gets one line "calls=N live=N" when the process ends: calls of that function (of all, if
 * none was named), objects not released. From a test in the same process: the functions at the end.
 *
 * A read, a write or a Finish that fails was done nevertheless, because memory that a queue might
 * still use could not be given back by anybody; everything else that fails did not happen. */
#define _GNU_SOURCE
#include "gpu/opencl_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUT __attribute__((visibility("default")))

static struct ocl real;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char fail_name[64];
static unsigned fail_at;
static int fail_forever, platforms_hidden;
static unsigned calls;
static int live;

static void report(void) {
    const char *path = getenv("INGLE_FAULT_REPORT");
    FILE *f = path ? fopen(path, "w") : NULL;
    if (!f) return;
    fprintf(f, "calls=%u live=%d\n", calls, live);
    fclose(f);
}

static void start(void) {
    const char *spec = getenv("INGLE_FAULT_CL");
    char how[16] = "once";
    if (spec && sscanf(spec, "%63s %u %15s", fail_name, &fail_at, how) >= 2)
        fail_forever = !strcmp(how, "forever");
    real.lib = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
#define FIND(R, name, parameters)                                                                  \
    if (real.lib) {                                                                                \
        void *p = dlsym(real.lib, "cl" #name);                                                     \
        memcpy(&real.name, &p, sizeof p);                                                          \
    }
    OCL_FUNCTIONS(FIND)
#undef FIND
    atexit(report);
}

/* Is it this call that fails? */
static int fails(const char *name) {
    int yes = 0;
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    if (!fail_name[0] || !strcmp(name, fail_name)) {
        calls++;
        yes = fail_name[0] && fail_at && (fail_forever ? calls >= fail_at : calls == fail_at);
    }
    pthread_mutex_unlock(&lock);
    return yes;
}

static void count(int more) {
    pthread_mutex_lock(&lock);
    live += more;
    pthread_mutex_unlock(&lock);
}

static void *made(void *object) {
    if (object) count(1);
    return object;
}

static int32_t released(int32_t code) {
    if (code == OCL_SUCCESS) count(-1);
    return code;
}

OUT int32_t clGetPlatformIDs(uint32_t n, struct ocl_platform **ids, uint32_t *found) {
    int bad = fails("clGetPlatformIDs");
    if (!real.lib || platforms_hidden) return OCL_NO_PLATFORM;
    return bad ? OCL_OUT_OF_HOST_MEMORY : real.GetPlatformIDs(n, ids, found);
}
OUT int32_t clGetPlatformInfo(struct ocl_platform *p, uint32_t what, size_t n, void *out,
                              size_t *used) {
    return fails("clGetPlatformInfo") ? -30 : real.GetPlatformInfo(p, what, n, out, used);
}
OUT int32_t clGetDeviceIDs(struct ocl_platform *p, uint64_t type, uint32_t n,
                           struct ocl_device **ids, uint32_t *found) {
    return fails("clGetDeviceIDs") ? -1 : real.GetDeviceIDs(p, type, n, ids, found);
}
OUT int32_t clGetDeviceInfo(struct ocl_device *d, uint32_t what, size_t n, void *out,
                            size_t *used) {
    return fails("clGetDeviceInfo") ? -30 : real.GetDeviceInfo(d, what, n, out, used);
}
OUT struct ocl_context *clCreateContext(const intptr_t *p, uint32_t n,
                                        struct ocl_device *const *ids, ocl_notify fn, void *ud,
                                        int32_t *code) {
    if (fails("clCreateContext")) return *code = OCL_OUT_OF_HOST_MEMORY, NULL;
    return made(real.CreateContext(p, n, ids, fn, ud, code));
}
OUT int32_t clReleaseContext(struct ocl_context *c) {
    return released(real.ReleaseContext(c));
}
OUT struct ocl_queue *clCreateCommandQueue(struct ocl_context *c, struct ocl_device *d,
                                           uint64_t flags, int32_t *code) {
    if (fails("clCreateCommandQueue")) return *code = OCL_OUT_OF_RESOURCES, NULL;
    return made(real.CreateCommandQueue(c, d, flags, code));
}
OUT int32_t clReleaseCommandQueue(struct ocl_queue *q) {
    return released(real.ReleaseCommandQueue(q));
}
OUT struct ocl_buffer *clCreateBuffer(struct ocl_context *c, uint64_t flags, size_t n, void *host,
                                      int32_t *code) {
    if (fails("clCreateBuffer")) return *code = OCL_ALLOCATION_FAILURE, NULL;
    return made(real.CreateBuffer(c, flags, n, host, code));
}
OUT int32_t clReleaseMemObject(struct ocl_buffer *b) {
    return released(real.ReleaseMemObject(b));
}
OUT struct ocl_program *clCreateProgramWithSource(struct ocl_context *c, uint32_t n,
                                                  const char **text, const size_t *length,
                                                  int32_t *code) {
    if (fails("clCreateProgramWithSource")) return *code = OCL_OUT_OF_HOST_MEMORY, NULL;
    return made(real.CreateProgramWithSource(c, n, text, length, code));
}
OUT struct ocl_program *clCreateProgramWithBinary(struct ocl_context *c, uint32_t n,
                                                  struct ocl_device *const *ids,
                                                  const size_t *length, const unsigned char **p,
                                                  int32_t *loaded, int32_t *code) {
    if (fails("clCreateProgramWithBinary")) return *code = -42, NULL;
    return made(real.CreateProgramWithBinary(c, n, ids, length, p, loaded, code));
}
OUT int32_t clBuildProgram(struct ocl_program *p, uint32_t n, struct ocl_device *const *ids,
                           const char *options, ocl_built fn, void *ud) {
    return fails("clBuildProgram") ? -11 : real.BuildProgram(p, n, ids, options, fn, ud);
}
OUT int32_t clGetProgramInfo(struct ocl_program *p, uint32_t what, size_t n, void *out,
                             size_t *used) {
    return fails("clGetProgramInfo") ? -30 : real.GetProgramInfo(p, what, n, out, used);
}
OUT int32_t clGetProgramBuildInfo(struct ocl_program *p, struct ocl_device *d, uint32_t what,
                                  size_t n, void *out, size_t *used) {
    return fails("clGetProgramBuildInfo") ? -30
                                          : real.GetProgramBuildInfo(p, d, what, n, out, used);
}
OUT int32_t clReleaseProgram(struct ocl_program *p) {
    return released(real.ReleaseProgram(p));
}
OUT struct ocl_kernel *clCreateKernel(struct ocl_program *p, const char *name, int32_t *code) {
    if (fails("clCreateKernel")) return *code = OCL_OUT_OF_RESOURCES, NULL;
    return made(real.CreateKernel(p, name, code));
}
OUT int32_t clSetKernelArg(struct ocl_kernel *k, uint32_t i, size_t n, const void *p) {
    return fails("clSetKernelArg") ? -30 : real.SetKernelArg(k, i, n, p);
}
OUT int32_t clReleaseKernel(struct ocl_kernel *k) {
    return released(real.ReleaseKernel(k));
}
OUT int32_t clEnqueueReadBuffer(struct ocl_queue *q, struct ocl_buffer *b, uint32_t wait, size_t at,
                                size_t n, void *p, uint32_t n_events,
                                struct ocl_event *const *events, struct ocl_event **event) {
    int bad = fails("clEnqueueReadBuffer");
    int32_t code = real.EnqueueReadBuffer(q, b, wait, at, n, p, n_events, events, event);
    if (bad) memset(p, 0x5a, n); /* whoever does not look at the status sees nonsense */
    return bad ? OCL_OUT_OF_RESOURCES : code;
}
OUT int32_t clEnqueueWriteBuffer(struct ocl_queue *q, struct ocl_buffer *b, uint32_t wait,
                                 size_t at, size_t n, const void *p, uint32_t n_events,
                                 struct ocl_event *const *events, struct ocl_event **event) {
    int bad = fails("clEnqueueWriteBuffer");
    int32_t code = real.EnqueueWriteBuffer(q, b, wait, at, n, p, n_events, events, event);
    return bad ? OCL_OUT_OF_RESOURCES : code;
}
OUT int32_t clEnqueueCopyBuffer(struct ocl_queue *q, struct ocl_buffer *a, struct ocl_buffer *b,
                                size_t a_at, size_t b_at, size_t n, uint32_t n_events,
                                struct ocl_event *const *events, struct ocl_event **event) {
    if (fails("clEnqueueCopyBuffer")) return OCL_OUT_OF_RESOURCES;
    return real.EnqueueCopyBuffer(q, a, b, a_at, b_at, n, n_events, events, event);
}
OUT int32_t clEnqueueNDRangeKernel(struct ocl_queue *q, struct ocl_kernel *k, uint32_t n,
                                   const size_t *from, const size_t *global, const size_t *local,
                                   uint32_t n_events, struct ocl_event *const *events,
                                   struct ocl_event **event) {
    if (fails("clEnqueueNDRangeKernel")) return OCL_ALLOCATION_FAILURE;
    return real.EnqueueNDRangeKernel(q, k, n, from, global, local, n_events, events, event);
}
OUT int32_t clFlush(struct ocl_queue *q) {
    return fails("clFlush") ? OCL_OUT_OF_RESOURCES : real.Flush(q);
}
OUT int32_t clFinish(struct ocl_queue *q) {
    int bad = fails("clFinish");
    int32_t code = real.Finish(q);
    return bad ? OCL_OUT_OF_RESOURCES : code;
}

/* ---- For a test in the same process ---- */

OUT void fault_cl_set(const char *name, unsigned at, int forever);
OUT void fault_cl_set(const char *name, unsigned at, int forever) {
    pthread_once(&once, start);
    pthread_mutex_lock(&lock);
    snprintf(fail_name, sizeof fail_name, "%s", name ? name : "");
    fail_at = at;
    fail_forever = forever;
    calls = 0;
    pthread_mutex_unlock(&lock);
}
OUT unsigned fault_cl_calls(void);
OUT unsigned fault_cl_calls(void) {
    return calls;
}
OUT int fault_cl_live(void);
OUT int fault_cl_live(void) {
    return live;
}
OUT void fault_cl_hide(int hide);
OUT void fault_cl_hide(int hide) {
    platforms_hidden = hide;
}
