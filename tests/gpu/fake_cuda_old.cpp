/* The stand-in for a driver that has no graphs (before CUDA 11.4). */
#define FAKE_CUDA_OLD
#pragma GCC diagnostic ignored "-Wsubobject-linkage" /* it takes the other for a header */
#include "gpu/fake_cuda.cpp"
