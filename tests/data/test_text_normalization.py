"""Normalization of transcripts: its rules by example, and its laws."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonant.data.text_normalization import Normalization, normalize_text
from sonant.errors import UnknownName


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("  Hello,\tworld!\n", "hello world"),
        (
            "Don\u2019t \u2018go\u2019 \u2013 it's the dogs' well\u2010known bone-",
            "don't go it's the dogs well-known bone",
        ),
        ("ZOE\u0308 (c\u00f4te)", "zo\u00eb c\u00f4te"),
        ("At 10:30, 1,000.5 or 3.", "at 10:30 1,000.5 or 3"),
        ("5% of $7 & more_or_less", "5% of $7 & more or less"),
        ("in\u00advisi\u200bble\u202e", "invisible"),
        ("col\u00b7lega \u00b7 \u00bfqu\u00e9?", "col\u00b7lega qu\u00e9"),
        ("\u056b\u0576\u0579\u0578\u055e\u0582", "\u056b\u0576\u0579\u0578\u0582"),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645\u060c", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),
        ("\u4f60\u597d\u3002\u518d\u89c1", "\u4f60\u597d \u518d\u89c1"),
        ("...", ""),
    ],
)
def test_words_stay_and_punctuation_goes(given_text: str, expected: str) -> None:
    assert normalize_text(given_text, "lower") == expected


def test_a_form_settles_the_case_and_none_changes_white_space_alone() -> None:
    text = " E\u0301t\u00e9,  It\u2019s\n"
    assert normalize_text(text, "none") == "E\u0301t\u00e9, It\u2019s"
    assert normalize_text(text, "cased") == "\u00c9t\u00e9 It's"
    assert normalize_text(text, "upper") == "\u00c9T\u00c9 IT'S"
    with pytest.raises(UnknownName, match="lowr"):
        normalize_text(text, "lowr")  # type: ignore[arg-type]


@given(st.text(), st.sampled_from(["none", "cased", "lower", "upper"]))
def test_twice_is_once(text: str, form: Normalization) -> None:
    once = normalize_text(text, form)
    assert normalize_text(once, form) == once
