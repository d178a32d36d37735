/* OpenCL as a device (device.h): GPUs of AMD, Intel, NVIDIA, Qualcomm, Arm and Apple with nothing
 * but their driver.
 *
 * Promises: nothing is opened before the devices are asked for; every failure becomes a status that
 * names the call, the device and OpenCL's own code; what was created is released, also after a
 * fault. Compiled programs are kept in the cache folder; a file there that is damaged or of another
 * driver is made anew, and a folder that cannot be written only costs time. Knows no kernel by
 * name: groups and sources come from the tables in gen/.
 *
 * Subtle: the library itself is never closed once it has shown a platform, because drivers leave
 * threads and exit handlers behind. Small uploads go through a block of ours so that they need not
 * wait for what the queue is doing; the block is used from its start again whenever the queue is
 * known to be empty. */
#include "base/hash.h"
#include "base/str.h"
#include "gpu/device.h"
#include "gpu/opencl_api.h"
#include "os/os.h"

#include <stdio.h>
#include <string.h>

enum {
    EXTENSIONS = 12 << 10,
    OPTIONS = 192,
    NAME = 64, /* of a module or kernel */
    KEY = 640,
    STAGE = 256 << 10 /* bytes; larger uploads wait for the queue */
};

struct ig_dev_mem {
    struct ig_dev_mem *next, *before;
    struct ocl_buffer *buffer;
    size_t bytes;
    bool wrapped; /* host memory of the caller's */
};

struct program {
    struct program *next;
    struct ocl_program *program;
    char module[NAME];
};

struct ig_dev_kernel {
    struct ig_dev_kernel *next;
    struct ocl_kernel *kernel;
    uint32_t items;
    char name[NAME];
};

struct ig_device {
    struct ocl cl;
    struct ig_device_config config;
    struct ig_device_info info;
    struct ocl_device *id;
    struct ocl_context *context;
    struct ocl_queue *queue;
    struct ig_dev_mem *mems;
    struct program *programs;
    struct ig_dev_kernel *kernels;
    bool exact_divide, intel_subgroup;
    uint32_t c_version; /* of OpenCL C: 120, 200, 300 */
    uint8_t *stage;     /* [STAGE] */
    size_t staged;      /* bytes of it that the queue may still read */
    char driver[KEY];   /* platform, device and driver: programs are cached for these */
};

/* ---- Results ---- */

static ingle_status fail(const struct ig_device *d, ingle_error *err, int32_t code,
                         const char *call, const char *what) {
    bool memory = code == OCL_ALLOCATION_FAILURE || code == OCL_OUT_OF_HOST_MEMORY;
    return ig_fail(err, memory ? INGLE_NO_MEMORY : INGLE_DEVICE,
                   memory ? "put fewer layers on the device (gpu-layers) or lower the context"
                          : "update the GPU's driver, or compute on the CPU with gpu-layers 0",
                   "OpenCL device %s: %s%s%s: %s (%d)", d->info.name, call, what ? " of " : "",
                   what ? what : "", ig_opencl_code(code), (int)code);
}

static void list(struct ig_device_list *out, char why[256]) {
    struct ocl cl;
    struct ocl_found found[IG_DEVICE_MOST];
    why[0] = 0;
    if (!ig_opencl_open(&cl, why)) return;
    uint32_t n = ig_opencl_find(&cl, found, why);
    for (uint32_t i = 0; i < n && out->n < IG_DEVICE_MOST; i++)
        ig_opencl_info(&cl, &found[i], i, &out->device[out->n++]);
}

/* ---- Opening and closing ---- */

static void empty_queue(struct ig_device *d) {
    if (d->queue) (void)d->cl.Finish(d->queue);
    d->staged = 0;
}

static void free_mem(struct ig_device *d, struct ig_dev_mem *m) {
    if (!m) return;
    if (m->wrapped) empty_queue(d); /* commands may still read the caller's memory */
    if (m->before) m->before->next = m->next;
    if (m->next) m->next->before = m->before;
    if (d->mems == m) d->mems = m->next;
    (void)d->cl.ReleaseMemObject(m->buffer);
    ig_free(d->config.mem, m);
}

