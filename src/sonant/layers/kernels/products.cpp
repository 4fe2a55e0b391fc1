// Matrix products of floats on a CPU: to = left right (+ bias, or + to), each of left and right in any layout.
//
// Blocks of both are laid out in panels that stay in the caches, and tiles of the result in registers (Goto and van de
// Geijn, Anatomy of High-Performance Matrix Multiplication, 2008). Each number of the result is summed in one order,
// whatever the sizes, its place and the number of threads.

#include "vectors.h"

#include <utility>

namespace {

// Sizes of a block, whole tiles: its panels of the left stay in the second cache, one of the right in the first.
constexpr int64_t ROWS = 32 * TALL, COLUMNS = 2048, DEPTH = 256;
constexpr int64_t LEFT_ROW = DEPTH + LANES;  // of a panel: rows at multiples of 4 KiB would share lines of the cache

struct Matrix {
    const float* from;
    int64_t row, column;  // from a row, or a column, to the next

    const float* at(int64_t r, int64_t c) const { return from + r * row + c * column; }
};

struct Product {
    Matrix left, right;  // (rows, depth), (depth, columns)
    const float* bias;   // (columns), or null
    float* to;
    int64_t to_row, rows, columns, depth;
    int64_t add;  // to what is there
};

// Of two registers, those lanes that the lower one (or the higher) has once blocks of DISTANCE are swapped between them.
template <int DISTANCE, bool HIGHER, size_t... LANE>
inline Vector swapped(Vector low, Vector high, std::index_sequence<LANE...>) {
#define FROM (LANE & DISTANCE ? LANES + LANE - (HIGHER ? 0 : DISTANCE) : LANE + (HIGHER ? DISTANCE : 0))
#if defined(__clang__)
    return __builtin_shufflevector(low, high, int(FROM)...);
#else
    return __builtin_shuffle(low, high, Integers{int32_t(FROM)...});
#endif
#undef FROM
}

// Transposes LANES registers: blocks of DISTANCE are swapped, then of half of it, down to 1.
template <int DISTANCE = LANES / 2>
inline void transpose(Vector* rows) {
    const auto lanes = std::make_index_sequence<LANES>();
#pragma GCC unroll 16
    for (int r = 0; r < LANES; ++r) {
        if (r & DISTANCE) continue;
        Vector low = rows[r], high = rows[r + DISTANCE];
        rows[r] = swapped<DISTANCE, false>(low, high, lanes);
        rows[r + DISTANCE] = swapped<DISTANCE, true>(low, high, lanes);
    }
    if constexpr (DISTANCE > 1) transpose<DISTANCE / 2>(rows);
}

// A panel (depth, PANEL) of the right; columns beyond `count` are zero.
void lay_right(Matrix right, int64_t depth, int64_t count, float* panel) {
    if (count < PANEL) std::fill(panel, panel + depth * PANEL, 0.0f);
    if (right.column == 1) {
        const size_t size = size_t(count) * 4;
        for (int64_t k = 0; k < depth; ++k) {
            memcpy(panel + k * PANEL, right.at(k, 0), count == PANEL ? PANEL * 4 : size);
        }
        return;
    }
    int64_t k = 0;
    if (right.row == 1 && count == PANEL) {
        for (; k + LANES <= depth; k += LANES) {
            for (int c = 0; c < PANEL; c += LANES) {
                Vector rows[LANES];
#pragma GCC unroll 16
                for (int r = 0; r < LANES; ++r) rows[r] = read<Vector>(right.at(k, c + r));
                transpose(rows);
#pragma GCC unroll 16
                for (int r = 0; r < LANES; ++r) write(panel + (k + r) * PANEL + c, rows[r]);
            }
        }
    }
    for (; k < depth; ++k) {
        for (int64_t c = 0; c < count; ++c) panel[k * PANEL + c] = *right.at(k, c);
    }
}

// A panel of TALL rows of the left: (TALL, LEFT_ROW) where rows are contiguous, (depth, TALL) otherwise.
void lay_left(Matrix left, int64_t rows, int64_t depth, float* panel) {
    if (left.column == 1) {
        for (int64_t r = 0; r < rows; ++r) memcpy(panel + r * LEFT_ROW, left.at(r, 0), size_t(depth) * 4);
        for (int64_t r = rows; r < TALL; ++r) std::fill(panel + r * LEFT_ROW, panel + r * LEFT_ROW + depth, 0.0f);
    } else if (rows == TALL) {
        for (int64_t k = 0; k < depth; ++k) {
#pragma GCC unroll 8
            for (int r = 0; r < TALL; ++r) panel[k * TALL + r] = *left.at(r, k);
        }
    } else {
        for (int64_t k = 0; k < depth; ++k) {
            for (int64_t r = 0; r < TALL; ++r) panel[k * TALL + r] = r < rows ? *left.at(r, k) : 0.0f;
        }
    }
}

// A tile (TALL, PANEL) of the product of two panels; it is added to what is there, or to the bias, or stands alone.
template <int ROW, int COLUMN>
void tile(const float* left, const float* right, int64_t depth, float* to, int64_t to_row, bool add,
          const float* bias) {
    Vector sums[TALL][WIDE] = {};
#pragma GCC unroll 4
    for (int64_t k = 0; k < depth; ++k, right += PANEL) {
        Vector row[WIDE];
#pragma GCC unroll 8
        for (int c = 0; c < WIDE; ++c) row[c] = read<Vector>(right + c * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < TALL; ++r) {
            float a = left[r * ROW + k * COLUMN];
#pragma GCC unroll 8
            for (int c = 0; c < WIDE; ++c) sums[r][c] += a * row[c];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < TALL; ++r) {
#pragma GCC unroll 8
        for (int c = 0; c < WIDE; ++c) {
            float* place = to + r * to_row + c * LANES;
            if (add) sums[r][c] += read<Vector>(place);
            else if (bias) sums[r][c] += read<Vector>(bias + c * LANES);
            write(place, sums[r][c]);
        }
    }
}

// The memory of one thread.
struct Workspace {
    float* left;   // (ROWS / TALL, TALL * LEFT_ROW)
    float* right;  // (columns / PANEL, DEPTH, PANEL)

    explicit Workspace(int64_t columns) {
        int64_t of_left = ROWS * LEFT_ROW, of_right = round_up(std::min(columns, COLUMNS), PANEL) * DEPTH;
        memory.reset((char*)malloc(size_t(of_left + of_right) * 4 + 64));
        left = (float*)(memory.get() + (-intptr_t(memory.get()) & 63));
        right = left + of_left;
    }

  private:
    struct Free {
        void operator()(char* x) const { free(x); }
    };
    std::unique_ptr<char, Free> memory;
};

// Rows `top` to `bottom` and columns `first` to `last` of the product.
struct Part {
    const Product& product;
    int64_t top, bottom, first, last;
    Workspace& space;

    void run() {
        for (int64_t column = first; column < last; column += COLUMNS) {
            for (int64_t k = 0; k < product.depth; k += DEPTH) {
                int64_t depth = std::min(DEPTH, product.depth - k), end = std::min(column + COLUMNS, last);
                for (int64_t c = column; c < end; c += PANEL) {
                    Matrix at = product.right;
                    at.from = at.at(k, c);
                    lay_right(at, depth, std::min<int64_t>(PANEL, end - c), space.right + (c - column) * DEPTH);
                }
                for (int64_t row = top; row < bottom; row += ROWS) {
                    block(row, std::min(row + ROWS, bottom), column, end, k, depth);
                }
            }
        }
    }

    void block(int64_t row, int64_t row_end, int64_t column, int64_t column_end, int64_t k, int64_t depth) {
        const bool contiguous = product.left.column == 1, add = product.add || k > 0;
        for (int64_t r = row; r < row_end; r += TALL) {
            Matrix at = product.left;
            at.from = at.at(r, k);
            lay_left(at, std::min<int64_t>(TALL, row_end - r), depth, space.left + (r - row) * LEFT_ROW);
        }
        for (int64_t c = column; c < column_end; c += PANEL) {
            const int64_t width = std::min<int64_t>(PANEL, column_end - c);
            const float* right = space.right + (c - column) * DEPTH;
            const float* bias = product.bias && !add ? product.bias + c : nullptr;
            for (int64_t r = row; r < row_end; r += TALL) {
                const float* left = space.left + (r - row) * LEFT_ROW;
                const int64_t height = std::min<int64_t>(TALL, row_end - r);
                float* to = product.to + r * product.to_row + c;
                auto* compute = contiguous ? tile<LEFT_ROW, 1> : tile<1, TALL>;
                if (width == PANEL && height == TALL) {
                    compute(left, right, depth, to, product.to_row, add, bias);
                    continue;
                }
                // At an edge, a whole tile is computed beside the result.
                const size_t size = size_t(width) * 4;
                float edge[TALL * PANEL] = {}, of_bias[PANEL] = {};
                for (int64_t i = 0; add && i < height; ++i) memcpy(edge + i * PANEL, to + i * product.to_row, size);
                if (bias) memcpy(of_bias, bias, size);
                compute(left, right, depth, edge, PANEL, add, bias ? of_bias : nullptr);
                for (int64_t i = 0; i < height; ++i) memcpy(to + i * product.to_row, edge + i * PANEL, size);
            }
        }
    }
};

}  // namespace

extern "C" {

// Whether this is faster than MKL, which does not serve the processors of AMD as well as those of its maker.
int sonant_product_gains() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    return __builtin_cpu_is("amd") != 0;
#else
    return 0;
#endif
}

void sonant_product(const Product* product, int64_t threads) {
    // Parts as nearly square as can be: each lays out its rows and columns itself.
    int64_t across = 1;
    auto sides = [&](int64_t c) { return product->rows * c + product->columns * (threads / c); };
    for (int64_t c = 2; c <= threads; ++c) {
        if (threads % c == 0 && sides(c) < sides(across)) across = c;
    }
    const int64_t down = threads / across;
    const int64_t height = round_up((product->rows + down - 1) / down, TALL);
    const int64_t width = round_up((product->columns + across - 1) / across, PANEL);
#pragma omp parallel num_threads(int(threads)) if (threads > 1)
    {
        Workspace space(width);
#pragma omp for schedule(static)
        for (int64_t t = 0; t < threads; ++t) {
            int64_t top = t / across * height, first = t % across * width;
            if (top >= product->rows || first >= product->columns) continue;
            Part{*product, top, std::min(top + height, product->rows), first,
                 std::min(first + width, product->columns), space}.run();
        }
    }
}
}
