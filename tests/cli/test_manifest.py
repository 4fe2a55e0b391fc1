"""`sonant manifest`, and the segments of a manifest in the commands for many recordings."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sonant
from sonant import audio
from sonant.audio import Segment
from sonant.cli import main
from sonant.data import read_manifest
from tests.heads import write_ctc, write_frame_classifier

RATE = 16_000


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def talks(tmp_path: Path) -> Path:
    """A folder with talk.flac of two channels, and a list of three segments, the last of which is not there."""
    folder = tmp_path / "talks"
    folder.mkdir()
    samples = 0.1 * np.random.default_rng(0).standard_normal((3 * RATE, 2))
    soundfile.write(folder / "talk.flac", samples, RATE)
    (folder / "segments.csv").write_text(
        "path,start,end,channel\ntalk.flac,0,1.25,\ntalk.flac,1.25,3,1\ntalk.flac,2.5,4,\n"
    )
    return folder


@pytest.fixture
def slices(talks: Path) -> list[np.ndarray]:
    whole, right = audio.read(talks / "talk.flac"), audio.read(talks / "talk.flac", channel=1)
    return [whole[:20_000], right[20_000:]]


def test_a_manifest_is_made_once(talks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["manifest", str(talks)]) == 0
    assert capsys.readouterr().out == f"{talks / 'manifest.jsonl'}  1 recording, 3.0 s\n"
    (entry,) = read_manifest(talks)
    assert (entry.path, entry.duration, entry.fields["num_channels"]) == (talks / "talk.flac", 3.0, 2)
    assert main(["manifest", str(talks)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["manifest", str(talks), "--overwrite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recordings"] == 1


def test_what_cannot_be_read_is_named(talks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "list.jsonl"
    assert main(["manifest", str(talks / "segments.csv"), "-o", str(output)]) == 1
    out, err = capsys.readouterr()
    assert "2 recordings, 3.0 s, 1 left out" in out
    assert "the segment 2.5 to 4 s was asked for, and the recording ends after 3.00 s" in err
    assert [entry.channel for entry in read_manifest(output)] == [None, 1]


def test_transcripts_of_segments(
    talks: Path, slices: list[np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(write_ctc(tmp_path / "ctc"))
    expected = [found.text for found in sonant.load(model).transcribe(slices)]
    asked = ["transcribe", str(talks / "segments.csv"), "-m", model]
    assert main([*asked, "-f", "json", "-o", str(tmp_path / "all.jsonl")]) == 1
    rows = lines(tmp_path / "all.jsonl")
    assert [row["text"] for row in rows] == expected
    assert [(row["path"], row.get("channel"), row["offset"], row["duration"]) for row in rows] == [
        ("talk.flac", None, 0.0, 1.25),
        ("talk.flac", 1, 1.25, 1.75),
    ]
    (failure,) = lines(tmp_path / "all.jsonl.errors.jsonl")
    assert (failure["offset"], failure["error"]) == (2.5, "MissingSegment")
    for kept in ("", ", 2 kept from before"):
        capsys.readouterr()
        assert main([*asked, "-o", str(tmp_path / "texts")]) == 1
        assert kept in capsys.readouterr().out
    names = ["talk.0-1.25s.txt", "talk.channel1.1.25-3s.txt"]
    assert sorted(path.name for path in (tmp_path / "texts").glob("*.txt")) == names


def test_turns_of_segments_are_of_recordings_of_their_own(talks: Path, tmp_path: Path) -> None:
    model = str(write_frame_classifier(tmp_path / "frames"))
    assert main(["diarize", str(talks / "segments.csv"), "-m", model, "-o", str(tmp_path / "turns.rttm")]) == 1
    rows = [line.split() for line in (tmp_path / "turns.rttm").read_text().splitlines()]
    assert {row[1] for row in rows} <= {"talk.0-1.25s", "talk.1.25-3s"}


def test_rows_of_a_manifest_are_recordings_in_python_too(talks: Path, slices: list[np.ndarray], tmp_path: Path) -> None:
    encoder = sonant.load(str(write_ctc(tmp_path / "ctc")))
    entries = read_manifest(talks / "segments.csv")
    assert entries[0].segment == Segment(0.0, 1.25)
    for found, alone in zip(encoder.encode(entries[:2], pool="mean"), encoder.encode(slices, pool="mean"), strict=True):
        np.testing.assert_allclose(found, alone, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(entries[1]), encoder.encode(slices[1]), atol=1e-5)
