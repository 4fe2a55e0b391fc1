"""The search of a recording in parts is that of the whole, and forgets what no longer matters."""

import random

import pytest
import torch

from sonant.decoding.prefix_beam import BeamSearch, Lexicon, PrefixBeamDecoder
from sonant.layers.packed import Packed
from tests.decoding.prefix_beam.test_compiled_search import KINDS, decide_every, drawn
from tests.decoding.prefix_beam.test_decoder import LETTERS, emission
from tests.decoding.prefix_beam.test_decoder_models import ngrams

CPU = torch.device("cpu")


@pytest.mark.parametrize("kernels", ["0", "1"])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_equal_the_whole(kind: str, kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONANT_KERNELS", kernels)
    decide_every(16, monkeypatch)
    draw, vocabulary = random.Random(kind), KINDS[kind][0]
    for number in range(3):
        whole = emission(50, number, units=len(vocabulary.tokens))
        decoder = PrefixBeamDecoder(vocabulary, **drawn(draw, kind))
        search = decoder.begin(CPU)
        for part in whole.split([1, 20, 0, 5, 24]):
            search.append(part)
        assert search.finish() == decoder.decode(Packed.pack([whole]))[0]


@pytest.mark.parametrize("lexicon", [None, Lexicon.of(["A", "AB", "BA", "B"])])
def test_settled_words_are_those_of_every_result(lexicon: Lexicon | None) -> None:
    options = BeamSearch(beam=8, n_best=8, lm_weight=0.5, unknown_score=-2.0)
    decoder = PrefixBeamDecoder(LETTERS, options, lm=ngrams(["A", "AB", "BA", "B"]), lexicon=lexicon)
    search, told = decoder.begin(CPU, frame_rate=50.0), []
    for number in range(20):
        search.append(emission(40, number, sharpness=4.0))
        told += search.settled()
        found = [list(one.words) for one in search.finish()]
        assert all(words[: len(told)] == told for words in found)
        ahead = [*told, *search.ahead()]
        assert any(words[: len(ahead)] == ahead and len(words) <= len(ahead) + 1 for words in found)
    assert len(told) > 50
    kept = [len(section.paths) for section in search._sections]
    assert max(kept[:-1]) < 4


@pytest.mark.parametrize("kernels", ["0", "1"])
def test_old_choices_are_decided(kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two even choices of the first frames fill a beam of two, until they are decided."""
    monkeypatch.setenv("SONANT_KERNELS", kernels)
    decide_every(16, monkeypatch)
    blank, first = torch.tensor([9.0, 0, 0, 0]), torch.tensor([0, 0, 9.0, 8.9])
    even = torch.tensor([0, 0, 9.0, 8.0])
    logits = torch.stack([*[first, blank] * 2, *[blank] * 26, even, blank, even, blank]).log_softmax(-1)
    search = PrefixBeamDecoder(LETTERS, BeamSearch(beam=2, n_best=2)).begin(CPU)
    search.append(logits[:31])
    before = [one.text for one in search.finish()]
    assert before in (["AAA", "BAA"], ["AAA", "ABA"])
    search.append(logits[31:])
    assert [one.text for one in search.finish()] == ["AAAA", "AAAB"]
