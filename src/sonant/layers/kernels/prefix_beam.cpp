// Prefix beam searches over the emissions of recordings, a recording to a thread: see
// sonant/decoding/prefix_beam/compiled_search.py, whose structures these are, field by field. The scores are those of
// the search in torch (torch_search.py, scores.py), which says what is computed; here each is computed for those
// extensions alone that may be kept.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace {

constexpr float IMPOSSIBLE = -std::numeric_limits<float>::infinity();
constexpr float LOWEST = -1e30f;  // of a language model, as in sonant/decoding/fusion.py
constexpr int64_t UNKNOWN = -2;   // entry of a hypothesis whose unfinished word is none of the language model
constexpr int FIELDS = 9, SCORES = 6;
enum Field { LAST, PREFIX, PARENT, LABEL, WORD, HOT, ROW, ENTRY, DECIDED };
enum Score { BLANK, UNIT, BEST_BLANK, BEST_UNIT, EXTRA, LM };

struct Sorted {  // ascending numbers
    const int64_t* values;
    int64_t count;

    int64_t find(int64_t wanted) const {  // its place, or -1
        const int64_t* base = values;
        for (int64_t left = count; left > 1;) {
            int64_t half = left / 2;
            base += base[half] <= wanted ? half : 0;
            left -= half;
        }
        return count && *base == wanted ? base - values : -1;
    }
};

struct Ngrams {
    int64_t order, num_words, unknown;
    Sorted arcs;  // or the hashes of n-grams, ascending within each order
    const float* log_probabilities;
    const int32_t* contexts;
    const float* back_offs;
    int32_t* back_off_contexts;
    const int64_t* starts;  // of the orders; null unless n-grams are found by hashes
    int32_t* first_words;
};

struct OpenWords {
    const bool *ends, *in_word;
    const int64_t *factors, *codes;
    Sorted hashes, prefixes;
    const int64_t* numbers;
};

struct Lexicon {
    int64_t choices;       // 0 without a lexicon
    const int32_t* table;  // (nodes, units); null for a large trie, which has `edges` alone
    Sorted edges;
    const int64_t *counts, *firsts, *words, *numbers;
    const float* look_ahead;
};

struct Options {
    int64_t beam, tokens;  // tokens: 0 for all
    float threshold, lm_weight, word_score, silence_weight, unknown_score, highest_bonus;
};

struct Models {
    int64_t units, blank, delimiter, has_delimiter, rescaled_every, decided_every, multiplier;
    const int64_t* label_codes;
    Options options;
    const int64_t* hot_following;  // (states, units); null without hot words
    const float* hot_bonus;
    OpenWords open;  // ends: null unless words of any spelling count
    Lexicon lexicon;
    Ngrams lm;  // order: 0 without a language model
    const int64_t* lm_units;  // null for a language model of words
};

struct Search {  // the beams of all recordings before and after, and the choices of every frame
    int64_t recordings, frames_before, threads;
    const float* emissions;
    const int64_t *starts, *lengths;
    float* scores;     // (6, recordings, beam)
    int64_t* states;   // (recordings, beam, 9)
    double* offsets;
    int32_t* pointers;  // (frames, recordings, beam, 2)
    bool* begins;       // (frames, recordings, beam)
    int32_t *labels, *entries;
};

inline float logaddexp(float a, float b) {
    float high = std::max(a, b), low = std::min(a, b);
    return low == IMPOSSIBLE ? high : high + std::log1p(std::exp(low - high));
}

struct Scored {
    float score;
    int64_t row;
};

