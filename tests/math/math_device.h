// The functions of math_variant.h as kernels, on the emulated device and on a real one: launchers that
// return the runtime's error code. Arrays are in the device's memory.
#ifndef MERIT_TESTS_MATH_DEVICE_H
#define MERIT_TESTS_MATH_DEVICE_H

#include "math_variant.h"

#ifdef __cplusplus
extern "C" {
#endif

int math_simt_map32(int map, float *out, const float *in, size_t n);
int math_simt_map64(int map, double *out, const double *in, size_t n);
int math_cuda_map32(int map, float *out, const float *in, size_t n);
int math_cuda_map64(int map, double *out, const double *in, size_t n);

#ifdef __cplusplus
}
#endif

#endif
