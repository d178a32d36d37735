/* Metal, driven from plain C: the frameworks and the Objective-C runtime are opened at run time and every message is an
 * objc_msgSend through a pointer of the message's exact prototype, as the calling convention asks. Promises what device.h
 * says; knows no plan and no model.
 *
 * Launches are gathered in one compute encoder, whose dispatches run in order, and committed by flush, sync, copies and
 * every COMMIT launches. Buffers are shared with the host where the memory is one, else private behind a staging buffer.
 * The subtle thing is ownership: what a method named new... or copy... returns is ours, everything else lives only until
 * the autorelease pool is drained and is retained if it must stay. Selectors and classes: developer.apple.com, Metal.
 *
 * Not yet run on hardware: tests/gpu/fake_objc.cpp is all it has met. */
#include "gpu/device.h"
#include "os/os.h"

#include <stdio.h>
#include <string.h>

typedef void *id;
typedef unsigned long word; /* NSUInteger */

struct size3 { /* MTLSize */
    word w, h, d;
};

enum {
    COMMIT = 64,      /* launches a command buffer */
    IN_FLIGHT = 32,   /* committed command buffers whose end nobody has seen */
    STAGE = 16 << 20, /* bytes */
    PAGE = 16 << 10,  /* of Apple's processors; a multiple of Intel's */
    SHARED = 0,       /* MTLResourceStorageModeShared */
    PRIVATE = 32,     /* MTLResourceStorageModePrivate, as resource option */
    FAILED = 5,       /* MTLCommandBufferStatusError */
    APPLE7 = 1007, MAC2 = 2002 /* MTLGPUFamily: both have SIMD shuffles */
};

/* ---- The runtime ---- */

#define SELECTORS(X)                                                                               \
    X(release, "release") X(retain, "retain") X(utf8, "UTF8String")                                \
    X(string, "stringWithUTF8String:") X(describe, "localizedDescription") X(name, "name")         \
    X(count, "count") X(at, "objectAtIndex:") X(unified, "hasUnifiedMemory")                       \
    X(memory, "recommendedMaxWorkingSetSize") X(most, "maxBufferLength")                           \
    X(allocated, "currentAllocatedSize") X(local, "maxThreadgroupMemoryLength")                    \
    X(registry, "registryID") X(family, "supportsFamily:") X(queue, "newCommandQueue")             \
    X(new_, "new") X(fast, "setFastMathEnabled:")                                                  \
    X(library, "newLibraryWithSource:options:error:") X(function, "newFunctionWithName:")          \
    X(pipeline, "newComputePipelineStateWithFunction:error:")                                      \
    X(most_items, "maxTotalThreadsPerThreadgroup") X(width, "threadExecutionWidth")                \
    X(buffer, "newBufferWithLength:options:")                                                      \
    X(wrap, "newBufferWithBytesNoCopy:length:options:deallocator:") X(contents, "contents")        \
    X(commands, "commandBuffer") X(compute, "computeCommandEncoder") X(blit, "blitCommandEncoder") \
    X(set_pipeline, "setComputePipelineState:") X(set_buffer, "setBuffer:offset:atIndex:")         \
    X(set_bytes, "setBytes:length:atIndex:")                                                       \
    X(dispatch, "dispatchThreadgroups:threadsPerThreadgroup:") X(end, "endEncoding")               \
    X(copy, "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:")                        \
    X(commit, "commit") X(wait, "waitUntilCompleted") X(status, "status") X(error, "error")

enum selector {
#define X(id, text) S_##id,
    SELECTORS(X)
#undef X
        S_COUNT
};
static const char *const selector_names[] = {
#define X(id, text) text,
    SELECTORS(X)
#undef X
};

struct runtime {
    void *metal, *objc;
    void (*send)(void); /* objc_msgSend, called only through a cast */
    id (*get_class)(const char *);
    id (*pool_push)(void);
    void (*pool_pop)(id);
    id (*all_devices)(void);
    id (*default_device)(void);
    id selector[S_COUNT];
};

