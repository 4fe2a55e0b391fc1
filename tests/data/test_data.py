"""Manifests, waveforms and labels on disk, and the order of batches."""

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sonant import audio
from sonant.audio import Segment
from sonant.data import LabelStore, ManifestEntry, WaveformStore, read_manifest
from sonant.errors import ConfigurationError, ManifestError


@pytest.fixture
def recordings(tmp_path: Path) -> list[ManifestEntry]:
    rng = np.random.default_rng(0)
    lines = []
    for number, samples in enumerate([900, 16_000, 5_000]):
        soundfile.write(tmp_path / f"{number}.wav", rng.uniform(-1, 1, samples), 16_000, subtype="PCM_16")
        lines.append(json.dumps({"path": f"{number}.wav", "duration": samples / 16_000, "speaker": f"s{number}"}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines) + "\n\n")
    return read_manifest(tmp_path)


def test_a_manifest_gives_paths_beside_it_and_all_fields(tmp_path: Path, recordings: list[ManifestEntry]) -> None:
    assert [recording.path for recording in recordings] == [tmp_path / f"{i}.wav" for i in range(3)]
    assert recordings[1].duration == 1.0
    assert recordings[2].fields == {"speaker": "s2"}
    assert read_manifest(tmp_path / "manifest.jsonl") == recordings


@pytest.mark.parametrize("line", ["not json", "[1, 2]", '{"duration": 1}', '"text"', '{"path": 3}'])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "bad.jsonl").write_text('{"path": "a.wav"}\n' + line + "\n")
    with pytest.raises(ManifestError, match=r"bad\.jsonl:2"):
        read_manifest(tmp_path / "bad.jsonl")


def test_missing_and_empty_manifests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no audio.*manifest"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.jsonl").write_text("\n")
    with pytest.raises(ManifestError, match="lists no recordings"):
        read_manifest(tmp_path)


def test_stored_waveforms_are_the_samples_of_the_files(tmp_path: Path, recordings: list[ManifestEntry]) -> None:
    store = WaveformStore.build(recordings, tmp_path / "store")
    assert store.lengths.tolist() == [900, 16_000, 5_000]
    for number, recording in enumerate(recordings):
        np.testing.assert_array_equal(store[number], soundfile.read(recording.path, dtype="float32")[0])
    np.testing.assert_array_equal(store.crop(1, 320, 640), store[1][320:960])


def test_a_bad_recording_is_noted_and_left_out(tmp_path: Path, recordings: list[ManifestEntry]) -> None:
    (tmp_path / "1.wav").write_bytes(b"this is not audio")
    store = WaveformStore.build(recordings, tmp_path / "store")
    assert len(store) == 2
    assert list(store.skipped) == [str(tmp_path / "1.wav")]
    assert WaveformStore(tmp_path / "store").skipped == store.skipped


def test_fields_follow_their_recording_through_skipped_files(tmp_path: Path, recordings: list[ManifestEntry]) -> None:
    (tmp_path / "0.wav").write_bytes(b"no audio")
    said = [{"text": f"ÜBER {n}", "speaker": n, "label": [n], "audio": {"bytes": b"RIFF"}} for n in range(3)]
    rows = [replace(entry, fields=fields) for entry, fields in zip(recordings, said, strict=True)]
    store = WaveformStore.build(rows, tmp_path / "store")
    assert store.rows.tolist() == [1, 2]
    for sent in (store, pickle.loads(pickle.dumps(store))):
        assert [sent.fields(number) for number in (1, 0)] == [
            {"text": f"ÜBER {n}", "speaker": n, "label": [n], **duration_of(rows[n])} for n in (2, 1)
        ]
    (tmp_path / "store" / "fields.jsonl").unlink()  # as in a store of an earlier version
    assert WaveformStore(tmp_path / "store").fields(0) == {}
    corrected = [replace(entry, fields={"text": "other"}) for entry in rows]
    assert WaveformStore.build(corrected, tmp_path / "store").fields(0)["text"] == "other"


def test_samples_beyond_full_scale_are_kept_where_they_must_be(tmp_path: Path) -> None:
    loud = np.linspace(-3, 3, 900, dtype=np.float32)
    soundfile.write(tmp_path / "loud.wav", loud, 16_000, subtype="FLOAT")
    entries = [ManifestEntry(tmp_path / "loud.wav")] * 2
    exact = WaveformStore.build(entries, tmp_path / "float32", sample_type="float32")
    np.testing.assert_array_equal(exact[1], loud)
    np.testing.assert_array_equal(exact.crop(1, 30, 50), loud[30:80])
    np.testing.assert_allclose(WaveformStore.build(entries, tmp_path / "int16")[1], loud.clip(-1, 1), atol=1e-4)
    with pytest.raises(ConfigurationError, match="sample_type"):
        WaveformStore.build(entries, tmp_path / "int16", sample_type="float32")


def duration_of(entry: ManifestEntry) -> dict[str, float]:
    return {} if entry.duration is None else {"duration": entry.duration}


@pytest.mark.parametrize("kept_bytes", [0, 30, 200])
def test_an_interrupted_build_goes_on(tmp_path: Path, recordings: list[ManifestEntry], kept_bytes: int) -> None:
    whole = WaveformStore.build(recordings, tmp_path / "whole")
    WaveformStore.build(recordings, tmp_path / "cut")
    index = tmp_path / "cut" / "index.jsonl"
    index.write_bytes(index.read_bytes()[:kept_bytes])
    resumed = WaveformStore.build(recordings, tmp_path / "cut")
    assert (tmp_path / "cut" / "samples.i16").read_bytes() == (tmp_path / "whole" / "samples.i16").read_bytes()
    assert resumed.paths == whole.paths