static void close_device(struct ig_device *d) {
    if (!d) return;
    empty_queue(d);
    while (d->mems) free_mem(d, d->mems);
    for (struct ig_dev_kernel *k = d->kernels, *next; k; k = next) {
        next = k->next;
        (void)d->cl.ReleaseKernel(k->kernel);
        ig_free(d->config.mem, k);
    }
    for (struct program *p = d->programs, *next; p; p = next) {
        next = p->next;
        (void)d->cl.ReleaseProgram(p->program);
        ig_free(d->config.mem, p);
    }
    if (d->queue) (void)d->cl.ReleaseCommandQueue(d->queue);
    if (d->context) (void)d->cl.ReleaseContext(d->context);
    ig_free(d->config.mem, d->stage);
    ig_free(d->config.mem, d);
}

/* Facts of the device that only the compiler of kernels needs. */
static void fill_compiler(struct ig_device *d, const struct ocl_found *f) {
    char extensions[EXTENSIONS], version[128], c_version[128], platform[128] = "";
    size_t n;
    ig_opencl_text(&d->cl, d->id, OCL_EXTENSIONS, extensions, sizeof extensions);
    ig_opencl_text(&d->cl, d->id, OCL_C_VERSION, c_version, sizeof c_version);
    ig_opencl_text(&d->cl, d->id, OCL_VERSION, version, sizeof version);
    (void)d->cl.GetPlatformInfo(f->platform, OCL_PLATFORM_VERSION, sizeof platform, platform, &n);
    platform[sizeof platform - 1] = 0;
    d->c_version = ig_opencl_version(c_version);
    d->info.subgroup =
        ig_opencl_subgroup(&d->cl, d->id, extensions, d->c_version, &d->intel_subgroup);
    d->exact_divide = ig_opencl_number(&d->cl, d->id, OCL_SINGLE_FP_CONFIG) & OCL_FP_EXACT_DIVIDE;
    snprintf(d->driver, sizeof d->driver, "%s|%s|%s|%s", platform, version, d->info.name,
             d->info.driver);
}

static ingle_status open_queue(struct ig_device *d, ingle_error *err) {
    int32_t code = OCL_SUCCESS;
    d->context = d->cl.CreateContext(NULL, 1, &d->id, NULL, NULL, &code);
    if (!d->context) return fail(d, err, code, "clCreateContext", NULL);
    d->queue = d->cl.CreateCommandQueue(d->context, d->id, 0, &code);
    if (!d->queue) return fail(d, err, code, "clCreateCommandQueue", NULL);
    return INGLE_OK;
}

static ingle_status open_device(struct ig_device **out, const struct ig_device_info *info,
                                const struct ig_device_config *config, ingle_error *err) {
    struct ocl_found found[IG_DEVICE_MOST];
    char why[256];
    *out = NULL;
    struct ig_device *d = ig_calloc(config->mem, 1, sizeof *d);
    if (!d) return ig_fail_memory(err, sizeof *d);
    d->config = *config;
    if (!ig_opencl_open(&d->cl, why)) {
        ig_free(config->mem, d);
        return ig_fail(err, INGLE_DEVICE, NULL, "OpenCL: %s", why);
    }
    uint32_t n = ig_opencl_find(&d->cl, found, why);
    if (info->index >= n) {
        ig_free(config->mem, d);
        return ig_fail(err, INGLE_DEVICE, "list the devices again",
                       "OpenCL device %u (%s) is not there any more", info->index, info->name);
    }
    const struct ocl_found *f = &found[info->index];
    d->id = f->device;
    ig_opencl_info(&d->cl, f, info->index, &d->info);
    d->info.unified &= info->unified; /* the caller may want less, as tests of the planes do */
    fill_compiler(d, f);
    if (!info->subgroup) d->info.subgroup = 0;
    d->stage = ig_alloc(config->mem, STAGE);
    ingle_status st = d->stage ? open_queue(d, err) : ig_fail_memory(err, STAGE);
    if (st != INGLE_OK) {
        close_device(d);
        return st;
    }
    ig_log(config->log, INGLE_LOG_DEBUG, "OpenCL device %s: %s", d->info.name, d->driver);
    *out = d;
    return INGLE_OK;
}

/* ---- Memory ---- */

static ingle_status upload(struct ig_device *d, struct ig_dev_mem *m, size_t at, const void *p,
                           size_t n, ingle_error *err);

static struct ocl_buffer *wrap_host(struct ig_device *d, size_t bytes, const void *host) {
    size_t page = ig_os_page_size(), whole = (bytes + 63) & ~(size_t)63; /* inside the last page */
    int32_t code;
    void *p;
    if (!d->info.unified || !page || (uintptr_t)host % page) return NULL;
    memcpy(&p, &host, sizeof p); /* only read: the buffer is read-only */
    return d->cl.CreateBuffer(d->context, OCL_READ_ONLY | OCL_USE_HOST_PTR, whole, p, &code);
}