/* One cast for each shape of message */
#define SEND(r, type, object, s, ...) ((type)(r)->send)(object, (r)->selector[S_##s], ##__VA_ARGS__)
typedef id (*m_id)(id, id);
typedef id (*m_id_id)(id, id, id);
typedef id (*m_id_word)(id, id, word);
typedef id (*m_id_text)(id, id, const char *);
typedef id (*m_id_word2)(id, id, word, word);
typedef id (*m_id_id_error)(id, id, id, id *);
typedef id (*m_id_id2_error)(id, id, id, id, id *);
typedef id (*m_id_wrap)(id, id, const void *, word, word, id);
typedef void (*m_void)(id, id);
typedef void (*m_void_id)(id, id, id);
typedef void (*m_void_bool)(id, id, bool);
typedef void (*m_void_buffer)(id, id, id, word, word);
typedef void (*m_void_bytes)(id, id, const void *, word, word);
typedef void (*m_void_sizes)(id, id, struct size3, struct size3);
typedef void (*m_void_copy)(id, id, id, word, id, word, word);
typedef word (*m_word)(id, id);
typedef uint64_t (*m_u64)(id, id);
typedef bool (*m_bool)(id, id);
typedef bool (*m_bool_long)(id, id, long);
typedef const char *(*m_text)(id, id);

/* A function pointer from dlsym, without a cast that C forbids. */
static bool find(void *lib, const char *name, void *fn) {
    void *p = ig_os_dl_symbol(lib, name);
    memcpy(fn, &p, sizeof p);
    return p != NULL;
}

static bool find_all(struct runtime *r) {
    id (*name)(const char *);
    if (!find(r->objc, "objc_msgSend", &r->send) || !find(r->objc, "objc_getClass", &r->get_class) ||
        !find(r->objc, "objc_autoreleasePoolPush", &r->pool_push) ||
        !find(r->objc, "objc_autoreleasePoolPop", &r->pool_pop) ||
        !find(r->objc, "sel_registerName", &name))
        return false;
    bool all = find(r->metal, "MTLCopyAllDevices", &r->all_devices); /* macOS */
    if (!find(r->metal, "MTLCreateSystemDefaultDevice", &r->default_device) && !all) return false;
    for (int i = 0; i < S_COUNT; i++) r->selector[i] = name(selector_names[i]);
    return true;
}

static void close_runtime(struct runtime *r) {
    ig_os_dl_close(r->metal);
    ig_os_dl_close(r->objc);
    *r = (struct runtime){0};
}

static bool open_runtime(struct runtime *r, char why[256]) {
    const char *test = ig_os_env("INGLE_METAL"); /* a library that stands in for both: tests */
    bool named = test && test[0];
    *r = (struct runtime){0};
    r->metal = ig_os_dl_open(named ? test : "/System/Library/Frameworks/Metal.framework/Metal");
    r->objc = r->metal ? ig_os_dl_open(named ? test : "/usr/lib/libobjc.A.dylib") : NULL;
    if (r->objc && find_all(r)) return true;
    snprintf(why, 256, "%s", r->metal ? "this system's Metal lacks functions that ingle needs: update macOS"
                                      : "Metal is a part of macOS and iOS, and not on this system");
    close_runtime(r);
    return false;
}

/* ---- Devices ---- */

/* The device of that number, retained; NULL behind the last. */
static id take_device(const struct runtime *r, uint32_t index) {
    id all = r->all_devices ? r->all_devices() : NULL, device = NULL;
    if (!all) return index == 0 && r->default_device ? r->default_device() : NULL;
    if (index < SEND(r, m_word, all, count)) {
        device = SEND(r, m_id_word, all, at, index);
        SEND(r, m_id, device, retain);
    }
    SEND(r, m_void, all, release);
    return device;
}

