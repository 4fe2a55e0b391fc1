"""Splits of a manifest."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.cli import main
from sonant.data import ManifestEntry, read_manifest, split_entries
from sonant.errors import ConfigurationError, ManifestError


def corpus(speakers: list[int], *, root: str = "/a") -> list[ManifestEntry]:
    """A row of 1 to 4 s for each speaker named."""
    return [
        ManifestEntry(Path(f"{root}/{number}.wav"), duration=1.0 + number % 4, fields={"speaker": str(speaker)})
        for number, speaker in enumerate(speakers)
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=40, max_size=80), st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_parts_hold_every_row_once_and_share_no_speaker(speakers: list[int], dev: float, test: float) -> None:
    entries = corpus(speakers)
    if len(set(speakers)) < 3:
        return
    split = split_entries(entries, {"dev": dev, "test": test})
    rows = [entry.path for part in split.parts.values() for entry in part]
    assert split.by == "speaker"
    assert sorted(rows) == sorted(entry.path for entry in entries)
    sets = [{entry.fields["speaker"] for entry in part} for part in split.parts.values()]
    assert all(sets)
    assert len(set.union(*sets)) == sum(map(len, sets))


def test_shares_are_of_the_audio_and_the_same_on_another_machine() -> None:
    entries = corpus(list(range(400)))
    split = split_entries(entries, {"dev": 0.1, "test": 0.2}, by="path")
    total = sum(entry.duration or 0 for entry in entries)
    for name, share in {"train": 0.7, "dev": 0.1, "test": 0.2}.items():
        assert sum(entry.duration or 0 for entry in split.parts[name]) / total == pytest.approx(share, abs=0.01)
    moved = split_entries(corpus(list(range(400)), root="/elsewhere/corpus"), {"dev": 0.1, "test": 0.2}, by="path")
    assert [entry.path.name for entry in moved.parts["dev"]] == [entry.path.name for entry in split.parts["dev"]]


@pytest.mark.parametrize("shares", [{}, {"dev": 0.0}, {"dev": 1.0}, {"dev": 0.6, "test": 0.5}, {"dev": float("nan")}])
def test_shares_that_cannot_be_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="expected ones above 0"):
        split_entries(corpus([1, 2, 3]), shares)


def test_too_few_speakers_and_missing_ones_are_refused() -> None:
    with pytest.raises(ManifestError, match="'speaker' has 2 values"):
        split_entries(corpus([1, 2, 1, 2]), {"dev": 0.1, "test": 0.1})
    mixed = [*corpus([1, 2, 3]), ManifestEntry(Path("/a/9.wav"))]
    assert split_entries(mixed, {"dev": 0.2}).by == "path"
    with pytest.raises(ManifestError, match="9.wav has no 'speaker'"):
        split_entries(mixed, {"dev": 0.2}, by="speaker")


def test_the_command_divides_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for speaker in "abcd":
        for number in range(2):
            (tmp_path / speaker).mkdir(exist_ok=True)
            soundfile.write(tmp_path / speaker / f"{number}.wav", np.zeros(1600), 16_000)
    wanted = ["manifest", str(tmp_path), "--speaker", "1", "--dev", "0.2", "--test", "0.2"]
    assert main([*wanted, "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["divided_by"] == "speaker"
    assert made["recordings"] == 8
    assert {name: part["recordings"] for name, part in made["parts"].items()} == {"train": 4, "dev": 2, "test": 2}
    assert len(read_manifest(tmp_path / "train.jsonl")) == 4
    assert main(wanted) == 2
    assert "exists" in capsys.readouterr().err
    assert main([*wanted, "--overwrite"]) == 0
    assert "by speaker" in capsys.readouterr().out
    assert main(["manifest", str(tmp_path), "-o", str(tmp_path / "dev.csv"), "--dev", "0.2"]) == 2
    assert main(["manifest", str(tmp_path), "-o", str(tmp_path / "all.csv"), "--by", "speaker"]) == 2
