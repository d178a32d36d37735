/* The host driver of NVIDIA GPUs: the driver's own library (cuda_list.c opens it), its primary context, one stream. Modules
 * are PTX (gen/ptx.c) that the driver compiles when a kernel of theirs is first asked for, and keeps in its own cache.
 *
 * Promises that every call of the driver is checked and named in the error, that a device can be closed after any failure,
 * and that the program's own current context is what it was when a function returns. Launches, uploads and copies do not
 * wait for the device. Knows no plan and no kernel.
 *
 * The subtle thing: uploads go through two halves of pinned memory. A half is filled piece by piece and given to the
 * device; before it is filled again, the event behind its last piece must have passed. So many small uploads never
 * wait, and a large one copies into one half while the device reads the other. */
#include "gpu/cuda_api.h"

#include <stdio.h>
#include <string.h>

enum { STAGE = 4 << 20, LOG_BYTES = 2048 };

struct ig_dev_mem {
    cu_pointer at;
    size_t bytes;
    struct ig_dev_mem *next, **link;
};

struct module {
    cu_module handle;
    struct module *next;
    char name[48];
};

struct ig_dev_kernel {
    cu_function handle;
    unsigned items;
    struct ig_dev_kernel *next;
    char name[48], module[48];
};

struct graph {
    cu_exec handle;
    struct graph *next, **link;
};

struct stage {
    char *p;
    size_t used;
    cu_event read; /* behind the last piece, once `waits` */
    bool waits;
};

struct ig_device {
    struct ig_cuda cu;
    struct ig_device_config config;
    struct ig_device_info info;
    cu_device device;
    cu_context context;
    bool retained, recording;
    cu_stream stream;
    struct stage up[2];
    unsigned half; /* of `up`, being filled */
    char *down;
    struct ig_dev_mem *mems;
    struct module *modules;
    struct ig_dev_kernel *kernels;
    struct graph *graphs;
};

/* ---- Errors ---- */

static const char *mend(cu_result r) {
    switch (r) {
    case CU_OUT_OF_MEMORY: return "put fewer layers on the GPU (--gpu-layers), or close other programs";
    case CU_NO_BINARY:
    case CU_INVALID_PTX:
    case CU_PTX_VERSION: return "update the NVIDIA driver";
    case CU_JIT_NOT_FOUND: return "install the whole NVIDIA driver: its PTX compiler is missing";
    case CU_ILLEGAL_ADDRESS:
    case CU_MISALIGNED:
    case CU_LAUNCH_FAILED: return "a fault of ingle: please report it; --device none goes without the GPU";
    case CU_LAUNCH_TIMEOUT: return "the display needs this GPU: another one, or a smaller batch, may do";
    default: return "look for the driver's own messages (dmesg); --device none goes without the GPU";
    }
}

static ingle_status check(struct ig_device *d, cu_result r, const char *call, const char *about,
                          ingle_error *err) {
    if (r == CU_OK) return INGLE_OK;
    return ig_fail(err, r == CU_OUT_OF_MEMORY ? INGLE_NO_MEMORY : INGLE_DEVICE, mend(r),
                   "cuda%u (%s): %s%s%s: %s", (unsigned)d->info.index, d->info.name, call,
                   about[0] ? " of " : "", about, ig_cuda_error_name(&d->cu, r));
}
#define CU(d, call, args, err) check(d, (d)->cu.call args, #call, "", err)
#define CU_OF(d, call, args, about, err) check(d, (d)->cu.call args, #call, about, err)

/* Every function of the backend that calls the driver lies between these two. */
static ingle_status enter(struct ig_device *d, ingle_error *err) {
    return CU(d, cuCtxPushCurrent_v2, (d->context), err);
}
static ingle_status leave(struct ig_device *d, ingle_status s) {
    cu_context ours;
    (void)d->cu.cuCtxPopCurrent_v2(&ours); /* what it may tell is a fault of earlier work, which sync tells too */
    return s;
}
/* For functions that cannot fail. What cannot be entered dies with the context, when close releases it. */
static bool enter_quietly(struct ig_device *d) {
    return d->cu.cuCtxPushCurrent_v2(d->context) == CU_OK;
}

