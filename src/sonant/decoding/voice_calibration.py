"""Calibration of the cosine of two speaker embeddings: the likelihood of one voice, and the threshold of a verdict.

    llr(cosine) = slope * cosine + offset

is the logarithm of the likelihood ratio of "one voice" and "two voices". An unknown voice is compared with each of N
enrolled people, so that the threshold among them is the one at which two speakers are taken for one N times less often.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import isfinite, log, log2
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sonant.errors import ConfigurationError


@dataclass(frozen=True)
class VoiceCalibration:
    """A calibration of the cosines of one model.

    Attributes:
        thresholds: least accepted cosine among 1, 2, 4, 8 ... enrolled people; a single one holds for any number.
        basis: a sentence on the data that the threshold was set on, and the errors there.
        slope, offset: of the logarithm of the likelihood ratio; None where only a threshold is known.
        least_unity: least cosine of the two most different parts of a recording of one voice; None: unknown.
    """

    thresholds: tuple[float, ...]
    basis: str
    slope: float | None = None
    offset: float | None = None
    least_unity: float | None = None

    def __post_init__(self) -> None:
        numbers = [*self.thresholds, self.slope, self.offset, self.least_unity]
        given = [number for number in numbers if number is not None]
        if not self.thresholds or not all(isinstance(number, int | float) and isfinite(number) for number in given):
            raise ConfigurationError("A calibration has no threshold, or numbers that are not finite; make it again.")
        if (self.slope is None) != (self.offset is None) or (self.slope is not None and self.slope <= 0):
            raise ConfigurationError(
                f"A calibration has slope={self.slope} and offset={self.offset}; expected a positive slope and an "
                "offset, or neither."
            )

    @property
    def threshold(self) -> float:
        """The least accepted cosine of two recordings."""
        return self.thresholds[0]

    def threshold_among(self, people: int) -> float:
        """Return the least accepted score among so many enrolled people.

        Thresholds are interpolated linearly in the logarithm of the number of people, and beyond the last continued.
        """
        doublings, known = log2(max(people, 1)), self.thresholds
        beyond = max(0.0, doublings - (len(known) - 1)) * (known[-1] - known[-2]) if len(known) > 1 else 0.0
        return float(np.interp(doublings, np.arange(len(known)), known)) + beyond

    def posteriors(self, scores: NDArray[np.floating]) -> list[float | None]:
        """Return the probability of each person (people,), if the voice is as likely unknown as enrolled.

            p(k) = ratio(k) / (N + sum over j of ratio(j)),    ratio = exp(llr)

        which for one person is the logistic function of llr. None for each without slope and offset.
        """
        if self.slope is None or self.offset is None:
            return [None] * len(scores)
        logits = np.append(self.slope * np.asarray(scores, dtype=np.float64) + self.offset, log(len(scores)))
        ratios = np.exp(logits - logits.max())
        return [float(ratio / ratios.sum()) for ratio in ratios[:-1]]

    def as_data(self) -> dict[str, Any]:
        """Return the calibration as plain data for JSON."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Make a calibration from `as_data`. Raises ConfigurationError: other members, or wrong values."""
        known = {each.name for each in fields(cls)}
        if not isinstance(data, Mapping) or set(data) - known or not {"thresholds", "basis"} <= set(data):
            raise ConfigurationError(
                f"A calibration is an object with {', '.join(sorted(known))}; {sorted(data)} was given. Make one with "
                "sonant voices calibrate."
            )
        return cls(**{**data, "thresholds": tuple(data["thresholds"])})
