/* What this machine can do, and why not more: the report of `ingle doctor`.
 * Nothing here changes how a model is run. The speed is the measured memory bandwidth divided by
 * the bytes a token needs: a limit that decoding comes near, not a promise. A device's part of that
 * is what of the model its memory holds; the rest is counted at the CPU's speed. */
#include "cpu/kernels.h"
#include "engine/devices.h"
#include "engine/gpus.h"
#include "engine/model.h"
#include "kv/cache.h"
#include "os/os.h"

#include <stdio.h>

enum {
    PROBE_BYTES = 96 << 20, /* beyond the caches of desktop processors */
    PROBE_THREADS = 16,
    LEAST_MEMORY = 1 << 30, /* no probe on a machine with less to spare */
    DEVICE_SECONDS = 3,     /* for all devices together */
    NAME = 128
};

#if defined(__x86_64__) || defined(_M_X64)
#define ARCH "x86_64"
#elif defined(__aarch64__) || defined(_M_ARM64)
#define ARCH "aarch64"
#else
#define ARCH "other"
#endif

static ingle_status push(struct ig_buf *b, ingle_text_fn fn, void *ud, ingle_error *err) {
    ingle_status status = INGLE_OK;
    if (b->failed)
        status = ig_fail_memory(err, b->n);
    else if (fn(ud, b->p, b->n))
        status = ig_fail(err, INGLE_CANCELLED, NULL, "stopped by the caller");
    ig_buf_free(b);
    return status;
}

/* ---- Bandwidth ---- */

struct probe {
    uint64_t *words;
    size_t n;
    bool fill;
    uint64_t sum;
};

static void probe_part(void *ud) {
    struct probe *p = ud;
    uint64_t a = 0, b = 0, c = 0, d = 0;
    if (p->fill) memset(p->words, 1, p->n * sizeof *p->words);
    for (size_t i = 0; !p->fill && i + 4 <= p->n; i += 4) {
        a += p->words[i];
        b += p->words[i + 1];
        c += p->words[i + 2];
        d += p->words[i + 3];
    }
    p->sum = a + b + c + d;
}

/* Runs all parts at once; a thread that cannot be started is done here. */
static void probe_all(struct probe *parts, unsigned n, bool fill) {
    struct ig_thread threads[PROBE_THREADS];
    bool started[PROBE_THREADS] = {false};
    for (unsigned i = 1; i < n; i++) {
        parts[i].fill = fill;
        started[i] = ig_os_thread_start(&threads[i], probe_part, &parts[i], 0, NULL) == INGLE_OK;
    }
    parts[0].fill = fill;
    for (unsigned i = 0; i < n; i++)
        if (!started[i]) probe_part(&parts[i]);
    for (unsigned i = 1; i < n; i++)
        if (started[i]) ig_os_thread_join(&threads[i]);
}

double ig_processor_speed(struct ig_mem *mem, unsigned threads) {
    struct probe parts[PROBE_THREADS] = {{0}};
    unsigned n = threads > PROBE_THREADS ? PROBE_THREADS : threads;
    uint64_t available = ig_os_memory_available();
    if (available && available < LEAST_MEMORY) return 0;
    uint64_t *words = ig_alloc(mem, PROBE_BYTES);
    if (!words) return 0;
    size_t each = PROBE_BYTES / sizeof *words / n;
    for (unsigned i = 0; i < n; i++)
        parts[i] = (struct probe){.words = words + each * i, .n = each};
    probe_all(parts, n, true);
    double best = 0;
    for (int run = 0; run < 3; run++) {
        double start = ig_os_seconds();
        probe_all(parts, n, false);
        double seconds = ig_os_seconds() - start;
        if (seconds > 0 && (double)(each * n * sizeof *words) / seconds > best)
            best = (double)(each * n * sizeof *words) / seconds;
    }
    ig_free(mem, words);
    return best;
}

/* ---- Report ---- */

struct report {
    struct ig_mem *mem;
    const struct ingle_model *m;
    const ingle_options *options;
    const char *kernels;
    struct ig_device_list *devices;
    struct ig_device_speed *speeds; /* [devices->n] */
    unsigned threads;
    uint64_t total, available, needed, per_token;
    double bandwidth;
    char placed[IG_PLACE_TEXT]; /* what of the model would go where, and why not elsewhere */
    bool on_gpus;
    struct ig_buf problems;
};