static void describe(const struct runtime *r, id device, uint32_t index, struct ig_device_info *d) {
    uint64_t registry = SEND(r, m_u64, device, registry);
    const char *name = SEND(r, m_text, SEND(r, m_id, device, name), utf8);
    *d = (struct ig_device_info){.backend = "metal", .index = index, .units = 1, .most_group = 1024};
    snprintf(d->name, sizeof d->name, "%s", name ? name : "Metal device");
    snprintf(d->driver, sizeof d->driver, "Metal");
    d->unified = SEND(r, m_bool, device, unified);
    d->memory = SEND(r, m_u64, device, memory);
    uint64_t used = SEND(r, m_word, device, allocated);
    d->memory_free = d->memory > used ? d->memory - used : 0;
    d->most_alloc = SEND(r, m_word, device, most);
    d->local_bytes = (uint32_t)SEND(r, m_word, device, local);
    d->usable = SEND(r, m_bool_long, device, family, APPLE7) || SEND(r, m_bool_long, device, family, MAC2);
    d->subgroup = 32;
    memcpy(d->uuid, &registry, sizeof registry);
    if (!d->usable)
        snprintf(d->why, sizeof d->why, "its Metal is older than ingle's kernels need (M1, A14 or a Mac of 2017)");
}

static void metal_list(struct ig_device_list *out, char why[256]) {
    struct runtime r;
    why[0] = 0;
    if (!open_runtime(&r, why)) return;
    id pool = r.pool_push(), device;
    uint32_t n = 0;
    for (; out->n < IG_DEVICE_MOST && (device = take_device(&r, n)) != NULL; n++) {
        describe(&r, device, n, &out->device[out->n++]);
        SEND(&r, m_void, device, release);
    }
    if (!n) snprintf(why, 256, "Metal is here, but no device that it could use");
    r.pool_pop(pool);
    close_runtime(&r);
}

struct ig_dev_mem {
    id buffer;
    size_t bytes, offset; /* offset: of wrapped memory in its first page */
    struct ig_dev_mem *next;
};

struct ig_dev_kernel {
    id pipeline;
    uint32_t items;
    struct ig_dev_kernel *next;
    char name[64], module[48];
};

struct module {
    id library;
    struct module *next;
    char name[48];
};

struct ig_device {
    struct runtime r;
    struct ig_mem *mem;
    const struct ig_log *log;
    id device, queue, commands, encoder;
    id flight[IN_FLIGHT];
    uint32_t n_flight, n_encoded;
    bool unified, broken;
    uint64_t memory;
    struct ig_dev_mem *all, *stage;
    struct ig_dev_kernel *kernels;
    struct module *modules;
};

/* The text of an NSError or of nothing. */
static ingle_status refuse(struct ig_device *d, id error, const char *call, ingle_error *err) {
    const struct runtime *r = &d->r;
    id text = error ? SEND(r, m_id, error, describe) : NULL;
    const char *s = text ? SEND(r, m_text, text, utf8) : NULL;
    return ig_fail(err, INGLE_DEVICE, "use --device none to compute on the CPU", "Metal: %s failed: %.160s", call,
                   s ? s : "no reason given");
}

/* ---- Command buffers ---- */

static void drop(struct ig_device *d, id *object) {
    if (*object) SEND(&d->r, m_void, *object, release);
    *object = NULL;
}

/* Waits for the oldest `n` of the command buffers in flight; all fault reports are looked at. */
static ingle_status land(struct ig_device *d, uint32_t n, ingle_error *err) {
    const struct runtime *r = &d->r;
    ingle_status status = INGLE_OK;
    if (n) SEND(r, m_void, d->flight[n - 1], wait);
    for (uint32_t i = 0; i < n; i++) {
        if (SEND(r, m_word, d->flight[i], status) == FAILED && status == INGLE_OK) {
            status = refuse(d, SEND(r, m_id, d->flight[i], error), "a command buffer", err);
            d->broken = true;
        }
        drop(d, &d->flight[i]);
    }
    memmove(d->flight, d->flight + n, (d->n_flight - n) * sizeof *d->flight);
    d->n_flight -= n;
    return status;
}

