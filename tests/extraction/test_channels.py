"""Bulk encoding channel by channel: each channel as if it were a recording, told apart in names and lines."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant.errors import ConfigurationError, UndecodableAudio
from sonant.extraction.bulk import run_job
from sonant.extraction.bulk_job import BulkJob
from sonant.extraction.destination import VECTORS
from sonant.extraction.engine import Engine
from sonant.extraction.inputs import gather, origin
from sonant.extraction.request import EncodeRequest
from sonant.extraction.summary import Summary
from sonant.extraction.vector_files import read
from sonant.extraction.vectors import vector_writer

RATE = 16_000
CUTTING = {"batch_seconds": 2.0, "window_seconds": 3.0, "overlap_seconds": 1.0}
FRAMES, POOLED = EncodeRequest(**CUTTING), EncodeRequest(layers=(1, "last"), stacked=True, pool="mean", **CUTTING)
LENGTHS = {"call.wav": (1.0, 2), "call.flac": (0.5, 3), "deep/mono.wav": (0.7, 1), "long.wav": (7.0, 2)}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for name, (seconds, channels) in LENGTHS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        soundfile.write(folder / name, 0.1 * rng.standard_normal((round(seconds * RATE), channels)), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF but no more")
    return folder


def run(
    model, corpus: Path, output: Path, request: EncodeRequest, channel: int | str | None, kind: str = "npy"
) -> Summary:
    settings = {"model": "m", "revision": "r", "channel": None if channel == "mix" else channel}
    writer = vector_writer(request, kind, "float32", settings=settings, dim=model.dim, frame_rate=50.0)
    entries = gather(corpus, sampling_rate=RATE, channel=channel)
    place = VECTORS.place(output, kind, "talks")
    return run_job(Engine([model]), entries, place, writer, source=origin(corpus), show_progress=False)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def alone(corpus: Path, folder: Path) -> Path:
    """The same recordings, a file for each channel."""
    for name, (_, channels) in LENGTHS.items():
        samples, _ = soundfile.read(corpus / name, always_2d=True)
        for channel in range(channels):
            path = folder / f"{name}-{channel}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples[:, channel], RATE, subtype="FLOAT")
    return folder


def test_each_channel_has_a_line_and_a_file_and_the_features_of_that_channel_alone(tiny_wavlm, corpus, tmp_path):
    summary = run(tiny_wavlm, corpus, tmp_path / "out", FRAMES, "all")
    assert (summary.computed, summary.failed) == (8, 1)
    index = lines(tmp_path / "out/index.jsonl")
    expected = [(name, channel) for name in sorted(LENGTHS) for channel in range(LENGTHS[name][1])]
    assert [(row["path"], row["channel"]) for row in index] == expected
    assert len({row["file"] for row in index}) == 8
    assert {row["file"] for row in index if row["path"] == "long.wav"} == {
        "features/long.channel0.npy",
        "features/long.channel1.npy",
    }
    (error,) = lines(tmp_path / "out/errors.jsonl")
    assert (error["path"], error["channel"]) == ("broken.wav", 0)
    assert json.loads((tmp_path / "out/settings.json").read_text())["channel"] == "all"

    run(tiny_wavlm, alone(corpus, tmp_path / "alone"), tmp_path / "expected", FRAMES, None)
    single = {row["path"]: row["file"] for row in lines(tmp_path / "expected/index.jsonl")}
    assert all("channel" not in row for row in lines(tmp_path / "expected/index.jsonl"))
    for row in index:
        file = single[f"{row['path']}-{row['channel']}.wav"]
        np.testing.assert_allclose(
            np.load(tmp_path / "out" / row["file"]), np.load(tmp_path / "expected" / file), atol=1e-3
        )


@pytest.mark.parametrize("request_", [FRAMES, POOLED], ids=["frames", "pooled"])
@pytest.mark.parametrize("batches", [1, 2, 3])
def test_resumed_is_uninterrupted(tiny_wavlm, corpus, tmp_path, monkeypatch, request_, batches):
    run(tiny_wavlm, corpus, tmp_path / "whole", request_, "all")
    commit, done = BulkJob._commit, []

    def stops(self, outcomes):
        if len(done) == batches:
            raise KeyboardInterrupt
        done.append(len(outcomes))
        commit(self, outcomes)

    monkeypatch.setattr(BulkJob, "_commit", stops)
    with pytest.raises(KeyboardInterrupt):
        run(tiny_wavlm, corpus, tmp_path / "resumed", request_, "all")
    monkeypatch.undo()
    summary = run(tiny_wavlm, corpus, tmp_path / "resumed", request_, "all")
    assert summary.kept == sum(done)
    assert summary.computed == 8 - sum(done)
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")
    again = run(tiny_wavlm, corpus, tmp_path / "resumed", request_, "all")
    assert (again.kept, again.computed) == (8, 0)
    assert contents(tmp_path / "resumed") == contents(tmp_path / "whole")


def test_another_channel_is_another_setting(tiny_wavlm, corpus, tmp_path):
    run(tiny_wavlm, corpus, tmp_path / "out", POOLED, None)
    assert run(tiny_wavlm, corpus, tmp_path / "out", POOLED, "mix").kept == 4
    for channel in (0, "all"):
        with pytest.raises(ConfigurationError, match="channel: there None, now"):
            run(tiny_wavlm, corpus, tmp_path / "out", POOLED, channel)


def test_one_channel_and_recordings_that_lack_it(tiny_wavlm, corpus, tmp_path):
    summary = run(tiny_wavlm, corpus, tmp_path / "out", POOLED, 1, "parquet")
    assert (summary.computed, summary.failed) == (3, 2)
    errors = {row["path"]: row["error"] for row in lines(tmp_path / "out/errors.jsonl")}
    assert errors["deep/mono.wav"] == "MissingChannel"
    table = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "out/vectors.parquet")
    assert table["path"].to_pylist() == ["call.flac", "call.wav", "long.wav"]
    assert table["channel"].to_pylist() == [1, 1, 1]
    run(tiny_wavlm, corpus, tmp_path / "each", POOLED, "all")
    rows = [row["row"] for row in lines(tmp_path / "each/index.jsonl") if row["channel"] == 1]
    expected = read(tmp_path / "each/vectors.npy", kind="npy", layer_names=POOLED.layer_names, rows_first=True)[:, rows]
    given = read(tmp_path / "out/vectors.parquet", kind="parquet", layer_names=POOLED.layer_names, rows_first=True)
    np.testing.assert_allclose(given, expected, atol=1e-4)


def test_one_file_holds_one_channel(tiny_wavlm, corpus, tmp_path):
    with pytest.raises(ConfigurationError, match="2 channels do not fit into one file"):
        run(tiny_wavlm, corpus / "call.wav", tmp_path / "out.npy", FRAMES, "all")
    run(tiny_wavlm, corpus / "call.wav", tmp_path / "out.npy", FRAMES, 1)
    assert np.load(tmp_path / "out.npy").shape == (49, 32)


def test_an_error_that_stops_the_work_names_the_recording_not_the_channel(tiny_wavlm, corpus):
    entries = gather(corpus, sampling_rate=RATE, channel="all")
    assert [(entry.label, entry.channel, entry.number) for entry in entries][:3] == [
        ("broken.wav", 0, 0),
        ("call.flac", 0, 1),
        ("call.flac", 1, 1),
    ]
    with pytest.raises(UndecodableAudio) as raised:
        Engine([tiny_wavlm]).lengths(entries, on_error="raise")
    assert "recording 0 (counted from 0), broken.wav, channel 0" in raised.value.__notes__[0]
    with pytest.raises(ConfigurationError):
        gather(corpus, sampling_rate=RATE, channel="left")
