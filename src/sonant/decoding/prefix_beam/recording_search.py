"""A prefix beam search of one long recording, whose emissions come in parts, in bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor

from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.prefix_beam.history import Choices, trace
from sonant.decoding.prefix_beam.result import PathPart, common_path, hypotheses, path_parts
from sonant.decoding.prefix_beam.search import BEST_BLANK, EXTRA, PrefixSearch
from sonant.decoding.prefix_beam.units import IMPOSSIBLE
from sonant.decoding.results import Word
from sonant.layers.packed import Packed


class RecordingSearch:
    """The search of one recording; its result is that of `PrefixBeamDecoder.decode` for the whole emission.

    The most probable paths of all hypotheses are the same up to some frame, which is seldom more than a few words
    ago. There the path is settled: choices and emissions are kept for later frames alone.

    Args:
        search: of one recording.
        frame_rate: frames a second.
    """

    def __init__(self, search: PrefixSearch, frame_rate: float) -> None:
        self._search, self._frame_rate = search, frame_rate
        self._choices = Choices.empty(0, 1, search.options.beam)
        self._emission = torch.empty(0, search.units.padding + 1, device=search.scores.device)
        self._settled: list[PathPart] = []

    @torch.inference_mode()
    def append(self, emission: Tensor) -> None:
        """Go through more frames, (frames, tokens) on any device. Raises as `PrefixBeamDecoder.decode`."""
        checked = self._search.units.emissions(Packed.pack([emission.to(self._emission.device)]))
        self._choices = self._choices.then(self._search.advance(checked))
        self._emission = torch.cat([self._emission, checked.values])
        self._settle()

    def _settle(self) -> None:
        """Settle the frames at which all hypotheses have one path."""
        search, emissions = self._search, Packed.pack([self._emission])
        best = search.scores[BEST_BLANK:EXTRA, 0].T  # (beam, 2): in the order of the numbers of paths
        ends = (best > IMPOSSIBLE).flatten().nonzero().cpu().numpy().T  # (1, paths)
        paths = trace(self._choices, ends, emissions.sizes, search.units)
        agreed = (paths.numbers == paths.numbers[..., :1]).all((1, 2))
        count = int(agreed.sum()) if ends.size else 0  # paths that met stay together, back to the first frame
        if count:
            ((part, *_),) = path_parts(search, paths.until(count), Packed.pack([self._emission[:count]]))
            self._settled.append(part)
            self._choices, self._emission = self._choices.since(count), self._emission[count:].clone()

    def words(self) -> tuple[Word, ...]:
        """Return the words that are certain whatever follows: of the settled path, but the last, which may go on."""
        return common_path(self._search, self._settled, self._frame_rate).words[:-1] if self._settled else ()

    @torch.inference_mode()
    def finish(self) -> list[Hypothesis]:
        """Return the best hypotheses of the whole recording, best first."""
        emissions = Packed.pack([self._emission])
        return hypotheses(self._search, self._choices, emissions, self._frame_rate, self._settled)[0]
