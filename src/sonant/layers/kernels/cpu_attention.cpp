// Softmax attention of packed clips, each to itself, on a CPU: blocks of keys pass by tiles of queries, and nothing of
// the size length * length exists (online softmax: Milakov and Gimelshein, arXiv 1805.02867; Dao et al., 2205.14135).
//
// A task is a run of queries of one head of one clip. It copies its keys and values to a new layout, block by block, so that the
// innermost loop reads memory in order. Each row of the result is the same sum in the same order, whatever the tasks,
// the threads and the other clips are.

#include <cmath>

#include "vectors.h"
#if defined(__AVX512BF16__)
#include <immintrin.h>
#endif

namespace {

constexpr int SHORT = 2;                                    // queries in a tile of those left over
constexpr int BLOCK = 256;                                  // keys that lie in the cache while the queries pass
constexpr int64_t MOST_QUERIES = 768, FEWEST_QUERIES = 48;  // of a task
constexpr int ROWS_AHEAD = 8;                               // that are fetched before they are needed

typedef int32_t Four __attribute__((vector_size(16)));

// Lanes of two vectors, by number: those of b follow those of a.
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (Four){__VA_ARGS__})
#endif

struct bfloat16 {
    uint16_t bits;
};

inline float highest_lane(Vector x) {  // of those that are not NaN, or NaN
    float lanes[LANES];
    write(lanes, x);
#pragma GCC unroll 4
    for (int half = LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i) lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
    }
    return lanes[0];
}

inline float widen(float x) { return x; }

inline float widen(bfloat16 x) {
    uint32_t bits = uint32_t(x.bits) << 16;
    return read<float>(&bits);
}

inline void narrow(float x, float* to) { *to = x; }

