// Vectors of floats as wide as the processor's registers, for the kernels of attention.

#include <algorithm>
#include <cfloat>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

namespace {

// Lanes of a register, and how many registers wide a tile is: as many as the register file holds six times.
#if defined(__AVX512F__)
constexpr int LANES = 16, WIDE = 4;
#elif defined(__AVX__)
constexpr int LANES = 8, WIDE = 2;
#elif defined(__aarch64__)
constexpr int LANES = 4, WIDE = 4;
#else
constexpr int LANES = 4, WIDE = 2;
#endif
constexpr int TALL = 6;               // rows of a tile
constexpr int PANEL = LANES * WIDE;   // columns of a tile
constexpr float LOG2_E = 1.44269504088896341f;

typedef float Vector __attribute__((vector_size(LANES * 4)));
typedef int32_t Integers __attribute__((vector_size(LANES * 4)));
typedef uint32_t Unsigned __attribute__((vector_size(LANES * 4)));

template <class T>
inline T read(const void* from) {  // at any address
    T value;
    memcpy(&value, from, sizeof value);
    return value;
}

template <class T>
inline void write(void* to, const T& value) {
    memcpy(to, &value, sizeof value);
}

inline Vector all(float x) { return Vector{} + x; }

inline Vector larger(Vector a, Vector b) { return a > b ? a : b; }  // b where one is NaN

// e ** x for x <= 0, to 2e-7 of itself; NaN stays NaN, and what would be less than 2 ** -126 becomes that.
inline Vector exponential(Vector x) {
    const float shift = 12582912.0f + 127.0f;  // adding 1.5 * 2 ** 23 rounds to whole numbers; 127: bias of exponents
    x = larger(all(-126 / LOG2_E), x);
    Vector shifted = x * LOG2_E + shift;
    Vector f = x * LOG2_E - (shifted - shift);  // -0.5 to 0.5, and 2 ** f by a polynomial
    Vector p = f * 1.3276472454890609e-3f + 9.675540961325169e-3f;
    p = p * f + 5.550713092088699e-2f;
    p = p * f + 2.4022120237350464e-1f;
    p = p * f + 6.931469440460205e-1f;
    p = p * f + 1.0000001192092896f;
    return p * (Vector)((Integers)shifted << 23);
}

// Calls `run` with a constant of as many registers as are wanted: 1 to WIDE.
template <int COLUMNS = 1, class Run>
inline void with_columns(int64_t wanted, Run&& run) {
    if constexpr (COLUMNS < WIDE) {
        if (wanted > COLUMNS) return with_columns<COLUMNS + 1>(wanted, run);
    }
    run(std::integral_constant<int, COLUMNS>());
}

constexpr int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

struct Strides {
    int64_t row, head;
};

struct Clip {
    int64_t start, length;
};

// A hash of each 32-bit number. Source: C. Wellons, hash-prospector, the function `lowbias32`.
template <class Word>
inline Word mixed(Word x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

// Dropout of weights: which are kept is a function of the seed, the row of the batch, the head and the key alone.
struct Dropout {
    uint32_t seed;
    int32_t threshold;  // of 31 bits: of numbers below it, the weights are dropped
    float scale;        // of those that are kept

    uint32_t row(int64_t step, int64_t head) const { return mixed(mixed(seed + uint32_t(head)) + uint32_t(step)); }

    // The factors on the weights of the keys from `first` on.
    Vector factors(uint32_t row, int64_t first) const {
        Unsigned key;
        for (int i = 0; i < LANES; ++i) key[i] = uint32_t(i);
        Integers drawn = (Integers)(mixed((key + uint32_t(first)) * 0x9e3779b1u + row) >> 1);
        return drawn < threshold ? all(0) : all(scale);
    }
};

}  // namespace
