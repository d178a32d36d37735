/* The host device: groups one after another, the items of a group as fibers that hand over at barriers. Every buffer is an
 * allocation of its own, so that AddressSanitizer sees a kernel that reads or writes beyond it; items that part at a
 * barrier are an error. One thread at a time (a lock), so LOCAL memory can be static. */
#include "gpu/host.h"

#include <mutex>
#include <stdio.h>
#include <stdlib.h>
#include <vector>

extern "C" {
#include "gpu/device.h"
#include "gpu/host_device.h"
#include "quant/quant.h"
}

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

/* ---- Fibers ---- */

struct ig_host_place ig_host_place;

namespace {

enum { STACK = 256 << 10, MOST_ITEMS = 1024 };
enum state { READY, AT_BARRIER, AT_EXCHANGE, DONE };

struct fiber {
    char *stack;
    void *sp;
    enum state state;
    unsigned exchanges;
    u32 slot[2];
    void *fake;
};

struct fiber fibers[MOST_ITEMS];
void *scheduler_sp, *scheduler_fake;
const void *scheduler_stack;
size_t scheduler_size;
u32 current;
const struct ig_host_kernel *kernel_now;
void *const *buffers_now;
const void *args_now;

#if defined(__x86_64__)
extern "C" void ig_host_switch(void **save, void *to);
__asm__(".text\n.type ig_host_switch,@function\nig_host_switch:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
        ".size ig_host_switch,.-ig_host_switch\n");
void *prepare(char *stack, void (*entry)(void)) {
    void **sp = reinterpret_cast<void **>(stack + STACK - 64);
    *--sp = nullptr; /* where entry would return to; keeps the stack aligned as at a call */
    *--sp = reinterpret_cast<void *>(entry);
    for (int i = 0; i < 6; i++) *--sp = nullptr;
    return sp;
}
#elif defined(__aarch64__)
extern "C" void ig_host_switch(void **save, void *to);
__asm__(".text\n.type ig_host_switch,%function\nig_host_switch:\n"
        "sub sp,sp,#176\nstp x19,x20,[sp]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\n"
        "stp x25,x26,[sp,#48]\nstp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\n"
        "stp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\nstp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\n"
        "mov x2,sp\nstr x2,[x0]\nmov sp,x1\n"
        "ldp x19,x20,[sp]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\n"
        "ldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\n"
        "ldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\nldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\n"
        "add sp,sp,#176\nret\n.size ig_host_switch,.-ig_host_switch\n");
void *prepare(char *stack, void (*entry)(void)) {
    void **sp = reinterpret_cast<void **>(stack + STACK - 64 - 176);
    memset(sp, 0, 176);
    sp[11] = reinterpret_cast<void *>(entry); /* x30 */
    return sp;
}
#else
#error "no fibers for this processor"
#endif

void to_fiber(struct fiber *f) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&scheduler_fake, f->stack, STACK);
#endif
    ig_host_switch(&scheduler_sp, f->sp);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(scheduler_fake, nullptr, nullptr);
#endif
}

void to_scheduler(struct fiber *f, bool last) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(last ? nullptr : &f->fake, scheduler_stack, scheduler_size);
#endif
    (void)last;
    ig_host_switch(&f->sp, scheduler_sp);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(f->fake, &scheduler_stack, &scheduler_size);
#endif
}

void fiber_main(void) {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_size);
#endif
    kernel_now->call(kernel_now->fn, buffers_now, args_now);
    fibers[current].state = DONE;
    to_scheduler(&fibers[current], true);
}

void resume(u32 i) {
    current = ig_host_place.item = i;
    to_fiber(&fibers[i]);
}

void wait_as(enum state s) {
    struct fiber *f = &fibers[current];
    f->state = s;
    to_scheduler(f, false);
}

/* Lets those go on whose 32 neighbours have all come to the exchange. */
bool release_exchange(u32 n) {
    bool any = false;
    for (u32 at = 0; at < n; at += 32) {
        u32 end = at + 32 < n ? at + 32 : n, waiting = 0, live = 0;
        for (u32 i = at; i < end; i++) {
            waiting += fibers[i].state == AT_EXCHANGE;
            live += fibers[i].state != DONE;
        }
        if (!waiting || waiting < live) continue;
        any = true;
        for (u32 i = at; i < end; i++)
            if (fibers[i].state == AT_EXCHANGE) fibers[i].state = READY;
    }
    return any;
}

