// The gradient of softmax attention of packed clips on a CPU, with the gated bias of a table or without a bias: blocks
// of queries pass by blocks of keys, whose weights are computed again (Dao et al., arXiv 2205.14135), so that nothing of
// the size length * length exists.
//
// A task is one head of one clip. With logits s, weights p, their gradient d and c = sum of gradient * result of a query:
//     g = p * (d - c);  keys += g^T queries;  queries += g keys;  values += p^T gradient;
//     gate += sum over keys of g * table;  table += g * gate, at the distance of key and query.

#include "vectors.h"

namespace {

constexpr int QUERIES = 48;                     // of a block, whole tiles
constexpr int KEYS = PANEL == 64 ? 192 : 96;  // of a block, whole tiles and whole panels

struct Call {
    const float *query, *key, *value;  // (total, heads, head_dim)
    Strides queries, keys, values;
    int64_t heads, head_dim;
    const float* table;  // (heads, 2 * reach - 1 + PANEL), or null
    const float* gate;   // (total, heads)
    int64_t table_row, reach;
    const Dropout* dropout;  // or null
    // Contiguous: results (total, heads, head_dim) and their gradients; logarithms of sums (total, heads).
    const float *result, *gradient, *log_sums;
    // Contiguous; of_table (clips, heads, 2 * reach - 1 + PANEL) is zero before.
    float *of_query, *of_key, *of_value, *of_gate, *of_table;
};

// The memory of one thread, for clips of up to so many queries.
struct Workspace {
    int64_t dim;  // numbers of a query, key or value, in whole registers
    float *queries, *gradients, *of_queries;  // (rows, dim); the queries scaled, rows beyond the clip zero
    float *dots, *log_sums, *gates, *of_gates;  // (rows)
    float *keys, *of_keys, *of_values;        // (KEYS, dim)
    float *keys_across, *values_across;       // (KEYS / PANEL, dim, PANEL)
    float *weights, *inner;                   // (QUERIES, KEYS)

    Workspace(const Call& call, int64_t longest) : dim(round_up(call.head_dim, LANES)) {
        int64_t rows = round_up(longest, TALL), size = 0;
        auto reserve = [&](float*& part, int64_t count) {
            part = (float*)(memory.get() + size);
            size += round_up(count * 4, 64);
        };
        for (int pass = 0; pass < 2; ++pass) {  // first to measure, then to lay out
            if (pass == 1) {
                memory.reset((char*)malloc(size_t(size) + 64));
                size = -intptr_t(memory.get()) & 63;
            }
            for (float** part : {&queries, &gradients, &of_queries}) reserve(*part, rows * dim);
            for (float** part : {&dots, &log_sums, &gates, &of_gates}) reserve(*part, rows);
            for (float** part : {&keys, &of_keys, &of_values, &keys_across, &values_across}) reserve(*part, KEYS * dim);
            for (float** part : {&weights, &inner}) reserve(*part, QUERIES * KEYS);
        }
    }