static ingle_status alloc_mem(struct ig_device *d, struct ig_dev_mem **out, size_t bytes,
                              const void *wrap, ingle_error *err) {
    int32_t code = OCL_SUCCESS;
    *out = NULL;
    if (!bytes || (d->info.most_alloc && bytes > d->info.most_alloc))
        return ig_fail(err, INGLE_LIMIT, "put fewer layers on the device (gpu-layers)",
                       "OpenCL device %s: a buffer of %llu bytes; its driver allows 1 to %llu",
                       d->info.name, (unsigned long long)bytes,
                       (unsigned long long)d->info.most_alloc);
    struct ig_dev_mem *m = ig_calloc(d->config.mem, 1, sizeof *m);
    if (!m) return ig_fail_memory(err, sizeof *m);
    m->bytes = bytes;
    m->buffer = wrap ? wrap_host(d, bytes, wrap) : NULL;
    m->wrapped = m->buffer != NULL;
    if (!m->buffer) m->buffer = d->cl.CreateBuffer(d->context, OCL_READ_WRITE, bytes, NULL, &code);
    if (!m->buffer) {
        ig_free(d->config.mem, m);
        return fail(d, err, code, "clCreateBuffer", NULL);
    }
    m->next = d->mems;
    if (d->mems) d->mems->before = m;
    d->mems = m;
    if (wrap && !m->wrapped) {
        ingle_status st = upload(d, m, 0, wrap, bytes, err);
        if (st != INGLE_OK) {
            free_mem(d, m);
            return st;
        }
    }
    *out = m;
    return INGLE_OK;
}

static ingle_status check_range(const struct ig_device *d, const struct ig_dev_mem *m, size_t at,
                                size_t n, ingle_error *err) {
    if (at <= m->bytes && n <= m->bytes - at) return INGLE_OK;
    return ig_fail(err, INGLE_INTERNAL, NULL,
                   "OpenCL device %s: bytes %llu + %llu of a buffer of %llu", d->info.name,
                   (unsigned long long)at, (unsigned long long)n, (unsigned long long)m->bytes);
}

static ingle_status sync(struct ig_device *d, ingle_error *err) {
    int32_t code = d->cl.Finish(d->queue);
    d->staged = 0;
    return code == OCL_SUCCESS ? INGLE_OK : fail(d, err, code, "clFinish", NULL);
}

static ingle_status upload(struct ig_device *d, struct ig_dev_mem *m, size_t at, const void *p,
                           size_t n, ingle_error *err) {
    bool small = n <= STAGE / 4;
    IG_TRY(check_range(d, m, at, n, err));
    if (!n) return INGLE_OK;
    if (small) {
        if (n > STAGE - d->staged) IG_TRY(sync(d, err));
        p = memcpy(d->stage + d->staged, p, n);
        d->staged += n;
    }
    int32_t code = d->cl.EnqueueWriteBuffer(d->queue, m->buffer, !small, at, n, p, 0, NULL, NULL);
    if (code != OCL_SUCCESS) return fail(d, err, code, "clEnqueueWriteBuffer", NULL);
    if (!small) d->staged = 0;
    return INGLE_OK;
}

static ingle_status download(struct ig_device *d, struct ig_dev_mem *m, size_t at, void *p,
                             size_t n, ingle_error *err) {
    IG_TRY(check_range(d, m, at, n, err));
    if (!n) return sync(d, err);
    int32_t code = d->cl.EnqueueReadBuffer(d->queue, m->buffer, 1, at, n, p, 0, NULL, NULL);
    if (code != OCL_SUCCESS) return fail(d, err, code, "clEnqueueReadBuffer", NULL);
    d->staged = 0;
    return INGLE_OK;
}

static ingle_status copy(struct ig_device *d, struct ig_dev_mem *from, size_t from_at,
                         struct ig_dev_mem *to, size_t to_at, size_t n, ingle_error *err) {
    IG_TRY(check_range(d, from, from_at, n, err));
    IG_TRY(check_range(d, to, to_at, n, err));
    if (!n) return INGLE_OK;
    int32_t code = d->cl.EnqueueCopyBuffer(d->queue, from->buffer, to->buffer, from_at, to_at, n, 0,
                                           NULL, NULL);
    return code == OCL_SUCCESS ? INGLE_OK : fail(d, err, code, "clEnqueueCopyBuffer", NULL);
}

