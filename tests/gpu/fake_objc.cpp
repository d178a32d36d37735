/* A small stand-in for the Objective-C runtime and Metal: just the messages that src/gpu/metal.c sends, with reference
 * counts and autorelease pools, running the kernels as host C++. Work is done when somebody waits for it, not when it is
 * committed, so that a read without a wait finds old bytes. What Metal would punish (a command buffer committed with an
 * open encoder, a released object used, memory beyond a buffer) is kept as a complaint.
 *
 * For x86-64 only: one function stands for all prototypes of objc_msgSend. Six arguments come in registers; what follows,
 * and structures of 24 bytes, lie on the stack in order, which is what `rest` and `more` below are. */
#include "gpu/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <vector>

extern "C" {
#include "gpu/host_device.h"
}

namespace {

struct size3 {
    unsigned long w, h, d;
};
struct call {
    uintptr_t a[4];
    struct size3 rest, more;
};

std::string complaint;
void complain(const std::string &what) {
    if (complaint.empty()) complaint = what;
}

struct fault {
    std::string what;
    unsigned left;
    bool forever;
} fault;
bool fails(const char *what) {
    if (fault.what != what || !fault.left) return false;
    if (fault.left > 1) {
        fault.left--;
        return false;
    }
    if (!fault.forever) fault.left = 0;
    return true;
}

unsigned live;
enum { ALIVE = 0x0b7ec7 };

struct object {
    int alive = ALIVE, refs = 1;
    object() {
        live++;
    }
    virtual ~object() {
        alive = 0;
        live--;
    }
    virtual const char *name() const = 0;
    virtual uintptr_t send(const std::string &s, const struct call &c) = 0;
    uintptr_t unknown(const std::string &s) {
        complain(std::string(name()) + " does not know " + s);
        return 0;
    }
};

std::vector<std::vector<object *>> pools;
std::vector<object *> &graveyard = *new std::vector<object *>; /* kept, so that a late message is noticed and not a crash */

void release(object *o) {
    if (--o->refs) return;
    o->~object();
    graveyard.push_back(o);
}
template <class T> T *autorelease(T *o) {
    if (pools.empty())
        complain(std::string(o->name()) + " made outside an autorelease pool");
    else
        pools.back().push_back(o);
    return o;
}
uintptr_t as_id(object *o) {
    return reinterpret_cast<uintptr_t>(o);
}

struct text : object {
    std::string s;
    explicit text(const std::string &t) : s(t) {}
    const char *name() const override {
        return "NSString";
    }
    uintptr_t send(const std::string &m, const struct call &) override {
        return m == "UTF8String" ? reinterpret_cast<uintptr_t>(s.c_str()) : unknown(m);
    }
};

struct error : object {
    std::string s;
    explicit error(const std::string &t) : s(t) {}
    const char *name() const override {
        return "NSError";
    }
    uintptr_t send(const std::string &m, const struct call &) override {
        return m == "localizedDescription" ? as_id(autorelease(new text(s))) : unknown(m);
    }
};

struct buffer : object {
    char *p;
    size_t n;
    bool own, is_private;
    buffer(char *bytes, size_t size, bool mine, bool hidden) : p(bytes), n(size), own(mine), is_private(hidden) {}
    ~buffer() override {
        if (own) free(p);
    }
    const char *name() const override {
        return "MTLBuffer";
    }
    uintptr_t send(const std::string &m, const struct call &) override {
        if (m != "contents") return unknown(m);
        if (is_private) complain("contents of a private buffer");
        return is_private ? 0 : reinterpret_cast<uintptr_t>(p);
    }
};

struct pipeline : object {
    const struct ig_host_kernel *k;
    explicit pipeline(const struct ig_host_kernel *kernel) : k(kernel) {}
    const char *name() const override {
        return "MTLComputePipelineState";
    }
    uintptr_t send(const std::string &m, const struct call &) override {
        return m == "maxTotalThreadsPerThreadgroup" ? 1024 : m == "threadExecutionWidth" ? 32 : unknown(m);
    }
};

struct function : object {
    const struct ig_host_kernel *k;
    explicit function(const struct ig_host_kernel *kernel) : k(kernel) {}
    const char *name() const override {
        return "MTLFunction";
    }
    uintptr_t send(const std::string &m, const struct call &) override {
        return unknown(m);
    }
};

struct library : object {
    bool native;
    explicit library(bool as_in_file) : native(as_in_file) {}
    const char *name() const override {
        return "MTLLibrary";
    }
    uintptr_t send(const std::string &m, const struct call &c) override {
        if (m != "newFunctionWithName:") return unknown(m);
        const char *name = reinterpret_cast<text *>(c.a[0])->s.c_str();
        const struct ig_host_kernel *k = ig_host_find_any(name, native ? ":native" : ":sub");
        return k && !fails("function") ? as_id(new function(k)) : 0;
    }
};

struct options : object {
    bool fast = true;
    const char *name() const override {
        return "MTLCompileOptions";
    }
    uintptr_t send(const std::string &m, const struct call &c) override {
        if (m != "setFastMathEnabled:") return unknown(m);
        fast = (c.a[0] & 255) != 0;
        return 0;
    }
};

/* ---- Command buffers ---- */

struct step {
    const struct ig_host_kernel *k = nullptr; /* else a copy */
    uint32_t groups[3] = {1, 1, 1};
    struct bound {
        buffer *b;
        size_t at;
    };
    std::vector<bound> buffers;
    std::vector<char> args;
    size_t n = 0;
};

struct commands : object {
    std::vector<step> steps;
    bool open = false, committed = false, done = false;
    std::string fault;
    std::vector<object *> held;
    ~commands() override {
        for (object *o : held) release(o);
    }
    void hold(object *o) {
        o->refs++;
        held.push_back(o);
    }
    void run();
    const char *name() const override {
        return "MTLCommandBuffer";
    }
    uintptr_t send(const std::string &m, const struct call &c) override;
};
std::vector<commands *> committed; /* in order, not run yet */

void commands::run() {
    done = true;
    if (fails("run")) fault = "the device hung up on purpose";
    for (const step &s : steps) {
        if (!fault.empty()) return;
        if (!s.k) {
            memmove(s.buffers[1].b->p + s.buffers[1].at, s.buffers[0].b->p + s.buffers[0].at, s.n);
            continue;
        }
        void *at[16] = {};
        if (s.buffers.size() != ig_host_buffers(s.k) || s.args.size() != ig_host_args_bytes(s.k))
            return complain("a kernel's buffers or arguments are not what it wants");
        for (size_t i = 0; i < s.buffers.size(); i++) at[i] = s.buffers[i].b->p + s.buffers[i].at;
        const char *bad = ig_host_run(s.k, s.groups, at, s.args.data());
        if (bad) fault = bad;
    }
}

void run_until(commands *last) {
    while (!last->done && !committed.empty()) {
        commands *c = committed.front();
        committed.erase(committed.begin());
        c->run();
        release(c);
    }
    if (!last->done) complain("a wait for a command buffer that was not committed");
}

struct encoder : object {
    commands *owner;
    pipeline *now = nullptr;
    step next;
    bool ended = false;
    explicit encoder(commands *c) : owner(c) {
        c->refs++;
        if (c->open) complain("two encoders at once");
        c->open = true;
    }
    ~encoder() override {
        if (!ended) complain("an encoder was dropped without endEncoding");
        release(owner);
    }
    const char *name() const override {
        return "MTLCommandEncoder";
    }
    void bind(buffer *b, size_t at, size_t index) {
        if (b->alive != ALIVE) return complain("a dead buffer was bound");
        if (at > b->n) complain("an offset beyond a buffer");
        if (next.buffers.size() <= index) next.buffers.resize(index + 1);
        next.buffers[index] = {b, at};
        owner->hold(b);
    }
    uintptr_t send(const std::string &m, const struct call &c) override {
        if (ended) complain(m + " to an encoder that has ended");
        if (m == "setComputePipelineState:") {
            now = reinterpret_cast<pipeline *>(c.a[0]);
            owner->hold(now);
            next = step();
        } else if (m == "setBuffer:offset:atIndex:") {
            bind(reinterpret_cast<buffer *>(c.a[0]), c.a[1], c.a[2]);
        } else if (m == "setBytes:length:atIndex:") {
            const char *p = reinterpret_cast<const char *>(c.a[0]);
            if (c.a[1] > 4096 || c.a[2] != next.buffers.size()) complain("bytes that are too many or out of place");
            next.args.assign(p, p + c.a[1]);
        } else if (m == "dispatchThreadgroups:threadsPerThreadgroup:") {
            next.k = now ? now->k : nullptr;
            if (!next.k) complain("a dispatch without a pipeline");
            if (next.k && (c.more.w != ig_host_items(next.k) || c.more.h != 1)) complain("a group of the wrong size");
            next.groups[0] = (uint32_t)c.rest.w, next.groups[1] = (uint32_t)c.rest.h, next.groups[2] = (uint32_t)c.rest.d;
            owner->steps.push_back(next);
        } else if (m == "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:") {
            next = step();
            bind(reinterpret_cast<buffer *>(c.a[0]), c.a[1], 0);
            bind(reinterpret_cast<buffer *>(c.a[2]), c.a[3], 1);
            next.n = c.rest.w;
            for (const step::bound &b : next.buffers)
                if (next.n > b.b->n - b.at) complain("a copy beyond a buffer");
            owner->steps.push_back(next);
        } else if (m == "endEncoding") {
            ended = true;
            owner->open = false;
        } else {
            return unknown(m);
        }
        return 0;
    }
};

uintptr_t commands::send(const std::string &m, const struct call &) {
    if (m == "computeCommandEncoder" || m == "blitCommandEncoder")
        return fails("encoder") ? 0 : as_id(autorelease(new encoder(this)));
    if (m == "commit") {
        if (open) complain("a commit with an open encoder");
        if (committed) complain("a second commit");
        committed = true;
        refs++;
        ::committed.push_back(this);
        return 0;
    }
    if (m == "waitUntilCompleted") return run_until(this), 0;
    if (m == "status") return !done ? 2 : fault.empty() ? 4 : 5;
    if (m == "error") return fault.empty() ? 0 : as_id(autorelease(new error(fault)));
    return unknown(m);
}

/* ---- Devices ---- */

struct queue : object {
    const char *name() const override {
        return "MTLCommandQueue";
    }
    uintptr_t send(const std::string &m, const struct call &) override {
        if (m != "commandBuffer") return unknown(m);
        return fails("commands") ? 0 : as_id(autorelease(new commands()));
    }
};

struct device : object {
    unsigned index;
    explicit device(unsigned i) : index(i) {}
    const char *name() const override {
        return "MTLDevice";
    }
    uintptr_t make_library(const struct call &c) {
        object **out = reinterpret_cast<object **>(c.a[2]);
        if (reinterpret_cast<options *>(c.a[1])->fast) complain("kernels compiled with fast math");
        if (fails("library")) {
            *out = autorelease(new error("a kernel does not compile, on purpose"));
            return 0;
        }
        return as_id(new library(reinterpret_cast<text *>(c.a[0])->s.rfind("#define PLANES 0", 0) == 0));
    }
    uintptr_t make_pipeline(const struct call &c) {
        object **out = reinterpret_cast<object **>(c.a[1]);
        if (!fails("pipeline")) return as_id(new pipeline(reinterpret_cast<function *>(c.a[0])->k));
        *out = autorelease(new error("no pipeline, on purpose"));
        return 0;
    }
    uintptr_t make_buffer(const struct call &c) {
        if (fails("buffer")) return 0;
        char *p = static_cast<char *>(malloc(c.a[0]));
        memset(p, 0xA5, c.a[0]);
        return as_id(new buffer(p, c.a[0], true, c.a[1] == 32));
    }
    uintptr_t send(const std::string &m, const struct call &c) override {
        if (m == "name") return as_id(autorelease(new text(index ? "Fake Radeon" : "Fake M1")));
        if (m == "registryID") return 1000 + index;
        if (m == "hasUnifiedMemory") return index == 0;
        if (m == "recommendedMaxWorkingSetSize") return (uintptr_t)1 << 30;
        if (m == "currentAllocatedSize") return 1 << 20;
        if (m == "maxBufferLength") return 256 << 20;
        if (m == "maxThreadgroupMemoryLength") return 32 << 10;
        if (m == "supportsFamily:") return c.a[0] == (index ? 2002u : 1007u);
        if (m == "newCommandQueue") return fails("queue") ? 0 : as_id(new queue());
        if (m == "newLibraryWithSource:options:error:") return make_library(c);
        if (m == "newComputePipelineStateWithFunction:error:") return make_pipeline(c);
        if (m == "newBufferWithLength:options:") return make_buffer(c);
        if (m == "newBufferWithBytesNoCopy:length:options:deallocator:") {
            if (c.a[0] % 4096 || c.a[1] % 4096) complain("wrapped memory is not whole pages");
            return as_id(new buffer(reinterpret_cast<char *>(c.a[0]), c.a[1], false, false));
        }
        return unknown(m);
    }
};

struct array : object {
    std::vector<object *> all;
    array() {
        for (unsigned i = 0; i < 2; i++) all.push_back(new device(i));
    }
    ~array() override {
        for (object *o : all) release(o);
    }
    const char *name() const override {
        return "NSArray";
    }
    uintptr_t send(const std::string &m, const struct call &c) override {
        return m == "count" ? all.size() : m == "objectAtIndex:" ? as_id(all[c.a[0]]) : unknown(m);
    }
};

struct class_of : object {
    std::string which;
    explicit class_of(const std::string &w) : which(w) {
        live--; /* classes stay */
    }
    const char *name() const override {
        return which.c_str();
    }
    uintptr_t send(const std::string &m, const struct call &c) override {
        if (m == "stringWithUTF8String:")
            return as_id(autorelease(new text(reinterpret_cast<const char *>(c.a[0]))));
        if (m == "new" && which == "MTLCompileOptions") return as_id(new options());
        return unknown(m);
    }
};
class_of string_class("NSString"), options_class("MTLCompileOptions");

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT uintptr_t objc_msgSend(object *o, const char *s, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d,
                              struct size3 rest, struct size3 more) {
    struct call all = {{a, b, c, d}, rest, more};
    if (!o) return 0; /* a message to nil */
    if (o->alive != ALIVE) {
        complain(std::string("a dead object was sent ") + s);
        return 0;
    }
    if (!strcmp(s, "retain")) return o->refs++, as_id(o);
    if (!strcmp(s, "release")) return release(o), 0;
    return o->send(s, all);
}
EXPORT object *objc_getClass(const char *name) {
    return !strcmp(name, "NSString") ? &string_class : !strcmp(name, "MTLCompileOptions") ? &options_class : nullptr;
}
EXPORT const char *sel_registerName(const char *name) {
    return name;
}
EXPORT void *objc_autoreleasePoolPush(void) {
    pools.emplace_back();
    return reinterpret_cast<void *>(pools.size());
}
EXPORT void objc_autoreleasePoolPop(void *pool) {
    if (reinterpret_cast<size_t>(pool) != pools.size()) complain("autorelease pools popped out of order");
    for (object *o : pools.back()) release(o);
    pools.pop_back();
}
EXPORT object *MTLCopyAllDevices(void) {
    return new array();
}
EXPORT object *MTLCreateSystemDefaultDevice(void) {
    return new device(0);
}

/* For the tests */
EXPORT unsigned fake_objc_live(void) {
    return live;
}
EXPORT const char *fake_objc_complaint(void) {
    return complaint.c_str();
}
EXPORT void fake_objc_fail(const char *what, unsigned n, bool forever) {
    fault = {n ? what : "", n, forever};
}
