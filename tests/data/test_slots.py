"""Marks of slots in texts."""

from typing import Any

import pytest

from sonant.data.slots import checked_marks, is_mark, marked_text, slots_among
from sonant.errors import ManifestError

TEXT = "fly to new york at noon to new york"


@pytest.mark.parametrize(
    "slots",
    [
        [["city", "new york"], ["time", "noon"], ["city", "new york"]],
        [{"name": "time", "value": "noon"}],
        '[["time", "noon"]]',
        {"time": "noon", "way": "fly"},
        [["all", TEXT]],
        None,
        "",
        [],
    ],
)
def test_slots_survive_their_marks(slots: Any) -> None:
    words = checked_marks(marked_text(f"  {TEXT} ", slots)).split()
    assert " ".join(word for word in words if not is_mark(word)) == TEXT
    found = [(span.name, " ".join(words[number] for number in span.words)) for span in slots_among(words)]
    expected = {
        list: lambda: [tuple(each.values()) if isinstance(each, dict) else tuple(each) for each in slots],
        dict: lambda: sorted(slots.items(), key=lambda item: TEXT.index(item[1])),
        str: lambda: [("time", "noon")] if slots else [],
    }
    assert found == (expected[type(slots)]() if slots is not None else [])


@pytest.mark.parametrize(
    ("slots", "why"),
    [
        ([["city", "paris"]], "'paris' of the slot 'city' 0 times"),
        ([["time", "noon"], ["way", "fly"]], "0 times behind the slots before it"),
        ({"city": "new york"}, "'new york' of the slot 'city' 2 times"),
        ([["city", "york at no"]], "0 times"),
        ({"time": "noon", "end": "at noon"}, "overlaps"),
        ([["a city", "noon"]], "a name without spaces"),
        ([["city", " "]], "a value of words"),
        ([["city"]], r"expected \[name, value\]"),
        (3, r"expected \[name, value\]"),
        ("[", "no JSON"),
    ],
)
def test_slots_that_are_not_in_the_text_are_refused(slots: Any, why: str) -> None:
    with pytest.raises(ManifestError, match=why):
        marked_text(TEXT, slots)


@pytest.mark.parametrize("text", ["B-a x", "x E-a", "B-a x E-b", "B-a B-b x E-b E-a", "B-a E-a", "E-a B-a x E-a"])
def test_marks_out_of_place_are_refused_in_labels(text: str) -> None:
    with pytest.raises(ManifestError, match=r"out of place|left open"):
        checked_marks(text)
    with pytest.raises(ManifestError, match="how the marks of slots are written"):
        marked_text(text, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("B-a x y", []),  # left open
        ("B-a x B-b y E-b", [("b", (3,))]),
        ("B-a x B-b y E-a z", [("a", (1, 3))]),  # a mark inside
        ("x E-a y B-a z E-a", [("a", (4,))]),
        ("B-a E-a x", []),
        ("B-a x E-a B-a y z E-a", [("a", (1,)), ("a", (4, 5))]),
    ],
)
def test_of_wrong_marks_what_can_be_read_is(text: str, expected: list[tuple[str, tuple[int, ...]]]) -> None:
    assert slots_among(text.split()) == expected