/* ---- Programs ---- */

static void put_options(const struct ig_device *d, char out[OPTIONS]) {
    bool sub = d->info.subgroup == 32;
    const char *std = !sub ? "CL1.2" : d->c_version >= 300 ? "CL3.0" : "CL2.0";
    snprintf(out, OPTIONS, "-w -cl-std=%s%s -DPLANES=%d%s%s", std,
             d->exact_divide ? " -cl-fp32-correctly-rounded-divide-sqrt" : "",
             d->info.unified ? 0 : 1, sub ? " -DIG_SUBGROUP=1" : "",
             sub && d->intel_subgroup ? " -DIG_SUBGROUP_INTEL" : "");
}

/* The compiler's first lines, on one line. */
static void first_lines(struct ig_device *d, struct ocl_program *program, char *out, size_t cap) {
    size_t n = 0, at = 0;
    out[0] = 0;
    if (d->cl.GetProgramBuildInfo(program, d->id, OCL_BUILD_LOG, 0, NULL, &n) != OCL_SUCCESS || !n)
        return;
    char *log = ig_calloc(d->config.mem, n + 1, 1);
    if (log &&
        d->cl.GetProgramBuildInfo(program, d->id, OCL_BUILD_LOG, n, log, NULL) == OCL_SUCCESS) {
        ig_log(d->config.log, INGLE_LOG_DEBUG, "OpenCL compiler: %s", log);
        for (const char *p = log; *p && at + 3 < cap; p++) {
            if (*p != '\n') {
                out[at++] = *p;
            } else if (at && out[at - 1] != ' ') {
                out[at++] = ';';
                out[at++] = ' ';
            }
        }
        out[at] = 0;
    }
    ig_free(d->config.mem, log);
}

static ingle_status build(struct ig_device *d, struct ocl_program *program, const char *module,
                          const char *options, ingle_error *err) {
    char log[280];
    int32_t code = d->cl.BuildProgram(program, 1, &d->id, options, NULL, NULL);
    if (code == OCL_SUCCESS) return INGLE_OK;
    first_lines(d, program, log, sizeof log);
    return ig_fail(err, code == OCL_OUT_OF_HOST_MEMORY ? INGLE_NO_MEMORY : INGLE_DEVICE,
                   "update the GPU's driver, or compute on the CPU with gpu-layers 0",
                   "OpenCL device %s: clBuildProgram of %s: %s (%d)%s%s", d->info.name, module,
                   ig_opencl_code(code), (int)code, log[0] ? ": " : "", log);
}

static ingle_status from_source(struct ig_device *d, struct ocl_program **out, const char *module,
                                const char *options, ingle_error *err) {
    int32_t code = OCL_SUCCESS;
    size_t n = 0;
    char *source = ig_gpu_source(d->config.mem, module, &n);
    const char *text = source;
    if (!source)
        return ig_fail(err, INGLE_NO_MEMORY, NULL, "OpenCL: the source of module %s: no memory",
                       module);
    *out = d->cl.CreateProgramWithSource(d->context, 1, &text, &n, &code);
    ig_free(d->config.mem, source);
    if (!*out) return fail(d, err, code, "clCreateProgramWithSource", module);
    ingle_status st = build(d, *out, module, options, err);
    if (st != INGLE_OK) {
        (void)d->cl.ReleaseProgram(*out);
        *out = NULL;
    }
    return st;
}

/* ---- Compiled programs on disk: "INGLECL1", a checksum of key and program, the program ---- */

enum { HEAD = 16 };

struct cached {
    char key[KEY + OPTIONS + 2 * NAME];
    char path[1024]; /* "": nothing is kept */
};

/* Drivers and kernels change, and nobody would delete the files of old ones: of a device and a
 * module there are 16 names, and which one is taken depends on driver and kernels. */
static void name_cached(const struct ig_device *d, struct cached *c, const char *module,
                        const char *options) {
    int n = snprintf(c->key, sizeof c->key, "%s|%s|%s", d->info.name, module, options);
    uint64_t name = n > 0 && (size_t)n < sizeof c->key ? ig_checksum(0, c->key, (size_t)n) : 0;
    n = snprintf(c->key, sizeof c->key, "%s|%s|%s|%016llx", d->driver, module, options,
                 (unsigned long long)ig_gpu_source_hash());
    c->path[0] = 0;
    if (n < 0 || (size_t)n >= sizeof c->key || !d->config.cache || !d->config.cache[0]) return;
    n = snprintf(c->path, sizeof c->path, "%s/opencl-%s-%015llx%x.bin", d->config.cache, module,
                 (unsigned long long)name >> 4, (unsigned)ig_checksum(0, c->key, (size_t)n) & 15);
    if (n < 0 || (size_t)n >= sizeof c->path) c->path[0] = 0;
}

