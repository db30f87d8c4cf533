#include "number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// Widths of the exponent and the stored significand.
typedef struct float_format {
    int exponent, significand;
} float_format;

static float_format format_of(st_dtype dtype)
{
    switch (dtype) {
    case ST_F16: return (float_format){5, 10};
    case ST_BF16: return (float_format){8, 7};
    case ST_F32: return (float_format){8, 23};
    case ST_F64: return (float_format){11, 52};
    default: return (float_format){0, 0};
    }
}

static bool is_signed(st_dtype dtype)
{
    return dtype == ST_I8 || dtype == ST_I16 || dtype == ST_I32 || dtype == ST_I64;
}

bool number_is_float(st_dtype dtype)
{
    return format_of(dtype).exponent != 0;
}

uint64_t number_bits(st_dtype dtype, const void *data, int64_t i)
{
    const size_t bytes = st_dtype_bytes(dtype);
    const unsigned char *const at = (const unsigned char *)data + (size_t)i * bytes;
    uint64_t bits = 0;
    for (size_t b = bytes; b-- > 0;) {
        bits = bits << 8 | at[b];
    }
    return bits;
}

static uint64_t mask_of(int bits)
{
    return bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
}

static int64_t integer_value(st_dtype dtype, uint64_t bits)
{
    const int width = 8 * (int)st_dtype_bytes(dtype);
    const uint64_t sign = (uint64_t)1 << (width - 1);
    return (int64_t)(is_signed(dtype) && (bits & sign) != 0 ? bits | ~mask_of(width) : bits);
}

static uint64_t infinity_of(float_format f)
{
    return mask_of(f.exponent) << f.significand;
}

static uint64_t sign_of(float_format f)
{
    return (uint64_t)1 << (f.exponent + f.significand);
}

double number_value(st_dtype dtype, uint64_t bits)
{
    const float_format f = format_of(dtype);
    if (f.exponent == 0) {
        return is_signed(dtype) ? (double)integer_value(dtype, bits) : (double)bits;
    }
    const uint64_t size = bits & (sign_of(f) - 1);
    const int bias = (1 << (f.exponent - 1)) - 1;
    const int exponent = (int)(size >> f.significand);
    const uint64_t low = size & mask_of(f.significand);
    double value;
    if (size >= infinity_of(f)) {
        value = size == infinity_of(f) ? INFINITY : NAN;
    } else if (exponent == 0) {
        value = ldexp((double)low, 1 - bias - f.significand);
    } else {
        value =
            ldexp((double)(low | (uint64_t)1 << f.significand), exponent - bias - f.significand);
    }
    return (bits & sign_of(f)) != 0 ? -value : value;
}

static bool round_integer(st_dtype dtype, double value, uint64_t *bits)
{
    const int width = 8 * (int)st_dtype_bytes(dtype);
    const double low = is_signed(dtype) ? -ldexp(1, width - 1) : 0;
    const double high = ldexp(1, is_signed(dtype) ? width - 1 : width); // excluded
    if (!(value >= low && value < high) || value != floor(value)) return false;
    *bits = (value < 0 ? (uint64_t)(int64_t)value : (uint64_t)value) & mask_of(width);
    return true;
}

bool number_round(st_dtype dtype, double value, uint64_t *bits)
{
    const float_format f = format_of(dtype);
    if (f.exponent == 0) return round_integer(dtype, value, bits);
    const uint64_t sign = signbit(value) ? sign_of(f) : 0;
    const int bias = (1 << (f.exponent - 1)) - 1;
    if (isnan(value)) {
        *bits = number_canonical_nan(dtype);
        return true;
    }
    if (isinf(value)) {
        *bits = sign | infinity_of(f);
        return true;
    }
    int exponent;
    frexp(value, &exponent); // value = m 2^exponent, m in [1/2, 1)
    // Exponent of the last place; subnormals share the smallest one.
    int last = exponent - 1 - f.significand;
    if (last < 1 - bias - f.significand) last = 1 - bias - f.significand;
    // Exact scaling, then one rounding to an integer. The sum carries into the exponent by itself,
    // up to infinity.
    const uint64_t units = (uint64_t)nearbyint(ldexp(fabs(value), -last));
    const uint64_t biased = (uint64_t)(last + f.significand + bias - 1);
    const uint64_t size = value == 0 ? 0 : (biased << f.significand) + units;
    *bits = sign | (size < infinity_of(f) ? size : infinity_of(f));
    return true;
}

bool number_is_nan(st_dtype dtype, uint64_t bits)
{
    const float_format f = format_of(dtype);
    return f.exponent != 0 && (bits & (sign_of(f) - 1)) > infinity_of(f);
}

bool number_is_inf(st_dtype dtype, uint64_t bits)
{
    const float_format f = format_of(dtype);
    return f.exponent != 0 && (bits & (sign_of(f) - 1)) == infinity_of(f);
}

uint64_t number_canonical_nan(st_dtype dtype)
{
    const float_format f = format_of(dtype);
    return infinity_of(f) | (uint64_t)1 << (f.significand - 1);
}

uint64_t number_steps(st_dtype dtype, uint64_t a, uint64_t b)
{
    const float_format f = format_of(dtype);
    if (f.exponent == 0) {
        if (!is_signed(dtype)) return a > b ? a - b : b - a;
        const int64_t x = integer_value(dtype, a), y = integer_value(dtype, b);
        return x > y ? (uint64_t)x - (uint64_t)y : (uint64_t)y - (uint64_t)x;
    }
    if (number_is_nan(dtype, a) || number_is_nan(dtype, b)) return UINT64_MAX;
    const uint64_t size_a = a & (sign_of(f) - 1), size_b = b & (sign_of(f) - 1);
    if ((a & sign_of(f)) != (b & sign_of(f))) return size_a + size_b;
    return size_a > size_b ? size_a - size_b : size_b - size_a;
}

void number_text(st_dtype dtype, uint64_t bits, char *text, size_t size)
{
    if (number_is_float(dtype)) {
        snprintf(text, size, "%.*g (0x%0*" PRIx64 ")", dtype == ST_F64 ? 17 : 9,
                 number_value(dtype, bits), 2 * (int)st_dtype_bytes(dtype), bits);
    } else if (is_signed(dtype)) {
        snprintf(text, size, "%" PRId64, integer_value(dtype, bits));
    } else {
        snprintf(text, size, "%" PRIu64, bits);
    }
}