// That of sonant/decoding/ngrams/hashed.py. Threads may write what contexts consist of at the same time, but the same.
Scored next_word_by_hashes(const Ngrams& lm, int64_t context, int64_t word) {
    constexpr uint64_t FACTOR = 8978948897894561157u, CODE = 17894857484156487943u;
    constexpr int64_t ORDERS = 256;
    int64_t contexts[ORDERS], length = 0;  // from the longest on
    for (; context != 0 && length < ORDERS; context = __atomic_load_n(lm.back_off_contexts + context, __ATOMIC_RELAXED))
        contexts[length++] = context;
    auto is_continued = [&](int64_t ngram) {
        float back_off = lm.back_offs[ngram + 1];
        return back_off != 0 || !std::signbit(back_off);
    };
    uint64_t hash = word;
    int64_t found = word, after = is_continued(word) ? word + 1 : 0, matched = 1;
    for (; matched <= length; matched++) {
        int32_t first_word = __atomic_load_n(lm.first_words + contexts[length - matched], __ATOMIC_RELAXED);
        hash = hash * FACTOR ^ uint64_t(first_word + 1) * CODE;
        int64_t start = lm.starts[matched];
        int64_t place = Sorted{lm.arcs.values + start, lm.starts[matched + 1] - start}.find(int64_t(hash));
        if (place < 0) break;
        if (matched + 1 < lm.order) {
            __atomic_store_n(lm.first_words + start + place + 1, first_word, __ATOMIC_RELAXED);
            __atomic_store_n(lm.back_off_contexts + start + place + 1, int32_t(found + 1), __ATOMIC_RELAXED);
            if (is_continued(start + place)) after = start + place + 1;
        }
        found = start + place;
    }
    float penalty = 0;
    for (int64_t i = 0; i <= length - matched; i++) penalty += lm.back_offs[contexts[i]];
    return {std::max(penalty + lm.log_probabilities[found], LOWEST), after};
}

Scored next_word(const Ngrams& lm, int64_t context, int64_t word) {
    if (lm.starts) return next_word_by_hashes(lm, context, word);
    float penalty = 0;
    for (int64_t i = 1; i < lm.order; i++) {
        if (context == 0) break;  // a unigram
        int64_t arc = lm.arcs.find(context * lm.num_words + word);
        if (arc >= 0) return {std::max(penalty + lm.log_probabilities[arc], LOWEST), lm.contexts[arc]};
        penalty += lm.back_offs[context];
        context = lm.back_off_contexts[context];
    }
    return {std::max(penalty + lm.log_probabilities[word], LOWEST), lm.contexts[word]};
}

struct Ending {  // of a word of a hypothesis
    bool known = false;
    float gain, lm;
    int64_t row, entry;
};

struct Hypothesis {
    float scores[SCORES];
    int64_t state[FIELDS];
};

struct Beside {  // what a frame computes of a hypothesis
    float total, best, kept_blank, kept_unit, best_kept_blank, best_kept_unit, behind_blank, ahead;
    int64_t child;        // first hypothesis that extends it, or -1
    int64_t next_child;   // another one with the same parent, or -1
    int64_t merged_with;  // its parent, if the most probable path comes from there, or -1
};

struct Candidate {
    float score;
    int32_t source;  // number of the hypothesis
    int64_t label;   // of the extension; -1: the hypothesis is kept
    float lm;
    int64_t row;
    bool unknown;  // whether no word of the language model begins as the unfinished one
};

inline bool higher(const Candidate& a, const Candidate& b) { return a.score > b.score; }

struct Column {
    float value;
    int64_t unit;
};

class Beam {
    const Models& m;
    const Options& o;
    std::vector<Hypothesis> now, after;
    std::vector<Beside> beside;
    std::vector<Ending> endings;
    std::vector<Candidate> kept;
    std::vector<Column> columns;
    std::vector<float> values;  // by unit: the emission by which hypotheses may be extended
    float bound;                // lower extensions are not kept
    float highest;

   public:
    double offset;

    explicit Beam(const Models& models) : m(models), o(models.options), values(models.units) {}

    void load(const float* scores, int64_t stride, const int64_t* states) {
        for (int64_t i = 0; i < o.beam; i++) {
            Hypothesis one;
            for (int k = 0; k < SCORES; k++) one.scores[k] = scores[k * stride + i];
            std::copy_n(states + i * FIELDS, FIELDS, one.state);
            if (one.scores[BLANK] > IMPOSSIBLE || one.scores[UNIT] > IMPOSSIBLE) now.push_back(one);
        }
    }