static void add_problem(struct report *r, const char *severity, const char *hint,
                        const char *what) {
    struct ig_buf *b = &r->problems;
    ig_buf_f(b, "%s{\"severity\":\"%s\",\"what\":", b->n ? "," : "", severity);
    ig_json_put_str(b, ig_str_of(what));
    ig_buf_z(b, ",\"hint\":");
    ig_json_put_str(b, ig_str_of(hint));
    ig_buf_ch(b, '}');
}

/* Bytes of weights that one token's pass reads: experts count by the share that is used. */
static uint64_t bytes_per_token(const struct ingle_model *m) {
    const struct ig_hparams *hp = &m->arch.hp;
    double total = 0;
    for (uint32_t i = 0; i < m->plan.n_ops; i++) {
        const struct ig_op *op = &m->plan.ops[i];
        double share = 1;
        if (op->kind != IG_OP_LINEAR && op->kind != IG_OP_EXPERT_LINEAR) continue;
        if (op->kind == IG_OP_EXPERT_LINEAR && hp->n_expert)
            share = (double)hp->n_expert_used / hp->n_expert;
        for (unsigned j = 0; j < op->n_to; j++) {
            const struct ig_mat *w = &op->w[j]->mat;
            total += share * (double)w->row_bytes * w->rows * (w->count ? w->count : 1);
        }
    }
    return (uint64_t)total;
}

/* What a session opened with these options would do. */
static void survey_placement(struct report *r, uint32_t context) {
    struct ig_placed placed;
    ingle_error err = {0};
    uint32_t batch = (uint32_t)ig_options_int(r->options, IG_OPT_BATCH);
    struct ig_place_room room = {.context = context, .batch = batch < context ? batch : context};
    if (ig_model_place(&placed, r->m, &r->m->plan, r->mem, r->options, &room, false, &err) !=
        INGLE_OK) {
        add_problem(r, "error", err.hint, err.message);
        snprintf(r->placed, sizeof r->placed, "nothing could be placed");
        return;
    }
    r->on_gpus = placed.place.where != NULL;
    if (r->on_gpus)
        snprintf(r->placed, sizeof r->placed, "%s", placed.place.text);
    else if (placed.why[0])
        snprintf(r->placed, sizeof r->placed, "all on the processor: %s", placed.why);
    else
        snprintf(r->placed, sizeof r->placed,
                 "all on the processor: as the options say, or the model is too small to gain");
    ig_placed_free(&placed);
}

static void survey_model(struct report *r) {
    char what[160];
    const struct ingle_model *m = r->m;
    uint64_t context = (uint64_t)ig_options_int(r->options, IG_OPT_CONTEXT);
    if (!context) context = m->arch.hp.n_context < 4096 ? m->arch.hp.n_context : 4096;
    survey_placement(r, (uint32_t)context);
    r->needed = ig_model_weight_bytes(m) + m->arch.copied_bytes +
                context * ig_model_kv_bytes(m, ig_options_choice(r->options, IG_OPT_KV));
    r->per_token = bytes_per_token(m);
    if (r->total && r->needed > r->total) {
        snprintf(what, sizeof what, "the model needs %.1f GB, the machine has %.1f GB of memory",
                 (double)r->needed / 1e9, (double)r->total / 1e9);
        add_problem(r, "error", "choose a smaller model or a smaller quantisation", what);
    } else if (r->available && r->needed > r->available) {
        snprintf(what, sizeof what, "the model needs %.1f GB, %.1f GB are free now",
                 (double)r->needed / 1e9, (double)r->available / 1e9);
        add_problem(r, "warning", "close other programs or lower the context", what);
    }
    if (!m->template_text.p)
        add_problem(r, "note", "give the messages as one prompt, or a template",
                    "the model has no chat template");
}

/* A GPU that nothing here can compute on because its driver is missing. */
static void survey_drivers(struct report *r) {
    static const struct {
        unsigned vendor;
        const char *severity, *what, *hint;
    } makers[] = {
        {0x10de, "warning",
         "an NVIDIA GPU is in this machine, but no driver that could compute on it",
         "install NVIDIA's own driver; in a container, give it the GPU"},
        {0x1002, "warning", "an AMD GPU is in this machine, but no driver that could compute on it",
         "install ROCm's OpenCL (rocm-opencl-runtime) or Mesa's rusticl"},
        {0x8086, "note", "an Intel GPU is in this machine, but no driver that could compute on it",
         "install Intel's OpenCL (intel-opencl-icd)"},
    };
    for (uint32_t i = 0; i < r->devices->n; i++)
        if (!r->devices->device[i].software) return; /* it has its own reason */
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (ig_os_has_gpu(makers[i].vendor))
            add_problem(r, makers[i].severity, makers[i].hint, makers[i].what);
}

