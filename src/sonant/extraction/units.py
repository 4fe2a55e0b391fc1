"""Discrete units: codes of a quantizer, or k-means clusters of a hidden state, for each frame."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.data.files import atomic
from sonant.extraction.destination import UnitFormat
from sonant.extraction.names import as_json
from sonant.extraction.request import EncodeRequest
from sonant.extraction.result_stores import Result
from sonant.extraction.text_formats import line_of
from sonant.extraction.writers import ResultWriter
from sonant.layers.packed import Packed
from sonant.models.backbone import Backbone, Coder, Encoded
from sonant.models.normalization import RecordingStatistics


class Coding(Backbone):
    """A wrapper of a model whose only hidden state is its codes, so that the engine handles them like frames."""

    def __init__(self, model: Backbone) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def clip_statistics(self) -> RecordingStatistics | None:

        return self.model.clip_statistics()

    def forward(
        self,
        speech: Packed,
        *,
        layers: Collection[int | str] | None = None,  # noqa: ARG002 - a single state
        statistics: Sequence[RecordingStatistics | None] | None = None,
    ) -> Encoded:
        assert isinstance(self.model, Coder)
        codes = self.model.codes(speech, statistics=statistics)
        return Encoded({}, codes.values, codes.lengths, self.frame_rate)


UnitFunction = Callable[[Tensor], Tensor]  # (frames, dim) to units, int64 (frames,) or (frames, num_codebooks)


@dataclass(frozen=True, eq=False)
class Units:
    """Deduplicated units.

    Attributes:
        values: int64 (units,) or (units, num_codebooks).
        durations: frames of each, int64 (units,).
    """

    values: NDArray[np.int64]
    durations: NDArray[np.int64]


def deduplicate(units: NDArray[np.int64]) -> Units:
    """Merge each run of equal units (frames,) or (frames, num_codebooks) into one."""
    rows = _rows(units)
    starts = np.flatnonzero(np.append(len(rows) > 0, (rows[1:] != rows[:-1]).any(1)))
    return Units(units[starts], np.diff(np.append(starts, len(rows))))


def _rows(units: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return units (units,) or (units, num_codebooks) as (units, num_codebooks)."""
    return units[:, None] if units.ndim == 1 else units


class UnitSink:
    """A sink that converts frames to units and keeps only these."""

    def __init__(self, label: UnitFunction) -> None:
        self._label = label
        self._blocks: list[Tensor] = []

    def append(self, frames: Tensor) -> None:
        self._blocks.append(self._label(frames[0]).cpu())

    def finish(self) -> NDArray[np.int64]:
        return torch.cat(self._blocks).numpy()

    def abandon(self) -> None:
        self._blocks.clear()


def unit_writer(
    kind: UnitFormat,
    request: EncodeRequest,
    label: UnitFunction,
    *,
    settings: Mapping[str, Any],
    without_repetitions: bool,
    frame_rate: float,
) -> ResultWriter:
    """Return a writer of units.

    - text: one line per recording: name, tab, units separated by spaces; codes of several codebooks joined by "-".
    - jsonl: one line per recording with path, seconds, frames, units, and durations of deduplicated units.
    - npy: an array for each recording in `units/`, and its durations in `durations/`.

    Args:
        settings: everything that determines the units.
        without_repetitions: whether units are deduplicated.
    """

    def merged(result: Result) -> Units:
        value = result[1].value
        return deduplicate(value) if without_repetitions else Units(value, np.zeros(0, np.int64))

    def render(result: Result) -> str:
        (entry, outcome), units = result, merged(result)
        if kind == "text":
            return line_of(entry, as_text(units.values))
        row = {**entry.facts, "seconds": round(outcome.seconds, 6), "frames": outcome.frames}
        durations = {"durations": units.durations.tolist()} if without_repetitions else {}
        return as_json({**row, "units": units.values.tolist(), **durations}) + "\n"

    def save(paths: Sequence[Path], result: Result) -> None:
        units = merged(result)
        for path, array in zip(paths, (units.values, units.durations), strict=False):
            with atomic(path) as draft, draft.open("wb") as file:
                np.save(file, array)

    return ResultWriter(
        what="units",
        format=kind,
        request=request,
        make_sink=lambda _: UnitSink(label),
        render=render,
        settings={**settings, "deduplicate": without_repetitions, "lines": None if kind == "npy" else kind},
        bytes_a_second=frame_rate * (8 if kind == "npy" else 4),
        save=save,
        folders=("units", "durations") if without_repetitions else ("units",),
    )


def as_text(units: NDArray[np.int64]) -> str:
    """Return units (units,) or (units, num_codebooks) as words: "71 12 12", or "3-17 3-254"."""
    return " ".join("-".join(map(str, row)) for row in _rows(units).tolist())
