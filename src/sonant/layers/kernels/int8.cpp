// What stands before and behind a product of integers of eight bits, row by row: see int8.py, whose plain functions
// these equal. Loops over a row are written plainly and are left to the compiler to vectorize.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace {

enum Activation : int32_t { NONE, RELU, GELU, SWISH };

constexpr float LARGEST = 127.0f;
constexpr float LEAST = 1e-30f;  // a row whose values are all smaller counts as zeros

struct bfloat16 {
    uint16_t bits;
};

template <class To, class From>
inline To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

inline float widen(float x) { return x; }
inline float widen(bfloat16 x) { return same_bits<float>(uint32_t(x.bits) << 16); }

inline void narrow(float x, float* to) { *to = x; }

inline void narrow(float x, bfloat16* to) {  // to the nearest, ties to even
    uint32_t bits = same_bits<uint32_t>(x);
    to->bits = x != x ? 0x7fc0 : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// x times the distribution function of the normal law, to 1e-6: a polynomial in x * x, fitted for equal ripple.
inline float gelu(float x) {
    const float end = 5.2f;  // beyond, the function is 0 or 1 in float32
    float inside = x < -end ? -end : x > end ? end : x;
    float t = inside * inside * (2.0f / (end * end)) - 1.0f;  // -1 to 1
    float p = -0.000405050581f;
    p = p * t + 0.00121050945f;
    p = p * t - 0.00143357704f;
    p = p * t + 0.00195429521f;
    p = p * t - 0.00456699776f;
    p = p * t + 0.00840851478f;
    p = p * t - 0.0126137007f;
    p = p * t + 0.0180221871f;
    p = p * t - 0.0246987101f;
    p = p * t + 0.0319766812f;
    p = p * t - 0.0399321578f;
    p = p * t + 0.0500254557f;
    p = p * t - 0.0677436069f;
    p = p * t + 0.135949984f;
    float law = 0.5f + inside * p;
    return x * (x < -end ? 0.0f : x > end ? 1.0f : law);
}

// x over 1 + exp(-x); the exponential is a power of two, its fraction a polynomial, to 1e-7 of itself.
inline float swish(float x) {
    float power = x * -1.44269504f;
    power = power > -126.0f ? (power < 126.0f ? power : 126.0f) : -126.0f;  // a number also where x is NaN
    float whole = std::rint(power);
    float f = power - whole;  // -0.5 to 0.5
    float p = 1.5403530e-4f;
    p = p * f + 1.3333558e-3f;
    p = p * f + 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    float exponential = p * same_bits<float>(uint32_t(int32_t(whole) + 127) << 23);
    return x / (1.0f + exponential);
}

template <int32_t kind>
inline float activated(float x) {
    if (kind == RELU) return x < 0 ? 0.0f : x;  // NaN stays NaN
    if (kind == GELU) return gelu(x);
    if (kind == SWISH) return swish(x);
    return x;
}

// The magnitude as an integer: ordered as the magnitudes are, infinity above them, NaN above that.
inline int32_t magnitude(float x) { return same_bits<int32_t>(x) & 0x7fffffff; }

// Each channel times a factor of its own, or as it is.
struct Plain {
    float operator()(float x, int64_t) const { return x; }
};

struct Scaled {
    const float* factors;
    float operator()(float x, int64_t channel) const { return x * factors[channel]; }
};

template <class Call>
void with_factors(const float* factors, Call call) {
    if (factors) call(Scaled{factors});
    else call(Plain());
}

// A row in steps of `scale`, the largest magnitude being 127 of them; zeros with scale NaN if that is not finite.
template <class T, class Factor>
void quantize_row(const T* x, Factor factor, int64_t width, int32_t largest, int8_t* to, float* scale) {
    float top = same_bits<float>(largest);
    if (!(top < INFINITY) || top < LEAST) {
        *scale = top < LEAST ? 0.0f : NAN;
        memset(to, 0, size_t(width));
        return;
    }
    *scale = top / LARGEST;
    float inverse = LARGEST / top;
    for (int64_t i = 0; i < width; i++) to[i] = int8_t(int32_t(std::rint(factor(widen(x[i]), i) * inverse)));
}

template <class T, class Factor>
void quantize_rows(const T* x, Factor factor, int64_t rows, int64_t width, int64_t stride, int8_t* to, float* scales,
                   int threads) {
#pragma omp parallel for num_threads(threads)
    for (int64_t row = 0; row < rows; row++) {
        const T* from = x + row * stride;
        int32_t largest = 0;
        for (int64_t i = 0; i < width; i++) {
            int32_t size = magnitude(factor(widen(from[i]), i));
            largest = size > largest ? size : largest;
        }
        quantize_row(from, factor, width, largest, to + row * width, scales + row);
    }
}

// Sums of products, and what they stand for: activated(sum * row_scale * column_scale + bias).
struct Sums {
    const int32_t* sums;
    int64_t rows, width;
    const float *row_scales, *column_scales, *bias;
    int32_t activation, threads;
};

template <int32_t kind>
inline float value(const Sums& given, const int32_t* row, float scale, int64_t column) {
    return activated<kind>(float(row[column]) * (scale * given.column_scales[column]) + given.bias[column]);
}

template <int32_t kind, class T>
void dequantize(const Sums& given, T* to) {
#pragma omp parallel for num_threads(given.threads)
    for (int64_t row = 0; row < given.rows; row++) {
        const int32_t* from = given.sums + row * given.width;
        float scale = given.row_scales[row];
        for (int64_t i = 0; i < given.width; i++) narrow(value<kind>(given, from, scale, i), to + row * given.width + i);
    }
}

template <int32_t kind, class Factor>
void requantize(const Sums& given, Factor factor, int8_t* to, float* scales) {
#pragma omp parallel num_threads(given.threads)
    {
        std::vector<float> values(static_cast<size_t>(given.width));
        float* y = values.data();
#pragma omp for
        for (int64_t row = 0; row < given.rows; row++) {
            const int32_t* from = given.sums + row * given.width;
            float scale = given.row_scales[row];
            int32_t largest = 0;
            for (int64_t i = 0; i < given.width; i++) {
                y[i] = factor(value<kind>(given, from, scale, i), i);
                int32_t size = magnitude(y[i]);
                largest = size > largest ? size : largest;
            }
            quantize_row(y, Plain(), given.width, largest, to + row * given.width, scales + row);
        }
    }
}

template <class Call>
void with_activation(int32_t kind, Call call) {
    switch (kind) {
        case RELU: return call(std::integral_constant<int32_t, RELU>());
        case GELU: return call(std::integral_constant<int32_t, GELU>());
        case SWISH: return call(std::integral_constant<int32_t, SWISH>());
        default: return call(std::integral_constant<int32_t, NONE>());
    }
}

}  // namespace

extern "C" {

void sonant_quantize_float32(const float* x, const float* factors, int64_t rows, int64_t width, int64_t stride,
                             int8_t* to, float* scales, int32_t threads) {
    with_factors(factors, [&](auto factor) { quantize_rows(x, factor, rows, width, stride, to, scales, threads); });
}

void sonant_quantize_bfloat16(const bfloat16* x, const float* factors, int64_t rows, int64_t width, int64_t stride,
                              int8_t* to, float* scales, int32_t threads) {
    with_factors(factors, [&](auto factor) { quantize_rows(x, factor, rows, width, stride, to, scales, threads); });
}

void sonant_dequantize_float32(const Sums* given, float* to) {
    with_activation(given->activation, [&](auto kind) { dequantize<kind>(*given, to); });
}

void sonant_dequantize_bfloat16(const Sums* given, bfloat16* to) {
    with_activation(given->activation, [&](auto kind) { dequantize<kind>(*given, to); });
}

void sonant_requantize(const Sums* given, const float* factors, int8_t* to, float* scales) {
    with_activation(given->activation, [&](auto kind) {
        with_factors(factors, [&](auto factor) { requantize<kind>(*given, factor, to, scales); });
    });
}

}  // extern "C"
