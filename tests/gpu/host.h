/* The kernel dialect as host C++ (src/gpu/prelude.h): what the sanitizers look at. The items of a group are fibers of one
 * thread (host.cpp); BARRIER and SG_XOR hand over to the next. */
#ifndef IG_GPU_HOST_H
#define IG_GPU_HOST_H

#include <math.h>
#include <string.h>

#include "gpu/host_types.h"

struct alignas(8) v2u {
    u32 x, y;
};
struct alignas(16) v4u {
    u32 x, y, z, w;
};
struct alignas(16) v4f {
    f32 x, y, z, w;
};

/* Of the item that runs */
struct ig_host_place {
    u32 item, group[3], groups[3];
};
extern struct ig_host_place ig_host_place;
void ig_host_barrier(void);
u32 ig_host_exchange(u32 x, u32 mask); /* within 32 neighbours */
f32 ig_host_half_to_f32(u16 h);
u16 ig_host_f32_to_half(f32 f);

#define DEVICE static inline __attribute__((unused))
#define KERNEL(name, W) static void name(
#define BUF(i, T, n) T *n,
#define ARGS(i, S, n) const struct S &n)
#define MEM
#define LMEM
#define PRIV
#define CONST
#define CONSTANT(T, n, N) static const T n[N]
#define LOCAL(T, n, N) static T n[N]
#define ITEM (ig_host_place.item)
#define GROUP_X (ig_host_place.group[0])
#define GROUP_Y (ig_host_place.group[1])
#define GROUP_Z (ig_host_place.group[2])
#define GROUPS_X (ig_host_place.groups[0])
#define BARRIER() ig_host_barrier()
#define FMA(a, b, c) fmaf(a, b, c)
#define RINT(a) rintf(a)
#define FLOOR(a) floorf(a)
#define SQRT(a) sqrtf(a)
#define FABS(a) fabsf(a)
DEVICE u32 AS_U32(f32 f) {
    u32 u;
    memcpy(&u, &f, sizeof u);
    return u;
}
DEVICE f32 AS_F32(u32 u) {
    f32 f;
    memcpy(&f, &u, sizeof f);
    return f;
}
#define HALF_TO_F32(h) ig_host_half_to_f32(h)
#define F32_TO_HALF(f) ig_host_f32_to_half(f)
#define DOT4(a, b, c) ig_dot4(a, b, c)
#define IG_PLAIN_DOT4
#if defined(IG_SUBGROUP) && IG_SUBGROUP
#define SUBGROUP 32
#define SG_XOR_F(x, m) AS_F32(ig_host_exchange(AS_U32(x), m))
#define SG_XOR_I(x, m) ((i32)ig_host_exchange((u32)(x), m))
DEVICE u32 PERMUTE(u32 a, u32 b, u32 which) { /* as CUDA's */
    u64 both = (u64)b << 32 | a;
    u32 d = 0;
    for (u32 i = 0; i < 4; i++) d |= (u32)(both >> 8 * (which >> 4 * i & 7) & 255) << 8 * i;
    return d;
}
#define PERMUTE PERMUTE
#endif

/* The matrix unit of override/gemm_sm80.k: c[2 r + col] += a . b, where 32 neighbours have parts of a and b */
DEVICE void MMA_S8(i32 *c, const u32 *a, const u32 *b, u32 halves) {
    static const u32 *as[1024], *bs[1024];
    u32 first = ITEM / 32 * 32, g = ITEM % 32 / 4, t = ITEM % 4;
    as[ITEM] = a, bs[ITEM] = b;
    ig_host_exchange(0, 0);
    for (u32 o = 0; o < 4; o++)
        for (u32 i = 0; i < 16 * halves; i++) {
            u32 h = i / 16, lane = i / 4 % 4, shift = i % 4 * 8;
            c[o] += (i32)(i8)(as[first + 4 * g + lane][2 * h + o / 2] >> shift & 255) *
                    (i32)(i8)(bs[first + 4 * (2 * t + o % 2) + lane][h] >> shift & 255);
        }
    ig_host_exchange(0, 0); /* nobody goes on while others read */
}

/* ---- The table of kernels: a file of a module ends with a row for each of its kernels ---- */

typedef void (*ig_host_fn)(void);
struct ig_host_kernel {
    const char *module, *name;
    u32 items, n_buffers, args_bytes;
    ig_host_fn fn;
    void (*call)(ig_host_fn fn, void *const *buffer, const void *args);
    struct ig_host_kernel *next;
};
void ig_host_register(struct ig_host_kernel *k);

template <class S> struct ig_host_args; /* of a call: buffers in order, then the structure */
template <class S> struct ig_host_args<const S &> {
    static const S &get(void *const *, u32, const void *args) {
        return *static_cast<const S *>(args);
    }
    enum { buffers = 0, bytes = sizeof(S) };
};
template <class S> struct ig_host_args<S *> {
    static S *get(void *const *buffer, u32 i, const void *) {
        return static_cast<S *>(buffer[i]);
    }
    enum { buffers = 1, bytes = 0 };
};
template <u32... I> struct ig_host_list {};
template <u32 N, u32... I> struct ig_host_count : ig_host_count<N - 1, N - 1, I...> {};
template <u32... I> struct ig_host_count<0, I...> {
    typedef ig_host_list<I...> list;
};
template <class... A, u32... I>
static void ig_host_apply(void (*fn)(A...), void *const *buffer, const void *args, ig_host_list<I...>) {
    fn(ig_host_args<A>::get(buffer, I, args)...);
}
template <class... A> struct ig_host_entry {
    static void call(ig_host_fn fn, void *const *buffer, const void *args) {
        ig_host_apply(reinterpret_cast<void (*)(A...)>(fn), buffer, args,
                      typename ig_host_count<sizeof...(A)>::list());
    }
};
template <class... A>
static struct ig_host_kernel ig_host_make(const char *module, const char *name, u32 items, void (*fn)(A...)) {
    const u32 buffers[] = {ig_host_args<A>::buffers...}, bytes[] = {ig_host_args<A>::bytes...};
    struct ig_host_kernel k = {module, name, items, 0, 0, reinterpret_cast<ig_host_fn>(fn),
                               ig_host_entry<A...>::call, nullptr};
    for (u32 n : buffers) k.n_buffers += n;
    for (u32 n : bytes) k.args_bytes += n;
    return k;
}
struct ig_host_add {
    struct ig_host_kernel kernel;
    explicit ig_host_add(const struct ig_host_kernel &k) : kernel(k) {
        ig_host_register(&kernel);
    }
};
#define IG_HOST_ROW(module, name, items)                                                                \
    static struct ig_host_add ig_host_add_##name(ig_host_make(module, #name, items, name));

#endif
