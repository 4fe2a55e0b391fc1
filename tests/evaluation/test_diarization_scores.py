"""Diarization of a corpus, from RTTM files to rates."""

import json
from pathlib import Path

import pytest

from sonant.cli import main
from sonant.data.rttm import read_rttm, read_uem
from sonant.decoding.results import SpeakerTurn
from sonant.decoding.rttm import rttm
from sonant.errors import ManifestError, MeasurementError, SonantWarning
from sonant.evaluation.diarization_scores import score_diarization

REFERENCE = {"a": [SpeakerTurn("ann", 0, 8)], "b": [SpeakerTurn("bob", 0, 2)]}
FOUND = {"a": [SpeakerTurn("x", 0, 6)], "silent": [SpeakerTurn("y", 0, 1)]}


def test_recordings_are_added_up_and_a_missing_one_is_missed() -> None:
    with pytest.warns(SonantWarning, match="1 recordings are not in the reference.*silent"):
        scores = score_diarization(REFERENCE, FOUND)
    assert (scores["recordings"], scores["der"]["value"], scores["missed"]) == (2, 0.4, 0.4)
    assert scores["jer"] == pytest.approx((0.25 + 1) / 2)
    assert scores["by_recording"] == {"a": 0.25, "b": 1}


def test_regions_name_what_is_scored() -> None:
    scores = score_diarization(REFERENCE, FOUND, regions={"a": [(4, 8)], "silent": [(0, 9)]})
    assert (scores["missed"], scores["false_alarm"]) == (2 / 4, 1 / 4)
    assert scores["by_recording"]["silent"] is None


def test_other_names_are_refused() -> None:
    with pytest.raises(MeasurementError, match="called by other names"):
        score_diarization(REFERENCE, {"a.wav": []})


def test_a_path_counts_as_the_name_at_its_end() -> None:
    expected = score_diarization(REFERENCE, REFERENCE)
    assert score_diarization(REFERENCE, {"talks/a": REFERENCE["a"], "talks/deep/b": REFERENCE["b"]}) == expected
    with pytest.raises(MeasurementError, match="'x/a' and of 'y/a' are both of 'a'"):
        score_diarization(REFERENCE, {"x/a": [], "y/a": []})


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "turns" / "deep").mkdir(parents=True)
    (tmp_path / "reference.rttm").write_text("".join(rttm(turns, name) for name, turns in REFERENCE.items()))
    (tmp_path / "turns" / "a.rttm").write_text(rttm(FOUND["a"], "a"))
    (tmp_path / "turns" / "deep" / "b.rttm").write_text(rttm(REFERENCE["b"], "b"))
    (tmp_path / "regions.uem").write_text(";; regions\na 1 0.0 8.0\n")
    given = ["evaluate", "diarization", str(tmp_path / "reference.rttm"), str(tmp_path / "turns")]
    assert main(given) == 0
    assert "20.00 [0.00, 25.00]" in capsys.readouterr().out
    assert main([*given, "--collar", "1", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert (scores["missed"], scores["speech_seconds"]) == (1 / 6, 6)  # the collars leave nothing of b
    assert main([*given, "--uem", str(tmp_path / "regions.uem"), "--json"]) == 0
    written = capsys.readouterr()
    assert json.loads(written.out)["der"]["value"] == 0.25
    assert "not in the reference" in written.err


def test_damaged_files_are_refused_by_their_line(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for text, read in (("SPEAKER a 1 0 x <NA> <NA> y\n", read_rttm), ("a 1 0\n", read_uem), ("a 1 -1 2", read_uem)):
        path.write_text(f"\n{text}")
        with pytest.raises(ManifestError, match=r"x:2: .* is no line of"):
            read(path)
    with pytest.raises(ManifestError, match="cannot be read"):
        read_rttm(tmp_path / "none")
