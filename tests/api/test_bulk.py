"""Laws of every bulk job: resumed equals uninterrupted, what is done is kept, what changed is computed anew."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant.api import SpeechEncoder
from sonant.decoding.subtitles import segments, vtt
from sonant.errors import AudioError, ConfigurationError
from sonant.extraction import bulk_job
from sonant.extraction.summary import Summary
from sonant.pretraining.kmeans import KMeans
from tests.heads import write_classifier, write_ctc, write_frame_classifier
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


CLUSTERS = KMeans(torch.randn(7, SMALL["dim"], generator=torch.Generator().manual_seed(0)))
JOBS = {  # of each kind of results: the model, the method, and its arguments
    "frames": (write_frame_classifier, "embed", {}),
    "pooled": (write_frame_classifier, "embed", {"pool": "mean"}),
    "units": (write_frame_classifier, "write_units", {"kmeans": CLUSTERS, "layer": 2, "deduplicate": True}),
    "transcripts": (write_ctc, "write_transcripts", {}),
    "turns": (write_frame_classifier, "write_turns", {}),
    "labels": (write_classifier, "write_labels", {}),
}
OUTPUTS = [
    *(("frames", "out"), ("pooled", "out"), ("units", "out"), ("units", "out.txt"), ("units", "out.jsonl")),
    *(("transcripts", "out"), ("transcripts", "out.tsv"), ("transcripts", "out.json"), ("transcripts:srt", "out")),
    *(("turns", "out"), ("turns", "out.rttm"), ("turns:json", "out"), ("labels", "out"), ("labels", "out.jsonl")),
]


@pytest.fixture(scope="module")
def job_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Job]:
    """A function that writes results of a kind, such as "turns:json"."""

    @cache
    def load(write_model: Callable[[Path], Path]) -> SpeechEncoder:
        return sonant.load(write_model(tmp_path_factory.mktemp("model")))

    def job_of(what: str) -> Job:
        kind, _, format_ = what.partition(":")
        write_model, verb, how = JOBS[kind]
        return partial(getattr(load(write_model), verb), **how, **CUTTING, **({"format": format_} if format_ else {}))

    return job_of


@pytest.fixture(params=OUTPUTS, ids="-".join)
def job(request: pytest.FixtureRequest, job_of: Callable[[str], Job]) -> tuple[Job, str]:
    """A function that writes results, and the name of its output."""
    what, output = request.param
    return job_of(what), output


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def stop_after(batches: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a job be stopped, as by Ctrl-C, when results of so many batches are on the disk."""
    commit, left = bulk_job.BulkJob._commit, [batches]

    def stops(self, outcomes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        commit(self, outcomes)

    monkeypatch.setattr(bulk_job.BulkJob, "_commit", stops)


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
    job_of: Callable[[str], Job], source: Path, tmp_path: Path, monkeypatch, capfdbinary
) -> None:
    run, failures = job_of("units"), []
    monkeypatch.setattr(bulk_job, "GROUP", 2)
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


def test_the_spool_of_a_stopped_job_must_be_there(
    job_of: Callable[[str], Job], source: Path, tmp_path: Path, monkeypatch
):
    run = job_of("units")
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "out.jsonl")
    os.truncate(tmp_path / "out.jsonl.unfinished/units.spool", 10)
    with pytest.raises(ConfigurationError, match="results are lost"):
        run(source, tmp_path / "out.jsonl")


def test_the_errors_are_in_the_order_of_the_input(job_of: Callable[[str], Job], source: Path, tmp_path: Path) -> None:
    samples = np.full(RATE, 0.1, np.float32)
    samples[9] = np.nan
    soundfile.write(source / "0.wav", samples, RATE, subtype="FLOAT")  # found out later than the broken header
    job_of("pooled")(source, tmp_path / "out")
    errors = [json.loads(line)["path"] for line in (tmp_path / "out/errors.jsonl").read_text().splitlines()]
    assert errors == ["0.wav", "broken.wav"]


def test_results_are_those_of_the_methods_in_memory(job_of: Callable[[str], Job], source: Path, tmp_path: Path) -> None:
    encoder = job_of("transcripts").func.__self__
    job_of("transcripts")(source, tmp_path / "text", channel="all")
    job_of("transcripts:vtt")(source / "3.wav", tmp_path / "3.vtt")
    (transcript,) = encoder.transcribe(source / "3.wav", channel="all")
    assert (tmp_path / "text/3.channel0.txt").read_text() == f"{transcript.text}\n"
    assert (tmp_path / "3.vtt").read_text() == vtt(segments(transcript.words))
    encoder = job_of("labels").func.__self__
    job_of("labels")(source, tmp_path / "labels.json")
    rows = [json.loads(line) for line in (tmp_path / "labels.json").read_text().splitlines()]
    assert [row["path"] for row in rows] == [f"{number}.wav" for number in range(6)]
    assert rows[2]["labels"] == pytest.approx(encoder.classify(source / "2.wav"), rel=1e-4)
    encoder = job_of("turns").func.__self__
    job_of("turns:json")(source, tmp_path / "turns.json", channel="all")
    rows = [json.loads(line) for line in (tmp_path / "turns.json").read_text().splitlines()]
    (turns,) = encoder.diarize(source / "4.wav", channel="all")
    assert (rows[4]["path"], rows[4]["channel"]) == ("4.wav", 0)
    assert rows[4]["turns"] == [asdict(turn) for turn in turns]


def test_another_head_is_another_setting(job_of: Callable[[str], Job], source: Path, tmp_path: Path) -> None:
    run = job_of("transcripts")
    run(source, tmp_path / "out")
    bias = run.func.__self__.heads["ctc"].linear.bias.data
    before = bias.clone()
    bias += 1
    with pytest.raises(ConfigurationError, match="heads: there 'sha256:"):
        run(source, tmp_path / "out")
    bias.copy_(before)
    assert run(source, tmp_path / "out").kept == 6


def test_no_recording_takes_the_name_of_a_file_of_the_job(
    job_of: Callable[[str], Job], source: Path, tmp_path: Path
) -> None:
    (source / "3.wav").rename(source / "settings.wav")
    job_of("turns:json")(source, tmp_path / "out")
    assert "results" in json.loads((tmp_path / "out/settings.json").read_text())
    rows = [json.loads(line) for line in (tmp_path / "out/index.jsonl").read_text().splitlines()]
    (row,) = [row for row in rows if row["path"] == "settings.wav"]
    assert json.loads((tmp_path / "out" / row["file"]).read_text())["path"] == "settings.wav"


def test_what_lies_beside_the_results_is_left_alone(
    job_of: Callable[[str], Job], source: Path, tmp_path: Path, monkeypatch
) -> None:
    run = job_of("transcripts:srt")
    (source / "unfinished").mkdir()
    write(source / "unfinished/6.wav", 6, 0.5)
    (source / "download.wav.part").touch()
    with monkeypatch.context() as patch:
        stop_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            run(source, source)
    (source / "0.srt.part").touch()  # as a kill leaves it
    before = {name for name in contents(source) if name.endswith((".wav", "download.wav.part"))}
    assert run(source, source).kept > 0
    assert before <= contents(source).keys()
    assert (source / "unfinished/6.srt").exists()
    assert not (source / "0.srt.part").exists()