    void store(float* scores, int64_t stride, int64_t* states) const {
        for (int64_t i = 0; i < int64_t(now.size()); i++) {
            for (int k = 0; k < SCORES; k++) scores[k * stride + i] = now[i].scores[k];
            std::copy_n(now[i].state, FIELDS, states + i * FIELDS);
        }
        for (int64_t i = now.size(); i < o.beam; i++) {
            for (int k = 0; k < SCORES; k++) scores[k * stride + i] = k < EXTRA ? IMPOSSIBLE : 0;
            const int64_t nothing[FIELDS] = {m.units - 1, -1, -2, m.units - 1, 0, 0, 0, -1, 0};
            std::copy_n(nothing, FIELDS, states + i * FIELDS);
        }
    }

    void step(const float* emission, int64_t frame, int32_t* pointers, bool* begins, int32_t* labels,
              int32_t* entries) {
        float blank = emission[m.blank];
        keep(emission, blank);
        find_columns(emission);
        merge(emission);
        for (int64_t i = 0; i < int64_t(now.size()); i++)
            push({logaddexp(beside[i].kept_blank, beside[i].kept_unit), int32_t(i), -1, 0, 0, false});
        for (int64_t i = 0; i < int64_t(now.size()); i++) extend(i);
        std::sort_heap(kept.begin(), kept.end(), higher);
        while (!kept.empty() && (kept.back().score == IMPOSSIBLE || kept.back().score < highest - o.threshold))
            kept.pop_back();
        bool decides = (frame + 1) % m.decided_every == 0 && !kept.empty();
        if (decides) {
            int64_t decided = now[kept[0].source].state[DECIDED];
            auto differs = [&](const Candidate& one) { return now[one.source].state[DECIDED] != decided; };
            kept.erase(std::remove_if(kept.begin(), kept.end(), differs), kept.end());
        }
        after.clear();
        for (int64_t i = 0; i < int64_t(kept.size()); i++) {
            after.push_back(kept[i].label < 0 ? same(kept[i].source) : grown(kept[i], emission));
            trace(kept[i], after.back(), pointers + 2 * i, begins + i);
            labels[i] = int32_t(after.back().state[LABEL]);
            entries[i] = int32_t(after.back().state[ENTRY]);
        }
        now.swap(after);
        for (Hypothesis& one : now)
            if (decides) one.state[DECIDED] = one.state[PREFIX];
        if ((frame + 1) % m.rescaled_every == 0 && !now.empty()) {
            float top = kept[0].score;
            for (auto& one : now)
                for (int k = 0; k < EXTRA; k++) one.scores[k] -= top;
            offset += top;
        }
    }

   private:
    float emitted(const float* emission, int64_t unit) const {
        return unit == m.delimiter ? emission[unit] + o.silence_weight : emission[unit];
    }

    // The scores of hypotheses that stay as they are, and from them the bound of what may be kept.
    void keep(const float* emission, float blank) {
        int64_t count = now.size();
        beside.resize(count);
        endings.assign(count * std::max<int64_t>(1, m.lexicon.choices), Ending());
        float least = std::numeric_limits<float>::infinity(), most = IMPOSSIBLE;
        for (int64_t i = 0; i < count; i++) {
            const float* s = now[i].scores;
            const int64_t* state = now[i].state;
            Beside& b = beside[i];
            bool silent = state[LAST] == m.delimiter;
            float last = emitted(emission, state[LAST]);
            b.total = logaddexp(s[BLANK], s[UNIT]);
            b.best = std::max(s[BEST_BLANK], s[BEST_UNIT]);
            b.kept_blank = b.total + blank;
            b.kept_unit = (silent ? b.total : s[UNIT]) + last;
            b.best_kept_blank = b.best + blank;
            b.best_kept_unit = (silent ? b.best : s[BEST_UNIT]) + last;
            b.behind_blank = silent ? IMPOSSIBLE : s[BLANK];  // never a second delimiter
            b.ahead = m.lexicon.look_ahead ? m.lexicon.look_ahead[state[WORD]] : 0;
            b.child = b.next_child = b.merged_with = -1;
            float stay = std::max(b.kept_blank, b.kept_unit);
            least = std::min(least, stay);
            most = std::max(most, stay);
        }
        bound = std::max(count == o.beam ? least : IMPOSSIBLE, most - o.threshold);
        highest = IMPOSSIBLE;
        kept.clear();
    }