/* ---- Open and close ---- */

static void stop_recording(struct ig_device *d) {
    cu_graph g = NULL;
    if (!d->recording) return;
    d->recording = false;
    if (d->cu.cuStreamEndCapture(d->stream, &g) == CU_OK && g) (void)d->cu.cuGraphDestroy(g);
}

static void free_graph(struct ig_device *d, struct graph *g, bool entered) {
    if (entered) (void)d->cu.cuGraphExecDestroy(g->handle);
    if (g->next) g->next->link = g->link;
    *g->link = g->next;
    ig_free(d->config.mem, g);
}

static void free_mem(struct ig_device *d, struct ig_dev_mem *m, bool entered) {
    if (entered) (void)d->cu.cuMemFree_v2(m->at); /* waits for the kernels that use it */
    if (m->next) m->next->link = m->link;
    *m->link = m->next;
    ig_free(d->config.mem, m);
}

static void free_modules(struct ig_device *d, bool entered) {
    for (struct ig_dev_kernel *k = d->kernels, *next; k; k = next) {
        next = k->next;
        ig_free(d->config.mem, k);
    }
    for (struct module *m = d->modules, *next; m; m = next) {
        next = m->next;
        if (entered) (void)d->cu.cuModuleUnload(m->handle);
        ig_free(d->config.mem, m);
    }
}

static void free_queue(struct ig_device *d) {
    for (int i = 0; i < 2; i++) {
        if (d->up[i].read) (void)d->cu.cuEventDestroy_v2(d->up[i].read);
        if (d->up[i].p) (void)d->cu.cuMemFreeHost(d->up[i].p);
    }
    if (d->down) (void)d->cu.cuMemFreeHost(d->down);
    if (d->stream) (void)d->cu.cuStreamDestroy_v2(d->stream);
}

/* Whatever the driver answers now, there is nothing to be done about it. */
static void cuda_close(struct ig_device *d) {
    if (!d) return;
    bool entered = d->retained && enter_quietly(d);
    if (entered) {
        stop_recording(d);
        if (d->stream) (void)d->cu.cuStreamSynchronize(d->stream);
    }
    while (d->graphs) free_graph(d, d->graphs, entered);
    while (d->mems) free_mem(d, d->mems, entered);
    free_modules(d, entered);
    if (entered) {
        free_queue(d);
        leave(d, INGLE_OK);
    }
    if (d->retained) (void)d->cu.cuDevicePrimaryCtxRelease(d->device);
    ig_free(d->config.mem, d);
}

static ingle_status pinned(struct ig_device *d, char **out, ingle_error *err) {
    void *p = NULL;
    IG_TRY(CU_OF(d, cuMemAllocHost_v2, (&p, STAGE), "staging memory", err));
    *out = p;
    return INGLE_OK;
}

static ingle_status open_in_context(struct ig_device *d, ingle_error *err) {
    IG_TRY(CU(d, cuStreamCreate, (&d->stream, CU_STREAM_NON_BLOCKING), err));
    for (int i = 0; i < 2; i++) {
        IG_TRY(CU(d, cuEventCreate, (&d->up[i].read, CU_EVENT_DISABLE_TIMING), err));
        IG_TRY(pinned(d, &d->up[i].p, err));
    }
    return pinned(d, &d->down, err);
}

static ingle_status open_device(struct ig_device *d, ingle_error *err) {
    char why[256];
    if (!ig_cuda_start(&d->cu, why)) return ig_fail(err, INGLE_DEVICE, NULL, "CUDA: %s", why);
    IG_TRY(CU(d, cuDeviceGet, (&d->device, (int)d->info.index), err));
    IG_TRY(CU(d, cuDevicePrimaryCtxRetain, (&d->context, d->device), err));
    d->retained = true;
    IG_TRY(enter(d, err));
    return leave(d, open_in_context(d, err));
}

