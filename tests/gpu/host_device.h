/* A device that runs the kernels as host C++ (host.h), for the tests: put in front by ig_backend_test, or driven by the
 * stand-ins for the systems' libraries (fake_cuda.cpp, fake_objc.cpp) through ig_host_run. */
#ifndef IG_GPU_HOST_DEVICE_H
#define IG_GPU_HOST_DEVICE_H

#ifdef __cplusplus
extern "C" {
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Its devices: 0 without subgroups; 1 with subgroups of 32; 2 shares the host's memory (weights as in the file). */
extern const struct ig_backend ig_backend_host;

struct ig_host_kernel;
/* NULL if there is no such kernel. Variant: "", ":sub", ":native" is part of the module's name. */
const struct ig_host_kernel *ig_host_find(const char *module, const char *name);
/* By the kernel's name alone: of a module whose name ends in `suffix` (":sub", ":native") if there is one, else of the plain
 * one. */
const struct ig_host_kernel *ig_host_find_any(const char *name, const char *suffix);
uint32_t ig_host_items(const struct ig_host_kernel *k);
uint32_t ig_host_buffers(const struct ig_host_kernel *k);
uint32_t ig_host_args_bytes(const struct ig_host_kernel *k);
/* Runs all groups. NULL, or what the kernel did wrong (items of a group parted at a barrier). */
const char *ig_host_run(const struct ig_host_kernel *k, const uint32_t groups[3], void *const *buffer,
                        const void *args);

/* Faults: the n-th call of `what` ("alloc", "launch", "upload", "download", "kernel", "copy", "sync") from now on fails,
 * and with `forever` all after it. n = 0: none. */
void ig_host_fail(const char *what, unsigned n, bool forever);
/* Bytes and buffers that are allocated on host devices now. */
size_t ig_host_allocated(unsigned *buffers);
/* Launches since the start. */
uint64_t ig_host_launches(void);

#ifdef __cplusplus
}
#endif
#endif
