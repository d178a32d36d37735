/* A stand-in for libcuda.so.1 (and NVML) that runs the kernels as host C++, to put every line of src/gpu/cuda.c to work
 * where there is no GPU. Work is done as late as a stream allows, when somebody waits, so that pinned memory that is
 * filled again too early brings wrong numbers. What the real driver would punish (a call without a context, memory
 * beyond an allocation, a group of another size than the kernel's) is kept as a complaint. Contexts own what is made in
 * them, as there, and the last release of a primary context frees all. */
#include "gpu/host.h"

#include <mutex>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <vector>

extern "C" {
#include "gpu/cuda_api.h"
#include "gpu/fake_cuda.h"
#include "gpu/host_device.h"
}

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum { INVALID_VALUE = 1, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, CAPTURE = 900 };

struct fake_cuda start() {
    struct fake_cuda w = {};
    w.version = 12020;
    w.count = 1;
    w.nvml = true;
    for (auto &d : w.device) d = {"Fake GPU", 8, 6, 0, (size_t)256 << 20};
    return w;
}
struct fake_cuda world = start();
std::recursive_mutex lock;

void complain(const std::string &what) {
    if (!world.complaint[0]) snprintf(world.complaint, sizeof world.complaint, "%s", what.c_str());
}

/* Counts a call; its result if it is to fail. */
int called(const char *name) {
    world.calls++;
    if (!world.fail_at || (world.only && strcmp(world.only, name))) return CU_OK;
    if (world.fail_at > 1) {
        world.fail_at--;
        return CU_OK;
    }
    if (!world.fail_forever) world.fail_at = 0;
    world.failed++;
    snprintf(world.last_failed, sizeof world.last_failed, "%s", name);
    return world.fail_code;
}
#define CALL()                                                                                     \
    std::lock_guard<std::recursive_mutex> hold(lock);                                              \
    if (int failed = called(__func__)) return failed
/* Freeing functions do their work in any case. */
#define CALL_FREE()                                                                                \
    std::lock_guard<std::recursive_mutex> hold(lock);                                              \
    int failed = called(__func__)

/* ---- Objects ---- */

struct counted {
    counted() {
        world.live++;
    }
    ~counted() {
        world.live--;
    }
};
struct memory : counted {
    char *p;
    size_t n;
    explicit memory(size_t bytes) : p(static_cast<char *>(malloc(bytes))), n(bytes) {
        if (p) memset(p, 0xa5, bytes);
    }
    ~memory() {
        free(p);
    }
    bool holds(const char *at, size_t bytes) const {
        return at >= p && at <= p + n && bytes <= (size_t)(p + n - at);
    }
};
struct function {
    const struct ig_host_kernel *k;
};
struct command {
    enum { KERNEL, IN, OUT, WITHIN } what;
    char *to;
    const char *from;
    size_t n;
    const struct ig_host_kernel *k;
    uint32_t groups[3];
    std::vector<void *> buffer;
    std::vector<char> args;
};

}  // namespace

struct cu_module_of : counted {
    std::vector<function *> functions;
    ~cu_module_of() {
        for (function *f : functions) delete f;
    }
};
struct cu_event_of : counted {
    size_t after = 0; /* commands of the stream that come before it, since the stream was made */
};
struct cu_graph_of : counted {
    std::vector<command> list;
};
struct cu_exec_of : counted {
    std::vector<command> list;
};
struct cu_stream_of : counted {
    std::vector<command> list; /* behind `base` commands that are gone */
    size_t done = 0, base = 0;
    cu_graph_of *capture = nullptr;
    ~cu_stream_of() {
        delete capture;
    }
};
struct cu_context_of : counted {
    int device = 0, refs = 0, fault = CU_OK;
    bool unentered = false; /* a push failed, so what is left is not the caller's fault */
    std::vector<memory *> mem, pinned;
    std::vector<cu_module> modules;
    std::vector<cu_stream> streams;
    std::vector<cu_event> events;
    std::vector<cu_graph> graphs;
    std::vector<cu_exec> execs;
};

