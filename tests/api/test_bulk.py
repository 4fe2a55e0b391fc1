"""Laws of every bulk job: resumed equals uninterrupted, what is done is kept, what changed is computed anew."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sonant.api import SpeechEncoder
from sonant.errors import AudioError, ConfigurationError
from sonant.extraction import bulk
from sonant.extraction.summary import Summary
from sonant.models import WavLMConfig, build
from sonant.pretraining.kmeans import KMeans
from tests.shapes import SMALL

RATE = 16_000
CUTTING = {"batch_seconds": 1.0, "window_seconds": 3.0, "overlap_seconds": 1.0}
Job = Callable[..., Summary]


def write(path: Path, seed: int, seconds: float) -> None:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    soundfile.write(path, samples, RATE)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six recordings, one of them long, and one file that is not audio."""
    (tmp_path / "in").mkdir()
    for seed, seconds in enumerate((0.5, 4.0, 0.8, 0.6, 1.1, 0.9)):
        write(tmp_path / f"in/{seed}.wav", seed, seconds)
    (tmp_path / "in/broken.wav").write_bytes(b"RIFF but no more")
    return tmp_path / "in"


@pytest.fixture(scope="module")
def encoder() -> SpeechEncoder:
    torch.manual_seed(0)
    return SpeechEncoder(build(WavLMConfig(**SMALL)).eval())


CLUSTERS = KMeans(torch.randn(7, SMALL["dim"], generator=torch.Generator().manual_seed(0)))
JOBS = {
    "frames": ("embed", {}),
    "pooled": ("embed", {"pool": "mean"}),
    "units": ("write_units", {"kmeans": CLUSTERS, "layer": 2}),
}
OUTPUTS = [("frames", "out"), ("pooled", "out"), ("units", "out"), ("units", "out.txt"), ("units", "out.jsonl")]


@pytest.fixture(params=OUTPUTS, ids="-".join)
def job(request: pytest.FixtureRequest, encoder: SpeechEncoder) -> tuple[Job, str]:
    """A function that writes results, and the name of its output."""
    kind, output = request.param
    return job_of(kind, encoder), output


