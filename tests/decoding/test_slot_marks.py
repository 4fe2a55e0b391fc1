"""Slots of transcripts, from the tokens of a vocabulary with marks."""

from dataclasses import replace

from sonant.decoding.ctc import spelled
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.results import SpokenSlot
from sonant.decoding.slot_marks import with_slots

TOKENS = ("<pad>", "|", "a", "b", "B-x", "E-x", "B-y")


def test_marks_stand_alone_and_become_slots_with_times() -> None:
    vocabulary = CTCVocabulary.of(TOKENS)
    assert {TOKENS[number] for number in vocabulary.marks} == {"B-x", "E-x"}  # "B-y" has no end
    tokens = [TOKENS.index(name) for name in ("a", "B-x", "a", "b", "|", "b", "E-x", "b")]  # no spaces beside marks
    marked = spelled(tokens, vocabulary)
    assert marked.text == "a B-x ab b E-x b"
    found = with_slots(marked, vocabulary)
    assert found.text == "a ab b b"
    assert found.slots == (SpokenSlot("x", "ab b", 4.0, 11.0),)
    assert found.as_json()["slots"] == ({"name": "x", "text": "ab b", "start_seconds": 4.0, "end_seconds": 11.0},)
    assert with_slots(marked, replace(vocabulary, marks=frozenset())) is marked
