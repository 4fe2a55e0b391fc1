import io
import json
from pathlib import Path

import pytest

from sonant.errors import AudioNotFound, ManifestError
from sonant.extraction.inputs import gather, output_names


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_a_folder_is_searched_through_in_a_fixed_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.wav", "a/z.FLAC", "a/y.m4a", "notes.txt", ".hidden.wav", ".git/x.wav", "out/c.wav")
    entries = gather(tmp_path, leave_out=tmp_path / "out")
    assert [entry.name for entry in entries] == ["a/y.m4a", "a/z.FLAC", "b.wav"]
    assert entries[0].audio == tmp_path / "a/y.m4a"


def test_a_folder_without_audio_says_what_was_looked_for(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(AudioNotFound, match=r"\.flac"):
        gather(tmp_path)


def test_a_manifest_names_recordings_beside_it(tmp_path: Path) -> None:
    lines = [{"path": "b.wav", "duration": 2.5, "text": "hello"}, {"path": "a/c.wav"}, {"path": "/else/d.wav"}]
    manifest = tmp_path / "list.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    entries = gather(manifest)
    assert [entry.name for entry in entries] == ["b.wav", "a/c.wav", "/else/d.wav"]
    assert [entry.seconds for entry in entries] == [2.5, None, None]
    assert entries[0].audio == tmp_path / "b.wav"


def test_a_recording_named_twice_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "list.jsonl"
    manifest.write_text('{"path": "a.wav"}\n{"path": "a.wav"}\n')
    with pytest.raises(ManifestError, match=r"'a\.wav'"):
        gather(manifest)


def test_bytes_come_from_standard_input() -> None:
    (entry,) = gather("-", stdin=io.BytesIO(b"RIFF"))
    assert (entry.name, entry.audio) == ("stdin", b"RIFF")


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    with pytest.raises(AudioNotFound, match="nowhere"):
        gather(tmp_path / "nowhere")


def test_outputs_mirror_inputs_never_collide_and_stay_inside() -> None:
    names = ["a/x.wav", "b/x.wav", "b/X.mp3", "../up.wav", "/abs/y.wav", "v1.2"]
    made = output_names(names, "npy")
    assert made == ["a/x.npy", "b/x.wav.npy", "b/X.mp3.npy", "__/up.npy", "abs/y.npy", "v1.npy"]
    assert len({name.lower() for name in made}) == len(names)