    // The units of the frame by which hypotheses may be extended, the most probable first.
    void find_columns(const float* emission) {
        std::copy_n(emission, m.units, values.begin());
        values[m.blank] = IMPOSSIBLE;
        if (m.has_delimiter) values[m.delimiter] = m.lexicon.choices ? IMPOSSIBLE : emitted(emission, m.delimiter);
        float limit = IMPOSSIBLE;
        columns.clear();
        if (!o.tokens) {
            for (const Beside& b : beside) limit = std::max(limit, b.total + slack(b));
            limit = bound - limit;
        }
        for (int64_t unit = 0; unit < m.units; unit++)
            if (values[unit] >= limit && values[unit] > IMPOSSIBLE) columns.push_back({values[unit], unit});
        auto likelier = [](const Column& a, const Column& b) { return a.value > b.value; };
        if (o.tokens && o.tokens < int64_t(columns.size())) {
            std::nth_element(columns.begin(), columns.begin() + o.tokens, columns.end(), likelier);
            for (size_t i = o.tokens; i < columns.size(); i++) values[columns[i].unit] = IMPOSSIBLE;
            columns.resize(o.tokens);
        }
        std::sort(columns.begin(), columns.end(), likelier);
        if (m.has_delimiter && m.lexicon.choices) values[m.delimiter] = emitted(emission, m.delimiter);
    }

    float slack(const Beside& b) const { return o.highest_bonus - std::min(0.0f, b.ahead); }

    // A hypothesis whose parent is kept too gets the extension of its parent.
    void merge(const float* emission) {
        int64_t count = now.size();
        for (int64_t i = 0; i < count; i++) {
            int64_t parent = -1, wanted = now[i].state[PARENT];
            for (int64_t j = 0; j < count; j++)
                if (now[j].state[PREFIX] == wanted) parent = j;
            if (parent < 0) continue;
            Beside &child = beside[i], &from = beside[parent];
            child.next_child = from.child;
            from.child = i;
            Candidate merged;
            if (!score(parent, now[i].state[LABEL], IMPOSSIBLE, &merged)) continue;
            child.kept_unit = logaddexp(child.kept_unit, merged.score);
            int64_t unit = now[i].state[LAST];
            float best = now[parent].state[LAST] == unit ? now[parent].scores[BEST_BLANK] : from.best;
            best += emitted(emission, unit);
            if (best > child.best_kept_unit) {
                child.best_kept_unit = best;
                child.merged_with = parent;
            }
        }
    }

    void push(const Candidate& one) {
        highest = std::max(highest, one.score);
        kept.push_back(one);
        std::push_heap(kept.begin(), kept.end(), higher);
        if (int64_t(kept.size()) > o.beam) {
            std::pop_heap(kept.begin(), kept.end(), higher);
            kept.pop_back();
        }
        bound = std::max(bound, highest - o.threshold);
        if (int64_t(kept.size()) == o.beam) bound = std::max(bound, kept[0].score);
    }

    void extend(int64_t i) {
        int64_t units = m.units, choices = m.lexicon.choices;
        Candidate found;
        float most = beside[i].total + slack(beside[i]);
        auto take = [&](int64_t label) {
            for (int64_t child = beside[i].child; child >= 0; child = beside[child].next_child)
                if (now[child].state[LABEL] == label) return;
            if (score(i, label, bound, &found)) push(found);
        };
        for (const Column& column : columns) {
            if (most + column.value < bound) break;
            take(column.unit);
            if (choices && !m.has_delimiter)
                for (int64_t choice = 0; choice < choices; choice++) take(units * (1 + choice) + column.unit);
        }
        if (choices && m.has_delimiter)
            for (int64_t choice = 0; choice < choices; choice++) {
                if (most + values[m.delimiter] < bound) break;
                take(units * (1 + choice) + m.delimiter);
            }
    }