static void survey_devices(struct report *r) {
    char what[512], id[32];
    for (uint32_t i = 0; i < r->devices->n; i++) {
        const struct ig_device_info *d = &r->devices->device[i];
        ig_device_id(d, id);
        if (!d->usable) {
            snprintf(what, sizeof what, "%s (%s) is not used: %s", id, d->name, d->why);
            add_problem(r, "warning", "see docs/gpu.md", what);
        } else if (r->speeds[i].why[0]) {
            snprintf(what, sizeof what, "%s (%s) failed when it was tried: %s", id, d->name,
                     r->speeds[i].why);
            add_problem(r, "error", "update its driver; until then ingle computes on the CPU",
                        what);
        }
    }
}

static void survey_machine(struct report *r) {
    survey_drivers(r);
    survey_devices(r);
    if (!strcmp(r->kernels, "scalar"))
        add_problem(r, "warning", "a processor with AVX2 is many times faster",
                    "only the portable kernels run on this processor");
    if (r->threads < 2)
        add_problem(r, "note", "allow the process more processors",
                    "only one thread may be used (affinity or container limit)");
}

static void measure_devices(struct report *r) {
    unsigned usable = 0;
    for (uint32_t i = 0; i < r->devices->n; i++) usable += r->devices->device[i].usable;
    for (uint32_t i = 0; i < r->devices->n; i++)
        if (r->devices->device[i].usable)
            ig_device_measure(r->mem, &r->devices->device[i], (double)DEVICE_SECONDS / usable / 2,
                              &r->speeds[i]);
}

static void put_model(const struct report *r, struct ig_buf *b) {
    if (!r->m) {
        ig_buf_z(b, "null");
        return;
    }
    ig_buf_z(b, "{\"path\":");
    ig_json_put_str(b, ig_str_of(r->m->path));
    ig_buf_f(b, ",\"family\":\"%s\",\"weights_bytes\":%llu,\"needed_bytes\":%llu,\"fits\":%s",
             r->m->arch.hp.row->name, (unsigned long long)ig_model_weight_bytes(r->m),
             (unsigned long long)r->needed, r->total && r->needed > r->total ? "false" : "true");
    ig_buf_f(b, ",\"on_gpus\":%s,\"placement\":", r->on_gpus ? "true" : "false");
    ig_json_put_str(b, ig_str_of(r->placed));
    ig_buf_ch(b, '}');
}

/* What each backend found, or why nothing. */
static void put_backends(const struct report *r, struct ig_buf *b) {
    static const char *const names[] = {"cuda", "metal", "opencl"};
    ig_buf_z(b, ",\"backends\":[");
    for (int i = 0; i < 3; i++) {
        unsigned n = 0;
        for (uint32_t j = 0; j < r->devices->n; j++)
            n += !strcmp(r->devices->device[j].backend, names[i]);
        ig_buf_f(b, "%s{\"name\":\"%s\",\"devices\":%u,\"reason\":", i ? "," : "", names[i], n);
        ig_json_put_str(b, ig_str_of(r->devices->why[i]));
        ig_buf_ch(b, '}');
    }
    ig_buf_ch(b, ']');
}

/* Of the model, the part that a device's memory holds: 0 to 1. */
static double share_on(const struct report *r, const struct ig_device_info *d) {
    double left = 0.9 * (double)(d->memory_free ? d->memory_free : d->memory);
    if (d->unified && r->available && left > (double)r->available) left = (double)r->available;
    return !r->needed || left >= (double)r->needed ? 1 : left / (double)r->needed;
}

static double tokens_on(const struct report *r, const struct ig_device_speed *s, double share) {
    double bytes = (double)r->per_token, seconds = 0;
    if (!r->per_token || s->memory <= 0 || (share < 1 && r->bandwidth <= 0)) return 0;
    seconds = share * bytes / s->memory + share * s->launch * (double)r->m->plan.n_ops;
    if (share < 1) seconds += (1 - share) * bytes / r->bandwidth;
    return 1 / seconds;
}

