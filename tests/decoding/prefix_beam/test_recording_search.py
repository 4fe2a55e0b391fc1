"""The search of a recording in parts is that of the whole, and forgets what no longer matters."""

import random

import pytest
import torch

from sonant.decoding.prefix_beam import BeamSearch, PrefixBeamDecoder
from sonant.decoding.results import join_words
from sonant.layers.packed import Packed
from tests.decoding.prefix_beam.test_compiled_search import KINDS, drawn
from tests.decoding.prefix_beam.test_decoder import LETTERS, emission
from tests.decoding.prefix_beam.test_decoder_models import ngrams

CPU = torch.device("cpu")


@pytest.mark.parametrize("kernels", ["0", "1"])
@pytest.mark.parametrize("kind", KINDS)
def test_parts_equal_the_whole(kind: str, kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONANT_KERNELS", kernels)
    draw, vocabulary = random.Random(kind), KINDS[kind][0]
    for number in range(3):
        whole = emission(50, number, units=len(vocabulary.tokens))
        decoder = PrefixBeamDecoder(vocabulary, **drawn(draw, kind))
        search = decoder.begin(CPU)
        for part in whole.split([1, 20, 0, 5, 24]):
            search.append(part)
        assert search.finish() == decoder.decode(Packed.pack([whole]))[0]


def test_certain_words_are_those_of_every_result() -> None:
    words = ["A", "AB", "BA", "B"]
    options = BeamSearch(beam=8, n_best=8, lm_weight=0.5, unknown_score=-2.0)
    decoder = PrefixBeamDecoder(LETTERS, options, lm=ngrams(words))
    search, told = decoder.begin(CPU), ""
    for number in range(20):
        search.append(emission(40, number, sharpness=4.0))
        text = join_words(search.words())
        assert text.startswith(told)
        told = text
    assert all(one.text.startswith(told) for one in search.finish())
    assert len(told) > 100
    kept = [len(section.paths) for section in search._sections]
    assert max(kept[:-1]) < 4
