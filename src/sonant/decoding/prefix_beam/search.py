"""State of a prefix beam search: the hypotheses of several recordings, which advance frame by frame."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from sonant.decoding.fusion import Fusion
from sonant.decoding.prefix_beam.history import Choices
from sonant.decoding.prefix_beam.models import CombinedModels
from sonant.decoding.prefix_beam.options import BeamSearch
from sonant.decoding.prefix_beam.units import IMPOSSIBLE, SearchUnits
from sonant.layers.packed import Packed

RESCALED_EVERY = 32  # frames after which the best score is set to 0, so that float32 stays exact in long recordings
# Frames after which texts that differed from the best one before as many frames are dropped. Otherwise a few old and
# nearly even choices, in all combinations, would fill the beam of a long recording for good.
DECIDED_EVERY = 1024
BLANK, UNIT, BEST_BLANK, BEST_UNIT, EXTRA, LM = range(6)  # rows of the scores
LAST, PREFIX, PARENT, LABEL, WORD, HOT, ROW, ENTRY, DECIDED = range(9)  # columns of the states
EMPTY, DEAD, CHILDLESS = 0, -1, -2  # hashes: of the empty prefix, of a place without a hypothesis, of its parent
UNKNOWN = -2  # ENTRY of a hypothesis whose unfinished word is none of the language model


class PrefixSearch(ABC):
    """A search over the emissions of recordings, the longest first.

    A prefix is known by a hash of 64 bits: of two prefixes in one beam, one pair in 2**64 is taken for one.

    Attributes:
        scores: float32 (6, recordings, beam), logarithms: the sum over the paths of a hypothesis that end with a blank
            and that over those that end with its last unit, both with everything that is combined; the most probable
            path of each kind, without that; the sum of all that is combined; and the language model's part of it,
            unweighted. Hypotheses are ordered, the best first.
        states: int64 (recordings, beam, 9): the last unit; hashes of the prefix and of the prefix without it; the label
            of the last extension, as in `Columns`; the states of the word, of hot words and of the language model; and
            the word of a lexicon that ended last, or -1; and the hash of the prefix at the last frame whose number is a
            multiple of `DECIDED_EVERY`.
        offsets: float64 (recordings,): what was subtracted from the first four scores.
        frames: number of frames before.
        fusion: the language model, None without one.
        delimiter: number of the unit between words, that of padding without one.
    """

    def __init__(
        self, units: SearchUnits, options: BeamSearch, models: CombinedModels, count: int, device: torch.device
    ) -> None:
        self.units, self.options, self.models = units, options, models
        self.delimiter = units.padding if units.delimiter is None else units.delimiter
        self.fusion = None if models.lm is None else Fusion(models.lm)
        labels = (units.padding + 1) * (1 + models.choices)
        codes = torch.randint(-(2**63), 2**63 - 1, (labels + 1,), generator=torch.Generator().manual_seed(0))
        self.multiplier, self.label_codes = int(codes[-1]) | 1, codes[:-1].to(device)

        self.scores = torch.full((6, count, options.beam), IMPOSSIBLE, device=device)
        self.scores[[BLANK, BEST_BLANK], :, 0] = 0.0  # the empty prefix
        self.scores[EXTRA:] = 0.0
        self.nothing = torch.tensor([units.padding, DEAD, CHILDLESS, units.padding, 0, 0, 0, -1, EMPTY], device=device)
        self.states = self.nothing.repeat(count, options.beam, 1)
        hot = 0 if models.hot is None else models.hot.start
        row = 0 if self.fusion is None else self.fusion.start
        first = [self.delimiter, EMPTY, CHILDLESS, self.delimiter, 0, hot, row, -1, EMPTY]
        self.states[:, 0] = torch.tensor(first, device=device)
        self.offsets = torch.zeros(count, dtype=torch.float64, device=device)
        self.frames = 0

    @abstractmethod
    def advance(self, emissions: Packed) -> Choices:
        """Go through more frames of all recordings, (total, units + 1) as `SearchUnits.emissions` returns them."""

    @property
    def total(self) -> Tensor:
        """The score of each hypothesis, (recordings, beam)."""
        return torch.logaddexp(self.scores[BLANK], self.scores[UNIT])