inline void narrow(float x, bfloat16* to) {  // to the nearest, ties to even
    uint32_t bits = read<uint32_t>(&x);
    to->bits = x != x ? 0x7fc0 : uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

// Four words of four rows each, turned about: to[i] gets word i of every row.
template <class Word>
inline void turn(const Word* const* rows, int64_t first, Word* to, int64_t to_stride) {
    Four a = read<Four>(rows[0] + first), b = read<Four>(rows[1] + first);
    Four c = read<Four>(rows[2] + first), d = read<Four>(rows[3] + first);
    Four ac = SHUFFLE(a, c, 0, 4, 1, 5), bd = SHUFFLE(b, d, 0, 4, 1, 5);
    write(to, SHUFFLE(ac, bd, 0, 4, 1, 5));
    write(to + to_stride, SHUFFLE(ac, bd, 2, 6, 3, 7));
    ac = SHUFFLE(a, c, 2, 6, 3, 7), bd = SHUFFLE(b, d, 2, 6, 3, 7);
    write(to + 2 * to_stride, SHUFFLE(ac, bd, 0, 4, 1, 5));
    write(to + 3 * to_stride, SHUFFLE(ac, bd, 2, 6, 3, 7));
}

// How numbers lie in the tiles: words of four bytes, each one float, or two neighbors along the sum in bfloat16.
struct Floats {
    typedef float Word;
    static constexpr int DEPTH = 1;  // numbers in a word

    static Vector multiply(Vector sum, Word a, Vector b) { return sum + a * b; }
    template <class T>
    static Word word(const T* from, int64_t /* step */, bool /* both */) {
        return widen(*from);
    }
    static void weights(Word* to, Vector weights) { write(to, weights); }
};

#if defined(__AVX512BF16__)
struct Pairs {
    typedef uint32_t Word;
    static constexpr int DEPTH = 2;

    static Vector multiply(Vector sum, Word a, Vector b) {
        return (Vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32(int(a)), (__m512bh)b);
    }
    static Word word(const bfloat16* from, int64_t step, bool both) {
        return from[0].bits | uint32_t(both ? from[step].bits : 0) << 16;
    }
    static void weights(Word* to, Vector weights) { write(to, _mm512_cvtneps_pbh((__m512)weights)); }
};
#endif

enum Kind : int64_t { NONE, GATED_TABLE, SCORES };

// All that one call is about, field by field as Python gives it.
struct Call {
    const void *query, *key, *value;
    void* result;  // (total, heads, head_dim)
    Strides queries, keys, values;
    int64_t heads, head_dim;
    int64_t kind;       // of the bias
    const float* line;  // the table (heads, 2 * reach - 1 + PANEL), or the scores (total, heads, left + 1 + right)
    const float* gate;  // (total, heads), to a table
    Strides lines, gates;
    int64_t reach, left, right;
    float* log_sums;         // (total, heads): logarithms of the sums of exponentials, or null
    const Dropout* dropout;  // or null
};

struct Task {
    Clip clip;
    int64_t head, first, count;  // queries first to first + count - 1 of the clip
};

// The memory of one thread, for tasks of up to so many queries and blocks of up to so many keys.
template <class Numbers>
struct Workspace {
    typedef typename Numbers::Word Word;

    int64_t depth;   // words of a query or key
    int64_t dim;     // numbers of a value, in whole registers
    Word *queries;   // (queries, depth)
    Word *own;       // (4, depth): keys on the way
    Word *none;      // (depth): zero
    Word *keys;      // (keys / PANEL, depth, PANEL)
    Word *values;    // (keys / DEPTH, dim)
    Word *weights;   // (TALL, BLOCK / DEPTH)
    float *sums;     // (queries, dim): of weights times values, so far
    float *totals;   // (queries, LANES): of weights
    float *highest;  // (queries): logits, so far
    float *logits;   // (TALL, BLOCK)
    float *lines;    // (TALL, BLOCK): bias of each key

    Workspace(const Call& call, int64_t num_queries, int64_t num_keys)
        : depth((call.head_dim + Numbers::DEPTH - 1) / Numbers::DEPTH), dim(round_up(call.head_dim, LANES)) {
        int64_t rows = round_up(num_queries, TALL), block = round_up(num_keys, PANEL), size = 0;
        auto reserve = [&](auto*& part, int64_t count) {
            part = (std::remove_reference_t<decltype(part)>)(memory.get() + size);
            size += round_up(count * 4, 64);
        };
        for (int pass = 0; pass < 2; ++pass) {  // first to measure, then to lay out
            if (pass == 1) {
                memory.reset((char*)malloc(size_t(size) + 64));
                size = -intptr_t(memory.get()) & 63;
            }
            reserve(queries, rows * depth);
            reserve(own, 4 * depth);
            reserve(none, depth);
            reserve(keys, block * depth);
            reserve(values, block / Numbers::DEPTH * dim);
            reserve(weights, TALL * BLOCK / Numbers::DEPTH);
            reserve(sums, rows * dim);
            reserve(totals, rows * LANES);
            reserve(highest, rows);
            reserve(logits, TALL * BLOCK);
            reserve(lines, TALL * BLOCK);
        }
    }

  private:
    struct Free {
        void operator()(char* x) const { free(x); }
    };
    std::unique_ptr<char, Free> memory;
};

// tile[r][c] += sum over k of a[r][k] * b[k][c]: what nearly all of the time goes into.
template <class Numbers, int ROWS, int COLUMNS>
inline __attribute__((always_inline)) void multiply(
    Vector (&tile)[ROWS][COLUMNS], const typename Numbers::Word* a, int64_t a_stride,
    const typename Numbers::Word* b, int64_t b_stride, int64_t depth) {
    for (int64_t k = 0; k < depth; ++k, b += b_stride) {
        Vector row[COLUMNS];
#pragma GCC unroll 8
        for (int c = 0; c < COLUMNS; ++c) row[c] = read<Vector>(b + c * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
            for (int c = 0; c < COLUMNS; ++c) tile[r][c] = Numbers::multiply(tile[r][c], a[r * a_stride + k], row[c]);
        }
    }
}

// The bias of one query: factor * line[key of the block].
struct BiasLine {
    float factor;
    const float* line;
};

// Logits of a tile of queries against the first keys of a panel, and the highest of each query.
template <class Numbers, int ROWS, int COLUMNS>
void panel_logits(const typename Numbers::Word* queries, const typename Numbers::Word* keys, int64_t depth,
                  const BiasLine* bias, int64_t offset, int64_t num_keys, float scale, float* logits, Vector* highest) {
    Vector tile[ROWS][COLUMNS] = {};
    multiply<Numbers, ROWS, COLUMNS>(tile, queries, depth, keys, PANEL, depth);
    const bool partly = num_keys < COLUMNS * LANES;  // in the last register lie keys that there are not
    Integers lane;
    for (int i = 0; i < LANES; ++i) lane[i] = i;
    const auto there = lane < int32_t(num_keys - (COLUMNS - 1) * LANES);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
        Vector most = highest[r];
#pragma GCC unroll 8
        for (int c = 0; c < COLUMNS; ++c) {
            Vector x = tile[r][c] * scale;
            if (bias) x += bias[r].factor * read<Vector>(bias[r].line + offset + c * LANES);
            if (c == COLUMNS - 1 && partly) x = there ? x : all(-__builtin_inff());
            write(logits + r * BLOCK + offset + c * LANES, x);
            most = larger(most, x);
        }
        highest[r] = most;
    }
}