const char *run_group(u32 n) {
    for (u32 i = 0; i < n; i++) {
        struct fiber *f = &fibers[i];
        if (!f->stack) f->stack = static_cast<char *>(malloc(STACK));
        if (!f->stack) return "no memory for a fiber";
        f->sp = prepare(f->stack, fiber_main);
        f->state = READY;
        f->exchanges = 0;
        f->fake = nullptr;
    }
    for (;;) {
        u32 done = 0, waiting = 0;
        for (u32 i = 0; i < n; i++)
            if (fibers[i].state == READY) resume(i);
        for (u32 i = 0; i < n; i++) {
            done += fibers[i].state == DONE;
            waiting += fibers[i].state == AT_BARRIER;
        }
        if (done == n) return nullptr;
        if (release_exchange(n)) continue;
        if (waiting < n) return "items of a group parted at a barrier";
        for (u32 i = 0; i < n; i++) fibers[i].state = READY;
    }
}

std::mutex lock;
struct ig_host_kernel *kernels;
uint64_t n_launches;

}  // namespace

void ig_host_barrier(void) {
    wait_as(AT_BARRIER);
}

u32 ig_host_exchange(u32 x, u32 mask) {
    u32 me = current;
    unsigned which = fibers[me].exchanges++ % 2;
    fibers[me].slot[which] = x;
    wait_as(AT_EXCHANGE);
    return fibers[me ^ (mask & 31)].slot[which];
}

f32 ig_host_half_to_f32(u16 h) {
    return ig_f16_to_f32(h);
}
u16 ig_host_f32_to_half(f32 f) {
    return ig_f32_to_f16(f);
}

void ig_host_register(struct ig_host_kernel *k) {
    k->next = kernels;
    kernels = k;
}

const struct ig_host_kernel *ig_host_find(const char *module, const char *name) {
    for (const struct ig_host_kernel *k = kernels; k; k = k->next)
        if (!strcmp(k->module, module) && !strcmp(k->name, name)) return k;
    return nullptr;
}
const struct ig_host_kernel *ig_host_find_any(const char *name, const char *suffix) {
    const struct ig_host_kernel *plain = nullptr;
    for (const struct ig_host_kernel *k = kernels; k; k = k->next) {
        const char *end = strchr(k->module, ':');
        if (strcmp(k->name, name)) continue;
        if (end && !strcmp(end, suffix)) return k;
        if (!end) plain = k;
    }
    return plain;
}
uint32_t ig_host_items(const struct ig_host_kernel *k) {
    return k->items;
}
uint32_t ig_host_buffers(const struct ig_host_kernel *k) {
    return k->n_buffers;
}
uint32_t ig_host_args_bytes(const struct ig_host_kernel *k) {
    return k->args_bytes;
}

const char *ig_host_run(const struct ig_host_kernel *k, const uint32_t groups[3], void *const *buffer,
                        const void *args) {
    std::lock_guard<std::mutex> hold(lock);
    kernel_now = k;
    buffers_now = buffer;
    args_now = args;
    n_launches++;
    for (int i = 0; i < 3; i++) ig_host_place.groups[i] = groups[i];
    for (u32 z = 0; z < groups[2]; z++)
        for (u32 y = 0; y < groups[1]; y++)
            for (u32 x = 0; x < groups[0]; x++) {
                ig_host_place.group[0] = x, ig_host_place.group[1] = y, ig_host_place.group[2] = z;
                const char *fault = run_group(k->items);
                if (fault) return fault;
            }
    return nullptr;
}

uint64_t ig_host_launches(void) {
    return n_launches;
}

/* ---- The backend ---- */

struct ig_dev_mem {
    char *p;
    size_t n;
    bool wrapped;
    struct ig_dev_mem *next;
};
struct ig_dev_kernel {
    const struct ig_host_kernel *k;
};
struct step { /* of a recording */
    const struct ig_host_kernel *k;
    uint32_t groups[3];
    std::vector<struct ig_dev_mem *> buffer;
    std::vector<char> args;
};
struct graph {
    std::vector<step> steps;
};
struct ig_device {
    uint32_t index;
    struct ig_dev_mem *all;
    std::vector<struct ig_dev_kernel *> kernel;
    struct graph *recording;
};