    // Computes the score of an extension; false if it is impossible or lower than `least`.
    bool score(int64_t i, int64_t label, float least, Candidate* made) {
        const int64_t* state = now[i].state;
        const Beside& b = beside[i];
        int64_t unit = label % m.units, choice = label / m.units - 1;
        float score = (unit == state[LAST] ? b.behind_blank : b.total) + values[unit];
        *made = {score, int32_t(i), label, 0, state[ROW], false};
        if (score == IMPOSSIBLE || score + slack(b) < least) return false;
        if (m.hot_bonus) score += m.hot_bonus[state[HOT] * m.units + unit];
        if (m.lexicon.choices) {
            int64_t node = choice < 0 ? child(state[WORD], unit) : m.has_delimiter ? 0 : child(0, unit);
            if (node < 0) return false;
            if (m.lexicon.look_ahead) score += m.lexicon.look_ahead[node] - b.ahead;
        }
        if (m.lm_units) {
            Scored found = next_word(m.lm, state[ROW], m.lm_units[unit]);
            score += o.lm_weight * found.score;
            made->lm = found.score;
            made->row = found.row;
        }
        bool ended = choice >= 0 || (m.open.ends && m.open.ends[state[LAST] * m.units + unit]);
        if (ended) {
            const Ending& ending = end(i, std::max<int64_t>(choice, 0));
            if (ending.gain == IMPOSSIBLE) return false;
            score += ending.gain;
            if (m.lm.order && !m.lm_units) {
                made->lm = ending.lm;
                made->row = ending.row;
            }
        }
        if (has_unknown() && m.open.in_word[unit]) {
            if (score + std::max(0.0f, o.unknown_score) < least) return false;
            made->unknown = m.open.prefixes.find(following(state[WORD], ended, unit)) < 0;
            if (made->unknown && (ended || state[ENTRY] != UNKNOWN)) score += o.unknown_score;
        }
        made->score = score;
        return score > IMPOSSIBLE && score >= least;
    }

    bool has_unknown() const { return m.open.ends && m.lm.order && !m.lm_units && o.unknown_score != 0; }

    int64_t following(int64_t word, bool ended, int64_t unit) const {
        return int64_t((ended ? 0 : uint64_t(word)) * uint64_t(m.open.factors[unit]) + uint64_t(m.open.codes[unit]));
    }

    int64_t child(int64_t node, int64_t unit) const {
        int64_t edge = node * m.units + unit;
        if (m.lexicon.table) return m.lexicon.table[edge];
        int64_t place = m.lexicon.edges.find(edge);
        return place < 0 ? -1 : place + 1;
    }

    // The word that ends, of those of one spelling the one of number `choice`.
    const Ending& end(int64_t i, int64_t choice) {
        Ending& made = endings[i * std::max<int64_t>(1, m.lexicon.choices) + choice];
        if (made.known) return made;
        const int64_t* state = now[i].state;
        made = {true, o.word_score, 0, state[ROW], -1};
        if (m.lexicon.choices) {
            if (choice >= m.lexicon.counts[state[WORD]]) {
                made.gain = IMPOSSIBLE;
                return made;
            }
            made.entry = m.lexicon.words[m.lexicon.firsts[state[WORD]] + choice];
        }
        if (!m.lm.order || m.lm_units) return made;
        int64_t number;
        if (m.lexicon.choices) {
            number = m.lexicon.numbers[made.entry];
        } else {
            int64_t place = m.open.hashes.find(state[WORD]);
            number = place < 0 ? m.lm.unknown : m.open.numbers[place];
        }
        Scored found = next_word(m.lm, state[ROW], number);
        made.gain += o.lm_weight * found.score;
        if (number == m.lm.unknown && state[ENTRY] != UNKNOWN) made.gain += o.unknown_score;
        made.lm = found.score;
        made.row = found.row;
        return made;
    }

