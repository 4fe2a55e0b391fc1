"""Error rates of recognition: WER, CER and PER, counted as jiwer does.

The rate of a corpus is the sum of all errors over the sum of all units of its references, not the mean of the rates of
its utterances. Where a reference is empty, every unit of the hypothesis is an insertion, which counts in the sum.
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Literal, Self

from sonant.errors import MeasurementError, UnknownName
from sonant.evaluation.edits import AlignedPair, align

TextUnit = Literal["word", "character", "phone"]


@dataclass(frozen=True)
class ErrorCounts:
    """The steps of alignments by kind; counts of utterances are added up by `sum(counts, ErrorCounts())`."""

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @classmethod
    def of(cls, steps: Sequence[AlignedPair]) -> Self:
        """Count the steps of an alignment."""
        kinds = [step.kind for step in steps]
        return cls(*(kinds.count(kind) for kind in ("hit", "substitution", "deletion", "insertion")))

    def __add__(self, other: "ErrorCounts") -> "ErrorCounts":
        return ErrorCounts(*(left + right for left, right in zip(astuple(self), astuple(other), strict=True)))

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def length(self) -> int:
        """Units of the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def rate(self) -> float | None:
        """The error rate; may exceed 1 with many insertions; None for an empty reference."""
        return self.errors / self.length if self.length else None


def split_text(text: str, unit: TextUnit) -> list[str]:
    """Split a text into words or phones at white space, or into characters.

    White space at the ends is ignored, and that between words is one character, a space. Case, punctuation and Unicode
    form (composed or not) make a difference: normalize texts first.
    """
    match unit:
        case "word" | "phone":
            return text.split()
        case "character":
            return list(" ".join(text.split()))
    raise UnknownName("unit of error rates", unit, ["word", "character", "phone"])


def align_texts(
    references: Sequence[str], hypotheses: Sequence[str], *, unit: TextUnit = "word"
) -> list[list[AlignedPair]]:
    """Align each hypothesis with its reference. Raises MeasurementError as `error_rate`."""
    check_texts(references, hypotheses)
    pairs = zip(references, hypotheses, strict=True)
    return [align(split_text(reference, unit), split_text(hypothesis, unit)) for reference, hypothesis in pairs]


def error_counts(references: Sequence[str], hypotheses: Sequence[str], *, unit: TextUnit = "word") -> list[ErrorCounts]:
    """Count the errors of each utterance. Raises MeasurementError as `error_rate`."""
    return [ErrorCounts.of(steps) for steps in align_texts(references, hypotheses, unit=unit)]


def error_rate(references: Sequence[str], hypotheses: Sequence[str], *, unit: TextUnit = "word") -> float:
    """Compute the error rate of a corpus: the word error rate (WER), or that of characters (CER) or phones (PER).

    Args:
        references: the right texts.
        hypotheses: of the same utterances in the same order; "" where nothing was recognized.
        unit: "word", "character", spaces included, or "phone", separated by spaces.

    Raises:
        MeasurementError: lists of different lengths, elements that are not text, or references without any unit.
    """
    total = sum(error_counts(references, hypotheses, unit=unit), ErrorCounts())
    if total.rate is None:
        raise MeasurementError(
            f"The {len(references)} references have no {unit} at all, and an error rate is errors per {unit} of the "
            f"references. `error_counts` counts the {total.insertions} insertions."
        )
    return total.rate


def check_texts(references: Sequence[str], hypotheses: Sequence[str]) -> None:
    """Raise MeasurementError unless both are lists of texts of one length."""
    for name, texts in (("references", references), ("hypotheses", hypotheses)):
        if isinstance(texts, str):
            raise MeasurementError(f"The {name} are one text, {texts[:40]!r}; expected a list of texts.")
        strange = next((number for number, text in enumerate(texts) if not isinstance(text, str)), None)
        if strange is not None:
            raise MeasurementError(
                f"{name}[{strange}] is {texts[strange]!r:.80}; expected text: words separated by spaces, or "
                "'' where nothing was recognized."
            )
    if len(references) != len(hypotheses):
        raise MeasurementError(
            f"{len(references)} references and {len(hypotheses)} hypotheses were given; expected one hypothesis for "
            "each reference, '' where nothing was recognized."
        )
