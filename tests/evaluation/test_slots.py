"""Slot-type F1 and slot-value CER, worked out by hand."""

from typing import Any

import pytest

from sonant.errors import MeasurementError
from sonant.evaluation.slots import slot_counts, slot_type_f1, slot_value_cer


def test_types_are_compared_as_sets_and_values_with_the_nearest() -> None:
    reference = [("city", "rome"), ("city", "paris"), ("time", "noon")]
    found = [("city", "pari"), ("day", "noon")]
    # Types: one of two, and one of two found. Values: rome to pari 4, paris to pari 1, noon to nothing 4.
    assert slot_counts(reference, found) == (0.5, 9, 13)
    assert slot_counts([], []) == (1.0, 0, 0)
    assert slot_counts([], found) == (0.0, 0, 0)
    assert slot_counts(reference, []) == (0.0, 13, 13)
    assert slot_type_f1([reference, []], [found, []]) == 0.75
    assert slot_value_cer([reference, [("day", "may")]], [found, [("day", "may")]]) == 9 / 16


@pytest.mark.parametrize(
    "slots",
    [
        {"city": "rome"},
        [{"name": "city", "value": "rome"}],
        [("city", "rome", 0.1)],
        ("city", "rome"),
        [("city", None)],
        "ab",
    ],
)
def test_slots_of_another_form_are_refused(slots: Any) -> None:
    right = [("city", "paris")]
    for pair in ((slots, right), (right, slots)):
        with pytest.raises(MeasurementError, match="expected a list with the name and the value of each"):
            slot_type_f1(*([each] for each in pair))


def test_what_cannot_be_measured_is_told() -> None:
    with pytest.raises(MeasurementError, match="1 references and 0"):
        slot_type_f1([[]], [])
    with pytest.raises(MeasurementError, match="No recording of the references has a slot"):
        slot_value_cer([[]], [[]])