/* Ends the encoder and commits what was encoded. */
static ingle_status commit(struct ig_device *d, ingle_error *err) {
    const struct runtime *r = &d->r;
    if (d->encoder) SEND(r, m_void, d->encoder, end);
    drop(d, &d->encoder);
    if (!d->commands) return INGLE_OK;
    SEND(r, m_void, d->commands, commit);
    d->flight[d->n_flight++] = d->commands;
    d->commands = NULL;
    d->n_encoded = 0;
    return d->n_flight == IN_FLIGHT ? land(d, IN_FLIGHT / 2, err) : INGLE_OK;
}

static ingle_status begin(struct ig_device *d, ingle_error *err) {
    const struct runtime *r = &d->r;
    if (d->commands) return INGLE_OK;
    d->commands = SEND(r, m_id, d->queue, commands);
    if (!d->commands) return refuse(d, NULL, "commandBuffer", err);
    SEND(r, m_id, d->commands, retain);
    return INGLE_OK;
}

static ingle_status finish(struct ig_device *d, ingle_error *err) {
    ingle_status status = commit(d, err), late = land(d, d->n_flight, status == INGLE_OK ? err : NULL);
    return status == INGLE_OK ? late : status;
}

/* Runs `call` within an autorelease pool. */
#define POOLED(d, call)                                                                            \
    do {                                                                                           \
        id pool_ = (d)->r.pool_push();                                                             \
        ingle_status pooled_ = (call);                                                             \
        (d)->r.pool_pop(pool_);                                                                    \
        return pooled_;                                                                            \
    } while (0)

static ingle_status metal_flush(struct ig_device *d, ingle_error *err) {
    POOLED(d, commit(d, err));
}
static ingle_status metal_sync(struct ig_device *d, ingle_error *err) {
    POOLED(d, finish(d, err));
}

/* ---- Memory ---- */

static void metal_free(struct ig_device *d, struct ig_dev_mem *m) {
    if (!m) return;
    for (struct ig_dev_mem **at = &d->all; *at; at = &(*at)->next)
        if (*at == m) {
            *at = m->next;
            break;
        }
    drop(d, &m->buffer); /* command buffers retain what they use */
    ig_free(d->mem, m);
}

/* Whole pages around the memory; what a mapped file's last page holds behind its end is zeros. */
static id wrap_pages(struct ig_device *d, const void *p, size_t bytes, size_t *offset) {
    const struct runtime *r = &d->r;
    *offset = (uintptr_t)p % PAGE;
    size_t whole = (*offset + bytes + PAGE - 1) / PAGE * PAGE;
    return SEND(r, m_id_wrap, d->device, wrap, (const uint8_t *)p - *offset, whole, SHARED, NULL);
}

static ingle_status new_mem(struct ig_device *d, struct ig_dev_mem **out, size_t bytes, const void *wrap,
                            bool shared, ingle_error *err) {
    const struct runtime *r = &d->r;
    struct ig_dev_mem *m = ig_calloc(d->mem, 1, sizeof *m);
    *out = NULL;
    if (!m) return ig_fail_memory(err, sizeof *m);
    m->bytes = bytes;
    if (wrap && d->unified) m->buffer = wrap_pages(d, wrap, bytes, &m->offset);
    if (!m->buffer) {
        m->offset = 0;
        m->buffer = SEND(r, m_id_word2, d->device, buffer, bytes ? bytes : 4, shared ? SHARED : PRIVATE);
        wrap = NULL;
    }
    if (!m->buffer) {
        ig_free(d->mem, m);
        return ig_fail(err, INGLE_NO_MEMORY, "use fewer --gpu-layers or a smaller context",
                       "Metal: no memory for a buffer of %zu bytes", bytes);
    }
    m->next = d->all;
    d->all = *out = m;
    return INGLE_OK;
}

static ingle_status metal_alloc(struct ig_device *d, struct ig_dev_mem **out, size_t bytes, const void *wrap,
                                ingle_error *err) {
    POOLED(d, new_mem(d, out, bytes, wrap, d->unified, err));
}

