// Each function of kernels/core/exact.h in a kernel has the bits of the CPU's loop: tk_read compares
// what the runs on the emulated device and on a GPU read back with the first one's.
#include "math_device.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "math_table.h"
#include "tk.h"

// All binary32 exponents and signs, mantissas from a random sequence, and the special values.
enum { COUNT32 = 512 * 60, COUNT64 = 20000 };

static float *inputs32(void)
{
    float *const in = malloc(COUNT32 * sizeof *in);
    cr_assert(in != NULL);
    uint32_t random = 2463534242u;
    for (uint32_t i = 0; i < COUNT32; i++) {
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        const uint32_t bits = i % 512 << 23 | random >> 9;
        memcpy(&in[i], &bits, sizeof bits);
    }
    const float special[] = {0.0f, -0.0f, 1.0f, -1.0f, INFINITY, -INFINITY, NAN, 0x1p-149f};
    memcpy(in, special, sizeof special);
    return in;
}

static int run32(const tk_fixture *tk, int map, float *out, const float *in)
{
#ifdef MATH_HAVE_SIMT
    if (tk->emulated) return math_simt_map32(map, out, in, COUNT32);
#endif
#ifdef MATH_HAVE_CUDA
    if (tk->on_device) return math_cuda_map32(map, out, in, COUNT32);
#endif
    (void)tk;
    math_variants()[0]->map32[map](out, in, COUNT32);
    return 0;
}

static int run64(const tk_fixture *tk, int map, double *out, const double *in)
{
#ifdef MATH_HAVE_SIMT
    if (tk->emulated) return math_simt_map64(map, out, in, COUNT64);
#endif
#ifdef MATH_HAVE_CUDA
    if (tk->on_device) return math_cuda_map64(map, out, in, COUNT64);
#endif
    (void)tk;
    math_variants()[0]->map64[map](out, in, COUNT64);
    return 0;
}

TK_TEST(math_device, binary32_functions_have_the_bits_of_the_cpu)
{
    float *const in = inputs32();
    float *const host = malloc(COUNT32 * sizeof *host);
    cr_assert(host != NULL);
    for (int map = 0; map < MATH_NUM_MAPS32; map++) {
        tk_case("map %d", map);
        const float *const device = tk_input(tk, in, COUNT32, sizeof *in);
        float *const out = tk_output(tk, COUNT32, sizeof *out);
        TK_EXPECT(run32(tk, map, out, device) == 0, "the launch failed");
        tk_read(tk, out, host, COUNT32, sizeof *host);
        TK_EXPECT(!tk_untouched(host, COUNT32, sizeof *host), "nothing was written");
        tk_release(tk);
    }
    free(in), free(host);
}

TK_TEST(math_device, binary64_functions_have_the_bits_of_the_cpu)
{
    double *const in = malloc(COUNT64 * sizeof *in);
    double *const host = malloc(COUNT64 * sizeof *host);
    cr_assert(in != NULL && host != NULL);
    for (int map = 0; map < MATH_NUM_MAPS64; map++) {
        tk_case("map %d", map);
        uint64_t state = (uint64_t)map + 1;
        for (int i = 0; i < COUNT64; i++) {
            in[i] = math_random_input64(&math_table64[map % math_num_rows64], &state);
        }
        const double special[] = {0.0, -0.0, 1.0, -1.0, INFINITY, -INFINITY, NAN, 0x1p-1074};
        memcpy(in, special, sizeof special);
        const double *const device = tk_input(tk, in, COUNT64, sizeof *in);
        double *const out = tk_output(tk, COUNT64, sizeof *out);
        TK_EXPECT(run64(tk, map, out, device) == 0, "the launch failed");
        tk_read(tk, out, host, COUNT64, sizeof *host);
        tk_release(tk);
    }
    free(in), free(host);
}