    Hypothesis same(int64_t i) const {
        Hypothesis one = now[i];
        const Beside& b = beside[i];
        const float scores[] = {b.kept_blank, b.kept_unit, b.best_kept_blank, b.best_kept_unit};
        std::copy_n(scores, EXTRA, one.scores);
        return one;
    }

    Hypothesis grown(const Candidate& c, const float* emission) {
        const Hypothesis& from = now[c.source];
        const Beside& b = beside[c.source];
        int64_t unit = c.label % m.units, choice = c.label / m.units - 1;
        float value = emitted(emission, unit);
        bool again = from.state[LAST] == unit;
        Hypothesis one = from;
        one.scores[BLANK] = one.scores[BEST_BLANK] = IMPOSSIBLE;
        one.scores[UNIT] = c.score;
        one.scores[BEST_UNIT] = (again ? from.scores[BEST_BLANK] : b.best) + value;
        one.scores[EXTRA] += c.score - ((again ? from.scores[BLANK] : b.total) + value);
        one.scores[LM] += c.lm;
        one.state[LAST] = unit;
        one.state[PARENT] = from.state[PREFIX];
        one.state[PREFIX] =
            int64_t(uint64_t(from.state[PREFIX]) * uint64_t(m.multiplier) + uint64_t(m.label_codes[c.label]));
        one.state[LABEL] = c.label;
        one.state[ROW] = c.row;
        if (m.hot_following) one.state[HOT] = m.hot_following[from.state[HOT] * m.units + unit];
        if (m.lexicon.choices) {
            if (choice >= 0) one.state[ENTRY] = end(c.source, choice).entry;
            int64_t node = child(choice >= 0 ? 0 : from.state[WORD], unit);
            one.state[WORD] = std::max<int64_t>(node, 0);
        } else if (m.open.ends) {
            bool ended = m.open.ends[from.state[LAST] * m.units + unit];
            one.state[WORD] = following(from.state[WORD], ended, unit);
            if (has_unknown()) one.state[ENTRY] = c.unknown ? UNKNOWN : ended ? -1 : from.state[ENTRY];
        }
        return one;
    }

    // The path before the frame, 2 * place + 1 if it ends with a unit, of the most probable path of a hypothesis that
    // ends with a blank, and of the one that ends with its unit; whether the unit of the latter begins at the frame.
    void trace(const Candidate& c, const Hypothesis& one, int32_t* pointers, bool* begins) const {
        int64_t unit = one.state[LAST], parent = c.source;
        *begins = c.label >= 0 || beside[c.source].merged_with >= 0;
        if (c.label < 0 && *begins) parent = beside[c.source].merged_with;
        auto with_unit = [&](int64_t i) { return now[i].scores[BEST_UNIT] > now[i].scores[BEST_BLANK]; };
        bool in_unit = *begins ? now[parent].state[LAST] != unit && with_unit(parent)
                               : unit != m.delimiter || with_unit(parent);
        pointers[0] = int32_t(2 * c.source + with_unit(c.source));
        pointers[1] = int32_t(2 * parent + in_unit);
    }
};

}  // namespace

extern "C" void sonant_prefix_beam(const Models* models, const Search* search) {
    const Search& s = *search;
    int64_t beam = models->options.beam, all = s.recordings * beam;
#pragma omp parallel for schedule(dynamic) num_threads(int(s.threads))
    for (int64_t i = 0; i < s.recordings; i++) {
        Beam one(*models);
        float* scores = s.scores + i * beam;
        int64_t* states = s.states + i * beam * FIELDS;
        one.offset = s.offsets[i];
        one.load(scores, all, states);
        for (int64_t frame = 0; frame < s.lengths[i]; frame++) {
            int64_t place = frame * all + i * beam;
            one.step(s.emissions + (s.starts[i] + frame) * models->units, s.frames_before + frame,
                     s.pointers + 2 * place, s.begins + place, s.labels + place,
                     s.entries + place);
        }
        one.store(scores, all, states);
        s.offsets[i] = one.offset;
    }
}
