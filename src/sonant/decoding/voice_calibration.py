"""Calibration of the cosine of two speaker embeddings: the likelihood of one voice, and the threshold of a verdict.

    llr(cosine) = slope * cosine + offset

is the logarithm of the likelihood ratio of "one voice" and "two voices". An unknown voice is compared with each of N
enrolled people, so that the threshold among them is the one at which two speakers are taken for one N times less often.
The cosine is that of normalized embeddings where the calibration has a normalization.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite, log, log2
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.results import Verification
from sonant.decoding.within_class import Vectors, VoiceNormalization, unit_vectors
from sonant.errors import ConfigurationError


@dataclass(frozen=True)
class VoiceCalibration:
    """A calibration of the cosines of one model.

    Attributes:
        thresholds: least accepted cosine among 1, 2, 4, 8 ... enrolled people; a single one holds for any number.
        basis: a sentence on the data that the threshold was set on, and the errors there.
        slope, offset: of the logarithm of the likelihood ratio; None where only a threshold is known.
        least_unity: least cosine of the two most different parts of a recording of one voice; None: unknown.
        normalization: of embeddings, before cosines are taken; None: none.
    """

    thresholds: tuple[float, ...]
    basis: str
    slope: float | None = None
    offset: float | None = None
    least_unity: float | None = None
    normalization: VoiceNormalization | None = None

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
        data = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**data, "normalization": None if self.normalization is None else self.normalization.as_data()}

    @classmethod
    def from_data(cls, data: Any) -> Self:
        """Make a calibration from `as_data`. Raises ConfigurationError: other members, or wrong values."""
        known = {each.name for each in fields(cls)}
        given = str(list(data) if isinstance(data, Mapping) else data)[:100]
        if not isinstance(data, Mapping) or set(data) - known or not {"thresholds", "basis"} <= set(data):
            raise ConfigurationError(
                f"A calibration is an object with {', '.join(sorted(known))}; {given} was given. Make one "
                "with sonant voices calibrate."
            )
        thresholds, normalization = data["thresholds"], data.get("normalization")
        return cls(**{
            **data,
            "thresholds": tuple(thresholds) if isinstance(thresholds, list | tuple) else (thresholds,),
            "normalization": None if normalization is None else VoiceNormalization.from_data(normalization),
        })  # fmt: skip


def basis_of(calibration: VoiceCalibration | None, *, is_given: bool) -> str:
    """Return a sentence on the threshold of an answer; `is_given`: by the caller."""
    if is_given:
        return "The threshold was given by the caller."
    if calibration is None:
        return (
            "No threshold is known for this model: scores are cosines without a verdict. Calibrate it on recordings "
            "of known speakers (sonant voices calibrate), or give a threshold."
        )
    return calibration.basis


def compare(
    one: NDArray[np.floating],
    other: NDArray[np.floating],
    calibration: VoiceCalibration | None,
    *,
    threshold: float | None = None,
) -> Verification:
    """Compare two speaker embeddings (dim,) of one model; `threshold`: takes the place of the calibration's."""
    left, right = comparable(np.stack([one, other]), calibration)
    score = float(np.clip(left @ right, -1.0, 1.0))
    (probability,) = [None] if calibration is None else calibration.posteriors(np.array([score]))
    limit = calibration.threshold if threshold is None and calibration is not None else threshold
    return Verification(score, limit, probability, basis_of(calibration, is_given=threshold is not None))


def comparable(vectors: NDArray[np.floating], calibration: VoiceCalibration | None) -> Vectors:
    """Return speaker embeddings (..., dim) as vectors of length one, whose dot products are the scores."""
    normalization = None if calibration is None else calibration.normalization
    return unit_vectors(vectors if normalization is None else normalization(vectors))
