/* A golden model on the first OpenCL device, whose library fails at call after call, once or from
 * then on: the logits stay those of the processor or a clear error is reported, everything that was
 * created is released, nobody crashes. No OpenCL device: skipped. Of functions that are called often
 * some calls are taken; INGLE_FAULT_ALL=clFinish takes every call of that function and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gpu/thin.h"
#include "os/os.h"
#include "unit/sessions.h"

#define FAULT_CL TESTS_DIR "/libfault_cl.so" /* fault_cl.c */

enum { PROMPT = 6, STEPS = 3 };

static void (*fault_set)(const char *name, unsigned at, int forever);
static unsigned (*fault_calls)(void);
static int (*fault_live)(void);
static bool have_device;
static size_t in_use; /* bytes that the model and its sessions hold */

static void *counting(void *ud, void *p, size_t old, size_t n) {
    (void)ud;
    void *to = n ? realloc(p, n) : (free(p), NULL);
    if (to || !n) in_use += n - old;
    return to;
}

static int look_for_device(void *ud, const char *text, size_t n) {
    (void)ud;
    (void)n;
    have_device = strstr(text, "\"opencl0\"") != NULL;
    return 0;
}

static int begin(void **state) {
    static const char *const names[] = {"fault_cl_set", "fault_cl_calls", "fault_cl_live"};
    static char home[] = "/tmp/ingle-faults-XXXXXX";
    void *p[3];
    (void)state, (void)same_bits, (void)reference;
    setenv("INGLE_OPENCL", FAULT_CL, 1);
    setenv("INGLE_HOME", mkdtemp(home), 1); /* compiled programs */
    void *lib = ig_os_dl_open(FAULT_CL);
    if (!lib) return 1;
    for (int i = 0; i < 3; i++)
        if (!(p[i] = ig_os_dl_symbol(lib, names[i]))) return 1;
    memcpy(&fault_set, &p[0], sizeof p[0]);
    memcpy(&fault_calls, &p[1], sizeof p[1]);
    memcpy(&fault_live, &p[2], sizeof p[2]);
    return ingle_devices(look_for_device, NULL, &err) != INGLE_OK;
}

static int end(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", getenv("INGLE_HOME"));
    return system(command);
}

typedef float logits[1 + STEPS][VOCAB];

static ingle_status generate(const ingle_model *m, const ingle_options *o, logits out) {
    int32_t ids[PROMPT + STEPS];
    ingle_session *s = NULL;
    make_ids(ids, PROMPT + STEPS);
    ingle_status st = ingle_session_open(&s, m, o, &err);
    if (st == INGLE_OK) st = ingle_session_sync(s, ids, PROMPT, &err);
    for (int i = 0; st == INGLE_OK; i++) {
        memcpy(out[i], ingle_session_logits(s), sizeof out[i]);
        if (i == STEPS) break;
        st = ingle_session_step(s, ids[PROMPT + i], &err);
    }
    ingle_session_close(s);
    return st;
}

/* A model's whole life. */
static ingle_status life(const char *model, const char *layers, const char *device, logits out) {
    const char *const pairs[] = {"device", device,    "gpu-layers", layers, "batch",
                                 "4",      "threads", "1",          NULL};
    ingle_model *m = NULL;
    ingle_options *o = options(pairs);
    ingle_options_on_alloc(o, counting, NULL);
    ingle_status st = ingle_model_open(&m, golden(model), o, &err);
    if (st == INGLE_OK) st = generate(m, o, out);
    ingle_model_close(m);
    ingle_options_free(o);
    return st;
}

struct tally {
    unsigned same, refused;
};

/* One fault; false if it was beyond the last call. */
static bool one_fault(const char *model, const char *layers, const char *function, unsigned at,
                      int forever, logits want, struct tally *t) {
    static logits got;
    memset(got, 0, sizeof got);
    memset(&err, 0, sizeof err);
    fault_set(function, at, forever);
    ingle_status st = life(model, layers, "opencl0", got);
    unsigned calls = fault_calls();
    fault_set(NULL, 0, 0);
    if (fault_live()) fail_msg("%s, call %u: %d objects are left", function, at, fault_live());
    if (in_use) fail_msg("%s, call %u: %zu bytes are left", function, at, in_use);
    if (st == INGLE_OK) {
        if (memcmp(got, want, sizeof got)) fail_msg("%s, call %u: other numbers", function, at);
        t->same++;
    } else {
        if (!err.message[0]) fail_msg("%s, call %u: no message", function, at);
        if (st == INGLE_CANCELLED || st == INGLE_INTERNAL)
            fail_msg("%s, call %u: %s: %s", function, at, ingle_status_text(st), err.message);
        t->refused++;
    }
    return calls >= at;
}

