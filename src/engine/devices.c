/* What there is to compute on, as JSON, and how fast a device moves bytes.
 *
 * The speeds are those of copies, made through the same few functions that passes use; so they are
 * measured on every backend alike and need no kernel. A pass reads weights about as fast as a copy
 * reads and writes.
 *
 * Subtle: the first use of a buffer may be what allocates it, so everything is touched once before
 * it is timed. */
#include "engine/devices.h"

#include "cpu/kernels.h"
#include "engine/model.h"
#include "os/os.h"

#include <stdio.h>

enum {
    NAME = 128,
    CHUNK = 8 << 20,        /* bytes of an upload */
    SMALL_COPY = 64 << 20,  /* where the memory is the host's */
    LARGE_COPY = 256 << 20, /* beyond the caches of GPUs */
    TINY = 64,
    TINY_COPIES = 200,
    MOST_COPIES = 50
};

#if defined(__x86_64__) || defined(_M_X64)
#define ARCH "x86_64"
#elif defined(__aarch64__) || defined(_M_ARM64)
#define ARCH "aarch64"
#else
#define ARCH "other"
#endif

/* ---- JSON ---- */

void ig_device_id(const struct ig_device_info *d, char out[32]) {
    snprintf(out, 32, "%.15s%u", d->backend, d->index);
}

static void put_cpu(struct ig_buf *b, const char *kernels) {
    char name[NAME];
    ig_os_cpu_name(name, sizeof name);
    ig_buf_z(b, "{\"id\":\"cpu\",\"kind\":\"cpu\",\"name\":");
    ig_json_put_str(b, ig_str_of(name[0] ? name : ARCH));
    ig_buf_f(b, ",\"threads\":%u,\"cores\":%u,\"memory_bytes\":%llu,\"kernels\":\"%s\"",
             ig_os_cpu_count(), ig_os_core_count(), (unsigned long long)ig_os_memory_total(),
             kernels);
    ig_buf_z(b, ",\"usable\":true,\"automatic\":true,\"reason\":\"\"}");
}

static void put_gpu(struct ig_buf *b, const struct ig_device_info *d) {
    char id[32], reason[sizeof d->why + 64];
    const char *not_auto = ig_place_not_auto(d);
    ig_device_id(d, id);
    snprintf(reason, sizeof reason, "%s", d->why);
    if (d->usable && not_auto)
        snprintf(reason, sizeof reason, "%s: used only when asked for by the option device, as %s",
                 not_auto, id);
    ig_buf_f(b, ",{\"id\":\"%s\",\"kind\":\"gpu\",\"backend\":\"%s\",\"name\":", id, d->backend);
    ig_json_put_str(b, ig_str_of(d->name));
    ig_buf_z(b, ",\"driver\":");
    ig_json_put_str(b, ig_str_of(d->driver));
    ig_buf_f(b,
             ",\"threads\":0,\"units\":%u,\"memory_bytes\":%llu,\"memory_free_bytes\":%llu,"
             "\"kernels\":\"\",\"software\":%s,\"unified\":%s,\"usable\":%s,\"automatic\":%s,"
             "\"reason\":",
             d->units, (unsigned long long)d->memory, (unsigned long long)d->memory_free,
             d->software ? "true" : "false", d->unified ? "true" : "false",
             d->usable ? "true" : "false", not_auto ? "false" : "true");
    ig_json_put_str(b, ig_str_of(reason));
    ig_buf_ch(b, '}');
}

void ig_devices_json(struct ig_buf *b, const char *kernels, const struct ig_device_list *l) {
    ig_buf_ch(b, '[');
    put_cpu(b, kernels);
    for (uint32_t i = 0; l && i < l->n; i++) put_gpu(b, &l->device[i]);
    ig_buf_ch(b, ']');
}

ingle_status ingle_devices(ingle_text_fn fn, void *ud, ingle_error *err) {
    struct ig_mem mem = {0};
    struct ig_buf b = {.mem = &mem};
    ingle_status status = INGLE_OK;
    if (!fn) return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_devices: fn is NULL");
    struct ig_device_list *l = ig_alloc(&mem, sizeof *l);
    if (!l) return ig_fail_memory(err, sizeof *l);
    ig_devices_list(l);
    ig_devices_json(&b, ig_kernels_choose("auto")->name, l);
    if (b.failed)
        status = ig_fail_memory(err, b.n);
    else if (fn(ud, b.p, b.n))
        status = ig_fail(err, INGLE_CANCELLED, NULL, "stopped by the caller");
    ig_buf_free(&b);
    ig_free(&mem, l);
    return status;
}

