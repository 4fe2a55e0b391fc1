"""The compiled search and the one in torch find the same, whatever is combined with the emissions."""

import random
from math import inf
from typing import Any

import pytest

from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.prefix_beam import BeamSearch, Lexicon, PrefixBeamDecoder, compiled_search, torch_search
from sonant.decoding.prefix_beam.compiled_search import KERNEL
from sonant.layers.kernels.compiled import compiled
from sonant.layers.packed import Packed
from tests.decoding.prefix_beam.test_decoder import LETTERS, emission
from tests.decoding.prefix_beam.test_decoder_models import ngrams

PHONES = CTCVocabulary.of(["_", "a", "b", "c"], tokenizer={"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer"})
PIECES = CTCVocabulary.of(["<pad>", "▁A", "A", "B", "▁BA", "文"])
# Of each vocabulary: words, and its units in a language model of units.
KINDS: dict[str, tuple[CTCVocabulary, list[str], list[str]]] = {
    "letters": (LETTERS, ["A", "AB", "BAB", "B"], ["|", "A", "B"]),
    "phones": (PHONES, ["a", "b", "c"], ["a", "b", "c"]),
    "pieces": (PIECES, ["A", "BA", "AB", "AA", "文"], ["▁A", "A", "B", "▁BA", "文"]),
}
CASES = 8


def drawn(draw: random.Random, kind: str) -> dict[str, Any]:
    """Options of a search, and what it combines with emissions."""
    beam = draw.choice([1, 3, 6, 30])
    _, words, units = KINDS[kind]
    lm = draw.choice([None, words, units])
    names = (*units[1:3], units[1] if lm is words else units[0])  # homophones are equally good without the model
    homophones = Lexicon(("x", "y", "z"), tuple((name,) if name != "|" else ("A", "B") for name in names))
    lexicon = draw.choice([None, None, homophones if kind == "pieces" else Lexicon.of(words), homophones])
    if lexicon is homophones and lm is words:
        lm = ["x", "z"]
    numbers = {
        "beam_threshold": draw.choice([2.0, 8.0, inf]),
        "beam_tokens": draw.choice([None, None, 1, 2]),
        "lm_weight": draw.choice([0.3, 1.0]),
        "word_score": draw.choice([0.0, -0.7, 1.2]),
        "silence_weight": draw.choice([0.0, -0.6]),
        "unknown_score": draw.choice([-10.0, 1.0, 0.0, -inf]),
        "hot_word_score": draw.choice([2.0, -1.0]),
        "look_ahead": draw.random() < 0.5,
    }
    hot = words[:2] if draw.random() < 0.4 and lexicon is not homophones else []
    search = BeamSearch(beam=beam, n_best=draw.randint(1, beam), **numbers)
    return {"options": search, "lm": lm and ngrams(lm, draw.randint(0, 9)), "lexicon": lexicon, "hot_words": hot}


def decide_every(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set after how many frames old choices are decided."""
    for module in (compiled_search, torch_search):
        monkeypatch.setattr(module, "DECIDED_EVERY", frames)


def texts(found: list[list[Hypothesis]]) -> Any:
    """Return texts, units and times."""
    return [
        [(one.text, one.units, [(word.start_seconds, word.end_seconds) for word in one.words]) for one in each]
        for each in found
    ]


def numbers(found: list[list[Hypothesis]]) -> list[float]:
    """Return scores and confidences."""
    return [
        number
        for each in found
        for one in each
        for number in (one.score, one.emission_score, one.lm_score or 0.0, one.confidence)
    ] + [word.confidence for each in found for one in each for word in one.words]


@pytest.mark.skipif(compiled(KERNEL) is None, reason="no kernel on this machine")
@pytest.mark.parametrize("kind", KINDS)
def test_compiled_equals_torch(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, vocabulary = random.Random(kind), KINDS[kind][0]
    units = len(vocabulary.tokens)
    for _ in range(CASES):
        clips = [emission(frames, draw.randint(0, 999), units=units, sharpness=1.5) for frames in (9, 25, 0, 20)]
        given = drawn(draw, kind)
        decide_every(draw.choice([7, 1024]), monkeypatch)
        monkeypatch.delenv("SONANT_KERNELS", raising=False)
        fast = PrefixBeamDecoder(vocabulary, **given).decode(Packed.pack(clips))
        monkeypatch.setenv("SONANT_KERNELS", "0")
        slow = PrefixBeamDecoder(vocabulary, **given).decode(Packed.pack(clips))
        assert texts(slow) == texts(fast), given
        assert numbers(slow) == pytest.approx(numbers(fast), abs=1e-4), given