static void faults_of(const char *model, const char *layers, const char *function, logits want) {
    struct tally t = {0};
    unsigned calls;
    double start = ig_os_seconds();
    fault_set(function, 0, 0);
    static logits got;
    assert_int_equal(life(model, layers, "opencl0", got), INGLE_OK);
    calls = fault_calls();
    if (memcmp(got, want, sizeof got)) fail_msg("without a fault: other numbers");
    unsigned step = getenv("INGLE_FAULT_ALL") ? 1 : thin(calls / 2 + 1, calls / 4 + 1), first = thin(2, 3);
    if (first == 1) first = 5;
    for (int forever = 0; forever < 2; forever++)
        for (unsigned at = 1; at <= calls; at += at < first ? 1 : step)
            if (!one_fault(model, layers, function, at, forever, want, &t) && !forever) break;
    printf("  %s, %s: %u calls, same numbers %u times, an error %u times, %.1f s\n", model,
           function, calls, t.same, t.refused, ig_os_seconds() - start);
    fflush(stdout);
}

static void faults_everywhere(const char *model, const char *layers) {
    static const char *const functions[] = {"clGetPlatformIDs",
                                            "clGetDeviceIDs",
                                            "clCreateContext",
                                            "clCreateCommandQueue",
                                            "clCreateBuffer",
                                            "clBuildProgram",
                                            "clCreateKernel",
                                            "clSetKernelArg",
                                            "clEnqueueNDRangeKernel",
                                            "clEnqueueReadBuffer",
                                            "clEnqueueWriteBuffer",
                                            "clEnqueueCopyBuffer",
                                            "clFlush",
                                            "clFinish"};
    static logits want, got;
    const char *only = getenv("INGLE_FAULT_ALL");
    if (!have_device) skip();
    assert_int_equal(life(model, layers, "none", want), INGLE_OK);
    assert_int_equal(life(model, layers, "opencl0", got), INGLE_OK); /* fills the cache */
    assert_memory_equal(got, want, sizeof got);
    assert_int_equal(in_use, 0);
    assert_int_equal(fault_live(), 0);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (!only || !strcmp(only, functions[i])) faults_of(model, layers, functions[i], want);
    assert_int_equal(life(model, layers, "opencl0", got), INGLE_OK); /* it is as good as before */
    assert_memory_equal(got, want, sizeof got);
}

static void all_layers_there(void **state) {
    (void)state;
    faults_everywhere("gguf/llama.gguf", "all");
}

static void by_turns_with_the_processor(void **state) {
    (void)state;
    if (!all_cases()) skip();
    faults_everywhere("gguf/llama.gguf", "1");
}

static void experts(void **state) {
    (void)state;
    if (!all_cases()) skip();
    faults_everywhere("gguf/mixtral.gguf", "all");
}

/* Best time to open a model and a session. */
static double start_seconds(const char *const *pairs) {
    double best = 1e9;
    for (int i = 0; i < 30; i++) {
        double from = ig_os_seconds();
        ingle_model *m = open_model("gguf/llama.gguf");
        ingle_session *s = open_session(m, pairs);
        double took = ig_os_seconds() - from;
        if (took < best) best = took;
        ingle_session_close(s);
        ingle_model_close(m);
    }
    return best;
}

/* A machine without any driver, for options that look for one. */
static void a_start_without_drivers(void **state) {
    static const char *const none[] = {"device", "none", NULL}, *const all[] = {"gpu-layers", "all",
                                                                                NULL};
    double more = 1;
    (void)state;
    setenv("INGLE_OPENCL", "libingle-no-opencl.so.1", 1);
    setenv("INGLE_CUDA", "libingle-no-cuda.so.1", 1);
    for (int i = 0; i < 5 && more >= 1e-3; i++) more = start_seconds(all) - start_seconds(none);
    setenv("INGLE_OPENCL", FAULT_CL, 1);
    unsetenv("INGLE_CUDA");
    printf("  looking for devices costs %.0f us\n", more * 1e6);
    assert_true(more < 1e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_without_drivers), cmocka_unit_test(all_layers_there),
        cmocka_unit_test(by_turns_with_the_processor), cmocka_unit_test(experts)};
    return cmocka_run_group_tests(tests, begin, end);
}
