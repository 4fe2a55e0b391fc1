"""A folder of audio files is a corpus, with labels from folders and transcripts from files beside."""

from pathlib import Path
from typing import Any

import pytest

from sonant.data import read_manifest
from sonant.data.audio_folder import read_audio_folder
from sonant.errors import ManifestError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def fields(folder: Path, **levels: int) -> dict[str, dict[str, Any]]:
    rows = read_audio_folder(folder, **levels).rows
    return {
        str(Path(row.fields["path"]).relative_to(folder)): {k: v for k, v in row.fields.items() if k != "path"}
        for row in rows
    }


def test_audio_files_in_a_fixed_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "a/z.FLAC", "a/deep/y.m4a", "notes.txt", ".hidden.wav")
    paths = [entry.path for entry in read_manifest(tmp_path)]
    assert paths == [tmp_path / name for name in ("a/deep/y.m4a", "a/z.FLAC", "b.wav")]
    assert all(entry.fields == {} for entry in read_manifest(tmp_path))


def test_folders_directly_below_are_the_labels(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1.wav", "cat/2.wav", "dog/1.wav")
    assert fields(tmp_path) == {
        "cat/1.wav": {"label": "cat"},
        "cat/2.wav": {"label": "cat"},
        "dog/1.wav": {"label": "dog"},
    }
    assert fields(tmp_path / "cat") == {"1.wav": {}, "2.wav": {}}
    touch(tmp_path, "dog/deep/3.wav")
    assert fields(tmp_path)["dog/1.wav"] == {}


def test_levels_of_labels_and_speakers(tmp_path: Path) -> None:
    touch(tmp_path, "ann/happy/1.wav", "bob/sad/2.wav")
    expected = {
        "ann/happy/1.wav": {"label": "happy", "speaker": "ann"},
        "bob/sad/2.wav": {"label": "sad", "speaker": "bob"},
    }
    assert fields(tmp_path, label=2, speaker=1) == fields(tmp_path, label=-1, speaker=-2) == expected
    for level in (0, 3, -3):
        with pytest.raises(ManifestError, match=rf"1\.wav has no folder of level {level} .* for its label"):
            read_audio_folder(tmp_path, label=level)
    touch(tmp_path, "cat/1.wav")
    assert "label" not in fields(tmp_path, speaker=1)["ann/happy/1.wav"]


def test_transcripts_beside(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "b.wav", "84/1/84-1-0000.flac", "84/1/84-1-0001.flac")
    (tmp_path / "a.txt").write_text("two\n words ", encoding="utf-8-sig")
    (tmp_path / "84/1/84-1.trans.txt").write_text("84-1-0000 GO DO\n84-1-0002 NOBODY\n")
    assert fields(tmp_path) == {
        "84/1/84-1-0000.flac": {"text": "GO DO"},
        "84/1/84-1-0001.flac": {},
        "a.wav": {"text": "two words"},
        "b.wav": {},
    }
    (tmp_path / "a.txt").write_bytes("zwölf".encode("latin-1"))
    with pytest.raises(ManifestError, match=r"a\.wav: 'text' is not UTF-8"):
        read_manifest(tmp_path)


def test_a_folder_without_audio(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(ManifestError, match=r"holds no audio.*\.flac"):
        read_manifest(tmp_path)
