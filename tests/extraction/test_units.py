"""Discrete units: codes, clusters, repetitions, windows."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

import sonant
from sonant.api import SpeechEncoder
from sonant.errors import AudioError, ConfigurationError, UnknownName
from sonant.extraction.units import deduplicate
from sonant.layers.packed import Packed
from sonant.models import WavLMConfig, build
from sonant.pretraining.kmeans import KMeans
from tests.codes import discrete_bert, vq_wav2vec
from tests.shapes import SMALL

RATE = 16_000


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def coder() -> SpeechEncoder:
    return SpeechEncoder(vq_wav2vec(), name="coder")


@pytest.fixture(scope="module")
def wavlm() -> SpeechEncoder:
    torch.manual_seed(0)
    return SpeechEncoder(build(WavLMConfig(**SMALL)).eval(), name="wavlm")


@pytest.fixture(scope="module")
def clusters() -> KMeans:
    return KMeans(torch.randn(7, SMALL["dim"], generator=torch.Generator().manual_seed(0)))


def test_a_vq_wav2vec_gives_its_codes(coder: SpeechEncoder) -> None:
    clips = [noise(0.5, 1), noise(1.3, 2), noise(0.2, 3)]
    given = coder.units(clips)
    for clip, units in zip(clips, given, strict=True):
        with torch.no_grad():
            codes = coder.model.codes(Packed.pack([torch.from_numpy(clip)])).values
        assert units.dtype == np.int64
        assert np.array_equal(units, codes.numpy())
    assert given[1].shape == (coder.model.num_frames(len(clips[1])), 2)


def test_a_bert_on_codes_gives_those_of_its_tokenizer(coder: SpeechEncoder) -> None:
    assert np.array_equal(SpeechEncoder(discrete_bert()).units(noise(0.5)), coder.units(noise(0.5)))


def test_other_models_give_clusters_of_a_layer(wavlm: SpeechEncoder, clusters: KMeans, tmp_path: Path) -> None:
    clusters.save(tmp_path / "kmeans.safetensors")
    units = wavlm.units(noise(1.0), kmeans=tmp_path / "kmeans.safetensors", layer=2)
    expected = clusters(torch.from_numpy(wavlm.encode(noise(1.0), layer=2)))
    assert np.array_equal(units, expected.numpy())
    assert units.shape == (49,)
    assert np.array_equal(units, sonant.units(noise(1.0), model=wavlm, kmeans=clusters, layer=2))


def test_what_is_missing_is_said(wavlm: SpeechEncoder, coder: SpeechEncoder, clusters: KMeans, tmp_path: Path) -> None:
    for how in ({}, {"kmeans": clusters}, {"layer": 2}):
        with pytest.raises(ConfigurationError, match=r"wavlm has no quantizer.*kmeans=PATH.*layer=NUMBER"):
            wavlm.units(noise(0.5), **how)
    with pytest.raises(ConfigurationError, match="codes of its own"):
        coder.units(noise(0.5), kmeans=clusters, layer=1)
    with pytest.raises(ConfigurationError, match="39 numbers, the hidden states of the model 32"):
        wavlm.units(noise(0.5), kmeans=KMeans(torch.zeros(4, 39)), layer=1)
    with pytest.raises(ConfigurationError, match="no file .* with cluster centers"):
        wavlm.units(noise(0.5), kmeans=tmp_path / "none.safetensors", layer=1)
    with pytest.raises(UnknownName, match="layer 9"):
        wavlm.units(noise(0.5), kmeans=clusters, layer=9)


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(1, 3))
def test_repetitions_can_be_put_back(numbers: list[int], groups: int) -> None:
    units = np.stack([np.array(numbers, np.int64)] * groups, 1).reshape(len(numbers), groups)
    units = units[:, 0] if groups == 1 else units
    made = deduplicate(units)
    assert np.array_equal(np.repeat(made.values, made.durations, axis=0), units)
    assert (made.durations > 0).all()
    rows = made.values.reshape(len(made.values), groups)
    assert (rows[1:] != rows[:-1]).any(1).all()


def test_units_without_repetitions(coder: SpeechEncoder) -> None:
    plain, short = coder.units(noise(1.0)), coder.units(noise(1.0), deduplicate=True)
    assert np.array_equal(np.repeat(short.values, short.durations, axis=0), plain)


def test_frames_of_windows_come_from_their_middles(wavlm: SpeechEncoder, clusters: KMeans) -> None:
    how: dict[str, Any] = {"window_seconds": 2.0, "overlap_seconds": 0.5}
    clip = noise(7.3)
    states = torch.from_numpy(wavlm.encode(clip, layer=3, **how))
    assert np.array_equal(wavlm.units(clip, kmeans=clusters, layer=3, **how), clusters(states).numpy())


def test_a_long_recording_has_a_code_for_every_frame(coder: SpeechEncoder) -> None:
    clip = noise(7.3)
    units = coder.units(clip, window_seconds=2.0)
    assert len(units) == coder.model.num_frames(len(clip))
    agreement = (units == coder.units(clip, window_seconds=None)).all(1).mean()
    assert agreement > 0.9, "norms of a window differ a little from those of the whole"


def test_recordings_that_cannot_be_used(coder: SpeechEncoder) -> None:
    with pytest.warns(UserWarning, match="1 of 2 recordings"):
        assert coder.units([b"not audio", noise(0.5)], on_error="skip")[0] is None
    with pytest.raises(AudioError):
        coder.units(noise(0.001))


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for number, (name, seconds) in enumerate((("a.wav", 0.4), ("sub/b.flac", 0.9), ("c.wav", 0.2))):
        soundfile.write(folder / name, noise(seconds, number), RATE)
    (folder / "bad.wav").write_bytes(b"not audio")
    return folder


def test_lines_in_the_order_of_the_input(coder: SpeechEncoder, recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "units.jsonl"
    summary = coder.write_units(recordings, out, deduplicate=True)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["path"] for row in rows] == ["a.wav", "c.wav", "sub/b.flac"]
    for row in rows:
        units = coder.units(recordings / row["path"])
        assert np.array_equal(np.repeat(row["units"], row["durations"], axis=0), units)
        assert row["frames"] == len(units)
    assert (summary.computed, summary.failed) == (3, 1)
    errors = [json.loads(line) for line in (tmp_path / "units.jsonl.errors.jsonl").read_text().splitlines()]
    assert [(row["path"], row["error"]) for row in errors] == [("bad.wav", "UndecodableAudio")]
    (recordings / "bad.wav").unlink()
    coder.write_units(recordings, out)
    assert not (tmp_path / "units.jsonl.errors.jsonl").exists()


def test_arrays_in_a_folder(coder: SpeechEncoder, recordings: Path, tmp_path: Path) -> None:
    coder.write_units(recordings, tmp_path / "out", deduplicate=True)
    index = [json.loads(line) for line in (tmp_path / "out" / "index.jsonl").read_text().splitlines()]
    assert [row["file"] for row in index] == ["units/a.npy", "units/c.npy", "units/sub/b.npy"]
    for row in index:
        values, durations = np.load(tmp_path / "out" / row["file"]), np.load(tmp_path / "out" / row["durations"])
        assert np.array_equal(np.repeat(values, durations, axis=0), coder.units(recordings / row["path"]))
    assert (tmp_path / "out" / "errors.jsonl").exists()


def test_units_of_other_settings_are_not_mixed(
    wavlm: SpeechEncoder, clusters: KMeans, recordings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    wavlm.write_units(recordings, out, kmeans=clusters, layer=3)
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    others = KMeans(clusters.centroids + 1)
    for changes, difference in (
        ({"layer": 2}, "layer: there 3, now 2"),
        ({"kmeans": others}, "units: there 'clusters of sha256:"),
        ({"deduplicate": True}, "deduplicate: there False, now True"),
        ({"window_seconds": 5.0}, r"window_seconds: there 60\.0, now 5\.0"),
        ({"channel": 0}, "channel: there None, now 0"),
        ({"precision": "float32"}, "precision: there None, now 'float32'"),
    ):
        with pytest.raises(ConfigurationError, match=f"other settings .*{difference}"):
            wavlm.write_units(recordings, out, **{"kmeans": clusters, "layer": 3} | changes)
    with pytest.raises(ConfigurationError, match=r"holds the results of .*other settings|settings\.json"):
        wavlm.embed(recordings, out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == files
    (recordings / "c.wav").unlink()
    summary = wavlm.write_units(recordings, out, kmeans=clusters, layer=3)
    assert (summary.computed, summary.kept, summary.gone) == (0, 2, 1)


def test_more_recordings_than_are_held_at_a_time(
    coder: SpeechEncoder, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coder.write_units(recordings, tmp_path / "whole.txt")
    monkeypatch.setattr("sonant.extraction.bulk_job.GROUP", 2)
    coder.write_units(recordings, tmp_path / "halves.txt")
    assert (tmp_path / "halves.txt").read_bytes() == (tmp_path / "whole.txt").read_bytes()


def test_formats_that_do_not_go_with_the_output(coder: SpeechEncoder, recordings: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not written to standard output"):
        coder.write_units(recordings, None, format="npy")
    with pytest.raises(ConfigurationError, match="make them agree"):
        coder.write_units(recordings, tmp_path / "units.txt", format="npy")
    with pytest.raises(UnknownName, match="format of units 'csv'"):
        coder.write_units(recordings, tmp_path / "units.txt", format="csv")  # type: ignore[arg-type]
    with pytest.raises(AudioError):
        coder.write_units(recordings, tmp_path / "units.txt", on_error="raise")
    assert not (tmp_path / "units.txt").exists(), "half a file is none"
