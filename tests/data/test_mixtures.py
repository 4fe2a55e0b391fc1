"""Mixtures of a manifest: parts of recordings with gains, added up at their places."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant import audio
from sonant.data import ManifestEntry, WaveformStore, read_manifest, write_manifest
from sonant.errors import AudioError, ManifestError

RATE = 16_000


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, rate in (("a", RATE), ("b", RATE)):
        soundfile.write(tmp_path / f"{name}.wav", rng.uniform(-0.4, 0.4, rate), rate, subtype="FLOAT")
    parts = [
        {"path": "a.wav", "start": 0.5, "clip": [0.25, 0.75], "gain_db": 6.0, "speaker": "ann"},
        {"path": "b.wav", "start": 0.75},
    ]
    manifest = tmp_path / "mixed.jsonl"
    manifest.write_text(json.dumps({"id": "one", "duration": 1.5, "mix": parts, "text": "x"}) + "\n")
    return manifest


def expected(folder: Path) -> np.ndarray:
    a, b = (soundfile.read(folder / f"{name}.wav", dtype="float32")[0] for name in "ab")
    whole = np.zeros(round(1.5 * RATE), dtype=np.float32)
    whole[RATE // 2 : RATE] += a[RATE // 4 : 3 * RATE // 4] * np.float32(10 ** (6 / 20))
    whole[3 * RATE // 4 :] += b[: len(whole) - 3 * RATE // 4]
    return whole


def test_parts_are_added_up_at_their_places(listed: Path) -> None:
    (entry,) = read_manifest(listed)
    assert (entry.path.name, entry.duration, entry.fields) == ("one", 1.5, {"id": "one", "text": "x"})
    assert entry.mixture is not None
    assert entry.mixture.parts[0].fields == {"speaker": "ann"}
    np.testing.assert_allclose(audio.read(entry.audio), expected(listed.parent), atol=1e-6)
    assert audio.duration(entry.audio) == entry.seconds() == 1.5


def test_without_a_duration_it_ends_with_its_last_part(listed: Path) -> None:
    listed.write_text(listed.read_text().replace('"duration": 1.5, ', ""))
    (entry,) = read_manifest(listed)
    assert audio.duration(entry.audio) == entry.seconds() == 1.75


def test_pieces_of_a_mixture_are_cut_from_its_parts(listed: Path) -> None:
    mixture = read_manifest(listed)[0].mixture
    assert mixture is not None
    whole, seconds = expected(listed.parent), 0.3
    for start in (0.0, 0.3, 0.6, 0.9, 1.2):
        piece = mixture.cut(start, seconds)
        samples = whole[round(start * RATE) :][: round(seconds * RATE)]
        np.testing.assert_allclose(audio.read(piece), samples, atol=1e-6)
    silence = mixture.cut(0.0, 0.3)
    assert (silence.parts, silence.seconds()) == ((), 0.3)
    assert [part.start for part in mixture.cut(0.6, 0.3).parts] == pytest.approx([0.0, 0.15])


def test_a_store_of_mixtures_knows_when_one_has_changed(listed: Path, tmp_path: Path) -> None:
    stored = WaveformStore.build(read_manifest(listed), tmp_path / "store", sample_type="float32")
    np.testing.assert_allclose(stored[0], expected(listed.parent), atol=1e-6)
    soundfile.write(tmp_path / "b.wav", np.zeros(RATE), RATE)
    with pytest.raises(ManifestError, match="changed since they were decoded"):
        WaveformStore.build(read_manifest(listed), tmp_path / "store", sample_type="float32")


def test_written_and_read_again(listed: Path) -> None:
    entries = read_manifest(listed)
    again = listed.with_name("again.jsonl")
    write_manifest(again, entries)
    assert read_manifest(again) == entries
    assert "/" not in again.read_text()  # paths are relative


def test_a_missing_recording_is_named(listed: Path) -> None:
    (listed.parent / "b.wav").unlink()
    (entry,) = read_manifest(listed)
    assert not entry.has_files()
    for look in (audio.read, audio.duration, lambda _: entry.seconds()):
        with pytest.raises(AudioError, match=r"b\.wav"):
            look(entry.audio)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mix": []}, "'mix' is empty"),
        ({"mix": [{"start": 1}]}, "expected an object with a 'path'"),
        ({"mix": [{"path": "a.wav", "clip": [2, 1]}]}, "after it"),
        ({"mix": [{"path": "a.wav", "start": -1}]}, "start=-1"),
        ({"mix": [{"path": "a.wav", "gain_db": "loud"}]}, "loud"),
        ({"mix": [{"path": "a.wav"}], "path": "c.wav"}, "Keep one of the two"),
        ({"mix": [{"path": "a.wav"}], "start": 1.0}, "Keep one of the two"),
    ],
)
def test_what_is_no_mixture_is_refused(fields: dict[str, object], message: str, tmp_path: Path) -> None:
    manifest = tmp_path / "bad.jsonl"
    manifest.write_text(json.dumps(fields) + "\n")
    with pytest.raises(ManifestError, match=message):
        read_manifest(manifest)


def test_other_parts_are_another_mixture(listed: Path) -> None:
    def identity(text: str) -> str:
        listed.write_text(text)
        entry: ManifestEntry = read_manifest(listed)[0]
        return entry.identity

    text = listed.read_text()
    assert identity(text) != identity(text.replace("6.0", "5.0"))