static void put_head(const struct cached *c, const void *p, size_t n, uint8_t head[HEAD]) {
    uint64_t sum = ig_checksum(ig_checksum(1, c->key, strlen(c->key)), p, n);
    memcpy(head, "INGLECL1", 8);
    for (int i = 0; i < 8; i++) head[8 + i] = (uint8_t)(sum >> 8 * i);
}

/* NULL: there is none that can be used. */
static struct ocl_program *from_cache(struct ig_device *d, const struct cached *c,
                                      const char *options) {
    struct ig_map map;
    uint8_t head[HEAD];
    int32_t code = OCL_SUCCESS, loaded = OCL_SUCCESS;
    struct ocl_program *p = NULL;
    if (!c->path[0] || ig_os_kind(c->path) != IG_OS_FILE ||
        ig_os_map(&map, c->path, NULL) != INGLE_OK)
        return NULL;
    const unsigned char *binary = map.data + HEAD;
    size_t n = map.size > HEAD ? (size_t)map.size - HEAD : 0;
    if (n) put_head(c, binary, n, head);
    if (n && !memcmp(head, map.data, HEAD))
        p = d->cl.CreateProgramWithBinary(d->context, 1, &d->id, &n, &binary, &loaded, &code);
    if (p && (loaded != OCL_SUCCESS ||
              d->cl.BuildProgram(p, 1, &d->id, options, NULL, NULL) != OCL_SUCCESS)) {
        (void)d->cl.ReleaseProgram(p);
        p = NULL;
    }
    ig_os_unmap(&map);
    if (!p) ig_log(d->config.log, INGLE_LOG_INFO, "%s is not usable and is made anew", c->path);
    return p;
}

static ingle_status write_cached(struct ig_device *d, const struct cached *c, const uint8_t *binary,
                                 size_t n, ingle_error *err) {
    struct ig_file *file;
    uint8_t head[HEAD];
    put_head(c, binary, n, head);
    IG_TRY(ig_os_make_folders(d->config.cache, err));
    IG_TRY(ig_os_create(&file, d->config.mem, c->path, err));
    ingle_status st = ig_os_write(file, head, sizeof head, err);
    if (st == INGLE_OK) st = ig_os_write(file, binary, n, err);
    if (st == INGLE_OK) return ig_os_commit(file, err);
    ig_os_discard(file);
    return st;
}

static void to_cache(struct ig_device *d, const struct cached *c, struct ocl_program *p) {
    ingle_error err = {0};
    size_t n = 0;
    if (!c->path[0] ||
        d->cl.GetProgramInfo(p, OCL_BINARY_SIZES, sizeof n, &n, NULL) != OCL_SUCCESS || !n)
        return;
    uint8_t *binary = ig_alloc(d->config.mem, n);
    if (!binary) return;
    if (d->cl.GetProgramInfo(p, OCL_BINARIES, sizeof binary, &binary, NULL) == OCL_SUCCESS &&
        write_cached(d, c, binary, n, &err) != INGLE_OK)
        ig_log(d->config.log, INGLE_LOG_INFO, "compiled program not kept: %s", err.message);
    ig_free(d->config.mem, binary);
}

static ingle_status make_program(struct ig_device *d, struct ocl_program **out, const char *module,
                                 ingle_error *err) {
    struct cached c;
    char options[OPTIONS];
    put_options(d, options);
    name_cached(d, &c, module, options);
    *out = from_cache(d, &c, options);
    if (*out) return INGLE_OK;
    double start = ig_os_seconds();
    ingle_status st = from_source(d, out, module, options, err);
    if (st == INGLE_DEVICE && d->info.subgroup) {
        ig_log(d->config.log, INGLE_LOG_WARN, "%s: no sub-groups from now on: %s", d->info.name,
               err ? err->message : module);
        d->info.subgroup = 0;
        return make_program(d, out, module, err);
    }
    if (st != INGLE_OK) return st;
    ig_log(d->config.log, INGLE_LOG_INFO, "%s: compiled %s in %.2f s", d->info.name, module,
           ig_os_seconds() - start);
    to_cache(d, &c, *out);
    return INGLE_OK;
}