// sums = sums * shrink + weights times values, for some columns of the values. A block is added up by itself: added one
// by one to the sums over all blocks before, its products would be rounded as numbers of their size.
template <class Numbers, int ROWS, int COLUMNS>
void add_values(const typename Numbers::Word* weights, const typename Numbers::Word* values, int64_t dim,
                int64_t depth, const float* shrink, float* sums) {
    Vector tile[ROWS][COLUMNS] = {};
    multiply<Numbers, ROWS, COLUMNS>(tile, weights, BLOCK / Numbers::DEPTH, values, dim, depth);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
#pragma GCC unroll 8
        for (int c = 0; c < COLUMNS; ++c) {
            float* sum = sums + r * dim + c * LANES;
            write(sum, read<Vector>(sum) * shrink[r] + tile[r][c]);
        }
    }
}

template <class Numbers, class T>
struct Attention {
    typedef typename Numbers::Word Word;
    static constexpr int DEPTH = Numbers::DEPTH;

    const Call& call;
    const Task& task;
    Workspace<Numbers>& space;

    // A row of queries, keys or values. Rows lie far apart: one that comes later is fetched into the cache.
    const T* row_at(const void* base, Strides strides, int64_t step) const {
        const T* row = (const T*)base + (task.clip.start + step) * strides.row + task.head * strides.head;
        for (int64_t d = 0; d < call.head_dim; d += 64 / int64_t(sizeof(T))) {
            __builtin_prefetch(row + ROWS_AHEAD * strides.row + d);
        }
        return row;
    }

    // The words of a query or key: where they lie, if that is how, else made in `own`.
    const Word* words(const T* from, Word* own) const {
        if (sizeof(T) * DEPTH == sizeof(Word) && call.head_dim % DEPTH == 0) return (const Word*)from;
        for (int64_t d = 0; d < space.depth; ++d) {
            own[d] = Numbers::word(from + d * DEPTH, 1, d * DEPTH + 1 < call.head_dim);
        }
        return own;
    }

    void lay_out_queries() {
        for (int64_t i = 0; i < task.count; ++i) {
            Word* to = space.queries + i * space.depth;
            const Word* from = words(row_at(call.query, call.queries, task.first + i), to);
            if (from != to) memcpy(to, from, size_t(space.depth) * sizeof(Word));
        }
    }

    // Across: the words of one depth of a panel's keys lie side by side. Keys that there are not are zero.
    void lay_out_keys(int64_t first, int64_t count) {
        std::fill(space.none, space.none + space.depth, Word());
        for (int64_t j = 0; j < round_up(count, LANES); j += 4) {
            const Word* rows[4];
            for (int r = 0; r < 4; ++r) {
                if (j + r < count) {
                    rows[r] = words(row_at(call.key, call.keys, first + j + r), space.own + r * space.depth);
                } else {
                    rows[r] = space.none;
                }
            }
            Word* to = space.keys + j / PANEL * PANEL * space.depth + j % PANEL;
            int64_t d = 0;
            for (; d + 4 <= space.depth; d += 4) turn(rows, d, to + d * PANEL, PANEL);
            for (; d < space.depth; ++d) {
                for (int r = 0; r < 4; ++r) to[d * PANEL + r] = read<Word>(rows[r] + d);
            }
        }
    }

    void lay_out_values(int64_t first, int64_t count) {
        for (int64_t j = 0; j < count; j += DEPTH) {
            const T* from = row_at(call.value, call.values, first + j);
            Word* to = space.values + j / DEPTH * space.dim;
            for (int64_t d = 0; d < call.head_dim; ++d) to[d] = Numbers::word(from + d, call.values.row, j + 1 < count);
            std::fill(to + call.head_dim, to + space.dim, Word());
        }
    }

