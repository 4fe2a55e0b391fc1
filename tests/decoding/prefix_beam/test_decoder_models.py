"""The prefix beam with a language model, a lexicon and hot words, against all paths of tiny emissions."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.language_model import LanguageModel
from sonant.decoding.ngrams.model import NgramModel
from sonant.decoding.ngrams.tables import NgramTable, ngram_model
from sonant.decoding.prefix_beam import BeamSearch, Lexicon, PrefixBeamDecoder
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed
from tests.decoding.prefix_beam.test_decoder import LETTERS, emission, spelled

BATCH = [emission(frames, 10 + frames) for frames in (5, 0, 3, 4)]


def ngrams(words: Sequence[str], seed: int = 0) -> NgramModel:
    """A language model of random bigrams, whose last three words are special."""
    words = [*words, "<s>", "</s>", "<unk>"]
    count = len(words)
    table = torch.randn(count, count, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    singles, zeros = np.arange(count, dtype=np.int32)[:, None], np.zeros(count, np.float32)
    pairs = np.indices((count, count), np.int32).reshape(2, -1).T
    bigrams = NgramTable(pairs, table.flatten().numpy(), np.zeros(count**2, np.float32))
    return ngram_model(words, [NgramTable(singles, zeros - 1, zeros), bigrams], source="test")


def of(lm: LanguageModel[Tensor], words: Sequence[str]) -> float:
    """The log-probability of a whole text."""
    state, total = lm.start(1), 0.0
    for word in words:
        score, state = lm.score(state, torch.tensor([list(lm.words).index(word) if word in lm.words else lm.unknown]))
        total += float(score)
    return total + float(lm.finish(state))


@dataclass(frozen=True)
class Histories:
    """States that are no numbers, as those of a neural language model."""

    contexts: Tensor

    def __getitem__(self, rows: Tensor) -> "Histories":
        return Histories(self.contexts[rows])

    def append(self, more: "Histories") -> "Histories":
        return Histories(torch.cat([self.contexts, more.contexts]))


class OfHistories:
    """A language model with such states."""

    def __init__(self, lm: NgramModel) -> None:
        self._lm, self.words, self.unknown, self.device = lm, lm.words, lm.unknown, lm.device

    def start(self, count: int) -> Histories:
        return Histories(self._lm.start(count))

    def score(self, state: Histories, words: Tensor) -> tuple[Tensor, Histories]:
        scores, contexts = self._lm.score(state.contexts, words)
        return scores, Histories(contexts)

    def finish(self, state: Histories) -> Tensor:
        return self._lm.finish(state.contexts)

    def to(self, _: object) -> "OfHistories":
        return self


def texts(values: Tensor, vocabulary: CTCVocabulary = LETTERS) -> dict[str, float]:
    """The probability of each text, summed over all paths."""
    sums: dict[str, float] = defaultdict(float)
    paths = list(product(range(values.shape[1]), repeat=len(values)))
    steps = torch.tensor(paths).long().view(len(paths), len(values))
    probabilities = values.double()[torch.arange(len(values)), steps].sum(1).exp().tolist()
    for path, probability in zip(paths, probabilities, strict=True):
        units = spelled(path, delimiter=min(vocabulary.delimiters, default=-1))
        text = "".join(" " if unit in vocabulary.delimiters else vocabulary.tokens[unit] for unit in units)
        sums[text] += probability
    return sums


def wide(**options: float) -> BeamSearch:
    return BeamSearch(beam=300, beam_threshold=1e9, n_best=300, **options)  # type: ignore[arg-type]


def check(decoder: PrefixBeamDecoder, expected: Sequence[dict[str, tuple[float, float, float]]]) -> None:
    """Compare scores, emission scores and language model scores of all texts, for a batch of recordings."""
    for found, wanted in zip(decoder.decode(Packed.pack(BATCH)), expected, strict=True):
        assert {one.text for one in found} == {text for text, scores in wanted.items() if scores[0] > -math.inf}
        for one in found:
            got = (one.score, one.emission_score, one.lm_score or 0.0)
            assert got == pytest.approx(wanted[one.text], abs=2e-4), one.text
            assert " ".join(word.text for word in one.words) == one.text


@pytest.mark.parametrize("unknown_score", [-3.0, 2.0, -math.inf])
def test_words_of_a_language_model(unknown_score: float) -> None:
    lm = ngrams(["A", "AB", "B", "BAA", "longer"])
    options = wide(lm_weight=0.7, word_score=0.4, unknown_score=unknown_score)

    def scores(text: str, probability: float) -> tuple[float, float, float]:
        words, emitted = text.split(), math.log(probability)
        unknown = sum(word not in lm.words for word in words)
        extra = 0.7 * of(lm, words) + 0.4 * len(words) + (unknown * unknown_score if unknown else 0)
        return emitted + extra, emitted, of(lm, words)

    expected = [{text: scores(text, value) for text, value in texts(values).items()} for values in BATCH]
    check(PrefixBeamDecoder(LETTERS, options, lm=lm), expected)


@pytest.mark.parametrize("spell", [True, False])
@pytest.mark.parametrize("look_ahead", [True, False])
def test_words_of_a_lexicon(spell: bool, look_ahead: bool) -> None:
    words = ["A", "AB", "BAB"]
    lexicon = Lexicon(tuple(words), tuple((*word, "|") if spell else None for word in words))
    for lm in (None, ngrams(["AB", "A", "other"])):

        def scores(text: str, probability: float, lm: NgramModel | None = lm) -> tuple[float, float, float]:
            words, emitted = text.split(), math.log(probability)
            language = 0.0 if lm is None else of(lm, words)
            unknown = 0.0 if lm is None else sum(word not in lm.words for word in words)
            return emitted + 2 * language - 0.5 * len(words) - 1.5 * unknown, emitted, language

        expected = [
            {text: scores(text, value) for text, value in texts(values).items() if set(text.split()) <= set(words)}
            for values in BATCH
        ]
        options = wide(lm_weight=2.0, word_score=-0.5, unknown_score=-1.5, look_ahead=look_ahead)
        check(PrefixBeamDecoder(LETTERS, options, lm=lm, lexicon=lexicon), expected)


def test_homophones_and_several_spellings() -> None:
    lexicon = Lexicon(("one", "won", "two", "two"), (("A",), ("A",), ("B", "A"), ("A", "B")))
    spelled_by = {"A": ["one", "won"], "BA": ["two"], "AB": ["two"]}
    lm = ngrams(["one", "won", "two"])
    values = BATCH[3]
    expected: dict[tuple[str, str], float] = {}
    for text, probability in texts(values).items():
        if all(word in spelled_by for word in text.split()):
            for words in product(*(spelled_by[word] for word in text.split())):
                expected[" ".join(words), text] = math.log(probability) + 2 * of(lm, words)
    (found,) = PrefixBeamDecoder(LETTERS, wide(lm_weight=2.0), lm=lm, lexicon=lexicon).decode(Packed.pack([values]))
    got = {(one.text, "".join(" AB"[max(0, unit - 1)] for unit in one.units)): one.score for one in found}
    assert got == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("look_ahead", [True, False])
def test_lexicon_without_delimiter(look_ahead: bool) -> None:
    phones = CTCVocabulary.of(["<pad>", "a", "b"], tokenizer={"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer"})
    lexicon = Lexicon(("X", "Y", "Z", "Z2"), (("a",), ("a", "b"), ("b",), ("b",)))
    values = emission(5, 3, units=3)
    sums = texts(values, CTCVocabulary.of(phones.tokens))
    spellings = {"X": "a", "Y": "ab", "Z": "b", "Z2": "b"}
    lm = ngrams(list(spellings))
    expected = {
        words: math.log(sums[text]) + 0.3 * len(words) + 1.5 * of(lm, words)
        for count in range(6)
        for words in product(spellings, repeat=count)
        if (text := "".join(spellings[word] for word in words)) in sums
    }
    options = wide(word_score=0.3, lm_weight=1.5, look_ahead=look_ahead)
    (found,) = PrefixBeamDecoder(phones, options, lm=lm, lexicon=lexicon).decode(Packed.pack([values]))
    best = sorted(expected.values(), reverse=True)
    got = {tuple(one.text.split()): one.score for one in found}
    assert got == pytest.approx({words: expected[words] for words in got}, abs=1e-4)
    assert [one.score for one in found] == pytest.approx(best[: len(found)], abs=1e-4)


def test_language_model_of_units() -> None:
    lm = ngrams(["|", "A", "B"])
    (found,) = PrefixBeamDecoder(LETTERS, wide(lm_weight=0.6), lm=lm).decode(Packed.pack([BATCH[0]]))
    for one in found[:50]:
        units = [LETTERS.tokens[unit] for unit in one.units]
        inner = one.emission_score + 0.6 * of(lm, units)
        assert one.score >= inner - 1e-4 or one.text  # a delimiter at the end is a unit too
    (plain,) = PrefixBeamDecoder(CTCVocabulary.of(["_", "A", "B"]), wide(lm_weight=2.0), lm=ngrams(["A", "B"])).decode(
        Packed.pack([emission(5, 1, units=3)])
    )
    model = ngrams(["A", "B"])
    sums = texts(emission(5, 1, units=3), CTCVocabulary.of(["_", "A", "B"]))
    assert {one.text for one in plain} == set(sums)
    for one in plain:
        assert one.score == pytest.approx(math.log(sums[one.text]) + 2 * of(model, list(one.text)), abs=1e-4)


def test_hot_words() -> None:
    hot = ["ab", "A B", "B A"]

    def bonus(text: str) -> float:
        padded = f" {text} "
        return sum(
            1.5 * padded.startswith(f" {word} ", place) for word in ("AB", "A B", "B A") for place in range(len(padded))
        )

    def scores(text: str, probability: float) -> tuple[float, float, float]:
        return math.log(probability) + bonus(text), math.log(probability), 0.0

    expected = [{text: scores(text, value) for text, value in texts(values).items()} for values in BATCH]
    options = wide(hot_word_score=1.5)
    check(PrefixBeamDecoder(LETTERS, options, hot_words=hot), expected)
    lexicon = Lexicon.of(["A", "B", "AB"])
    expected = [{text: one for text, one in each.items() if set(text.split()) <= {"A", "B", "AB"}} for each in expected]
    check(PrefixBeamDecoder(LETTERS, options, hot_words=hot, lexicon=lexicon), expected)


def test_what_cannot_be_spelled_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"2 of 3 words .*'QA', 'AQZ'.*'Q' \(2\), 'Z' \(1\)"):
        PrefixBeamDecoder(LETTERS, lexicon=Lexicon.of(["A", "QA", "AQZ"]))
    with pytest.raises(ConfigurationError, match="1 of 2 hot words .*'CAB'.*'C'"):
        PrefixBeamDecoder(LETTERS, hot_words=["AB", "CAB"])
    with pytest.raises(ConfigurationError, match=r"1 of 1 hot words .*have: 'C'\."):
        PrefixBeamDecoder(LETTERS, hot_words=["abC"])
    decoder = PrefixBeamDecoder(LETTERS, hot_words=["ab b"], lexicon=Lexicon.of(["AB", "B"]))
    with pytest.raises(ConfigurationError, match=r"lexicon does not have 2 of the 3 words .*'A', 'ABB'"):
        decoder.with_hot_words(["AB A", "ABB"], BeamSearch())
    with pytest.raises(ConfigurationError, match="None of the 4 words of the language model"):
        PrefixBeamDecoder(LETTERS, lm=ngrams(["ж"]))
    with pytest.raises(ConfigurationError, match=r"10 tokens of the CTC vocabulary as words, and not '\|'"):
        PrefixBeamDecoder(CTCVocabulary.of(["<pad>", "|", *"ABCDEFGHIJ"]), lm=ngrams("ABCDEFGHIJ"))
    with pytest.raises(ConfigurationError, match="knows none of the 1 words"):
        PrefixBeamDecoder(LETTERS, lm=ngrams(["B"]), lexicon=Lexicon.of(["A"]))


@pytest.mark.parametrize("kind", ["words", "units"])
def test_recordings_that_end_early_keep_their_histories(kind: str) -> None:
    """The states of a language model that are no longer used are removed while recordings have ended and others not."""
    clips = [emission(frames, frames, sharpness=0.5) for frames in (9, 100, 40)]
    lm = ngrams(["A", "AB", "B", "BA"] if kind == "words" else ["A", "B", "|"])
    options = BeamSearch(beam=4, n_best=4, lm_weight=1.0, unknown_score=-1.0)
    by_rows = PrefixBeamDecoder(LETTERS, options, lm=OfHistories(lm)).decode(Packed.pack(clips))
    by_contexts = PrefixBeamDecoder(LETTERS, options, lm=lm)
    for clip, found in zip(clips, by_rows, strict=True):
        (alone,) = by_contexts.decode(Packed.pack([clip]))
        assert [(one.text, one.score, one.lm_score) for one in found] == [
            (one.text, pytest.approx(one.score, abs=1e-3), pytest.approx(one.lm_score, abs=1e-3)) for one in alone
        ]
        if kind == "words":
            assert [one.lm_score for one in found] == [
                pytest.approx(of(lm, one.text.split()), abs=1e-3) for one in found
            ]