  private:
    struct Free {
        void operator()(char* x) const { free(x); }
    };
    std::unique_ptr<char, Free> memory;
};

// A matrix of which rows and columns may be far apart.
struct Left {
    const float* from;
    int64_t row, column;
};

// to[r][c] = (add ? to[r][c] : 0) + sum over k of left[r][k] * right[k][c], for so many registers of columns.
template <int ROWS, int COLUMNS>
void tile(Left left, const float* right, int64_t right_row, int64_t depth, float* to, int64_t to_row, bool add) {
    Vector sums[ROWS][COLUMNS] = {};
    for (int64_t k = 0; k < depth; ++k, right += right_row) {
        Vector row[COLUMNS];
#pragma GCC unroll 8
        for (int c = 0; c < COLUMNS; ++c) row[c] = read<Vector>(right + c * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r) {
            float a = left.from[r * left.row + k * left.column];
#pragma GCC unroll 8
            for (int c = 0; c < COLUMNS; ++c) sums[r][c] += a * row[c];
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
        for (int c = 0; c < COLUMNS; ++c) {
            float* place = to + r * to_row + c * LANES;
            write(place, add ? read<Vector>(place) + sums[r][c] : sums[r][c]);
        }
    }
}

// The same for any number of rows.
template <int COLUMNS>
void strip(int64_t rows, Left left, const float* right, int64_t right_row, int64_t depth, float* to, int64_t to_row,
           bool add) {
    for (; rows >= TALL; rows -= TALL, left.from += TALL * left.row, to += TALL * to_row) {
        tile<TALL, COLUMNS>(left, right, right_row, depth, to, to_row, add);
    }
    for (; rows > 0; --rows, left.from += left.row, to += to_row) {
        tile<1, COLUMNS>(left, right, right_row, depth, to, to_row, add);
    }
}

// (rows, depth) times (depth, dim), added: dim is one of whole registers.
void add_product(int64_t rows, Left left, const float* right, int64_t depth, float* to, int64_t dim) {
    for (int64_t column = 0; column < dim; column += PANEL) {
        with_columns(std::min<int64_t>(PANEL, dim - column) / LANES, [&](auto columns) {
            strip<columns()>(rows, left, right + column, dim, depth, to + column, dim, true);
        });
    }
}

struct Gradient {
    const Call& call;
    Clip clip;
    int64_t number, head;  // of the clip
    Workspace& space;

    const float* at(const float* base, Strides strides, int64_t step) const {
        return base + (clip.start + step) * strides.row + head * strides.head;
    }

    int64_t place(int64_t step) const { return (clip.start + step) * call.heads + head; }

    void run() {
        const float scale = 1 / __builtin_sqrtf(float(call.head_dim));
        const int64_t dim = space.dim, rows = round_up(clip.length, TALL);
        for (float* part : {space.queries, space.gradients, space.of_queries}) std::fill(part, part + rows * dim, 0.0f);
        for (int64_t i = 0; i < clip.length; ++i) {
            const float *query = at(call.query, call.queries, i), *result = call.result + place(i) * call.head_dim;
            const float* gradient = call.gradient + place(i) * call.head_dim;
            float dot = 0;
            for (int64_t d = 0; d < call.head_dim; ++d) {
                space.queries[i * dim + d] = query[d] * scale;
                space.gradients[i * dim + d] = gradient[d];
                dot += gradient[d] * result[d];
            }
            space.dots[i] = dot;
            space.log_sums[i] = call.log_sums[place(i)];
            space.gates[i] = call.table ? call.gate[place(i)] : 0;
            space.of_gates[i] = 0;
        }
        for (int64_t first = 0; first < clip.length; first += KEYS) {
            block_of_keys(first, std::min<int64_t>(KEYS, clip.length - first));
        }
        for (int64_t i = 0; i < clip.length; ++i) {
            float* to = call.of_query + place(i) * call.head_dim;
            for (int64_t d = 0; d < call.head_dim; ++d) to[d] = space.of_queries[i * dim + d] * scale;
            if (call.table) call.of_gate[place(i)] = space.of_gates[i];
        }
    }

    void block_of_keys(int64_t first, int64_t count) {
        const int64_t dim = space.dim;
        for (float* part : {space.keys, space.keys_across, space.values_across, space.of_keys, space.of_values}) {
            std::fill(part, part + KEYS * dim, 0.0f);
        }
        for (int64_t j = 0; j < count; ++j) {
            const float *key = at(call.key, call.keys, first + j), *value = at(call.value, call.values, first + j);
            int64_t across = j / PANEL * PANEL * dim + j % PANEL;
            for (int64_t d = 0; d < call.head_dim; ++d) {
                space.keys[j * dim + d] = space.keys_across[across + d * PANEL] = key[d];
                space.values_across[across + d * PANEL] = value[d];
            }
        }
        for (int64_t top = 0; top < clip.length; top += QUERIES) {
            block(top, std::min<int64_t>(QUERIES, clip.length - top), first, count);
        }
        for (int64_t j = 0; j < count; ++j) {
            int64_t to = place(first + j) * call.head_dim;
            for (int64_t d = 0; d < call.head_dim; ++d) {
                call.of_key[to + d] = space.of_keys[j * dim + d];
                call.of_value[to + d] = space.of_values[j * dim + d];
            }
        }
    }

    // Queries `top` to `top + rows - 1` and keys `first` to `first + count - 1`.
    void block(int64_t top, int64_t rows, int64_t first, int64_t count) {
        const int64_t dim = space.dim;
        for (int64_t j = 0; j < count; j += PANEL) {
            with_columns((std::min<int64_t>(PANEL, count - j) + LANES - 1) / LANES, [&](auto columns) {
                strip<columns()>(rows, {space.queries + top * dim, dim, 1}, space.keys_across + j * dim, PANEL,
                                 call.head_dim, space.weights + j, KEYS, false);
                strip<columns()>(rows, {space.gradients + top * dim, dim, 1}, space.values_across + j * dim, PANEL,
                                 call.head_dim, space.inner + j, KEYS, false);
            });
        }
        for (int64_t r = 0; r < rows; ++r) weigh(top + r, first, count, space.weights + r * KEYS, space.inner + r * KEYS);
        add_product(count, {space.weights, 1, KEYS}, space.gradients + top * dim, rows, space.of_values, dim);
        add_product(count, {space.inner, 1, KEYS}, space.queries + top * dim, rows, space.of_keys, dim);
        add_product(rows, {space.inner, KEYS, 1}, space.keys, count, space.of_queries + top * dim, dim);
    }

    // Products with keys become weights, kept ones scaled; products with values become gradients of logits.
    void weigh(int64_t i, int64_t first, int64_t count, float* weights, float* inner) {
        const int64_t width = 2 * call.reach - 1 + PANEL, start = first - i + call.reach - 1;
        const float* line = call.table ? call.table + head * call.table_row + start : nullptr;
        float* of_line = call.table ? call.of_table + (number * call.heads + head) * width + start : nullptr;
        const float dot = space.dots[i], log_sum = space.log_sums[i], gate = space.gates[i];
        const uint32_t drawn = call.dropout ? call.dropout->row(clip.start + i, head) : 0;
        Integers lane;
        for (int l = 0; l < LANES; ++l) lane[l] = l;
        Vector of_gate = {};
        for (int64_t j = 0; j < count; j += LANES) {
            const auto there = lane < int32_t(count - j);  // of the last register, some keys are not
            Vector x = read<Vector>(weights + j) - log_sum, d = read<Vector>(inner + j), near = {};
            if (line) {
                near = read<Vector>(line + j);
                x += gate * near;
            }
            Vector p = exponential(x);
            p = there ? p : all(0);
            Vector kept = p;
            if (call.dropout) {
                Vector factors = call.dropout->factors(drawn, first + j);
                kept *= factors;
                d *= factors;
            }
            Vector g = p * (d - dot);
            write(weights + j, kept);
            write(inner + j, g);
            if (line) {
                near = there ? near : all(0);  // of a distance that is not, which may not be a number
                of_gate += g * near;
                write(of_line + j, read<Vector>(of_line + j) + gate * g);
            }
        }
        for (int l = 0; l < LANES; ++l) space.of_gates[i] += of_gate[l];
    }
};

}  // namespace

extern "C" {

int sonant_attention_margin() { return PANEL; }

void sonant_attention_gradient(const Call* call, const int64_t* lengths, int64_t num_clips, int64_t threads) {
    std::vector<Clip> clips;
    int64_t start = 0, longest = 0;
    for (int64_t c = 0; c < num_clips; start += lengths[c++]) {
        clips.push_back({start, lengths[c]});
        longest = std::max(longest, lengths[c]);
    }
#pragma omp parallel num_threads(int(threads)) if (threads > 1)
    {
        Workspace space(*call, longest);
#pragma omp for schedule(dynamic)
        for (int64_t t = 0; t < num_clips * call->heads; ++t) {
            int64_t clip = t / call->heads;
            Gradient{*call, clips[clip], clip, t % call->heads, space}.run();
        }
    }
}
}
