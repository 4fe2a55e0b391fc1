"""Each problem of labels is counted, listed with examples, and leaves its rows out where that is asked for."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from sonant.audio import Segment
from sonant.data import LabelNeeds, ManifestEntry, check_labels, ctc_frames
from sonant.errors import ManifestError


def outside(label: str) -> Iterable[str]:
    return [sign for sign in label if sign not in "abc "]


NEEDS = LabelNeeds(outside=outside, min_frames=ctc_frames, num_frames=lambda seconds: round(50 * seconds))


@pytest.fixture(autouse=True)
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(6):
        soundfile.write(f"{number}.wav", np.full(1600, 0.1), 16_000)  # 5 frames


def row(number: int, text: Any = "abc", **fields: Any) -> ManifestEntry:
    return ManifestEntry(Path(f"{number}.wav"), fields.pop("duration", None), {"text": text, **fields})


def test_good_labels_have_no_problems() -> None:
    checked = check_labels([row(0), row(1, " aa ")], [row(2)], needs=NEEDS)
    assert (checked.problems, checked.report) == ((), "")
    assert [entry.duration for entry in checked.train] == [0.1, 0.1]
    assert [entry.path.name for entry in checked.dev] == ["2.wav"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row(9), r"have no audio that can be read.*There is no file '9\.wav'"),
        (row(9, duration=1.0), "have no audio that can be read"),
        (row(0), r"list a recording a second time.*0\.wav"),
        (row(2, id="one"), r"have an id that another recording has too.*'one': 2\.wav"),
        (row(2, ""), r"have no 'text'.*2\.wav"),
        (row(2, None), "have no 'text'"),
        (row(2, ["ab", "c"]), r"have no 'text'.*2\.wav has 'text' \(no text, but \['ab', 'c'\]"),
        (row(2, "  "), "have no 'text'"),
        (row(2, "abé3é"), r"have 'text' outside of the vocabulary, 'é' in 1, '3' in 1: .*2\.wav: 'é' '3'"),
        (row(2, "abcabc"), r"are too short for their 'text'.*2\.wav: 6 frames needed, 5 in 0\.10 s"),
        (row(2, "aaab"), "are too short.*6 frames needed"),  # with blanks between equal ones
    ],
)
def test_a_row_that_cannot_be_trained_on(bad: ManifestEntry, message: str) -> None:
    rows = [row(0, id="one"), row(1), bad]
    for part, train, dev in (("train", rows, [row(3)]), ("dev", [row(3)], rows)):
        with pytest.raises(ManifestError, match=rf"(?s)error: 1 of 3 rows of {part} {message}"):
            check_labels(train, dev, needs=NEEDS)
        checked = check_labels(train, dev, needs=NEEDS, on_error="skip")
        (problem,) = checked.problems
        assert (problem.part, problem.rows, problem.severity) == (part, (2,), "error")
        assert len(checked.train if part == "train" else checked.dev) == 2


def test_problems_are_counted_with_a_few_examples() -> None:
    rows = [row(0), *(row(number, "x") for number in range(1, 6))]
    (problem,) = check_labels(rows, needs=NEEDS, on_error="skip").problems
    assert str(problem).startswith("error: 5 of 6 rows of train have 'text' outside of the vocabulary, 'x' in 5: ")
    assert str(problem).endswith("1.wav: 'x'; 2.wav: 'x'; 3.wav: 'x'; and 2 more")


def test_recordings_and_speakers_of_both_parts_are_a_warning() -> None:
    train, dev = [row(0, speaker="ann"), row(1, speaker="bob"), row(2)], [row(0), row(3, speaker="bob"), row(4)]
    checked = check_labels(train, dev, needs=NEEDS)
    assert (len(checked.train), len(checked.dev)) == (3, 3)
    again, heard = checked.problems
    assert (again.rows, heard.rows) == ((0,), (1,))
    assert "warning: 1 of 3 rows of dev are recordings of train too" in str(again)
    assert "are of 1 speaker of train" in str(heard)
    assert str(heard).endswith(". bob")


def test_segments_of_one_recording_are_several(tmp_path: Path) -> None:
    rows = [ManifestEntry(tmp_path / "0.wav", None, {"text": "a"}, Segment(at, at + 0.04)) for at in (0.0, 0.04)]
    assert [entry.duration for entry in check_labels(rows, needs=NEEDS).train] == [0.04, 0.04]
    rows.append(ManifestEntry(tmp_path / "0.wav", 0.5, {"text": "a"}, Segment(0.08, 0.58)))
    with pytest.raises(ManifestError, match=r"no audio.*the segment 0\.08 to 0\.58 s was asked for"):
        check_labels(rows, needs=NEEDS)


def test_classes_are_checked_by_the_column_that_is_named() -> None:
    needs = LabelNeeds(column="emotion", outside=lambda label: [] if label in ("glad", "sad") else [label])
    with pytest.raises(ManifestError, match="have 'emotion' outside of the vocabulary, 'angry' in 1"):
        check_labels([row(0, emotion="sad")], [row(1, emotion="angry")], needs=needs)


def test_a_value_that_is_no_label_is_listed_with_its_reason() -> None:
    def number(value: object) -> str:
        if not isinstance(value, float):
            raise ManifestError(f"{value!r} is no number.")
        return str(value)

    with pytest.raises(
        ManifestError, match=r"1 of 2 rows of train have a value of 'age' that is no label.*'old' is no number"
    ):
        check_labels([row(0, age=3.5), row(1, age="old")], needs=LabelNeeds(column="age", normalize=number))


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(ManifestError, match="No row of train can be used"):
        check_labels([row(9)], needs=NEEDS, on_error="skip")
    with pytest.raises(ManifestError, match="No row of dev can be used"):
        check_labels([row(0)], [row(1, "")], needs=NEEDS, on_error="skip")
