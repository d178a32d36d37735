/* The kernel dialect: C99 without variadic macros, pointers to pointers, recursion, or variables outside functions,
 * compiled four ways by the macros below: OpenCL C 1.2, CUDA (clang, no toolkit), Metal, and host C++ where the items of
 * a group are fibers (tests/gpu/host.h). A kernel is
 *
 *     KERNEL(name, W) BUF(0, const f32, a) BUF(1, f32, dst) ARGS(2, ig_scale_args, p) {
 *         LOCAL(f32, part, 64);                   // shared by the group's W items; first statements of the kernel only
 *         u32 i = GROUP_X * W + ITEM;             // ITEM and GROUP_* only in the kernel itself: pass them to helpers
 *         ...
 *         BARRIER();                              // every item of the group gets here, or none
 *     }
 *
 * Buffers are numbered from 0, the argument structure (args.h) comes last. Functions are DEVICE; pointers in their
 * parameters carry MEM (a buffer), LMEM (LOCAL) or PRIV (private: Metal wants to know). Tables of constants:
 * CONSTANT(u32, name, N) = {...}; their pointers carry CONST. Names of kernels are unique in the whole of src/gpu.
 *
 * No BARRIER stands under a condition, even one that all items agree on: compilers that make loops of items copy all that
 * follows for each way (minutes), and PoCL loses private values that live across it. Loops are fine.
 *
 * Arithmetic is that of DESIGN 6 and src/cpu, bit for bit: FMA where a fused operation is meant, no contraction anywhere
 * else, `/` and SQRT rounded correctly, MAX(a, b) = a > b ? a : b. Sums of floats run in the order of the CPU's kernels;
 * only integers may be added in any order.
 *
 * SUBGROUP is 32 where 32 neighbouring items (ITEM / 32) run together and SG_XOR works, else 0: there is always a way
 * through LOCAL memory. PLANES is 1 where weights were taken apart into aligned planes on their way to the device
 * (planes.h), 0 where they lie as in the file and are aligned as blocks are: W_LD16, W_LD32, W_LD128 read them either way. */
#ifndef IG_PRELUDE_H
#define IG_PRELUDE_H