static ingle_status cuda_open(struct ig_device **out, const struct ig_device_info *info,
                              const struct ig_device_config *config, ingle_error *err) {
    *out = NULL;
    if (!info->usable)
        return ig_fail(err, INGLE_UNSUPPORTED, NULL, "cuda%u (%s): %s", (unsigned)info->index,
                       info->name, info->why);
    struct ig_device *d = ig_calloc(config->mem, 1, sizeof *d);
    if (!d) return ig_fail_memory(err, sizeof *d);
    d->config = *config;
    d->info = *info;
    ingle_status s = open_device(d, err);
    if (s == INGLE_OK)
        *out = d;
    else
        cuda_close(d);
    return s;
}

/* ---- Memory ---- */

static ingle_status outside(struct ig_device *d, const char *what, ingle_error *err) {
    return ig_fail(err, INGLE_INTERNAL, NULL, "cuda%u: %s reaches beyond its buffer",
                   (unsigned)d->info.index, what);
}

static bool within(const struct ig_dev_mem *m, size_t at, size_t n) {
    return at <= m->bytes && n <= m->bytes - at;
}

/* A copy to or from the host would become a part of the recording, with memory that is reused. */
static ingle_status not_recording(struct ig_device *d, const char *what, ingle_error *err) {
    if (!d->recording) return INGLE_OK;
    return ig_fail(err, INGLE_INTERNAL, NULL, "cuda%u: %s between record_begin and record_end",
                   (unsigned)d->info.index, what);
}

/* The half of the pinned memory that has room; waits for the device if neither has. */
static ingle_status stage_of(struct ig_device *d, struct stage **out, ingle_error *err) {
    struct stage *s = &d->up[d->half];
    if (s->used == STAGE) {
        IG_TRY(CU(d, cuEventRecord, (s->read, d->stream), err));
        s->waits = true;
        d->half ^= 1;
        s = &d->up[d->half];
        s->used = 0;
        if (s->waits) IG_TRY(CU(d, cuEventSynchronize, (s->read), err));
        s->waits = false;
    }
    *out = s;
    return INGLE_OK;
}

static ingle_status upload(struct ig_device *d, cu_pointer to, const char *p, size_t n,
                           ingle_error *err) {
    while (n) {
        struct stage *s;
        IG_TRY(stage_of(d, &s, err));
        size_t room = STAGE - s->used, piece = n < room ? n : room;
        memcpy(s->p + s->used, p, piece);
        IG_TRY(CU(d, cuMemcpyHtoDAsync_v2, (to, s->p + s->used, piece, d->stream), err));
        size_t used = s->used + (piece + 15) / 16 * 16;
        s->used = used < STAGE ? used : STAGE;
        to += piece, p += piece, n -= piece;
    }
    return INGLE_OK;
}

static ingle_status cuda_upload(struct ig_device *d, struct ig_dev_mem *m, size_t at, const void *p,
                                size_t n, ingle_error *err) {
    if (!within(m, at, n)) return outside(d, "an upload", err);
    IG_TRY(not_recording(d, "an upload", err));
    IG_TRY(enter(d, err));
    return leave(d, upload(d, m->at + at, p, n, err));
}

static ingle_status download(struct ig_device *d, char *p, cu_pointer from, size_t n,
                             ingle_error *err) {
    while (n) {
        size_t piece = n < STAGE ? n : STAGE;
        IG_TRY(CU(d, cuMemcpyDtoHAsync_v2, (d->down, from, piece, d->stream), err));
        IG_TRY(CU(d, cuStreamSynchronize, (d->stream), err));
        memcpy(p, d->down, piece);
        from += piece, p += piece, n -= piece;
    }
    return INGLE_OK;
}

