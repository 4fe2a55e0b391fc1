"""Recordings to label and their texts: what is left out, what is chosen, and how it is marked."""

from pathlib import Path

import pytest

from sonant.audio import Segment
from sonant.data import ManifestEntry, read_manifest
from sonant.data.manifest_writer import write_manifest
from sonant.errors import ManifestError
from sonant.self_training.pseudo_labels import (
    Labeled,
    check_spelling,
    histogram_text,
    marked,
    none_left,
    read_labels,
    select,
    without_known,
    write_labels,
)
from sonant.training.self_training import Selection


def entry(name: str, start: float | None = None, **fields: object) -> ManifestEntry:
    segment = None if start is None else Segment(start, start + 1)
    return ManifestEntry(Path(name), 2.0, fields, segment)


def test_known_and_repeated_recordings_are_left_out_and_counted() -> None:
    known = {"data": [entry("a.wav"), entry("b.wav", 1.0)], "dev": [entry("d.wav")]}
    given = [entry(name) for name in ("a.wav", "b.wav", "c.wav", "c.wav", "d.wav")] + [entry("b.wav", 1.0)]
    kept, counts = without_known(given, known)
    assert [each.name for each in kept] == ["b.wav", "c.wav"]  # all of b.wav, of which data has a segment
    assert counts == {"data": 2, "dev": 1, "unlabeled": 1}


def test_one_recording_at_least_must_be_left_to_label() -> None:
    with pytest.raises(ManifestError, match=r"None of the 2 recordings to label is left: 2 are in data\."):
        without_known([entry("a.wav"), entry("b.wav")], {"data": [entry("a.wav"), entry("b.wav")], "dev": []})


def test_recordings_inside_a_table_are_refused() -> None:
    with pytest.raises(ManifestError, match="inside a table"):
        without_known([ManifestEntry(Path("a.wav"), data=b"RIFF")], {})


LABELS = [
    Labeled(0, "ab cd", 0.9, 2.0),
    Labeled(1, " ", 0.9, 2.0),
    Labeled(2, "ab", 0.3, 2.0),
    Labeled(3, "abcdefghij", 0.8, 2.0),
]
ENTRIES = [entry(f"{number}.wav", text="said", speaker="s") for number in range(5)]


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({}, [0, 2, 3]),
        ({"min_confidence": 0.5}, [0, 3]),
        ({"min_characters_per_second": 1.5}, [0, 3]),
        ({"max_characters_per_second": 4.0}, [0, 2]),
        ({"min_confidence": 0.5, "max_characters_per_second": 4.0}, [0]),
    ],
)
def test_texts_within_the_limits_are_kept_and_all_are_counted(limits: dict[str, float], kept: list[int]) -> None:
    chosen = select(ENTRIES, LABELS, Selection(**limits), label="text", source="teacher")
    assert [each.path.name for each in chosen.entries] == [f"{number}.wav" for number in kept]
    facts = chosen.facts
    assert (facts["recordings"], facts["without_result"], facts["empty"]) == (5, 1, 1)
    assert facts["kept"] == len(kept) == sum(facts["confidence"]["kept"])
    assert facts["filtered"] == 3 - len(kept) == sum(facts["characters_per_second"]["left_out"])
    assert facts["hours"] == pytest.approx(2.0 * len(kept) / 3600)
    assert len(histogram_text(facts["confidence"])) == 10


def test_a_selection_of_nothing_says_why() -> None:
    facts = select(ENTRIES, LABELS[1:2], Selection(), label="text", source="teacher").facts
    assert none_left(facts) == (
        "None of the 5 recordings has a text to learn from. 4 recordings could not be used: see "
        "labeling/transcripts.errors.jsonl; 1 texts are empty: train the teacher for longer, or give another one."
    )


def test_a_manifest_of_both_tells_them_apart(tmp_path: Path) -> None:
    chosen = select(ENTRIES, LABELS[:1], Selection(), label="text", source="teacher")
    write_manifest(tmp_path / "train.jsonl", [*marked([entry("x.wav", text="given")]), *chosen.entries])
    first, second = (each.fields for each in read_manifest(tmp_path / "train.jsonl"))
    assert first == {"text": "given", "pseudo_labeled": False}
    assert second == {
        "text": "ab cd", "speaker": "s", "pseudo_labeled": True, "confidence": 0.9, "label_source": "teacher"
    }  # fmt: skip


def test_texts_of_another_case_than_the_transcripts_are_refused() -> None:
    check_spelling(["AB Z"], ["AB CD"])  # a letter that the transcripts happen to lack
    with pytest.raises(ManifestError, match="another case"):
        check_spelling(["ab z"], ["AB CD"])


def test_texts_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels.jsonl", LABELS)
    assert read_labels(tmp_path / "labels.jsonl") == LABELS
