"""Predictions of a finished run on the development set, and what a task measures of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Prediction:
    """Output of a head for one recording, and its label.

    Attributes:
        output: on the CPU, float32 (classes,), or (frames, classes) of a head over frames; int64 (tokens,) of one that
            writes text.
        target: of its label, as `Task.target` makes it.
        speaker: of the manifest; None if it does not say.
        sampling_rate: of the model, in hertz.
    """

    output: Tensor
    target: Tensor
    speaker: str | None
    sampling_rate: int = 16_000


@dataclass(frozen=True)
class TaskResult:
    """Measures of a finished run.

    Attributes:
        measures: JSON values, such as {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}}.
        notes: added to the metadata of the saved head.
    """

    measures: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


def groups_of(speakers: Sequence[str | None]) -> list[str] | None:
    """Return the speakers of recordings, by which intervals are drawn; None unless all are known, and are several.

    Resamples of a single speaker are all alike, and their interval would have no width.
    """
    known = [speaker for speaker in speakers if speaker is not None]
    return known if len(known) == len(speakers) and len(set(known)) > 1 else None