static ingle_status check_range(const struct ig_dev_mem *m, size_t at, size_t n, ingle_error *err) {
    if (at <= m->bytes && n <= m->bytes - at) return INGLE_OK;
    return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "Metal: bytes %zu to %zu of a buffer of %zu", at, at + n, m->bytes);
}

static ingle_status encode_copy(struct ig_device *d, struct ig_dev_mem *from, size_t from_at,
                                struct ig_dev_mem *to, size_t to_at, size_t n, ingle_error *err) {
    const struct runtime *r = &d->r;
    IG_TRY(commit(d, err));
    IG_TRY(begin(d, err));
    id blit = SEND(r, m_id, d->commands, blit);
    if (!blit) return refuse(d, NULL, "blitCommandEncoder", err);
    SEND(r, m_void_copy, blit, copy, from->buffer, from->offset + from_at, to->buffer, to->offset + to_at, n);
    SEND(r, m_void, blit, end);
    return commit(d, err);
}

/* Through the staging buffer, to the device or back. */
static ingle_status by_stage(struct ig_device *d, struct ig_dev_mem *m, size_t at, uint8_t *p, size_t n,
                             bool up, ingle_error *err) {
    const struct runtime *r = &d->r;
    if (!d->stage) IG_TRY(new_mem(d, &d->stage, STAGE, NULL, true, err));
    uint8_t *stage = SEND(r, m_id, d->stage->buffer, contents);
    for (size_t done = 0, part; done < n; done += part) {
        part = n - done < STAGE ? n - done : STAGE;
        if (up) memcpy(stage, p + done, part);
        IG_TRY(up ? encode_copy(d, d->stage, 0, m, at + done, part, err)
                  : encode_copy(d, m, at + done, d->stage, 0, part, err));
        IG_TRY(finish(d, err));
        if (!up) memcpy(p + done, stage, part);
    }
    return INGLE_OK;
}

static ingle_status transfer(struct ig_device *d, struct ig_dev_mem *m, size_t at, uint8_t *p, size_t n, bool up,
                             ingle_error *err) {
    IG_TRY(check_range(m, at, n, err));
    if (!d->unified) return by_stage(d, m, at, p, n, up, err);
    IG_TRY(finish(d, err)); /* launches before may still use the old bytes */
    uint8_t *bytes = (uint8_t *)SEND(&d->r, m_id, m->buffer, contents) + m->offset + at;
    memcpy(up ? bytes : p, up ? p : bytes, n);
    return INGLE_OK;
}

static ingle_status metal_upload(struct ig_device *d, struct ig_dev_mem *m, size_t at, const void *p, size_t n,
                                 ingle_error *err) {
    POOLED(d, transfer(d, m, at, (uint8_t *)(uintptr_t)p, n, true, err));
}
static ingle_status metal_download(struct ig_device *d, struct ig_dev_mem *m, size_t at, void *p, size_t n,
                                   ingle_error *err) {
    POOLED(d, transfer(d, m, at, p, n, false, err));
}

static ingle_status metal_copy(struct ig_device *d, struct ig_dev_mem *from, size_t from_at, struct ig_dev_mem *to,
                               size_t to_at, size_t n, ingle_error *err) {
    IG_TRY(check_range(from, from_at, n, err));
    IG_TRY(check_range(to, to_at, n, err));
    POOLED(d, encode_copy(d, from, from_at, to, to_at, n, err));
}

static uint64_t metal_memory_free(struct ig_device *d) {
    uint64_t used = SEND(&d->r, m_word, d->device, allocated);
    return d->memory > used ? d->memory - used : 0;
}

/* ---- Kernels ---- */

static char *module_text(struct ig_device *d, const char *module, ingle_error *err) {
    static const char native[] = "#define PLANES 0\n";
    size_t n, head = strstr(module, ":native") ? sizeof native - 1 : 0;
    char *text = ig_gpu_source(d->mem, module, &n), *all = text ? ig_alloc(d->mem, n + head + 1) : NULL;
    if (all) {
        memcpy(all, native, head);
        memcpy(all + head, text, n + 1);
    } else {
        ig_fail(err, INGLE_NO_MEMORY, NULL, "Metal: no source of the kernels '%s'", module);
    }
    ig_free(d->mem, text);
    return all;
}

