// The mathematics of kernels/core in kernels: one thread per element. MERIT_BACKEND names the launchers.
#include "../../kernels/backend.h"
#include "../../kernels/core/exact.h"
#include "../../kernels/core/launch.cuh"
#include "../../kernels/core/logistic.h"
#include "math_device.h"

#define m_exp_lo(x) m_exp_pair(x).lo
#define m_log_lo(x) m_log_pair(x).lo
#define m_exp64_lo(x) m_exp_pair64(x).lo
#define m_log64_lo(x) m_log_pair64(x).lo
#define m_logistic_sp(x) m_logistic(x).softplus
#define m_logistic_s(x) m_logistic(x).sigmoid
#define m_logistic_any(x) (m_abs32(x) <= 80.0f ? m_logistic_near(x) : m_logistic(x))
#define m_logistic_near_sp(x) m_logistic_any(x).softplus
#define m_logistic_near_s(x) m_logistic_any(x).sigmoid
#define m_exp_or_near(x) (m_abs32(x) <= MERIT_EXP_NEAR ? m_exp_near(x) : m_exp(x))
#define m_expm1_or_near(x) (m_abs32(x) <= MERIT_EXPM1_NEAR ? m_expm1_near(x) : m_expm1(x))
#define m_expm1m_or_near(x) (m_abs32(x) <= MERIT_EXPM1_NEAR ? m_expm1m_near(x) : m_expm1m(x))

namespace
{

constexpr int kThreads = 128;

template <typename Real>
struct MapArgs {
    int map;
    Real *out;
    const Real *in;
    size_t n;
};

#define MAP_CASE(name) \
    case MATH_##name: y = m_##name(x); break;

// grid: any that covers n; block: kThreads.
MERIT_KERNEL(kThreads) math_map32_kernel(const MERIT_GRID_CONSTANT MapArgs<float> a)
{
    const size_t i = (size_t)blockIdx.x * kThreads + threadIdx.x;
    if (i >= a.n) return;
    const float x = a.in[i];
    float y = 0.0f;
    switch (a.map) {
        MATH_MAPS32(MAP_CASE)
    default: break;
    }
    a.out[i] = y;
}

MERIT_KERNEL(kThreads) math_map64_kernel(const MERIT_GRID_CONSTANT MapArgs<double> a)
{
    const size_t i = (size_t)blockIdx.x * kThreads + threadIdx.x;
    if (i >= a.n) return;
    const double x = a.in[i];
    double y = 0.0;
    switch (a.map) {
        MATH_MAPS64(MAP_CASE)
    default: break;
    }
    a.out[i] = y;
}

dim3 blocks(size_t n)
{
    return dim3((unsigned)((n + kThreads - 1) / kThreads));
}

} // namespace

#define MATH_FN(name) MERIT_PASTE3(math_, MERIT_BACKEND, name)

extern "C" int MATH_FN(map32)(int map, float *out, const float *in, size_t n)
{
    const MapArgs<float> args = {map, out, in, n};
    return MERIT_LAUNCH(math_map32_kernel, blocks(n), dim3(kThreads), 0, NULL, args);
}

extern "C" int MATH_FN(map64)(int map, double *out, const double *in, size_t n)
{
    const MapArgs<double> args = {map, out, in, n};
    return MERIT_LAUNCH(math_map64_kernel, blocks(n), dim3(kThreads), 0, NULL, args);
}