static ingle_status cuda_download(struct ig_device *d, struct ig_dev_mem *m, size_t at, void *p,
                                  size_t n, ingle_error *err) {
    if (!within(m, at, n)) return outside(d, "a download", err);
    IG_TRY(not_recording(d, "a download", err));
    IG_TRY(enter(d, err));
    return leave(d, download(d, p, m->at + at, n, err));
}

static ingle_status cuda_copy(struct ig_device *d, struct ig_dev_mem *from, size_t from_at,
                              struct ig_dev_mem *to, size_t to_at, size_t n, ingle_error *err) {
    if (!within(from, from_at, n) || !within(to, to_at, n)) return outside(d, "a copy", err);
    if (!n) return INGLE_OK;
    IG_TRY(enter(d, err));
    return leave(d, CU(d, cuMemcpyDtoDAsync_v2, (to->at + to_at, from->at + from_at, n, d->stream),
                       err));
}

static void cuda_free(struct ig_device *d, struct ig_dev_mem *m) {
    if (!m || !enter_quietly(d)) return;
    free_mem(d, m, true);
    leave(d, INGLE_OK);
}

static ingle_status new_mem(struct ig_device *d, struct ig_dev_mem *m, const void *content,
                            ingle_error *err) {
    char about[48];
    snprintf(about, sizeof about, "%llu MB", (unsigned long long)(m->bytes >> 20));
    IG_TRY(CU_OF(d, cuMemAlloc_v2, (&m->at, m->bytes ? m->bytes : 1), about, err));
    m->next = d->mems;
    m->link = &d->mems;
    if (m->next) m->next->link = &m->next;
    d->mems = m;
    return content ? upload(d, m->at, content, m->bytes, err) : INGLE_OK;
}

/* Host memory is copied, never used in place: the kernels' PTX reads weights that were taken apart into planes. */
static ingle_status cuda_alloc(struct ig_device *d, struct ig_dev_mem **out, size_t bytes,
                               const void *wrap, ingle_error *err) {
    *out = NULL;
    if (wrap) IG_TRY(not_recording(d, "an upload", err));
    struct ig_dev_mem *m = ig_calloc(d->config.mem, 1, sizeof *m);
    if (!m) return ig_fail_memory(err, sizeof *m);
    m->bytes = bytes;
    ingle_status s = enter(d, err);
    if (s == INGLE_OK) {
        s = new_mem(d, m, wrap, err);
        if (s != INGLE_OK && m->link) free_mem(d, m, true), m = NULL;
        leave(d, s);
    }
    if (s == INGLE_OK)
        *out = m;
    else
        ig_free(d->config.mem, m);
    return s;
}

static uint64_t cuda_memory_free(struct ig_device *d) {
    size_t left = 0, total = 0;
    if (enter(d, NULL) != INGLE_OK) return 0;
    if (d->cu.cuMemGetInfo_v2(&left, &total) != CU_OK) left = 0;
    leave(d, INGLE_OK);
    return left;
}

/* ---- Kernels ---- */

/* The driver compiles the text; what it says about an error is in the log, the first line of it in the message. */
static ingle_status compile(struct ig_device *d, struct module *m, const char *ptx, ingle_error *err) {
    char text[LOG_BYTES] = "";
    int options[2] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
    void *values[2] = {text, (void *)(uintptr_t)(sizeof text - 1)};
    cu_result r = d->cu.cuModuleLoadDataEx(&m->handle, ptx, 2, options, values);
    if (r == CU_OK) return INGLE_OK;
    ig_log(d->config.log, INGLE_LOG_WARN, "cuda%u: module %s: %s", (unsigned)d->info.index, m->name, text);
    text[strcspn(text, "\r\n")] = 0;
    char about[160];
    snprintf(about, sizeof about, "%s%s%.100s", m->name, text[0] ? ": " : "", text);
    return check(d, r, "cuModuleLoadDataEx", about, err);
}