static ingle_status get_program(struct ig_device *d, struct ocl_program **out, const char *module,
                                ingle_error *err) {
    for (struct program *p = d->programs; p; p = p->next)
        if (!strcmp(p->module, module)) {
            *out = p->program;
            return INGLE_OK;
        }
    struct program *p = ig_calloc(d->config.mem, 1, sizeof *p);
    if (!p) return ig_fail_memory(err, sizeof *p);
    ingle_status st = make_program(d, &p->program, module, err);
    if (st != INGLE_OK) {
        ig_free(d->config.mem, p);
        return st;
    }
    snprintf(p->module, sizeof p->module, "%s", module);
    p->next = d->programs;
    d->programs = p;
    *out = p->program;
    return INGLE_OK;
}

/* ---- Kernels ---- */

static ingle_status get_kernel(struct ig_device *d, struct ig_dev_kernel **out, const char *module,
                               const char *name, ingle_error *err) {
    struct ocl_program *program = NULL;
    int32_t code = OCL_SUCCESS;
    uint32_t items = ig_gpu_group_items(name);
    for (*out = d->kernels; *out; *out = (*out)->next)
        if (!strcmp((*out)->name, name)) return INGLE_OK;
    if (!items || strlen(name) >= NAME || strlen(module) >= NAME)
        return ig_fail(err, INGLE_INTERNAL, NULL, "OpenCL: no kernel %s in kernels.def", name);
    if (items > d->info.most_group)
        return ig_fail(err, INGLE_DEVICE, "compute on the CPU with gpu-layers 0",
                       "OpenCL device %s: groups of at most %u items, %s needs %u", d->info.name,
                       d->info.most_group, name, items);
    IG_TRY(get_program(d, &program, module, err));
    struct ig_dev_kernel *k = ig_calloc(d->config.mem, 1, sizeof *k);
    if (!k) return ig_fail_memory(err, sizeof *k);
    k->kernel = d->cl.CreateKernel(program, name, &code);
    if (!k->kernel) {
        ig_free(d->config.mem, k);
        return fail(d, err, code, "clCreateKernel", name);
    }
    k->items = items;
    snprintf(k->name, sizeof k->name, "%s", name);
    k->next = d->kernels;
    *out = d->kernels = k;
    return INGLE_OK;
}

static ingle_status launch(struct ig_device *d, const struct ig_launch *l, ingle_error *err) {
    struct ig_dev_kernel *k = l->kernel;
    int32_t code = OCL_SUCCESS;
    for (uint32_t i = 0; i < l->n_buffers && code == OCL_SUCCESS; i++)
        code = d->cl.SetKernelArg(k->kernel, i, sizeof(struct ocl_buffer *), &l->buffer[i]->buffer);
    if (code == OCL_SUCCESS && l->args_bytes)
        code = d->cl.SetKernelArg(k->kernel, l->n_buffers, l->args_bytes, l->args);
    if (code != OCL_SUCCESS) return fail(d, err, code, "clSetKernelArg", k->name);
    size_t local[3] = {k->items, 1, 1}, global[3];
    for (int i = 0; i < 3; i++) global[i] = l->groups[i] * local[i];
    code = d->cl.EnqueueNDRangeKernel(d->queue, k->kernel, 3, NULL, global, local, 0, NULL, NULL);
    return code == OCL_SUCCESS ? INGLE_OK : fail(d, err, code, "clEnqueueNDRangeKernel", k->name);
}

static ingle_status flush(struct ig_device *d, ingle_error *err) {
    int32_t code = d->cl.Flush(d->queue);
    return code == OCL_SUCCESS ? INGLE_OK : fail(d, err, code, "clFlush", NULL);
}

static uint64_t memory_free(struct ig_device *d) {
    size_t kib[2] = {0}, n = 0;
    if (d->cl.GetDeviceInfo(d->id, OCL_FREE_MEMORY_AMD, sizeof kib, kib, &n) != OCL_SUCCESS)
        return 0;
    return (uint64_t)kib[0] << 10;
}

const struct ig_backend ig_backend_opencl = {
    .name = "opencl",
    .list = list,
    .open = open_device,
    .close = close_device,
    .alloc = alloc_mem,
    .free = free_mem,
    .upload = upload,
    .download = download,
    .copy = copy,
    .kernel = get_kernel,
    .launch = launch,
    .flush = flush,
    .sync = sync,
    .memory_free = memory_free,
};
