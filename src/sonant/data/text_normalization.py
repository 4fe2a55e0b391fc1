"""Normalization of transcripts: one small, deterministic set of rules for training and for error rates."""

import re
from typing import Literal, get_args
from unicodedata import category, normalize

from sonant.errors import UnknownName

Normalization = Literal["none", "cased", "lower", "upper"]

APOSTROPHES, HYPHENS = "\u2019\uff07", "\u2010\u2011"  # written as ' and -
IN_WORDS = "'-\u00b7\u05f3\u05f4\u0f0b"  # kept between letters: also the Catalan dot, geresh, gershayim, tsheg
IN_NUMBERS = ".,:"  # kept between digits
SPOKEN = "%&@#\u00a7\u2030\uff05\uff06\uff20\uff03"  # punctuation in Unicode, but read as words
ON_LETTERS = "\u055b\u055c\u055e"  # the Armenian marks of tone, which stand inside words
JOINERS = "\u200c\u200d"  # control the shape of letters, and distinguish words in some scripts


def normalize_text(text: str, form: Normalization) -> str:
    """Return a text in one form, with single spaces between words; applied twice, it changes nothing more.

    Args:
        form: "none" changes white space alone. The others apply, in this order: removal of invisible format characters
            (soft hyphen, zero-width space, marks of direction); Unicode NFC; removal of punctuation (the categories P),
            each mark replaced by a space, except apostrophes and hyphens inside words, which become "'" and "-",
            decimal points and the like between digits, and signs that are read as words, such as "%"; and case:
            "cased" keeps it. Symbols (categories S, such as "$") and digits are left.

    Raises UnknownName: no such form.
    """
    if form not in get_args(Normalization):
        raise UnknownName("normalization of text", form, get_args(Normalization))
    if form != "none":
        text = "".join(each for each in text if category(each) != "Cf" or each in JOINERS)
        text = _without_punctuation(normalize("NFC", text))
        text = text.lower() if form == "lower" else text.upper() if form == "upper" else text
        text = normalize("NFC", text)
    return " ".join(text.split())


def _without_punctuation(text: str) -> str:
    text = re.sub(f"[{APOSTROPHES}]", "'", re.sub(f"[{HYPHENS}]", "-", text))
    kept = []
    for number, each in enumerate(text):
        is_mark = category(each).startswith("P") and each not in SPOKEN
        if is_mark and not _is_inside(each, text[number - 1 : number], text[number + 1 : number + 2]):
            kept.append("" if each in ON_LETTERS else " ")
        else:
            kept.append(each)
    return "".join(kept)


def _is_inside(mark: str, before: str, after: str) -> bool:
    """Return True for a mark of a word between letters, or of a number between digits."""
    if not before or not after:
        return False
    if mark in IN_NUMBERS and before.isdecimal() and after.isdecimal():
        return True
    return mark in IN_WORDS and all(category(each)[0] in "LMN" or each in JOINERS for each in (before, after))
