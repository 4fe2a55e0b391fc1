"""Decisions of a frame classification head: probabilities by frame, and the settings that turn them into segments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from torch import Tensor

from sonant.checkpoints import Head
from sonant.decoding.speaker_turns import MEDIAN_SECONDS, MIN_TURN_SECONDS
from sonant.errors import CheckpointError
from sonant.tasks import Powerset

Frames = Literal["speakers", "powerset", "classes", "one_class"]


@dataclass(frozen=True, eq=False)
class FrameDecisions:
    """Meaning of the outputs of a head.

    Attributes:
        kind: independent speakers, sets of speakers, independent classes, or one class for each frame, the first of
            which is the background, and left out.
        num_activities: number of speakers or classes.
        names: of the classes; None for speakers, whose order means nothing.
        threshold: probability from which one is active.
        median_seconds: length of the median filter.
        min_seconds: shorter segments are dropped.
        powerset: of sets of speakers.
    """

    kind: Frames
    num_activities: int
    names: tuple[str, ...] | None = None
    threshold: float = 0.5
    median_seconds: float = MEDIAN_SECONDS
    min_seconds: float = MIN_TURN_SECONDS
    powerset: Powerset | None = None

    @classmethod
    def of(cls, head: Head, *, frame_rate: float) -> Self:
        """Make them from the metadata of a head; without any it is of independent speakers. Raises CheckpointError."""
        known: Mapping[str, Any] = head.metadata
        outputs, kind = len(head.tensors["classifier.bias"]), known.get("frames", "speakers")
        threshold = float(known.get("threshold", 0.5))
        seconds = known["median_frames"] / frame_rate if "median_frames" in known else MEDIAN_SECONDS
        match kind:
            case "speakers":
                return cls(kind, outputs, threshold=threshold, median_seconds=seconds)
            case "powerset":
                powerset = Powerset(int(known["num_speakers"]), int(known["max_at_once"]))
                if len(powerset.sets) == outputs:
                    return cls(kind, powerset.num_speakers, None, threshold, seconds, powerset=powerset)
            case "classes" | "one_class":
                names = tuple(known.get("labels") or ())
                if len(names) == outputs:
                    names = names[1:] if kind == "one_class" else names
                    return cls(kind, len(names), names, median_seconds=0.0, min_seconds=0.0)
        raise CheckpointError(
            f"The head has {outputs} outputs by frame, and its settings are {dict(known)!r:.200}; the two do not fit. "
            "The checkpoint was changed, or is of a later version of sonant."
        )

    @property
    def are_speakers(self) -> bool:
        """True if the outputs are of speakers."""
        return self.names is None

    def activity(self, logits: Tensor) -> Tensor:
        """Return probabilities (frames, speakers or classes); of one class, 1 for the most probable one and 0."""
        if self.powerset is not None:
            return self.powerset.activity(logits)
        if self.kind == "one_class":
            return (logits == logits.amax(-1, keepdim=True))[:, 1:].to(logits.dtype)
        return logits.sigmoid()