/* Drivers before CUDA 11 do not take the code that Ampere and later GPUs get. */
static uint32_t code_for(const struct ig_device *d) {
    return d->cu.version < IG_CUDA_AMPERE_VERSION ? IG_CUDA_LEAST_CAPABILITY : d->info.version;
}

static ingle_status load_module(struct ig_device *d, struct module **out, const char *name,
                                ingle_error *err) {
    size_t n = 0;
    char *ptx = ig_gpu_ptx(d->config.mem, name, code_for(d), &n);
    if (!ptx)
        return ig_fail(err, INGLE_UNSUPPORTED, NULL, "cuda%u: there is no PTX of module %s",
                       (unsigned)d->info.index, name);
    struct module *m = ig_calloc(d->config.mem, 1, sizeof *m);
    ingle_status s = INGLE_OK;
    if (!m) s = ig_fail_memory(err, sizeof *m);
    if (m) {
        snprintf(m->name, sizeof m->name, "%s", name);
        s = compile(d, m, ptx, err);
    }
    ig_free(d->config.mem, ptx);
    if (s != INGLE_OK) {
        ig_free(d->config.mem, m);
        return s;
    }
    m->next = d->modules;
    *out = d->modules = m;
    return INGLE_OK;
}

static ingle_status new_kernel(struct ig_device *d, struct ig_dev_kernel *k, ingle_error *err) {
    struct module *m = d->modules;
    while (m && strcmp(m->name, k->module) != 0) m = m->next;
    if (!m) IG_TRY(load_module(d, &m, k->module, err));
    k->items = ig_gpu_group_items(k->name);
    if (!k->items)
        return ig_fail(err, INGLE_INTERNAL, NULL, "cuda%u: kernels.def has no kernel %s",
                       (unsigned)d->info.index, k->name);
    return CU_OF(d, cuModuleGetFunction, (&k->handle, m->handle, k->name), k->name, err);
}

static ingle_status cuda_kernel(struct ig_device *d, struct ig_dev_kernel **out, const char *module,
                                const char *name, ingle_error *err) {
    *out = NULL;
    for (struct ig_dev_kernel *k = d->kernels; k; k = k->next)
        if (strcmp(k->name, name) == 0 && strcmp(k->module, module) == 0) {
            *out = k;
            return INGLE_OK;
        }
    struct ig_dev_kernel *k = ig_calloc(d->config.mem, 1, sizeof *k);
    if (!k) return ig_fail_memory(err, sizeof *k);
    snprintf(k->name, sizeof k->name, "%s", name);
    snprintf(k->module, sizeof k->module, "%s", module);
    ingle_status s = enter(d, err);
    if (s == INGLE_OK) s = leave(d, new_kernel(d, k, err));
    if (s != INGLE_OK) {
        ig_free(d->config.mem, k);
        return s;
    }
    k->next = d->kernels;
    *out = d->kernels = k;
    return INGLE_OK;
}

static ingle_status cuda_launch(struct ig_device *d, const struct ig_launch *l, ingle_error *err) {
    void *params[IG_DEVICE_BUFFERS + 1];
    const struct ig_dev_kernel *k = l->kernel;
    for (uint32_t i = 0; i < l->n_buffers; i++) {
        if (i == IG_DEVICE_BUFFERS || !l->buffer[i])
            return ig_fail(err, INGLE_INTERNAL, NULL, "cuda%u: kernel %s lacks buffer %u",
                           (unsigned)d->info.index, k->name, (unsigned)i);
        params[i] = &l->buffer[i]->at;
    }
    /* The driver copies the arguments and does not change them. */
    memcpy(&params[l->n_buffers], &l->args, sizeof l->args);
    IG_TRY(enter(d, err));
    return leave(d, CU_OF(d, cuLaunchKernel,
                          (k->handle, l->groups[0], l->groups[1], l->groups[2], k->items, 1, 1, 0,
                           d->stream, params, NULL),
                          k->name, err));
}

