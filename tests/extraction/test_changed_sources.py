"""A finished folder follows its source: what changed is encoded anew, what is gone is dropped, what is new is added."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant.errors import AudioWarning, ConfigurationError
from sonant.extraction.bulk import run_job
from sonant.extraction.destination import VECTORS
from sonant.extraction.engine import Engine
from sonant.extraction.inputs import gather, origin
from sonant.extraction.request import EncodeRequest
from sonant.extraction.summary import Summary
from sonant.extraction.vectors import vector_writer

RATE = 16_000
REQUESTS = {"frames": EncodeRequest(), "pooled": EncodeRequest(pool="mean", layers=(1, "last"), stacked=True)}
each = pytest.mark.parametrize("what", REQUESTS)


@pytest.fixture
def embedded(Averager, tmp_path: Path):
    """Encodes a source into tmp_path / "out", or another folder."""

    def embedded(source: Path, what: str, output: str = "out", **how) -> Summary:
        settings = {"model": "m", "revision": "r", "weights": "w"}
        writer = vector_writer(REQUESTS[what], "npy", "float32", settings=settings, dim=2, frame_rate=50.0)
        return run_job(
            Engine([Averager()]), gather(source, sampling_rate=RATE),
            VECTORS.place(tmp_path / output, "npy", source), writer,
            source=origin(source), show_progress=False, **how,
        )  # fmt: skip

    return embedded


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number, name in enumerate(("a.wav", "sub/b.wav", "c.wav")):
        write(tmp_path / "in" / name, number)
    return tmp_path / "in"


def write(path: Path, value: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full(RATE, value / 10), RATE)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def names(folder: Path) -> list[str]:
    return [json.loads(line)["path"] for line in (folder / "index.jsonl").read_bytes().splitlines()]


@each
def test_the_folder_becomes_what_a_fresh_one_is(embedded, source: Path, tmp_path: Path, what: str) -> None:
    embedded(source, what)
    write(source / "c.wav", 7)
    (source / "sub/b.wav").unlink()
    write(source / "new.wav", 8)
    summary = embedded(source, what)
    assert (summary.computed, summary.kept, summary.changed, summary.gone) == (2, 1, 1, 1)
    embedded(source, what, "fresh")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")
    assert not (tmp_path / "out/features/sub").exists()
    again = embedded(source, what)
    assert (again.computed, again.kept, again.changed, again.gone) == (0, 3, 0, 0)


@each
def test_what_changed_into_no_recording_has_no_vector(embedded, source: Path, tmp_path: Path, what: str) -> None:
    embedded(source, what)
    (source / "a.wav").write_bytes(b"RIFF")
    (source / "c.wav").unlink()
    os.mkfifo(source / "c.wav")
    summary = embedded(source, what)
    assert (summary.kept, summary.failed, summary.changed) == (1, 2, 2)
    assert names(tmp_path / "out") == ["sub/b.wav"]
    embedded(source, what, "fresh")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


@each
def test_what_vanishes_meanwhile_is_listed(embedded, source: Path, tmp_path: Path, what: str) -> None:
    summary = embedded(source, what, on_start=lambda _: (source / "c.wav").unlink())
    assert (summary.computed, summary.failed) == (2, 1)
    (error,) = (tmp_path / "out/errors.jsonl").read_text().splitlines()
    assert (json.loads(error)["path"], json.loads(error)["error"]) == ("c.wav", "AudioNotFound")
    assert embedded(source, what).failed == 0


@each
def test_a_run_stopped_after_a_change_goes_on(embedded, source: Path, tmp_path: Path, what: str, monkeypatch) -> None:
    embedded(source, what)
    for name in ("a.wav", "c.wav"):
        write(source / name, 9)
    with monkeypatch.context() as stopped:
        stopped.setattr("sonant.extraction.bulk_job.BulkJob._finish", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            embedded(source, what)
    write(source / "c.wav", 5)
    assert embedded(source, what).computed == 1
    embedded(source, what, "fresh")
    assert contents(tmp_path / "out") == contents(tmp_path / "fresh")


@each
def test_other_sources_are_left_alone(embedded, source: Path, tmp_path: Path, what: str) -> None:
    write(tmp_path / "other/d.wav", 3)
    embedded(source, what)
    assert embedded(tmp_path / "other", what).gone == 0
    assert names(tmp_path / "out") == ["d.wav", "a.wav", "c.wav", "sub/b.wav"]
    (source / "a.wav").unlink()  # whose vector may be of either
    summary = embedded(source, what)
    assert (summary.gone, summary.kept) == (0, 2)
    assert len(names(tmp_path / "out")) == 4


@each
def test_a_folder_of_an_older_version_goes_on(embedded, source: Path, tmp_path: Path, what: str) -> None:
    embedded(source, what)
    out = tmp_path / "out"
    settings = json.loads((out / "settings.json").read_text())
    del settings["sources"]
    (out / "settings.json").write_text(json.dumps(settings))
    rows = [json.loads(line) for line in (out / "index.jsonl").read_text().splitlines()]
    rows = [{key: value for key, value in row.items() if not key.startswith("source_")} for row in rows]
    (out / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (source / "a.wav").unlink()
    write(source / "c.wav", 7)  # nothing tells that it changed
    summary = embedded(source, what)
    assert (summary.computed, summary.kept, summary.gone) == (0, 2, 0)
    assert len(names(out)) == 3
    write(source / "c.wav", 8)
    assert embedded(source, what).changed == 1


@each
def test_what_lies_in_a_folder_that_cannot_be_listed_stays(
    embedded, source: Path, tmp_path: Path, what: str, monkeypatch
) -> None:
    embedded(source, what)
    scan = os.scandir

    def refuse(path):
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    with monkeypatch.context() as refused:
        refused.setattr(os, "scandir", refuse)
        summary = embedded(source, what)
    assert (summary.failed, summary.gone) == (1, 0)
    assert sorted(names(tmp_path / "out")) == ["a.wav", "c.wav", "sub/b.wav"]
    (error,) = (tmp_path / "out/errors.jsonl").read_text().splitlines()
    assert json.loads(error)["path"] == "sub"


def test_a_recording_that_was_added_takes_no_other_name(embedded, source: Path, tmp_path: Path) -> None:
    embedded(source, "frames")
    soundfile.write(source / "a.flac", np.full(RATE, 0.9), RATE)
    before = (tmp_path / "out/features/a.npy").read_bytes()
    embedded(source, "frames")
    rows = [json.loads(line) for line in (tmp_path / "out/index.jsonl").read_text().splitlines()]
    files = {row["path"]: row["file"] for row in rows}
    assert files["a.wav"] == "features/a.npy"
    assert (tmp_path / "out/features/a.npy").read_bytes() == before
    assert len(set(files.values())) == 4


@each
def test_the_index_says_what_is_odd_about_a_recording(embedded, source: Path, tmp_path: Path, what: str) -> None:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    soundfile.write(source / "odd.wav", np.stack([samples, -samples], axis=1), RATE)
    for output in ("out", "again"):  # Python would show it once in a process
        with pytest.warns(AudioWarning, match="cancel") as shown:
            embedded(source, what, output)
        assert len(shown) == 1
    rows = [json.loads(line) for line in (tmp_path / "out/index.jsonl").read_bytes().splitlines()]
    (odd,) = [row for row in rows if "warnings" in row]
    assert odd["path"] == "odd.wav"
    assert odd["warnings"] == [str(shown[0].message)]
    assert contents(tmp_path / "out") == contents(tmp_path / "again")


def test_a_second_job_is_refused_and_told_who_works(embedded, source: Path, tmp_path: Path) -> None:
    def second(_) -> None:
        before = contents(tmp_path / "out")
        with pytest.raises(ConfigurationError, match=f"being written by process {os.getpid()} on .*, since 2"):
            embedded(source, "pooled")
        assert contents(tmp_path / "out") == before

    assert embedded(source, "frames", on_start=second).computed == 3
    assert not (tmp_path / "out/running.lock").exists()