namespace {

cu_context primary[FAKE_CUDA_DEVICES];
thread_local std::vector<cu_context> stack;

cu_context current() {
    return stack.empty() ? nullptr : stack.back();
}
#define CONTEXT()                                                                                  \
    CALL();                                                                                        \
    cu_context c = current();                                                                      \
    if (!c) return complain(std::string(__func__) + " without a context"), (int)INVALID_CONTEXT;   \
    if (c->fault) return c->fault
#define CONTEXT_FREE()                                                                             \
    CALL_FREE();                                                                                   \
    cu_context c = current();                                                                      \
    if (!c) return INVALID_CONTEXT

template <class T> bool take_out(std::vector<T> &list, T what) {
    for (size_t i = 0; i < list.size(); i++)
        if (list[i] == what) {
            list.erase(list.begin() + (long)i);
            return true;
        }
    return false;
}
template <class T> bool has(const std::vector<T> &list, T what) {
    for (T t : list)
        if (t == what) return true;
    return false;
}
template <class T> int free_one(std::vector<T> &list, T what, const char *name, int failed) {
    if (!take_out(list, what)) {
        complain(std::string(name) + " of what is not there");
        return INVALID_HANDLE;
    }
    delete what;
    return failed;
}
template <class T> size_t drop(std::vector<T> &list) {
    size_t n = list.size();
    for (T t : list) delete t;
    list.clear();
    return n;
}

memory *holding(cu_context c, const char *p, size_t n) {
    for (memory *m : c->mem)
        if (m->holds(p, n)) return m;
    return nullptr;
}
bool in_pinned(cu_context c, const char *p, size_t n) {
    for (memory *m : c->pinned)
        if (m->holds(p, n)) return true;
    return false;
}

/* ---- Streams ---- */

void run_kernel(cu_context c, const command &k) {
    world.launches++;
    if (world.late) {
        c->fault = world.late;
        world.late = 0;
        return;
    }
    for (void *p : k.buffer)
        if (!holding(c, static_cast<char *>(p), 1)) {
            c->fault = CU_ILLEGAL_ADDRESS;
            return complain(std::string("a buffer of a kernel is no memory: ") + std::to_string(k.buffer.size()));
        }
    const char *bad = ig_host_run(k.k, k.groups, k.buffer.data(), k.args.data());
    if (!bad) return;
    complain(bad);
    c->fault = CU_LAUNCH_FAILED;
}

void run_one(cu_context c, const command &k) {
    if (k.what == command::KERNEL) return run_kernel(c, k);
    bool from_device = k.what != command::IN, to_device = k.what != command::OUT;
    if ((from_device && !holding(c, k.from, k.n)) || (to_device && !holding(c, k.to, k.n))) {
        c->fault = CU_ILLEGAL_ADDRESS;
        return complain("a copy beyond memory");
    }
    memmove(k.to, k.from, k.n);
}

int run(cu_context c, cu_stream s, size_t until) {
    for (; s->base + s->done < until && !c->fault; s->done++) run_one(c, s->list[s->done]);
    if (s->done == s->list.size()) {
        s->base += s->done;
        s->list.clear(), s->done = 0;
    }
    return c->fault;
}

int run_all(cu_context c) {
    for (cu_stream s : c->streams) run(c, s, s->base + s->list.size());
    return c->fault;
}

int add(cu_context c, cu_stream s, const command &k) {
    if (!has(c->streams, s)) return complain("a stream that is not there"), (int)INVALID_HANDLE;
    if (s->capture) {
        if (k.what == command::IN || k.what == command::OUT) complain("a copy with the host in a recording");
        s->capture->list.push_back(k);
    } else {
        s->list.push_back(k);
    }
    return CU_OK;
}

int not_capturing(cu_stream s, const char *what) {
    if (!s->capture) return CU_OK;
    complain(std::string(what) + " while recording");
    return CAPTURE;
}

}  // namespace

EXPORT struct fake_cuda *fake_cuda_world(void) {
    return &world;
}
EXPORT void fake_cuda_start(void) {
    unsigned live = world.live;
    world = start();
    world.live = live;
}

/* ---- The driver's functions ---- */

