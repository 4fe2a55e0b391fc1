"""Trials of speaker verification: their forms, and the recordings that they name."""

from pathlib import Path

import pytest

from sonant.data import ManifestEntry
from sonant.data.trials import match_trials, read_trials
from sonant.errors import ManifestError


def write(folder: Path, text: str) -> Path:
    (folder / "trials.txt").write_text(text)
    return folder / "trials.txt"


def test_both_forms_name_recordings_by_id_or_by_the_end_of_their_paths(tmp_path: Path) -> None:
    trials = read_trials(write(tmp_path, "1 id1/x/1.wav id2/x/1.wav\n\n0 id1/x/1.wav me\nme id2/x/1 nontarget\n"))
    assert [trial.is_target for trial in trials] == [True, False, False]
    entries = [
        ManifestEntry(Path("/vox/wav/id2/x/1.wav")),
        ManifestEntry(Path("/vox/wav/other.wav"), fields={"id": "me"}),
        ManifestEntry(Path("/vox/wav/id1/x/1.wav")),
        ManifestEntry(Path("/vox/wav/unused.wav")),
    ]
    assert match_trials(trials, entries) == [(2, 0), (2, 1), (1, 0)]
    with pytest.raises(ManifestError, match="2 of the 4 names in the trials are of no recording"):
        match_trials(trials, entries[1:2] + entries[2:3])
    with pytest.raises(ManifestError, match="1 of the 4 names in the trials are of several recordings"):
        match_trials(trials, [*entries, ManifestEntry(Path("/copy/wav/id1/x/1.wav"))])


def test_a_recording_of_another_speaker_with_the_same_name_is_not_that_of_a_trial(tmp_path: Path) -> None:
    trials = read_trials(write(tmp_path, "1 id9/x/1.wav ../wav/id2/x/1.wav\n"))
    entries = [ManifestEntry(Path(f"/vox/wav/{speaker}/x/1.wav")) for speaker in ("id1", "id2")]
    with pytest.raises(ManifestError, match="1 of the 2 names in the trials are of no recording of the manifest: id9/"):
        match_trials(trials, entries)
    assert match_trials(trials, [ManifestEntry(Path("id9/x/1.wav")), entries[1]]) == [(0, 1)]
    moved = read_trials(write(tmp_path, "1 /old/id1/x/1.wav /old/id2/x/1.wav\n"))
    assert match_trials(moved, entries) == [(0, 1)]


def test_a_byte_order_mark_is_no_part_of_the_first_trial(tmp_path: Path) -> None:
    assert read_trials(write(tmp_path, "\ufeff1 a.wav b.wav\r\n")) == [("a.wav", "b.wav", True)]


@pytest.mark.parametrize("text", ["2 a.wav b.wav\n", "1 a.wav\n", "a.wav b.wav same\n"])
def test_other_lines_are_refused_by_their_number(text: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="line 2"):
        read_trials(write(tmp_path, "1 a.wav b.wav\n" + text))
    with pytest.raises(ManifestError, match="no trials"):
        read_trials(write(tmp_path, "\n"))
    with pytest.raises(ManifestError, match="cannot be read"):
        read_trials(tmp_path / "none.txt")