/* ---- Speed ---- */

struct bench {
    const struct ig_backend *b;
    struct ig_device *d;
    struct ig_dev_mem *from, *to;
    size_t bytes;  /* of each */
    uint8_t *host; /* [CHUNK] */
};

static ingle_status time_uploads(const struct bench *x, double seconds, double *out,
                                 ingle_error *err) {
    double start = 0, end = ig_os_seconds() + seconds;
    size_t done = 0, at = 0;
    for (bool first = true; first || !done || ig_os_seconds() < end; first = false) {
        IG_TRY(x->b->upload(x->d, x->from, at, x->host, CHUNK, err));
        IG_TRY(x->b->sync(x->d, err));
        if (first)
            start = ig_os_seconds();
        else
            done += CHUNK;
        at = at + 2 * CHUNK <= x->bytes ? at + CHUNK : 0;
    }
    double took = ig_os_seconds() - start;
    *out = took > 0 ? (double)done / took : 0;
    return INGLE_OK;
}

static ingle_status time_copies(const struct bench *x, double seconds, double *out,
                                ingle_error *err) {
    double best = 0, end = ig_os_seconds() + seconds;
    for (int i = 0; i < 2 || (i < MOST_COPIES && ig_os_seconds() < end); i++) {
        double start = ig_os_seconds();
        IG_TRY(x->b->copy(x->d, x->from, 0, x->to, 0, x->bytes, err));
        IG_TRY(x->b->sync(x->d, err));
        double took = ig_os_seconds() - start;
        if (i && took > 0 && 2.0 * (double)x->bytes / took > best)
            best = 2.0 * (double)x->bytes / took;
    }
    *out = best;
    return INGLE_OK;
}

static ingle_status time_launches(const struct bench *x, double *out, ingle_error *err) {
    double start = ig_os_seconds();
    for (int i = 0; i < TINY_COPIES; i++) IG_TRY(x->b->copy(x->d, x->from, 0, x->to, 0, TINY, err));
    IG_TRY(x->b->sync(x->d, err));
    *out = (ig_os_seconds() - start) / TINY_COPIES;
    return INGLE_OK;
}

static ingle_status run_bench(struct bench *x, double seconds, struct ig_device_speed *out,
                              ingle_error *err) {
    IG_TRY(x->b->alloc(x->d, &x->from, x->bytes, NULL, err));
    IG_TRY(x->b->alloc(x->d, &x->to, x->bytes, NULL, err));
    IG_TRY(time_uploads(x, seconds / 3, &out->upload, err));
    IG_TRY(time_copies(x, seconds / 2, &out->memory, err));
    return time_launches(x, &out->launch, err);
}

static size_t bench_bytes(const struct ig_device_info *d) {
    uint64_t n = d->unified || d->software ? SMALL_COPY : LARGE_COPY;
    uint64_t left = d->memory_free ? d->memory_free : d->memory;
    if (d->most_alloc && n > d->most_alloc) n = d->most_alloc;
    if (n > left / 8) n = left / 8;
    return n < CHUNK ? CHUNK : (size_t)(n / CHUNK * CHUNK);
}

static const struct ig_backend *backend_of(const struct ig_device_info *d) {
    const struct ig_backend *b = NULL;
    for (uint32_t i = 0; (b = ig_backend_at(i)) != NULL && strcmp(b->name, d->backend) != 0; i++) {
    }
    return b;
}

void ig_device_measure(struct ig_mem *mem, const struct ig_device_info *d, double seconds,
                       struct ig_device_speed *out) {
    struct ig_device_config config = {.mem = mem};
    struct bench x = {.b = backend_of(d), .bytes = bench_bytes(d)};
    ingle_error err = {0};
    memset(out, 0, sizeof *out);
    if (!x.b) return;
    x.host = ig_calloc(mem, CHUNK, 1);
    ingle_status st = x.host ? x.b->open(&x.d, d, &config, &err) : ig_fail_memory(&err, CHUNK);
    if (st == INGLE_OK) st = run_bench(&x, seconds, out, &err);
    if (st != INGLE_OK) {
        memset(out, 0, sizeof *out);
        snprintf(out->why, sizeof out->why, "%.255s", err.message);
    }
    x.b->close(x.d);
    ig_free(mem, x.host);
}