    // The bias of query i (of the clip) on the keys of a block.
    BiasLine bias_line(int64_t i, int64_t first, int64_t count, float* own) const {
        int64_t step = task.clip.start + i;
        if (call.kind == GATED_TABLE) {
            float gate = call.gate[step * call.gates.row + task.head * call.gates.head];
            return {gate, call.line + task.head * call.lines.head + first - i + call.reach - 1};
        }
        const float* scores = call.line + step * call.lines.row + task.head * call.lines.head + call.left;
        int64_t before = std::clamp<int64_t>(i - call.left - first, 0, count);  // keys as far back as is told apart
        int64_t behind = std::clamp<int64_t>(i + call.right + 1 - first, before, count);
        std::fill(own, own + before, scores[-call.left]);
        std::copy(scores + first + before - i, scores + first + behind - i, own + before);
        std::fill(own + behind, own + round_up(count, LANES), scores[call.right]);
        return {1, own};
    }

    // The queries from `row` on (of the task) against a block of keys.
    template <int ROWS>
    void tile(int64_t row, int64_t first_key, int64_t num_keys, float scale) {
        BiasLine bias[ROWS];
        if (call.kind != NONE) {
            for (int r = 0; r < ROWS; ++r) {
                int64_t i = task.first + std::min(row + r, task.count - 1);
                bias[r] = bias_line(i, first_key, num_keys, space.lines + r * BLOCK);
            }
        }
        Vector found[ROWS];
        for (int r = 0; r < ROWS; ++r) found[r] = all(-FLT_MAX);
        for (int64_t offset = 0; offset < num_keys; offset += PANEL) {
            int64_t there = std::min<int64_t>(PANEL, num_keys - offset);
            with_columns((there + LANES - 1) / LANES, [&](auto columns) {
                panel_logits<Numbers, ROWS, columns()>(
                    space.queries + row * space.depth, space.keys + offset * space.depth, space.depth,
                    call.kind == NONE ? nullptr : bias, offset, there, scale, space.logits, found);
            });
        }
        float shrink[ROWS];
        weigh<ROWS>(row, first_key, num_keys, found, shrink);
        int64_t registers = space.dim / LANES, turns = (registers + WIDE - 1) / WIDE, done = 0;
        for (; turns > 0; --turns) {  // as even as can be
            int64_t wanted = (registers - done + turns - 1) / turns;
            with_columns(wanted, [&](auto columns) {
                add_values<Numbers, ROWS, columns()>(
                    space.weights, space.values + done * LANES, space.dim, (num_keys + DEPTH - 1) / DEPTH, shrink,
                    space.sums + row * space.dim + done * LANES);
            });
            done += wanted;
        }
    }

    // Logits to weights. `shrink` becomes what the sums over the blocks before are to be multiplied with.
    template <int ROWS>
    void weigh(int64_t row, int64_t first_key, int64_t num_keys, const Vector* found, float* shrink) {
        float* highest = space.highest + row;
        for (int r = 0; r < ROWS; ++r) {
            float now = highest_lane(found[r]);
            now = highest[r] > now ? highest[r] : now;
            shrink[r] = highest[r] - now;
            highest[r] = now;
        }
        for (int r = 0; r < ROWS; r += LANES) {
            float some[LANES] = {};
            memcpy(some, shrink + r, sizeof(float) * std::min(LANES, ROWS - r));
            Vector fall = read<Vector>(some);
            write(some, fall == 0 ? all(1) : exponential(fall));  // which is not quite 1 there, and again each block
            memcpy(shrink + r, some, sizeof(float) * std::min(LANES, ROWS - r));
        }
        for (int r = 0; r < ROWS; ++r) {
            Vector total = {};
            uint32_t drawn = 0;
            if (call.dropout) drawn = call.dropout->row(task.clip.start + task.first + row + r, task.head);
            for (int64_t j = 0; j < num_keys; j += LANES) {
                Vector weights = exponential(read<Vector>(space.logits + r * BLOCK + j) - highest[r]);
                total += weights;
                if (call.dropout) weights *= call.dropout->factors(drawn, first_key + j);
                Numbers::weights(space.weights + (r * BLOCK + j) / DEPTH, weights);
            }
            float* totals = space.totals + (row + r) * LANES;
            write(totals, read<Vector>(totals) * shrink[r] + total);
        }
    }

