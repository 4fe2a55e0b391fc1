"""Diarization: speakers who talk in each frame."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sonant.decoding.results import SpeakerTurn
from sonant.decoding.speaker_turns import turns
from sonant.errors import ConfigurationError
from sonant.evaluation.diarization import DiarizationError, diarization_error, jaccard_errors
from sonant.evaluation.diarization_scores import error_rates
from sonant.layers.packed import Packed
from sonant.loss import Loss
from sonant.tasks import Powerset, frame_errors, permutation_free_bce
from sonant.training.tasks.results import Prediction, TaskResult, groups_of
from sonant.training.tasks.segments import SegmentTask, spans_of
from sonant.training.tasks.targets import LabeledSegments
from sonant.training.validation import Criterion

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
MEDIAN_FRAMES = (1, 11)  # lengths of the median filter; both as in SUPERB


@dataclass(frozen=True, kw_only=True)
class DiarizationTask(SegmentTask):
    """Speakers in each frame, whose names differ from recording to recording.

    In training the metric is DER by frames, without collar, with overlaps, at a threshold of 0.5. At the end, the
    threshold and the length of the median filter with the lowest DER on the development set are chosen, and saved.

    Attributes:
        form: "permutation_free": each speaker independently, by the binary cross-entropy in the best order of the
            speakers; "powerset": one class for each set of speakers, by the cross-entropy in the best order.
        num_speakers: most speakers in a recording, or in a piece of it; pieces with more are left out.
        max_at_once: of the powerset: most who talk at the same time; of more, some are missed.
    """

    criterion: ClassVar[Criterion] = Criterion("der")

    form: Literal["permutation_free", "powerset"] = "permutation_free"
    num_speakers: int = 2
    max_at_once: int = 2

    def __post_init__(self) -> None:
        most = self.max_at_once if self.form == "powerset" else 1
        if not 1 <= most <= self.num_speakers <= 5:
            raise ConfigurationError(
                f"num_speakers={self.num_speakers} and max_at_once={self.max_at_once} were given; expected 1 to 5 "
                "speakers, since all orders of them are tried, and no more of them at once."
            )

    @cached_property
    def powerset(self) -> Powerset:
        """The classes of the powerset."""
        return Powerset(self.num_speakers, self.max_at_once)

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002
        if self.form == "powerset":
            return self.powerset.names
        return tuple(f"speaker_{number}" for number in range(self.num_speakers))

    def outside(self, label: str, known: frozenset[str]) -> list[str]:  # noqa: ARG002
        return []

    def unfit(self, label: str) -> str:
        speakers = self.units(label)
        if len(speakers) <= self.num_speakers:
            return ""
        return f"it has {len(speakers)} speakers, and task.num_speakers={self.num_speakers}"

    def target(self, label: str, numbers: Mapping[str, int]) -> LabeledSegments:  # noqa: ARG002
        order = self.units(label)
        spans = [(span.start, span.end, order.index(span.label)) for span in spans_of(label)]
        return LabeledSegments(spans, self.num_speakers)

    def loss(self, outputs: Packed, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:  # noqa: ARG002
        logits, active = outputs.with_values(outputs.values.float()), targets.values
        if self.form == "powerset":
            total, count = self.powerset.loss(logits, active), len(active)
        else:
            total, count = permutation_free_bce(logits, active), active.numel()
        found = self.activity(logits.values.detach()) > 0.5
        errors, speech = frame_errors(logits.with_values(found), active)
        return Loss(total, count, {"der": (errors.sum(), speech.sum())})

    def activity(self, logits: Tensor) -> Tensor:
        """Return the probability that each speaker talks, (frames, speakers)."""
        return self.powerset.activity(logits) if self.form == "powerset" else logits.sigmoid()

    def predicted(self, outputs: Packed) -> Iterable[Tensor]:
        return [self.activity(each.float()) for each in outputs]

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:  # noqa: ARG002
        predictions = list(predictions)
        wanted = [_turns(each.target.numpy(), 0.5, 1) for each in predictions]

        def found(threshold: float, frames: int) -> list[list[SpeakerTurn]]:
            return [_turns(each.output.numpy(), threshold, frames) for each in predictions]

        def errors(told: Sequence[Sequence[SpeakerTurn]]) -> list[DiarizationError]:
            return [diarization_error(*each) for each in zip(wanted, told, strict=True)]

        if not any(wanted):
            return TaskResult({"recordings": len(predictions), "speech": 0})
        settings = list(product(THRESHOLDS, MEDIAN_FRAMES))
        ders = [DiarizationError.total(errors(found(*each))).rate for each in settings]
        threshold, frames = settings[int(np.argmin(ders))]
        told = found(threshold, frames)
        by_piece, groups = errors(told), groups_of([each.speaker for each in predictions])
        jaccard = [error for pair in zip(wanted, told, strict=True) for error in jaccard_errors(*pair).values()]
        return TaskResult(
            {
                **error_rates(by_piece, jaccard, groups),
                "convention": "by frames of the model, no collar, overlaps scored, speakers matched in each recording "
                "or piece of one",
                "threshold": threshold,
                "median_frames": frames,
                "der_by_setting": [
                    {"threshold": each[0], "median_frames": each[1], "der": der}
                    for each, der in zip(settings, ders, strict=True)
                ],
            },
            {"threshold": threshold, "median_frames": frames},
        )

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        if self.form == "powerset":
            sizes = {"num_speakers": self.num_speakers, "max_at_once": self.max_at_once}
            return {"labels": list(classes), "frames": "powerset", **sizes}
        return {"labels": list(classes), "frames": "speakers"}


def _turns(activity: NDArray[Any], threshold: float, median_frames: int) -> list[SpeakerTurn]:
    """Return the turns of (frames, speakers), in seconds of one frame each."""
    return turns(
        activity, frame_rate=1.0, threshold=threshold, median_seconds=float(median_frames), min_turn_seconds=0.0
    )