static void put_speeds(const struct report *r, struct ig_buf *b) {
    bool first = true;
    ig_buf_z(b, ",\"devices\":[");
    for (uint32_t i = 0; i < r->devices->n; i++) {
        const struct ig_device_speed *s = &r->speeds[i];
        char id[32];
        if (!r->devices->device[i].usable) continue;
        double share = share_on(r, &r->devices->device[i]);
        ig_device_id(&r->devices->device[i], id);
        ig_buf_f(b, "%s{\"id\":\"%s\",\"memory_bytes_per_second\":", first ? "" : ",", id);
        ig_json_put_f64(b, s->memory);
        ig_buf_z(b, ",\"upload_bytes_per_second\":");
        ig_json_put_f64(b, s->upload);
        ig_buf_z(b, ",\"launch_seconds\":");
        ig_json_put_f64(b, s->launch);
        ig_buf_z(b, ",\"model_share\":");
        ig_json_put_f64(b, r->m ? share : 0);
        ig_buf_z(b, ",\"tokens_per_second_limit\":");
        ig_json_put_f64(b, r->m ? tokens_on(r, s, share) : 0);
        ig_buf_z(b, ",\"reason\":");
        ig_json_put_str(b, ig_str_of(s->why));
        ig_buf_ch(b, '}');
        first = false;
    }
    ig_buf_ch(b, ']');
}

static void put_report(const struct report *r, struct ig_buf *b) {
    char name[NAME];
    ig_os_cpu_name(name, sizeof name);
    ig_buf_f(b, "{\"version\":\"%s\",\"system\":{\"os\":\"%s\",\"arch\":\"" ARCH "\",\"cpu\":",
             ingle_version(), ig_os_name());
    ig_json_put_str(b, ig_str_of(name));
    ig_buf_f(b, ",\"threads\":%u,\"memory_bytes\":%llu,\"memory_available_bytes\":%llu}",
             r->threads, (unsigned long long)r->total, (unsigned long long)r->available);
    ig_buf_z(b, ",\"devices\":");
    ig_devices_json(b, r->kernels, r->devices);
    put_backends(r, b);
    ig_buf_z(b, ",\"model\":");
    put_model(r, b);
    ig_buf_z(b, ",\"speed\":{\"memory_bytes_per_second\":");
    ig_json_put_f64(b, r->bandwidth);
    ig_buf_f(b, ",\"model_bytes_per_token\":%llu,\"tokens_per_second_limit\":",
             (unsigned long long)r->per_token);
    ig_json_put_f64(b, r->per_token ? r->bandwidth / (double)r->per_token : 0);
    put_speeds(r, b);
    ig_buf_z(b, "},\"problems\":[");
    ig_buf_str(b, ig_buf_view(&r->problems));
    ig_buf_z(b, "]}");
    if (r->problems.failed) b->failed = true;
}

static ingle_status make_report(struct report *r, ingle_text_fn fn, void *ud, ingle_error *err) {
    struct ig_buf b = {.mem = r->mem};
    ig_devices_list(r->devices);
    if (r->m) survey_model(r);
    r->bandwidth = ig_processor_speed(r->mem, r->threads);
    measure_devices(r);
    survey_machine(r);
    put_report(r, &b);
    ig_buf_free(&r->problems);
    return push(&b, fn, ud, err);
}

ingle_status ingle_doctor(const ingle_model *m, const ingle_options *options, ingle_text_fn fn,
                          void *ud, ingle_error *err) {
    struct ig_mem mem = {0};
    if (!fn) return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_doctor: fn is NULL");
    struct report r = {.mem = &mem,
                       .m = m,
                       .options = options,
                       .devices = ig_alloc(&mem, sizeof *r.devices),
                       .speeds = ig_calloc(&mem, IG_DEVICE_MOST, sizeof *r.speeds),
                       .kernels = ig_kernels_choose("auto")->name,
                       .threads = ig_os_core_count(),
                       .total = ig_os_memory_total(),
                       .available = ig_os_memory_available(),
                       .problems = {.mem = &mem}};
    ingle_status st = r.devices && r.speeds ? make_report(&r, fn, ud, err)
                                            : ig_fail_memory(err, sizeof *r.devices);
    ig_free(&mem, r.speeds);
    ig_free(&mem, r.devices);
    return st;
}
