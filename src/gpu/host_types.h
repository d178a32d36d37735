/* The dialect's names of types for host code that fills argument structures. */
#ifndef IG_HOST_TYPES_H
#define IG_HOST_TYPES_H
#include <stdint.h>
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef float f32;
#endif