static ingle_status compile(struct ig_device *d, struct module *m, const char *text, ingle_error *err) {
    const struct runtime *r = &d->r;
    id source = SEND(r, m_id_text, r->get_class("NSString"), string, text), error = NULL;
    id options = SEND(r, m_id, r->get_class("MTLCompileOptions"), new_);
    if (!source || !options) return refuse(d, NULL, "MTLCompileOptions", err);
    SEND(r, m_void_bool, options, fast, false); /* the results are to be the CPU's bits */
    m->library = SEND(r, m_id_id2_error, d->device, library, source, options, &error);
    SEND(r, m_void, options, release);
    return m->library ? INGLE_OK : refuse(d, error, "compiling the kernels", err);
}

static ingle_status find_module(struct ig_device *d, struct module **out, const char *name, ingle_error *err) {
    for (*out = d->modules; *out; *out = (*out)->next)
        if (strcmp((*out)->name, name) == 0) return INGLE_OK;
    struct module *m = ig_calloc(d->mem, 1, sizeof *m);
    char *text = m ? module_text(d, name, err) : NULL;
    ingle_status status = text ? compile(d, m, text, err) : m ? INGLE_NO_MEMORY : ig_fail_memory(err, sizeof *m);
    ig_free(d->mem, text);
    if (status != INGLE_OK) {
        ig_free(d->mem, m);
        return status;
    }
    snprintf(m->name, sizeof m->name, "%s", name);
    m->next = d->modules;
    d->modules = *out = m;
    return INGLE_OK;
}

static ingle_status make_pipeline(struct ig_device *d, struct ig_dev_kernel *k, id library, ingle_error *err) {
    const struct runtime *r = &d->r;
    id error = NULL, name = SEND(r, m_id_text, r->get_class("NSString"), string, k->name);
    id function = SEND(r, m_id_id, library, function, name);
    if (!function) return refuse(d, NULL, "newFunctionWithName", err);
    k->pipeline = SEND(r, m_id_id_error, d->device, pipeline, function, &error);
    SEND(r, m_void, function, release);
    if (!k->pipeline) return refuse(d, error, "making a pipeline", err);
    if (SEND(r, m_word, k->pipeline, most_items) < k->items || SEND(r, m_word, k->pipeline, width) != 32) {
        drop(d, &k->pipeline);
        return ig_fail(err, INGLE_UNSUPPORTED, "use --device none to compute on the CPU",
                       "Metal: kernel %s needs groups of %u items and SIMD groups of 32", k->name, k->items);
    }
    return INGLE_OK;
}

static ingle_status find_kernel(struct ig_device *d, struct ig_dev_kernel **out, const char *module,
                                const char *name, ingle_error *err) {
    struct module *m;
    for (*out = d->kernels; *out; *out = (*out)->next)
        if (strcmp((*out)->name, name) == 0 && strcmp((*out)->module, module) == 0) return INGLE_OK;
    IG_TRY(find_module(d, &m, module, err));
    struct ig_dev_kernel *k = ig_calloc(d->mem, 1, sizeof *k);
    if (!k) return ig_fail_memory(err, sizeof *k);
    snprintf(k->name, sizeof k->name, "%s", name);
    snprintf(k->module, sizeof k->module, "%s", module);
    k->items = ig_gpu_group_items(name);
    ingle_status status = make_pipeline(d, k, m->library, err);
    if (status != INGLE_OK) {
        ig_free(d->mem, k);
        return status;
    }
    k->next = d->kernels;
    d->kernels = *out = k;
    return INGLE_OK;
}

static ingle_status metal_kernel(struct ig_device *d, struct ig_dev_kernel **out, const char *module,
                                 const char *name, ingle_error *err) {
    POOLED(d, find_kernel(d, out, module, name, err));
}