EXPORT int cuInit(unsigned flags) {
    CALL();
    return flags ? (int)INVALID_VALUE : world.init;
}
EXPORT int cuDriverGetVersion(int *version) {
    CALL();
    *version = world.version;
    return CU_OK;
}
EXPORT int cuGetErrorName(int r, const char **name) {
    static const struct {
        int r;
        const char *name;
    } names[] = {{CU_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"},
                 {CU_NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
                 {CU_INVALID_PTX, "CUDA_ERROR_INVALID_PTX"},
                 {CU_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"},
                 {CU_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED"},
                 {CU_UNKNOWN, "CUDA_ERROR_UNKNOWN"},
                 {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"}};
    for (const auto &n : names)
        if (n.r == r) return *name = n.name, (int)CU_OK;
    *name = nullptr;
    return INVALID_VALUE;
}
EXPORT int cuDeviceGetCount(int *n) {
    CALL();
    *n = world.count;
    return CU_OK;
}
EXPORT int cuDeviceGet(int *d, int index) {
    CALL();
    if (index < 0 || index >= world.count) return INVALID_VALUE;
    *d = index;
    return CU_OK;
}
EXPORT int cuDeviceGetName(char *name, int size, int d) {
    CALL();
    snprintf(name, (size_t)size, "%s", world.device[d].name);
    return CU_OK;
}
EXPORT int cuDeviceGetAttribute(int *value, int what, int d) {
    CALL();
    switch (what) {
    case CU_AT_GROUP_ITEMS: *value = 1024; break;
    case CU_AT_GROUP_LOCAL: *value = 49152; break;
    case CU_AT_WARP: *value = 32; break;
    case CU_AT_UNITS: *value = 28; break;
    case CU_AT_COMPUTE_MODE: *value = world.device[d].mode; break;
    case CU_AT_MAJOR: *value = world.device[d].major; break;
    case CU_AT_MINOR: *value = world.device[d].minor; break;
    default: return INVALID_VALUE;
    }
    return CU_OK;
}
EXPORT int cuDeviceTotalMem_v2(size_t *bytes, int d) {
    CALL();
    *bytes = world.device[d].memory;
    return CU_OK;
}
EXPORT int cuDeviceGetUuid(struct cu_uuid *uuid, int d) {
    CALL();
    for (int i = 0; i < 16; i++) uuid->bytes[i] = (uint8_t)(d * 16 + i + 1);
    return CU_OK;
}
EXPORT int cuDevicePrimaryCtxRetain(cu_context *out, int d) {
    CALL();
    if (!primary[d]) {
        primary[d] = new cu_context_of;
        primary[d]->device = d;
    }
    primary[d]->refs++;
    *out = primary[d];
    return CU_OK;
}
EXPORT int cuDevicePrimaryCtxRelease(int d) {
    CALL_FREE();
    cu_context c = primary[d];
    if (!c) return complain("a release too many"), (int)INVALID_CONTEXT;
    if (--c->refs) return failed;
    size_t left = drop(c->execs) + drop(c->graphs) + drop(c->events) + drop(c->streams) + drop(c->modules) +
                  drop(c->mem) + drop(c->pinned);
    if (left && !c->unentered) complain(std::to_string(left) + " things were left in a context");
    if (has(stack, c)) complain("a context was released while it was current");
    delete c;
    primary[d] = nullptr;
    return failed;
}
EXPORT int cuCtxPushCurrent_v2(cu_context c) {
    std::lock_guard<std::recursive_mutex> hold(lock);
    int failed = called(__func__);
    if (failed) {
        c->unentered = true;
        return failed;
    }
    stack.push_back(c);
    return CU_OK;
}
EXPORT int cuCtxPopCurrent_v2(cu_context *out) {
    CALL_FREE();
    if (stack.empty()) return complain("a pop too many"), (int)INVALID_CONTEXT;
    *out = stack.back();
    stack.pop_back();
    return failed;
}
EXPORT int cuCtxGetCurrent(cu_context *out) {
    *out = current();
    return CU_OK;
}

EXPORT int cuMemGetInfo_v2(size_t *left, size_t *total) {
    CONTEXT();
    *total = *left = world.device[c->device].memory;
    for (memory *m : c->mem) *left -= m->n;
    return CU_OK;
}
EXPORT int cuMemAlloc_v2(cu_pointer *out, size_t bytes) {
    CONTEXT();
    size_t left = world.device[c->device].memory;
    for (memory *m : c->mem) left -= m->n;
    if (!bytes) return INVALID_VALUE;
    if (bytes > left) return CU_OUT_OF_MEMORY;
    c->mem.push_back(new memory(bytes));
    *out = (cu_pointer)(uintptr_t)c->mem.back()->p;
    return CU_OK;
}
EXPORT int cuMemFree_v2(cu_pointer p) {
    CONTEXT_FREE();
    run_all(c);
    for (memory *m : c->mem)
        if ((uintptr_t)m->p == p) return free_one(c->mem, m, __func__, failed);
    return complain("cuMemFree of what is not there"), (int)INVALID_VALUE;
}
EXPORT int cuMemAllocHost_v2(void **out, size_t bytes) {
    CONTEXT();
    c->pinned.push_back(new memory(bytes));
    *out = c->pinned.back()->p;
    return CU_OK;
}
EXPORT int cuMemFreeHost(void *p) {
    CONTEXT_FREE();
    run_all(c);
    for (memory *m : c->pinned)
        if (m->p == p) return free_one(c->pinned, m, __func__, failed);
    return complain("cuMemFreeHost of what is not there"), (int)INVALID_VALUE;
}

EXPORT int cuMemcpyHtoDAsync_v2(cu_pointer to, const void *from, size_t n, cu_stream s) {
    CONTEXT();
    if (!in_pinned(c, static_cast<const char *>(from), n)) complain("an upload from memory that is not pinned");
    command k = {command::IN, (char *)(uintptr_t)to, (const char *)from, n, nullptr, {}, {}, {}};
    return add(c, s, k);
}
EXPORT int cuMemcpyDtoHAsync_v2(void *to, cu_pointer from, size_t n, cu_stream s) {
    CONTEXT();
    if (!in_pinned(c, static_cast<char *>(to), n)) complain("a download to memory that is not pinned");
    command k = {command::OUT, (char *)to, (const char *)(uintptr_t)from, n, nullptr, {}, {}, {}};
    return add(c, s, k);
}
EXPORT int cuMemcpyDtoDAsync_v2(cu_pointer to, cu_pointer from, size_t n, cu_stream s) {
    CONTEXT();
    command k = {command::WITHIN, (char *)(uintptr_t)to, (const char *)(uintptr_t)from, n, nullptr, {}, {}, {}};
    return add(c, s, k);
}

EXPORT int cuStreamCreate(cu_stream *out, unsigned) {
    CONTEXT();
    c->streams.push_back(*out = new cu_stream_of);
    return CU_OK;
}
EXPORT int cuStreamDestroy_v2(cu_stream s) {
    CONTEXT_FREE();
    return free_one(c->streams, s, __func__, failed);
}
EXPORT int cuStreamSynchronize(cu_stream s) {
    CONTEXT();
    if (int r = not_capturing(s, __func__)) return r;
    return run_all(c);
}
EXPORT int cuStreamQuery(cu_stream s) {
    CONTEXT();
    if (int r = not_capturing(s, __func__)) return r;
    return s->list.empty() ? CU_OK : CU_NOT_READY;
}
EXPORT int cuEventCreate(cu_event *out, unsigned) {
    CONTEXT();
    c->events.push_back(*out = new cu_event_of);
    return CU_OK;
}
EXPORT int cuEventDestroy_v2(cu_event e) {
    CONTEXT_FREE();
    return free_one(c->events, e, __func__, failed);
}
EXPORT int cuEventRecord(cu_event e, cu_stream s) {
    CONTEXT();
    if (int r = not_capturing(s, __func__)) return r;
    e->after = s->base + s->list.size();
    return CU_OK;
}
EXPORT int cuEventSynchronize(cu_event e) {
    CONTEXT();
    return run(c, c->streams[0], e->after);
}

EXPORT int cuModuleLoadDataEx(cu_module *out, const void *image, unsigned n, const int *options, void **values) {
    CONTEXT();
    if (strncmp(static_cast<const char *>(image), "bad", 3) == 0) {
        for (unsigned i = 0; i < n; i++)
            if (options[i] == CU_JIT_ERROR_LOG) strcpy(static_cast<char *>(values[i]), "line 1; fatal: bad\nmore\n");
        return CU_INVALID_PTX;
    }
    c->modules.push_back(*out = new cu_module_of);
    return CU_OK;
}
EXPORT int cuModuleUnload(cu_module m) {
    CONTEXT_FREE();
    run_all(c);
    return free_one(c->modules, m, __func__, failed);
}
EXPORT int cuModuleGetFunction(cu_function *out, cu_module m, const char *name) {
    CONTEXT();
    if (!has(c->modules, m)) return complain("a module that is not there"), (int)INVALID_HANDLE;
    const struct ig_host_kernel *k = ig_host_find_any(name, ":sub");
    if (!k) return NOT_FOUND;
    m->functions.push_back(new function{k});
    *out = reinterpret_cast<cu_function>(m->functions.back());
    return CU_OK;
}
EXPORT int cuLaunchKernel(cu_function f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned local, cu_stream s, void **params, void **extra) {
    CONTEXT();
    const struct ig_host_kernel *k = reinterpret_cast<function *>(f)->k;
    if (bx != ig_host_items(k) || by != 1 || bz != 1 || local || extra) complain("a group of another size");
    if (!gx || !gy || !gz || gy > 65535 || gz > 65535) return INVALID_VALUE;
    command l = {command::KERNEL, nullptr, nullptr, 0, k, {gx, gy, gz}, {}, {}};
    uint32_t n = ig_host_buffers(k);
    for (uint32_t i = 0; i < n; i++)
        l.buffer.push_back(reinterpret_cast<void *>((uintptr_t)*static_cast<cu_pointer *>(params[i])));
    const char *args = static_cast<const char *>(params[n]);
    l.args.assign(args, args + ig_host_args_bytes(k));
    return add(c, s, l);
}

#ifndef FAKE_CUDA_OLD
EXPORT int cuStreamBeginCapture_v2(cu_stream s, int) {
    CONTEXT();
    if (s->capture) return complain("a recording in a recording"), (int)CAPTURE;
    s->capture = new cu_graph_of;
    return CU_OK;
}
EXPORT int cuStreamEndCapture(cu_stream s, cu_graph *out) {
    CONTEXT_FREE();
    cu_graph g = s->capture;
    *out = nullptr;
    if (!g) return complain("the end of no recording"), (int)CAPTURE;
    s->capture = nullptr;
    if (failed) {
        delete g;
        return failed;
    }
    c->graphs.push_back(*out = g);
    return CU_OK;
}
EXPORT int cuGraphInstantiateWithFlags(cu_exec *out, cu_graph g, unsigned long long) {
    CONTEXT();
    c->execs.push_back(*out = new cu_exec_of);
    (*out)->list = g->list;
    return CU_OK;
}
EXPORT int cuGraphLaunch(cu_exec e, cu_stream s) {
    CONTEXT();
    if (!has(c->execs, e)) return complain("a graph that is not there"), (int)INVALID_HANDLE;
    world.replays++;
    for (const command &k : e->list)
        if (int r = add(c, s, k)) return r;
    return CU_OK;
}
EXPORT int cuGraphDestroy(cu_graph g) {
    CONTEXT_FREE();
    return free_one(c->graphs, g, __func__, failed);
}
EXPORT int cuGraphExecDestroy(cu_exec e) {
    CONTEXT_FREE();
    return free_one(c->execs, e, __func__, failed);
}
#endif

/* ---- NVML ---- */

EXPORT int nvmlInit_v2(void) {
    return world.nvml ? 0 : 1;
}
EXPORT int nvmlShutdown(void) {
    return 0;
}
EXPORT int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    snprintf(out, size, "535.104.05");
    return 0;
}
EXPORT int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    if (strcmp(uuid, "GPU-01020304-0506-0708-090a-0b0c0d0e0f10") != 0) return 6;
    *device = &world;
    return 0;
}
EXPORT int nvmlDeviceGetMemoryInfo(void *, unsigned long long out[3]) {
    out[0] = 256 << 20, out[1] = 200 << 20, out[2] = 56 << 20;
    return 0;
}