def job_of(kind: str, encoder: SpeechEncoder) -> Job:
    verb, how = JOBS[kind]
    return partial(getattr(encoder, verb), **how, **CUTTING)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def stop_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a job be stopped, as by Ctrl-C, when results of so many batches are on the disk."""
    commit, left = bulk._Job._commit, [batches]

    def stops(self, outcomes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        commit(self, outcomes)

    monkeypatch.setattr(bulk._Job, "_commit", stops)


def test_resumed_equals_uninterrupted(job: tuple[Job, str], source: Path, tmp_path: Path, monkeypatch) -> None:
    run, output = job
    (tmp_path / "whole").mkdir()
    (tmp_path / "pieces").mkdir()
    assert run(source, tmp_path / "whole" / output).computed == 6
    for batches in (1, 0, 2):
        with monkeypatch.context() as patch:
            stop_after(batches, patch)
            with pytest.raises(KeyboardInterrupt):
                run(source, tmp_path / "pieces" / output)
        assert not (tmp_path / "pieces" / output).is_file(), "half a file is none"
    summary = run(source, tmp_path / "pieces" / output)
    assert summary.kept >= 3
    assert (summary.computed + summary.kept, summary.failed) == (6, 1)
    assert contents(tmp_path / "pieces") == contents(tmp_path / "whole")


def test_a_finished_folder_is_brought_up_to_date(job: tuple[Job, str], source: Path, tmp_path: Path) -> None:
    run, output = job
    first = run(source, tmp_path / output)
    before = contents(tmp_path / output)
    again = run(source, tmp_path / output)
    if first.output.is_dir():  # one file has no notes on how it was made
        assert (again.computed, again.kept) == (0, 6)
    assert contents(tmp_path / output) == before
    write(source / "1.wav", 77, 0.7)
    (source / "2.wav").unlink()
    write(source / "new.wav", 78, 0.4)
    summary = run(source, tmp_path / output)
    if first.output.is_dir():
        assert (summary.computed, summary.kept, summary.changed, summary.gone) == (2, 4, 1, 1)
    (tmp_path / "fresh").mkdir()
    fresh = run(source, tmp_path / "fresh" / output)
    assert contents(summary.output) == contents(fresh.output)


def test_what_changes_while_a_job_is_stopped(job: tuple[Job, str], source: Path, tmp_path: Path, monkeypatch) -> None:
    run, output = job
    with monkeypatch.context() as patch:
        stop_after(3, patch)  # the long recording, 4 and 5, which are the longest of the others
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / output)
    write(source / "4.wav", 77, 0.7)
    (source / "5.wav").unlink()
    os.utime(source / "0.wav", ns=(1, 1))
    summary = run(source, tmp_path / output)
    assert (summary.kept, summary.changed, summary.gone) == (1, 1, 1)
    (tmp_path / "fresh").mkdir()
    fresh = run(source, tmp_path / "fresh" / output)
    if summary.output.is_dir():
        assert contents(summary.output) == contents(fresh.output)
    else:
        assert summary.output.read_bytes() == fresh.output.read_bytes()


def test_other_settings_do_not_go_on(job: tuple[Job, str], source: Path, tmp_path: Path, monkeypatch) -> None:
    run, output = job
    stop_after(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / output)
    before = contents(tmp_path)
    with pytest.raises(ConfigurationError, match="channel: there None, now 0"):
        run(source, tmp_path / output, channel=0)
    assert contents(tmp_path) == before


def test_an_error_that_stops_a_job_leaves_no_work_behind(job: tuple[Job, str], source: Path, tmp_path: Path) -> None:
    run, output = job
    with pytest.raises(AudioError):
        run(source, tmp_path / output, on_error="raise")
    assert not (tmp_path / output).is_file()
    assert not list(tmp_path.glob("*.unfinished"))


def test_lines_are_printed_in_order_as_soon_as_they_can_be(
    encoder: SpeechEncoder, source: Path, tmp_path: Path, monkeypatch, capfdbinary
) -> None:
    run, failures = job_of("units", encoder), []
    monkeypatch.setattr(bulk, "GROUP", 2)
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            run(source, None)
    assert [line.split(b"\t")[0] for line in capfdbinary.readouterr().out.splitlines()] == [b"0.wav", b"1.wav"]
    summary = run(source, None, on_failure=lambda name, error: failures.append((name, error)))
    printed = capfdbinary.readouterr().out
    run(source, tmp_path / "lines.txt")
    assert printed == (tmp_path / "lines.txt").read_bytes()
    assert (str(summary.output), summary.computed, summary.failed, summary.errors) == ("-", 6, 1, None)
    assert [name for name, _ in failures] == ["broken.wav"]


def test_the_spool_of_a_stopped_job_must_be_there(encoder: SpeechEncoder, source: Path, tmp_path: Path, monkeypatch):
    run = job_of("units", encoder)
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "out.jsonl")
    os.truncate(tmp_path / "out.jsonl.unfinished/units.spool", 10)
    with pytest.raises(ConfigurationError, match="results are lost"):
        run(source, tmp_path / "out.jsonl")


def test_the_errors_are_in_the_order_of_the_input(encoder: SpeechEncoder, source: Path, tmp_path: Path) -> None:
    samples = np.full(RATE, 0.1, np.float32)
    samples[9] = np.nan
    soundfile.write(source / "0.wav", samples, RATE, subtype="FLOAT")  # found out later than the broken header
    encoder.embed(source, tmp_path / "out", pool="mean")
    errors = [json.loads(line)["path"] for line in (tmp_path / "out/errors.jsonl").read_text().splitlines()]
    assert errors == ["0.wav", "broken.wav"]