    void run() {
        const float scale = 1 / __builtin_sqrtf(float(call.head_dim));
        int64_t rows = round_up(task.count, SHORT);
        std::fill(space.queries + task.count * space.depth, space.queries + rows * space.depth, Word());
        std::fill(space.sums, space.sums + rows * space.dim, 0.0f);
        std::fill(space.totals, space.totals + rows * LANES, 0.0f);
        std::fill(space.highest, space.highest + rows, -FLT_MAX);
        lay_out_queries();
        for (int64_t first = 0; first < task.clip.length; first += BLOCK) {
            int64_t count = std::min<int64_t>(BLOCK, task.clip.length - first);
            lay_out_keys(first, count);
            lay_out_values(first, count);
            int64_t row = 0;
            for (; row + TALL <= task.count; row += TALL) tile<TALL>(row, first, count, scale);
            for (; row < task.count; row += SHORT) tile<SHORT>(row, first, count, scale);
        }
        for (int64_t i = 0; i < task.count; ++i) {
            Vector lanes = read<Vector>(space.totals + i * LANES);
            float total = 0;
            for (int l = 0; l < LANES; ++l) total += lanes[l];
            // Where every logit was minus infinity, the softmax is not defined.
            float factor = space.highest[i] == -FLT_MAX ? __builtin_nanf("") : 1.0f / total;
            T* to = (T*)call.result + ((task.clip.start + task.first + i) * call.heads + task.head) * call.head_dim;
            for (int64_t d = 0; d < call.head_dim; ++d) narrow(space.sums[i * space.dim + d] * factor, to + d);
            if (call.log_sums) {
                int64_t step = task.clip.start + task.first + i;
                call.log_sums[step * call.heads + task.head] = space.highest[i] + logf(total);
            }
        }
    }
};

// Queries of a task for clips of this length, so that no task is much smaller than the others.
int64_t queries_of_task(int64_t length, int64_t most) {
    int64_t tasks = (length + most - 1) / most;
    return round_up((length + tasks - 1) / tasks, TALL);
}

std::vector<Task> cut(const int64_t* lengths, int64_t num_clips, int64_t heads, int64_t threads) {
    std::vector<Task> tasks;
    for (int64_t most = MOST_QUERIES;; most /= 2) {  // until there is work for every thread
        tasks.clear();
        Clip clip = {0, 0};
        for (int64_t c = 0; c < num_clips; ++c) {
            clip = {clip.start + clip.length, lengths[c]};
            if (clip.length == 0) continue;
            int64_t count = queries_of_task(clip.length, most);
            for (int64_t head = 0; head < heads; ++head) {
                for (int64_t first = 0; first < clip.length; first += count) {
                    tasks.push_back({clip, head, first, std::min(count, clip.length - first)});
                }
            }
        }
        if (most <= FEWEST_QUERIES || threads == 1 || int64_t(tasks.size()) >= 4 * threads) return tasks;
    }
}

template <class Numbers, class T>
void attend(const Call& call, const int64_t* lengths, int64_t num_clips, int64_t threads) {
    std::vector<Task> tasks = cut(lengths, num_clips, call.heads, threads);
    int64_t queries = 0, keys = 0;  // at most
    for (const Task& task : tasks) {
        queries = std::max(queries, task.count);
        keys = std::max(keys, std::min<int64_t>(task.clip.length, BLOCK));
    }
#pragma omp parallel num_threads(int(threads)) if (threads > 1)
    {
        Workspace<Numbers> space(call, queries, keys);
#pragma omp for schedule(dynamic)
        for (int64_t t = 0; t < int64_t(tasks.size()); ++t) Attention<Numbers, T>{call, tasks[t], space}.run();
    }
}

}  // namespace

extern "C" {

// How far behind a table's last number the kernel reads.
int sonant_attention_margin() { return PANEL; }

void sonant_attention_float32(const Call* call, const int64_t* lengths, int64_t num_clips, int64_t threads) {
    attend<Floats, float>(*call, lengths, num_clips, threads);
}

void sonant_attention_bfloat16(const Call* call, const int64_t* lengths, int64_t num_clips, int64_t threads) {
#if defined(__AVX512BF16__)
    attend<Pairs, bfloat16>(*call, lengths, num_clips, threads);
#else
    attend<Floats, bfloat16>(*call, lengths, num_clips, threads);
#endif
}
}