namespace {

struct {
    const char *what;
    unsigned left;
    bool forever;
} fault;
size_t bytes_now;
unsigned buffers_live;

ingle_status failed(const char *what, ingle_error *err) {
    if (!fault.what || strcmp(fault.what, what) || !fault.left) return INGLE_OK;
    if (fault.left > 1) {
        fault.left--;
        return INGLE_OK;
    }
    if (!fault.forever) fault.left = 0;
    return ig_fail(err, INGLE_DEVICE, "this is a test", "host device: %s failed on purpose", what);
}

void list(struct ig_device_list *out, char why[256]) {
    static const char *const names[] = {"host", "host with subgroups", "host, shared memory"};
    why[0] = 0;
    for (uint32_t i = 0; i < 3 && out->n < IG_DEVICE_MOST; i++) {
        struct ig_device_info *d = &out->device[out->n++];
        *d = ig_device_info();
        d->backend = "host";
        d->index = i;
        snprintf(d->name, sizeof d->name, "%s", names[i]);
        snprintf(d->driver, sizeof d->driver, "test");
        d->usable = true;
        d->unified = i == 2;
        d->memory = d->memory_free = (uint64_t)1 << 30;
        d->most_alloc = (uint64_t)1 << 28;
        d->units = 4;
        d->local_bytes = 32 << 10;
        d->most_group = 1024;
        d->subgroup = i == 1 ? 32 : 0;
    }
}

ingle_status open_device(struct ig_device **out, const struct ig_device_info *info,
                         const struct ig_device_config *, ingle_error *err) {
    *out = nullptr;
    ingle_status s = failed("open", err);
    if (s != INGLE_OK) return s;
    *out = new ig_device();
    (*out)->index = info->index;
    return INGLE_OK;
}

void free_mem(struct ig_device *d, struct ig_dev_mem *m) {
    if (!m) return;
    for (struct ig_dev_mem **at = &d->all; *at; at = &(*at)->next)
        if (*at == m) {
            *at = m->next;
            break;
        }
    if (!m->wrapped) free(m->p);
    if (!m->wrapped) bytes_now -= m->n;
    buffers_live--;
    delete m;
}

void close_device(struct ig_device *d) {
    if (!d) return;
    while (d->all) free_mem(d, d->all);
    for (struct ig_dev_kernel *k : d->kernel) delete k;
    delete d->recording;
    delete d;
}

ingle_status alloc(struct ig_device *d, struct ig_dev_mem **out, size_t bytes, const void *wrap,
                   ingle_error *err) {
    *out = nullptr;
    ingle_status s = failed("alloc", err);
    if (s != INGLE_OK) return s;
    struct ig_dev_mem *m = new ig_dev_mem();
    m->n = bytes;
    m->wrapped = wrap && d->index == 2;
    m->p = m->wrapped ? static_cast<char *>(const_cast<void *>(wrap)) : static_cast<char *>(malloc(bytes ? bytes : 1));
    if (!m->p) {
        delete m;
        return ig_fail_memory(err, bytes);
    }
    if (!m->wrapped) memset(m->p, 0xA5, bytes); /* garbage, as on any device */
    if (!m->wrapped) bytes_now += bytes;
    buffers_live++;
    m->next = d->all;
    d->all = m;
    *out = m;
    return INGLE_OK;
}

ingle_status outside(const char *what, ingle_error *err) {
    return ig_fail(err, INGLE_BAD_ARGUMENT, nullptr, "host device: %s reaches beyond its buffer", what);
}

ingle_status upload(struct ig_device *, struct ig_dev_mem *m, size_t at, const void *p, size_t n,
                    ingle_error *err) {
    ingle_status s = failed("upload", err);
    if (s != INGLE_OK) return s;
    if (m->wrapped || at > m->n || n > m->n - at) return outside("an upload", err);
    memcpy(m->p + at, p, n);
    return INGLE_OK;
}

ingle_status download(struct ig_device *, struct ig_dev_mem *m, size_t at, void *p, size_t n,
                      ingle_error *err) {
    ingle_status s = failed("download", err);
    if (s != INGLE_OK) return s;
    if (at > m->n || n > m->n - at) return outside("a download", err);
    memcpy(p, m->p + at, n);
    return INGLE_OK;
}

ingle_status copy(struct ig_device *, struct ig_dev_mem *from, size_t from_at, struct ig_dev_mem *to,
                  size_t to_at, size_t n, ingle_error *err) {
    ingle_status s = failed("copy", err);
    if (s != INGLE_OK) return s;
    if (from_at > from->n || n > from->n - from_at || to_at > to->n || n > to->n - to_at)
        return outside("a copy", err);
    memmove(to->p + to_at, from->p + from_at, n);
    return INGLE_OK;
}

ingle_status kernel(struct ig_device *d, struct ig_dev_kernel **out, const char *module,
                    const char *name, ingle_error *err) {
    char full[96];
    *out = nullptr;
    ingle_status s = failed("kernel", err);
    if (s != INGLE_OK) return s;
    snprintf(full, sizeof full, "%s%s", module, d->index == 1 ? ":sub" : "");
    const struct ig_host_kernel *k = ig_host_find(full, name);
    if (!k) k = ig_host_find(module, name);
    if (!k) return ig_fail(err, INGLE_UNSUPPORTED, nullptr, "host device: no kernel %s in %s", name, module);
    for (struct ig_dev_kernel *old : d->kernel)
        if (old->k == k) {
            *out = old;
            return INGLE_OK;
        }
    d->kernel.push_back(new ig_dev_kernel{k});
    *out = d->kernel.back();
    return INGLE_OK;
}

ingle_status run_step(const step &s, ingle_error *err) {
    void *buffer[IG_DEVICE_BUFFERS] = {};
    for (size_t i = 0; i < s.buffer.size(); i++) buffer[i] = s.buffer[i]->p;
    const char *bad = ig_host_run(s.k, s.groups, buffer, s.args.data());
    return bad ? ig_fail(err, INGLE_DEVICE, nullptr, "host device: kernel %s: %s", s.k->name, bad) : INGLE_OK;
}

ingle_status launch(struct ig_device *d, const struct ig_launch *l, ingle_error *err) {
    ingle_status s = failed("launch", err);
    if (s != INGLE_OK) return s;
    const struct ig_host_kernel *k = l->kernel->k;
    if (l->n_buffers != k->n_buffers || l->args_bytes != k->args_bytes)
        return ig_fail(err, INGLE_BAD_ARGUMENT, nullptr,
                       "host device: kernel %s wants %u buffers and %u bytes of arguments, got %u and %u",
                       k->name, k->n_buffers, k->args_bytes, l->n_buffers, l->args_bytes);
    step now = {k, {l->groups[0], l->groups[1], l->groups[2]}, {}, {}};
    for (uint32_t i = 0; i < l->n_buffers; i++) {
        if (!l->buffer[i])
            return ig_fail(err, INGLE_BAD_ARGUMENT, nullptr, "host device: buffer %u of %s is NULL", i, k->name);
        now.buffer.push_back(l->buffer[i]);
    }
    const char *args = static_cast<const char *>(l->args);
    now.args.assign(args, args + l->args_bytes);
    if (!d->recording) return run_step(now, err);
    d->recording->steps.push_back(now);
    return INGLE_OK;
}

ingle_status flush(struct ig_device *, ingle_error *) {
    return INGLE_OK;
}
ingle_status sync(struct ig_device *, ingle_error *err) {
    return failed("sync", err);
}
uint64_t memory_free(struct ig_device *) {
    return ((uint64_t)1 << 30) - bytes_now;
}

ingle_status record_begin(struct ig_device *d, ingle_error *) {
    delete d->recording;
    d->recording = new graph();
    return INGLE_OK;
}
ingle_status record_end(struct ig_device *d, void **out, ingle_error *) {
    *out = d->recording;
    d->recording = nullptr;
    return INGLE_OK;
}
ingle_status replay(struct ig_device *, void *g, ingle_error *err) {
    for (const step &s : static_cast<struct graph *>(g)->steps) {
        ingle_status status = run_step(s, err);
        if (status != INGLE_OK) return status;
    }
    return INGLE_OK;
}
void graph_free(struct ig_device *, void *g) {
    delete static_cast<struct graph *>(g);
}

}  // namespace

void ig_host_fail(const char *what, unsigned n, bool forever) {
    fault.what = n ? what : nullptr;
    fault.left = n;
    fault.forever = forever;
}

size_t ig_host_allocated(unsigned *buffers) {
    if (buffers) *buffers = buffers_live;
    return bytes_now;
}

extern "C" const struct ig_backend ig_backend_host = {
    "host", list,   open_device, close_device, alloc,        free_mem,   upload, download,  copy,
    kernel, launch, flush,       sync,         memory_free, record_begin, record_end, replay, graph_free};
