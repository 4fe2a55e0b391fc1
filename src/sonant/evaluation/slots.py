"""Slot filling: the F1 score of slot types, and the character error rate of slot values."""

from collections.abc import Sequence
from typing import NamedTuple

from sonant.errors import MeasurementError
from sonant.evaluation.edits import edit_distance

Slots = Sequence[tuple[str, str]]  # name and value


class SlotCounts(NamedTuple):
    """Measures of one recording.

    Attributes:
        type_f1: F1 score of the different names of slots; 1 if there are none, in the reference and found.
        value_errors: edits of the values of the reference.
        value_characters: their characters, spaces included.
    """

    type_f1: float
    value_errors: int
    value_characters: int


def slot_counts(reference: Slots, found: Slots) -> SlotCounts:
    """Compare the slots that were found in a recording with its own.

    Each value of the reference is compared with that one of the found values of the same name which takes the fewest
    edits, or with nothing if there is none; found values of other names do not count.

    Raises MeasurementError: slots that are not pairs of texts.

    Source: SUPERB (arXiv 2105.01051), slot filling: slot-type F1 and slot-value CER.
    """
    _check(reference)
    _check(found)
    wanted, there = {name for name, _ in reference}, {name for name, _ in found}
    common = len(wanted & there)
    f1 = 2 * common / (len(wanted) + len(there)) if wanted or there else 1.0
    errors = 0
    for name, value in reference:
        errors += min((edit_distance(value, other) for each, other in found if each == name), default=len(value))
    return SlotCounts(f1, errors, sum(len(value) for _, value in reference))


def slot_type_f1(references: Sequence[Slots], found: Sequence[Slots]) -> float:
    """Compute the mean F1 score of slot types over recordings, as in SUPERB: 0 to 1. Raises MeasurementError."""
    counts = _counts(references, found)
    return sum(each.type_f1 for each in counts) / len(counts)


def slot_value_cer(references: Sequence[Slots], found: Sequence[Slots]) -> float:
    """Compute edits over characters of all slot values, as in SUPERB. Raises MeasurementError: no reference has any."""
    counts = _counts(references, found)
    characters = sum(each.value_characters for each in counts)
    if not characters:
        raise MeasurementError("No recording of the references has a slot; the error rate of their values needs some.")
    return sum(each.value_errors for each in counts) / characters


def _check(slots: Slots) -> None:
    """Raise MeasurementError unless slots are pairs of texts; of other forms, such as mappings, pairs would be keys."""
    wrong = slots if not isinstance(slots, list | tuple) else next((each for each in slots if not _is_pair(each)), None)
    if wrong is not None:
        raise MeasurementError(
            f"{wrong!r:.80} was given as slots of a recording or as one of them; expected a list with the name and the "
            "value of each, both texts, such as [('city', 'new york')]."
        )


def _is_pair(slot: object) -> bool:
    return isinstance(slot, list | tuple) and len(slot) == 2 and all(isinstance(part, str) for part in slot)


def _counts(references: Sequence[Slots], found: Sequence[Slots]) -> list[SlotCounts]:
    if len(references) != len(found) or not references:
        raise MeasurementError(
            f"Slots of {len(references)} references and {len(found)} recordings were given; expected as many, and one "
            "or more."
        )
    return list(map(slot_counts, references, found))