@pytest.mark.parametrize(
    "damaged", [{"samples.i16": 1_000}, {"samples.i16": 0}, {"index.jsonl": 40, "fields.jsonl": 9}]
)
def test_a_store_that_is_damaged_is_decoded_again(
    damaged: dict[str, int], tmp_path: Path, recordings: list[ManifestEntry]
) -> None:
    """What a full disk or a power failure leaves, in files that are cut, or hold junk from some place on."""
    WaveformStore.build(recordings, tmp_path / "store")
    whole = contents(tmp_path / "store")
    for junk in (b"", b"\xff\x00\n" * 3):
        for name, kept in damaged.items():
            (tmp_path / "store" / name).write_bytes(whole[name][:kept] + (b"" if name == "samples.i16" else junk))
        WaveformStore.build(recordings, tmp_path / "store")
        assert contents(tmp_path / "store") == whole


def test_a_store_of_other_recordings_is_not_mixed_in(tmp_path: Path, recordings: list[ManifestEntry]) -> None:
    WaveformStore.build(recordings[:2], tmp_path / "store")
    before = contents(tmp_path / "store")
    for others, rate, message in (
        (recordings[1:], 16_000, "manifest: there"),
        (recordings, 16_000, "recordings: there 2, now 3"),
        (recordings[:2], 8_000, "sampling_rate: there 16000, now 8000"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            WaveformStore.build(others, tmp_path / "store", sampling_rate=rate)
    assert contents(tmp_path / "store") == before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_where_no_recording_can_be_read_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"not audio")
    with pytest.raises(ManifestError, match=r"None of the 1 recordings .* The first: .*a\.wav: not audio"):
        WaveformStore.build([ManifestEntry(tmp_path / "a.wav")], tmp_path / "store")


def test_a_recording_that_sounds_otherwise_now_is_noticed(tmp_path: Path, recordings: list[ManifestEntry]) -> None:
    store = WaveformStore.build(recordings, tmp_path / "store")
    os.utime(recordings[0].path, (1, 1))  # written again, with the same samples
    recordings[1].path.rename(tmp_path / "elsewhere.wav")  # gone: its waveform is there
    assert WaveformStore.build(recordings, tmp_path / "store").fingerprint == store.fingerprint
    (tmp_path / "elsewhere.wav").rename(recordings[1].path)
    soundfile.write(recordings[1].path, np.zeros(16_000), 16_000, subtype="PCM_16")
    with pytest.raises(ManifestError, match=r"changed since they were decoded: .*1\.wav"):
        WaveformStore.build(recordings, tmp_path / "store")
    assert WaveformStore.build(recordings, tmp_path / "new").fingerprint != store.fingerprint


def test_labels_of_another_width_leave_none_of_the_old(tmp_path: Path) -> None:
    LabelStore.write(tmp_path, [np.array([1, 2])])
    LabelStore.write(tmp_path, [np.array([70_000])], num_labels=100_000)
    assert LabelStore(tmp_path)[0].tolist() == [70_000]


@given(rows=st.lists(st.lists(st.integers(0, 65_535), max_size=20), min_size=1, max_size=8))
def test_labels_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, rows: list[list[int]]) -> None:
    folder = tmp_path_factory.mktemp("labels")
    if not any(rows):
        rows = [*rows, [1]]
    LabelStore.write(folder, map(np.array, rows))
    store = LabelStore(folder)
    assert len(store) == len(rows)
    assert [store[number].tolist() for number in range(len(rows))] == rows


def test_half_a_label_store_is_none(tmp_path: Path) -> None:
    (tmp_path / "labels.u16").write_bytes(b"\0\0")
    with pytest.raises(ManifestError, match="no complete labels"):
        LabelStore(tmp_path)


def test_labels_take_as_many_bytes_as_they_need(tmp_path: Path) -> None:
    rows = [np.array([0, 65_535, 7]), np.array([], dtype=np.int64), np.array([12])]
    LabelStore.write(tmp_path / "two", rows)
    LabelStore.write(tmp_path / "four", [row + 65_536 for row in rows], num_labels=102_400)
    two, four = LabelStore(tmp_path / "two"), LabelStore(tmp_path / "four")
    for number, row in enumerate(rows):
        assert two[number].tolist() == row.tolist()
        assert four[number].tolist() == (row + 65_536).tolist()
    assert two.all().tolist() == [0, 65_535, 7, 12]
    assert (two.all().itemsize, four.all().itemsize) == (2, 4)


def test_segments_and_channels_are_decoded_by_themselves(tmp_path: Path) -> None:
    samples = 0.1 * np.random.default_rng(0).standard_normal((32_000, 2))
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    path = tmp_path / "a.wav"
    rows = [
        ManifestEntry(path, segment=Segment(0.5, 1.0)),
        ManifestEntry(path, segment=Segment(1.0, 9.0)),
        ManifestEntry(path, segment=Segment(0.5, 1.0), channel=1),
        ManifestEntry(path),
        ManifestEntry(tmp_path / "b.wav", data=path.read_bytes()),
    ]
    store = WaveformStore.build(rows, tmp_path / "store")
    whole, right = audio.read(path), audio.read(path, channel=1)
    expected = [whole[8000:16000], right[8000:16000], whole, whole]
    for number, waveform in enumerate(expected):
        np.testing.assert_allclose(store[number], waveform, atol=1e-4)
    assert list(store.rows) == [0, 2, 3, 4]
    assert list(store.skipped) == [f"{path}, 1 to 9 s"]
    assert WaveformStore.build(rows, tmp_path / "store").fingerprint == store.fingerprint
    for other in (Segment(0.5, 1.5), None):
        with pytest.raises(ConfigurationError):
            WaveformStore.build([replace(rows[0], segment=other), *rows[1:]], tmp_path / "store")