#if defined(__OPENCL_VERSION__) /* ---------------------------------------------------------------- OpenCL C */
#pragma OPENCL FP_CONTRACT OFF
typedef uchar u8;
typedef ushort u16;
typedef uint u32;
typedef ulong u64;
typedef char i8;
typedef short i16;
typedef int i32;
typedef float f32;
typedef uint2 v2u;
typedef uint4 v4u;
typedef float4 v4f;
#define DEVICE static inline __attribute__((always_inline))
#if defined(IG_SUBGROUP_INTEL) /* set by the host: the size of a sub-group is the compiler's choice otherwise */
#define KERNEL(name, W)                                                                            \
    __kernel __attribute__((reqd_work_group_size(W, 1, 1), intel_reqd_sub_group_size(32))) void name(
#else
#define KERNEL(name, W) __kernel __attribute__((reqd_work_group_size(W, 1, 1))) void name(
#endif
#define BUF(i, T, n) __global T *n,
#define ARGS(i, S, n) const struct S n)
#define MEM __global
#define LMEM __local
#define PRIV
#define CONST __constant
#define CONSTANT(T, n, N) __constant T n[N]
#define LOCAL(T, n, N) __local T n[N]
#define ITEM ((u32)get_local_id(0))
#define GROUP_X ((u32)get_group_id(0))
#define GROUP_Y ((u32)get_group_id(1))
#define GROUP_Z ((u32)get_group_id(2))
#define GROUPS_X ((u32)get_num_groups(0))
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#define FMA(a, b, c) fma(a, b, c)
#define RINT(a) rint(a)
#define FLOOR(a) floor(a)
#define SQRT(a) sqrt(a)
#define FABS(a) fabs(a)
#define AS_U32(f) as_uint(f)
#define AS_F32(u) as_float(u)
#define HALF_TO_F32(h) ig_half_to_f32(h)
DEVICE f32 ig_half_to_f32(u16 h) {
#if defined(POCL_DEVICE_ADDRESS_BITS) /* its own is slow; denormals are not flushed there */
    u32 w = (u32)(h & 0x7fffu) << 13;
    u32 f = as_uint(as_float(w) * 0x1p112f) | (w >= 0x0f800000u ? 0x7f800000u : 0u);
    return as_float(f | (u32)(h & 0x8000u) << 16);
#else
    return vload_half(0, (const half *)&h);
#endif
}
DEVICE u16 F32_TO_HALF(f32 f) {
    u16 h;
    vstore_half_rte(f, 0, (half *)&h);
    return h;
}
#if defined(cl_khr_integer_dot_product) && defined(__opencl_c_integer_dot_product_input_4x8bit_packed)
#define DOT4(a, b, c) ((c) + dot_4x8packed_ss_int(a, b))
#else
#define DOT4(a, b, c) ig_dot4(a, b, c)
#define IG_PLAIN_DOT4
#endif
#if defined(IG_SUBGROUP) && IG_SUBGROUP /* set by the host where the extensions are there and the size is 32 */
#pragma OPENCL EXTENSION cl_khr_subgroups : enable
#pragma OPENCL EXTENSION cl_khr_subgroup_shuffle : enable
#define SUBGROUP 32
#define SG_XOR_F(x, m) sub_group_shuffle_xor(x, (u32)(m))
#define SG_XOR_I(x, m) sub_group_shuffle_xor(x, (u32)(m))
#endif

#elif defined(__CUDA__) /* ------------------------------------------------------------ CUDA (clang, nvcc) */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed char i8;
typedef short i16;
typedef int i32;
typedef float f32;
struct __attribute__((aligned(8))) v2u {
    u32 x, y;
};
struct __attribute__((aligned(16))) v4u {
    u32 x, y, z, w;
};
struct __attribute__((aligned(16))) v4f {
    f32 x, y, z, w;
};
#define DEVICE static inline __attribute__((device, always_inline))
#define KERNEL(name, W) extern "C" __attribute__((global, launch_bounds(W))) void name(
#define BUF(i, T, n) T *n,
#define ARGS(i, S, n) const struct S n)
#define MEM
#define LMEM
#define PRIV
#define CONST
/* not const: that would put tables into constant memory, where the items of a warp read different entries one by one */
#define CONSTANT(T, n, N) static __attribute__((device)) T n[N]
#define LOCAL(T, n, N) static __attribute__((shared)) T n[N]
#define ITEM ((u32)__nvvm_read_ptx_sreg_tid_x())
#define GROUP_X ((u32)__nvvm_read_ptx_sreg_ctaid_x())
#define GROUP_Y ((u32)__nvvm_read_ptx_sreg_ctaid_y())
#define GROUP_Z ((u32)__nvvm_read_ptx_sreg_ctaid_z())
#define GROUPS_X ((u32)__nvvm_read_ptx_sreg_nctaid_x())
#define BARRIER() __syncthreads()
#define FMA(a, b, c) __nvvm_fma_rn_f(a, b, c)
#define RINT(a) __builtin_rintf(a)
#define FLOOR(a) __nvvm_floor_f(a)
#define SQRT(a) __nvvm_sqrt_rn_f(a)
#define FABS(a) __nvvm_fabs_f(a)
DEVICE u32 AS_U32(f32 f) {
    return (u32)__nvvm_bitcast_f2i(f);
}
DEVICE f32 AS_F32(u32 u) {
    return __nvvm_bitcast_i2f((int)u);
}
DEVICE f32 HALF_TO_F32(u16 h) {
    f32 f;
    __asm__("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}
DEVICE u16 F32_TO_HALF(f32 f) {
    u16 h;
    __asm__("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
    return h;
}
DEVICE i32 DOT4(u32 a, u32 b, i32 c) {
    i32 d;
    __asm__("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
    return d;
}
/* Bytes of a (0..3) and b (4..7) by the low four nibbles of `which`, each 0..7. Only where it is one instruction. */
DEVICE u32 PERMUTE(u32 a, u32 b, u32 which) {
    u32 d;
    __asm__("prmt.b32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(which));
    return d;
}
#define PERMUTE PERMUTE
/* Only where it is defined: a hint that memory will be read */
DEVICE void PREFETCH(const u8 *p) {
    __asm__ volatile("prefetch.L2 [%0];" : : "l"(p));
}
#define PREFETCH PREFETCH
#define SUBGROUP 32
DEVICE f32 SG_XOR_F(f32 x, u32 m) {
    f32 y;
    __asm__ volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, -1;" : "=f"(y) : "f"(x), "r"(m));
    return y;
}
DEVICE i32 SG_XOR_I(i32 x, u32 m) {
    i32 y;
    __asm__ volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, -1;" : "=r"(y) : "r"(x), "r"(m));
    return y;
}

#elif defined(__METAL_VERSION__) /* --------------------------------------------------------------- Metal */
#include <metal_stdlib>
using namespace metal;
typedef uchar u8;
typedef ushort u16;
typedef uint u32;
typedef ulong u64;
typedef char i8;
typedef short i16;
typedef int i32;
typedef float f32;
typedef uint2 v2u;
typedef uint4 v4u;
typedef float4 v4f;
#define DEVICE static inline
#define KERNEL(name, W) kernel void name(
#define BUF(i, T, n) device T *n [[buffer(i)]],
#define ARGS(i, S, n)                                                                              \
    constant S &n [[buffer(i)]], uint3 ig_group [[threadgroup_position_in_grid]],                  \
        uint3 ig_groups [[threadgroups_per_grid]], uint ig_item [[thread_index_in_threadgroup]])
#define MEM device
#define LMEM threadgroup
#define PRIV thread
#define CONST constant
#define CONSTANT(T, n, N) constant T n[N]
#define LOCAL(T, n, N) threadgroup T n[N]
#define ITEM (ig_item)
#define GROUP_X (ig_group.x)
#define GROUP_Y (ig_group.y)
#define GROUP_Z (ig_group.z)
#define GROUPS_X (ig_groups.x)
#define BARRIER() threadgroup_barrier(mem_flags::mem_threadgroup)
#define FMA(a, b, c) fma(a, b, c)
#define RINT(a) rint(a)
#define FLOOR(a) floor(a)
#define SQRT(a) precise::sqrt(a)
#define FABS(a) fabs(a)
#define AS_U32(f) as_type<u32>(f)
#define AS_F32(u) as_type<f32>(u)
#define HALF_TO_F32(h) ((f32)as_type<half>((u16)(h)))
#define F32_TO_HALF(f) (as_type<u16>((half)(f)))
#define DOT4(a, b, c) ig_dot4(a, b, c)
#define IG_PLAIN_DOT4
#define SUBGROUP 32
#define SG_XOR_F(x, m) simd_shuffle_xor(x, (ushort)(m))
#define SG_XOR_I(x, m) simd_shuffle_xor(x, (ushort)(m))

#else /* ------------------------------------------------------------------------------------------ host C++ */
#include "gpu/host.h" /* tests/gpu/host.h */
#endif

#ifndef SUBGROUP
#define SUBGROUP 0
#endif
#ifndef PLANES
#define PLANES 1
#endif

#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#define UNROLL_8 _Pragma("unroll 8")
#else
#define UNROLL
#define UNROLL_8
#endif

#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define MIN(a, b) ((a) < (b) ? (a) : (b))

#ifdef IG_PLAIN_DOT4
/* c + sum of products of four signed bytes */
DEVICE i32 ig_dot4(u32 a, u32 b, i32 c) {
    c += (i32)(i8)(a & 255u) * (i32)(i8)(b & 255u);
    c += (i32)(i8)(a >> 8 & 255u) * (i32)(i8)(b >> 8 & 255u);
    c += (i32)(i8)(a >> 16 & 255u) * (i32)(i8)(b >> 16 & 255u);
    return c + (i32)(i8)(a >> 24) * (i32)(i8)(b >> 24);
}
#endif

/* Little-endian reads of weights: `p` is a byte address in a weight buffer. Planes begin at multiples of 16, so a block's
 * piece is aligned to the largest power of two, up to 16, that divides its size (planes.h). Without planes the same is
 * true of the block, T_BYTES, but offsets in it count too. The ANY forms need nothing. */
DEVICE u32 W_LD8(const MEM u8 *p) {
    return p[0];
}
DEVICE u32 W_LD16_ANY(const MEM u8 *p) {
    return (u32)p[0] | (u32)p[1] << 8;
}
DEVICE u32 W_LD32_ANY(const MEM u8 *p) {
    return (u32)p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}
#if PLANES
DEVICE u32 W_LD16(const MEM u8 *p) {
    return *(const MEM u16 *)p;
}
DEVICE u32 W_LD32(const MEM u8 *p) {
    return *(const MEM u32 *)p;
}
#if defined(__CUDA__) /* compilers take the structure apart and put it together again only sometimes */
DEVICE v4u W_LD128(const MEM u8 *p) {
    v4u x;
    __asm__("{.reg .u64 a; cvta.to.global.u64 a, %4; ld.global.nc.v4.u32 {%0, %1, %2, %3}, [a];}"
            : "=r"(x.x), "=r"(x.y), "=r"(x.z), "=r"(x.w)
            : "l"(p));
    return x;
}
#else
DEVICE v4u W_LD128(const MEM u8 *p) {
    return *(const MEM v4u *)p;
}
#endif
#else
DEVICE u32 ig_ld16(const MEM u8 *p, u32 bytes) {
    return bytes % 2 ? W_LD16_ANY(p) : (u32) * (const MEM u16 *)p;
}
#if defined(__OPENCL_VERSION__) /* vload needs the alignment of its elements only, and is one instruction where that exists */
DEVICE u32 ig_ld32(const MEM u8 *p, u32 bytes) {
    if (bytes % 4 == 0) return *(const MEM u32 *)p;
    return bytes % 2 == 0 ? as_uint(vload2(0, (const MEM u16 *)p)) : as_uint(vload4(0, p));
}
DEVICE v4u ig_ld128(const MEM u8 *p, u32 bytes) {
    if (bytes % 16 == 0) return *(const MEM v4u *)p;
    if (bytes % 4 == 0) return vload4(0, (const MEM u32 *)p);
    return bytes % 2 == 0 ? as_uint4(vload8(0, (const MEM u16 *)p)) : as_uint4(vload16(0, p));
}
#else
DEVICE u32 ig_ld32(const MEM u8 *p, u32 bytes) {
    return bytes % 4 == 0 ? *(const MEM u32 *)p : ig_ld16(p, bytes) | ig_ld16(p + 2, bytes) << 16;
}
DEVICE v4u ig_ld128(const MEM u8 *p, u32 bytes) {
    v4u x;
    if (bytes % 16 == 0) return *(const MEM v4u *)p;
    x.x = ig_ld32(p, bytes), x.y = ig_ld32(p + 4, bytes), x.z = ig_ld32(p + 8, bytes), x.w = ig_ld32(p + 12, bytes);
    return x;
}
#endif
#define W_LD16(p) ig_ld16(p, T_BYTES)
#define W_LD32(p) ig_ld32(p, T_BYTES)
#define W_LD128(p) ig_ld128(p, T_BYTES)
#endif

#endif