/* Work begins at once, but a driver that collects launches (WDDM) gives them away when asked how far they are. */
static ingle_status cuda_flush(struct ig_device *d, ingle_error *err) {
    if (d->recording) return INGLE_OK;
    IG_TRY(enter(d, err));
    cu_result r = d->cu.cuStreamQuery(d->stream);
    return leave(d, check(d, r == CU_NOT_READY ? CU_OK : r, "cuStreamQuery", "", err));
}

static ingle_status cuda_sync(struct ig_device *d, ingle_error *err) {
    IG_TRY(not_recording(d, "a wait", err));
    IG_TRY(enter(d, err));
    return leave(d, CU(d, cuStreamSynchronize, (d->stream), err));
}

/* ---- Graphs ---- */

static ingle_status cuda_record_begin(struct ig_device *d, ingle_error *err) {
    if (!d->cu.cuStreamBeginCapture_v2 || !d->cu.cuStreamEndCapture || !d->cu.cuGraphLaunch ||
        !d->cu.cuGraphInstantiateWithFlags || !d->cu.cuGraphDestroy || !d->cu.cuGraphExecDestroy)
        return ig_fail(err, INGLE_UNSUPPORTED, "update the NVIDIA driver to 470 or newer",
                       "cuda%u: this driver records no graphs", (unsigned)d->info.index);
    IG_TRY(enter(d, err));
    stop_recording(d); /* one that was left behind by a failure */
    ingle_status s = CU(d, cuStreamBeginCapture_v2, (d->stream, CU_CAPTURE_RELAXED), err);
    d->recording = s == INGLE_OK;
    return leave(d, s);
}

static ingle_status end_recording(struct ig_device *d, struct graph *g, ingle_error *err) {
    cu_graph recorded = NULL;
    d->recording = false;
    IG_TRY(CU(d, cuStreamEndCapture, (d->stream, &recorded), err));
    ingle_status s = CU(d, cuGraphInstantiateWithFlags, (&g->handle, recorded, 0), err);
    (void)d->cu.cuGraphDestroy(recorded);
    return s;
}

static ingle_status cuda_record_end(struct ig_device *d, void **graph, ingle_error *err) {
    *graph = NULL;
    if (!d->recording)
        return ig_fail(err, INGLE_INTERNAL, NULL, "cuda%u: record_end without record_begin",
                       (unsigned)d->info.index);
    struct graph *g = ig_calloc(d->config.mem, 1, sizeof *g);
    if (!g) return ig_fail_memory(err, sizeof *g); /* the next begin, or close, ends the recording */
    ingle_status s = enter(d, err);
    if (s == INGLE_OK) s = leave(d, end_recording(d, g, err));
    if (s != INGLE_OK) {
        ig_free(d->config.mem, g);
        return s;
    }
    g->next = d->graphs;
    g->link = &d->graphs;
    if (g->next) g->next->link = &g->next;
    *graph = d->graphs = g;
    return INGLE_OK;
}

static ingle_status cuda_replay(struct ig_device *d, void *graph, ingle_error *err) {
    struct graph *g = graph;
    IG_TRY(enter(d, err));
    return leave(d, CU(d, cuGraphLaunch, (g->handle, d->stream), err));
}

static void cuda_graph_free(struct ig_device *d, void *graph) {
    if (!graph || !enter_quietly(d)) return;
    free_graph(d, graph, true);
    leave(d, INGLE_OK);
}

const struct ig_backend ig_backend_cuda = {
    .name = "cuda",
    .list = ig_cuda_list,
    .open = cuda_open,
    .close = cuda_close,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .upload = cuda_upload,
    .download = cuda_download,
    .copy = cuda_copy,
    .kernel = cuda_kernel,
    .launch = cuda_launch,
    .flush = cuda_flush,
    .sync = cuda_sync,
    .memory_free = cuda_memory_free,
    .record_begin = cuda_record_begin,
    .record_end = cuda_record_end,
    .replay = cuda_replay,
    .graph_free = cuda_graph_free,
};
