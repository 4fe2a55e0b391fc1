"""The prefix beam: exact with a wide beam, the same for a recording alone and in a batch."""

from collections import defaultdict
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.prefix_beam import BeamSearch, PrefixBeamDecoder
from sonant.errors import ConfigurationError, NonFiniteStates
from sonant.layers.packed import Packed

LETTERS = CTCVocabulary.of(["<pad>", "|", "A", "B"])
WIDE = BeamSearch(beam=400, beam_threshold=1e9, n_best=400)


def emission(frames: int, seed: int, *, units: int = 4, sharpness: float = 2.0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (sharpness * torch.randn(frames, units, generator=draw)).log_softmax(-1)


def spelled(path: tuple[int, ...], blank: int = 0, delimiter: int = 1) -> tuple[int, ...]:
    """The text of a path: repeats are collapsed, and words separated by one delimiter."""
    units = [unit for unit, before in zip(path, (None, *path), strict=False) if unit not in (before, blank)]
    words = "".join(map(str, units)).split(str(delimiter))
    return tuple(int(unit) for unit in str(delimiter).join(filter(None, words)))


def every_text(values: Tensor) -> dict[tuple[int, ...], float]:
    """The probability of each text, summed over all paths, and that of each one's best path."""
    sums: dict[tuple[int, ...], float] = defaultdict(float)
    probabilities = values.double().exp().numpy()
    for path in product(range(values.shape[1]), repeat=len(values)):
        sums[spelled(path)] += float(np.prod(probabilities[np.arange(len(path)), list(path)]))
    return sums


@pytest.mark.parametrize("frames", [0, 1, 2, 5, 6])
def test_wide_beam_is_the_exact_search(frames: int) -> None:
    values = emission(frames, frames)
    (found,) = PrefixBeamDecoder(LETTERS, WIDE).decode(Packed.pack([values]))
    expected = every_text(values)
    assert {one.units for one in found} == set(expected)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        assert one.score == pytest.approx(np.log(expected[one.units]), abs=1e-4)


def test_times_are_those_of_the_best_path() -> None:
    values = emission(6, 3)
    (found,) = PrefixBeamDecoder(LETTERS, WIDE).decode(Packed.pack([values]))
    paths = defaultdict(list)
    for path in product(range(4), repeat=6):
        paths[spelled(path)].append((float(values[torch.arange(6), torch.tensor(path)].sum()), path))
    for one in found[:60]:
        _, best = max(paths[one.units])
        letters = [[frame for frame, unit in enumerate(best) if unit > 1]]
        if one.words:
            assert (one.words[0].start_seconds, one.words[-1].end_seconds) == (letters[0][0], letters[0][-1] + 1)


def test_batch_equals_single() -> None:
    lengths = [7, 0, 40, 1, 40, 33]
    clips = [emission(length, number, units=4) for number, length in enumerate(lengths)]
    decoder = PrefixBeamDecoder(LETTERS, BeamSearch(beam=4, n_best=3))
    together = decoder.decode(Packed.pack(clips))
    for clip, found in zip(clips, together, strict=True):
        (alone,) = decoder.decode(Packed.pack([clip]))
        assert [one.units for one in alone] == [one.units for one in found]
        assert [one.words for one in alone] == [one.words for one in found]
        np.testing.assert_allclose([one.score for one in alone], [one.score for one in found], rtol=1e-5)


def test_bad_emissions_are_refused() -> None:
    decoder = PrefixBeamDecoder(LETTERS)
    values = emission(5, 0)
    with pytest.raises(ConfigurationError, match="log_softmax"):
        decoder.decode(Packed.pack([values + 9]))
    with pytest.raises(ConfigurationError, match="one column for each token"):
        decoder.decode(Packed.pack([values[:, :3]]))
    values[3] = float("nan")
    with pytest.raises(NonFiniteStates, match="recording 1 are NaN at its frame 3"):
        decoder.decode(Packed.pack([emission(4, 1), values]))
    values[3] = float("-inf")
    with pytest.raises(NonFiniteStates, match="all -inf"):
        decoder.decode(Packed.pack([values]))


@pytest.mark.parametrize("options", [{"beam": 0}, {"n_best": 51}, {"beam": 10**9}, {"beam_threshold": float("nan")}])
def test_options_that_no_search_can_have_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=r"expected (at most|at least|a number)"):
        BeamSearch(**options)