static ingle_status encode(struct ig_device *d, const struct ig_launch *l, ingle_error *err) {
    const struct runtime *r = &d->r;
    if (d->broken) return refuse(d, NULL, "an earlier command buffer", err);
    IG_TRY(begin(d, err));
    if (!d->encoder) {
        d->encoder = SEND(r, m_id, d->commands, compute);
        if (!d->encoder) return refuse(d, NULL, "computeCommandEncoder", err);
        SEND(r, m_id, d->encoder, retain);
    }
    SEND(r, m_void_id, d->encoder, set_pipeline, l->kernel->pipeline);
    for (uint32_t i = 0; i < l->n_buffers; i++)
        SEND(r, m_void_buffer, d->encoder, set_buffer, l->buffer[i]->buffer, l->buffer[i]->offset, i);
    SEND(r, m_void_bytes, d->encoder, set_bytes, l->args, l->args_bytes, l->n_buffers);
    SEND(r, m_void_sizes, d->encoder, dispatch, (struct size3){l->groups[0], l->groups[1], l->groups[2]},
         (struct size3){l->kernel->items, 1, 1});
    return ++d->n_encoded == COMMIT ? commit(d, err) : INGLE_OK;
}

static ingle_status metal_launch(struct ig_device *d, const struct ig_launch *l, ingle_error *err) {
    POOLED(d, encode(d, l, err));
}

/* ---- Open and close ---- */

static void metal_close(struct ig_device *d) {
    if (!d) return;
    id pool = d->r.pool_push();
    finish(d, NULL);
    while (d->all) metal_free(d, d->all);
    for (struct ig_dev_kernel *k = d->kernels, *next; k; k = next) {
        next = k->next;
        drop(d, &k->pipeline);
        ig_free(d->mem, k);
    }
    for (struct module *m = d->modules, *next; m; m = next) {
        next = m->next;
        drop(d, &m->library);
        ig_free(d->mem, m);
    }
    drop(d, &d->queue);
    drop(d, &d->device);
    d->r.pool_pop(pool);
    close_runtime(&d->r);
    ig_free(d->mem, d);
}

static ingle_status open_queue(struct ig_device *d, const struct ig_device_info *info, ingle_error *err) {
    d->device = take_device(&d->r, info->index);
    if (!d->device) return ig_fail(err, INGLE_DEVICE, "run 'ingle doctor'", "Metal: there is no device %u", info->index);
    d->queue = SEND(&d->r, m_id, d->device, queue);
    return d->queue ? INGLE_OK : refuse(d, NULL, "newCommandQueue", err);
}

static ingle_status metal_open(struct ig_device **out, const struct ig_device_info *info,
                               const struct ig_device_config *config, ingle_error *err) {
    char why[256];
    struct ig_device *d = ig_calloc(config->mem, 1, sizeof *d);
    *out = NULL;
    if (!d) return ig_fail_memory(err, sizeof *d);
    d->mem = config->mem;
    d->log = config->log;
    d->unified = info->unified;
    d->memory = info->memory;
    if (!open_runtime(&d->r, why)) {
        ig_free(config->mem, d);
        return ig_fail(err, INGLE_DEVICE, NULL, "Metal: %s", why);
    }
    id pool = d->r.pool_push();
    ingle_status status = open_queue(d, info, err);
    d->r.pool_pop(pool);
    if (status == INGLE_OK)
        *out = d;
    else
        metal_close(d);
    return status;
}

const struct ig_backend ig_backend_metal = {.name = "metal",
                                            .list = metal_list,
                                            .open = metal_open,
                                            .close = metal_close,
                                            .alloc = metal_alloc,
                                            .free = metal_free,
                                            .upload = metal_upload,
                                            .download = metal_download,
                                            .copy = metal_copy,
                                            .kernel = metal_kernel,
                                            .launch = metal_launch,
                                            .flush = metal_flush,
                                            .sync = metal_sync,
                                            .memory_free = metal_memory_free};
