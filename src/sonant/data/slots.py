"""Slots of transcripts: named parts of a text, such as a city or a date, and their marks.

A marked text has a word before and a word behind each slot: "fly to B-city new york E-city at B-time noon E-time".

Source: Audio SNIPS as SUPERB marks it (arXiv 2105.01051).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sonant.errors import ManifestError

_MARK = re.compile(r"([BE])-(\S+)")


class SlotSpan(NamedTuple):
    """A slot among the words of a marked text: its name, and the numbers of its words, which are no marks."""

    name: str
    words: tuple[int, ...]


def is_mark(word: str) -> bool:
    """Return True for a word that begins or ends a slot."""
    return _MARK.fullmatch(word) is not None


def slots_among(words: Sequence[str]) -> list[SlotSpan]:
    """Find the slots of marked words; what is marked wrongly is no slot.

    A slot reaches from its first mark to the next mark that ends a slot of this name, over any marks between. One that
    is never ended, or has no words, is left out.
    """
    found: list[SlotSpan] = []
    number = 0
    while number < len(words):
        mark = _MARK.fullmatch(words[number])
        number += 1
        if mark is None or mark[1] == "E" or f"E-{mark[2]}" not in words[number:]:
            continue
        end = words.index(f"E-{mark[2]}", number)
        if inside := tuple(each for each in range(number, end) if not is_mark(words[each])):
            found.append(SlotSpan(mark[2], inside))
        number = end + 1
    return found


def marked_text(text: str, slots: Any) -> str:
    """Mark the slots of a text.

    Args:
        text: without marks.
        slots: in the order of the text, each `[name, value]` or `{"name": ..., "value": ...}`; or a mapping of names to
            values that occur once each; or either as JSON. None or "": there are none.

    Raises ManifestError: another form, or a value that is not in the text, or is there several times.
    """
    words = text.split()
    if wrong := next(filter(is_mark, words), None):
        raise ManifestError(f"its text has {wrong!r}, which is how the marks of slots are written; spell it otherwise")
    read = _parsed(slots)
    spans: dict[int, tuple[int, str]] = {}  # first word to the end and the name
    first = 0
    for name, value in _pairs(read):
        wanted = value.split()
        places = [place for place in range(first, len(words)) if words[place : place + len(wanted)] == wanted]
        if not places or (isinstance(read, Mapping) and len(places) > 1):
            raise ManifestError(
                f"its text {text!r} has the value {value!r} of the slot {name!r} {len(places)} times"
                f"{' behind the slots before it' if first else ''}; expected the words of the value, "
                f"{'once' if isinstance(read, Mapping) else 'and slots in the order of the text'}"
            )
        end = places[0] + len(wanted)
        if any(begin < end and places[0] < other for begin, (other, _) in spans.items()):
            raise ManifestError(f"its slot {name!r} overlaps another one in {text!r}; expected one slot for each word")
        spans[places[0]] = end, name
        first = 0 if isinstance(read, Mapping) else end
    parts: list[str] = []
    for number, word in enumerate(words):
        parts += [f"B-{spans[number][1]}"] if number in spans else []
        parts.append(word)
        parts += [f"E-{name}" for end, name in spans.values() if end == number + 1]
    return " ".join(parts)


def checked_marks(text: str) -> str:
    """Return a marked text with single spaces. Raises ManifestError: a mark without its other one, or without words."""
    words = text.split()
    opened, inside = "", 0
    for word in words:
        mark = _MARK.fullmatch(word)
        if mark is None:
            inside += 1
        elif mark[1] == "B" and not opened:
            opened, inside = mark[2], 0
        elif mark[1] == "E" and mark[2] == opened and inside:
            opened = ""
        else:
            raise ManifestError(
                f"in {text!r} the mark {word!r} is out of place; expected words between 'B-NAME' and 'E-NAME'"
            )
    if opened:
        raise ManifestError(f"in {text!r} the slot {opened!r} is left open; expected the mark 'E-{opened}' behind it")
    return " ".join(words)


def _parsed(slots: Any) -> Any:
    if not isinstance(slots, str) or not slots.strip():
        return slots or []
    try:
        return json.loads(slots)
    except ValueError as error:
        raise ManifestError(f"its slots {slots!r:.80} are no JSON ({error})") from error


def _pairs(slots: Any) -> list[tuple[str, str]]:
    """Return names and values of slots. Raises ManifestError."""
    given = list(slots.items()) if isinstance(slots, Mapping) else slots if isinstance(slots, list) else [slots]
    pairs = []
    for each in given:
        pair = (each.get("name"), each.get("value")) if isinstance(each, Mapping) else each
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise ManifestError(f"its slots have {each!r:.80}; expected [name, value] for each")
        name, value = pair
        if not name or name != "".join(name.split()) or not value.strip():
            raise ManifestError(f"its slots have {each!r:.80}; expected a name without spaces, and a value of words")
        pairs.append((name, value))
    return pairs
