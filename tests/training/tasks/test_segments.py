"""Labels of segments: lists, RTTM files and mixtures, and their division with long recordings."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sonant.audio import Segment
from sonant.data import ManifestEntry
from sonant.errors import ManifestError
from sonant.training.tasks import DiarizationTask, FrameTask
from sonant.training.tasks.targets import LabeledSegments

TASK = FrameTask()
SPANS = [[0.5, 1.5, "a"], [1.0, 3.25, "b"]]


def test_forms_of_segments() -> None:
    objects = [{"start": 1.0, "end": 3.25, "speaker": "b"}, {"start": 0.5, "duration": 1.0, "label": "a"}]
    assert TASK.normalized(SPANS) == TASK.normalized(objects) == json.dumps(SPANS)
    assert TASK.normalized([]) == "[]"  # nothing is labeled, which is a label


@pytest.mark.parametrize(
    "value", ["a", [["a", 1, 2]], [[2, 1, "a"]], [[0, 1]], [[0, 1, ""]], [{"start": 0, "end": 1}], [[0, None, "a"]], 3]
)
def test_what_is_no_list_of_segments_is_refused(value: Any) -> None:
    with pytest.raises(ManifestError, match=r"no (list of segments|segment)"):
        TASK.normalized(value)


def test_one_class_a_frame_has_no_overlaps() -> None:
    with pytest.raises(ManifestError, match=r"'a' and 'b' overlap from 1 s on"):
        FrameTask(several=False).normalized(SPANS)
    assert FrameTask(several=False).normalized([[0, 1, "a"], [1, 2, "b"]])


def test_labels_beside_a_manifest(tmp_path: Path) -> None:
    parts = [{"path": "a.wav", "start": 1.0, "clip": [0.5, 2.0], "speaker": "ann"}]
    rows = [
        {"path": "one.wav"},
        {"path": "two.wav", "id": "second"},
        {"path": "one.wav", "start": 1.0, "segments": []},
        {"id": "mixed", "mix": parts},
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rttm = "SPEAKER one 1 0.50 1.25 <NA> <NA> ann <NA> <NA>\nSPKR-INFO one 1\nSPEAKER second 1 2 3 <NA> <NA> b c <NA>\n"
    (tmp_path / "train.rttm").write_text(rttm)
    found = [each.fields["segments"] for each in TASK.recordings(str(tmp_path / "train.jsonl"), "segments")]
    assert found == [[[0.5, 1.75, "ann"]], [[2.0, 5.0, "b"]], [], [[1.0, 2.5, "ann"]]]
    (tmp_path / "train.rttm").write_text("SPEAKER one 1 0.50 - <NA> <NA> ann <NA> <NA>\n")
    with pytest.raises(ManifestError, match=r"train\.rttm:1: .*no line of RTTM"):
        TASK.recordings(str(tmp_path / "train.jsonl"), "segments")


def test_long_recordings_are_divided_with_their_segments() -> None:
    whole = ManifestEntry(Path("a.wav"), 4.0, {"segments": SPANS, "id": "a"}, Segment(10.0, 14.0))
    first, second = TASK.pieces(whole, "segments", 3.0)
    assert (first.segment, second.segment) == (Segment(10.0, 12.0), Segment(12.0, 14.0))
    assert first.fields["segments"] == [[0.5, 1.5, "a"], [1.0, 2.0, "b"]]
    assert second.fields["segments"] == [[0.0, 1.25, "b"]]
    assert (first.fields["id"], second.fields["speaker"]) == ("a#0", "a")
    assert [each.segment for each in TASK.pieces(whole, "segments", 4.0)] == [whole.segment]


def test_frames_whose_center_is_in_a_segment() -> None:
    target = LabeledSegments([(0.02, 0.06, 0), (0.0, 9.0, 1), (0.031, 0.031, 2)], 3).of_frames(5, 50.0)
    assert torch.equal(target[:, 0], torch.tensor([False, True, True, False, False]))
    assert target[:, 1].all()
    assert not target[:, 2].any()


def test_a_piece_with_more_speakers_than_outputs_is_not_learned() -> None:
    task = DiarizationTask(num_speakers=1)
    assert "2 speakers" in task.unfit(task.normalized(SPANS))
    assert not task.unfit(task.normalized(SPANS[:1]))
