"""Laws of bulk encoding: resumed equals uninterrupted, nothing is lost or done twice, bad files are told."""

import itertools
import json
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sonant.errors import AudioError, ConfigurationError
from sonant.extraction import vectors
from sonant.extraction.bulk import run_job
from sonant.extraction.destination import VECTORS
from sonant.extraction.engine import Engine, collect
from sonant.extraction.inputs import gather, origin
from sonant.extraction.names import readable_name
from sonant.extraction.request import EncodeRequest
from sonant.extraction.sources import AudioSource
from sonant.extraction.summary import Summary, WorkEstimate
from sonant.extraction.vector_files import VECTOR_FORMATS, read
from sonant.extraction.vectors import vector_writer

RATE = 16_000
MODEL = {"model": "m", "revision": "r", "weights": "w"}
CUTTING = {"batch_seconds": 2.0, "window_seconds": 3.0, "overlap_seconds": 1.0}
REQUESTS = {
    "frames": EncodeRequest(**CUTTING),
    "layers": EncodeRequest(layers=(0, 2, "last"), stacked=True, **CUTTING),
    "pooled": EncodeRequest(layers=(1, "last"), stacked=True, pool="mean+std", **CUTTING),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine recordings in two folders, one of them long, and one file that is not audio."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(3)
    for i, seconds in enumerate((0.5, 7.0, 0.8, 0.3, 1.1, 0.9, 0.4, 1.9, 0.6)):
        path = folder / ("deep/er" if i % 2 else "flat") / f"{i}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.standard_normal(round(seconds * RATE)), RATE, subtype="FLOAT")
    (folder / "flat/broken.wav").write_bytes(b"RIFF but no more")
    return folder


def run(model, corpus: Path, output: Path, request: EncodeRequest, kind: str = "npy", **how) -> Summary:
    writer = vector_writer(request, kind, how.pop("dtype", "float32"), settings=MODEL, dim=model.dim, frame_rate=50.0)
    place = VECTORS.place(output, kind, "talks")
    return run_job(
        Engine([model]),
        gather(corpus, sampling_rate=RATE),
        place,
        writer,
        source=origin(corpus),
        show_progress=False,
        **how,
    )


def run_to_file(model, corpus: Path, output: Path, request: EncodeRequest) -> Summary:
    writer = vector_writer(request, "npy", "float32", settings=MODEL, dim=model.dim, frame_rate=50.0)
    place = VECTORS.place(output, "npy", "talks")
    return run_job(
        Engine([model]), gather(corpus, sampling_rate=RATE), place, writer, on_error="raise", show_progress=False
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def model(tiny_wavlm) -> Iterator[torch.nn.Module]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tiny_wavlm
    torch.set_num_threads(threads)


@pytest.mark.parametrize("kind", VECTOR_FORMATS)
@pytest.mark.parametrize("what", REQUESTS)
def test_files_hold_what_encoding_in_memory_gives(model, corpus: Path, tmp_path: Path, what: str, kind: str) -> None:
    request = REQUESTS[what]
    summary = run(model, corpus, tmp_path, request, kind)
    assert (summary.computed, summary.kept, summary.failed) == (9, 0, 1)
    index = lines(tmp_path / "index.jsonl")
    assert [row["path"] for row in index] == sorted(row["path"] for row in index)
    assert len(index) == 9
    for number, row in enumerate(index):
        source = AudioSource(corpus / row["path"], RATE)
        (expected,), _ = collect(Engine([model]), [source], request)
        if request.pool is None:
            found = read(tmp_path / row["file"], kind=kind, layer_names=request.layer_names)
            assert row["frames"] == found.shape[1] == model.num_frames(round(row["seconds"] * RATE))
        else:
            vectors = read(tmp_path / f"vectors.{kind}", kind=kind, layer_names=request.layer_names, rows_first=True)
            found = vectors[:, number]
            assert row["row"] == number
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=2e-5)
        assert row["dim"] == found.shape[-1]
        assert (row["model"], row["revision"]) == ("m", "r")
    (error,) = lines(tmp_path / "errors.jsonl")
    assert error["path"] == "flat/broken.wav"
    assert error["message"]
    assert not (tmp_path / "journal.jsonl").exists()
    assert not list(tmp_path.rglob("*.spool"))
    assert not list(tmp_path.rglob("*.part"))


class Interruption(BaseException):
    pass


class Interrupted(torch.nn.Module):
    """A model that is stopped, as by Ctrl-C, in its nth forward pass."""

    def __init__(self, model, passes: int) -> None:
        super().__init__()
        self.model, self.left = model, passes
        self.clips = 0

    def __getattr__(self, name: str):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("model"), name)

    def forward(self, speech, **how):
        self.left -= 1
        if self.left < 0:
            raise Interruption
        self.clips += len(speech)
        return self.model(speech, **how)


@pytest.mark.parametrize("kind", ["npy", "parquet", "jsonl"])
@pytest.mark.parametrize("what", REQUESTS)
def test_a_resumed_run_equals_an_uninterrupted_one_byte_for_byte(
    model, corpus: Path, tmp_path: Path, what: str, kind: str
) -> None:
    request = REQUESTS[what]
    run(model, corpus, tmp_path / "whole", request, kind)
    clips = 0
    for passes in (0, 3, 5, 1, 99):
        counted = Interrupted(model, passes)
        try:
            run(counted, corpus, tmp_path / "pieces", request, kind)
        except Interruption:
            assert passes < 99
        clips += counted.clips
    assert contents(tmp_path / "pieces") == contents(tmp_path / "whole")
    # Not even a window of the long recording, which was cut short twice, was computed again.
    whole = Interrupted(model, 99)
    run(whole, corpus, tmp_path / "again", request, kind)
    assert clips == whole.clips


@pytest.mark.parametrize("what", REQUESTS)
def test_one_file_goes_on_within_the_recording(model, corpus: Path, tmp_path: Path, what: str) -> None:
    (path,) = corpus.rglob("1.wav")
    run_to_file(model, path, tmp_path / "whole.npy", REQUESTS[what])
    with pytest.raises(Interruption):
        run_to_file(Interrupted(model, 2), path, tmp_path / "x.npy", REQUESTS[what])
    assert {path.name for path in tmp_path.iterdir()} == {"whole.npy", "x.npy.unfinished"}  # nothing hidden
    rest = Interrupted(model, 99)
    run_to_file(rest, path, tmp_path / "x.npy", REQUESTS[what])
    assert rest.clips == 2
    assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"whole.npy", "x.npy"}


@pytest.mark.parametrize("damage", ["spool cut", "spool changed", "progress cut", "recording changed", "settings"])
def test_what_does_not_fit_is_not_gone_on_with(model, corpus: Path, tmp_path: Path, damage: str) -> None:
    (path,) = corpus.rglob("1.wav")
    path = shutil.copy(path, tmp_path / "1.wav")
    request, unfinished = REQUESTS["frames"], tmp_path / "x.npy.unfinished"
    with pytest.raises(Interruption):
        run_to_file(Interrupted(model, 2), path, tmp_path / "x.npy", request)
    match damage:
        case "spool cut":
            os.truncate(next(unfinished.rglob("layer_last.spool")), 100)
        case "spool changed":
            with next(unfinished.rglob("layer_last.spool")).open("r+b") as file:
                file.write(b"other")
        case "progress cut":
            os.truncate(next(unfinished.rglob("progress.npz")), 100)
        case "recording changed":
            os.utime(path, ns=(1, 1))
        case "settings":
            request = replace(request, layers=(1,))
    run_to_file(model, path, tmp_path / "x.npy", request)
    run_to_file(model, path, tmp_path / "whole.npy", request)
    assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert not unfinished.exists()


@pytest.mark.parametrize("what", REQUESTS)
def test_an_error_within_a_recording_leaves_nothing(model, corpus: Path, tmp_path: Path, what: str) -> None:
    (path,) = corpus.rglob("1.wav")
    path = shutil.copy(path, tmp_path / "1.wav")
    whole = path.read_bytes()
    # The header promises more than is there, which shows when the first windows are done.
    path.write_bytes(whole[: len(whole) - 4 * RATE])
    for output in (tmp_path / "x.npy", tmp_path / "out"):
        with pytest.raises(AudioError):
            (run_to_file if output.suffix else partial(run, on_error="raise"))(model, path, output, REQUESTS[what])
        assert not list(tmp_path.rglob("*unfinished*"))
        assert not list(tmp_path.rglob("*.spool")) or output.is_dir()


def test_files_of_others_are_not_replaced(model, corpus: Path, tmp_path: Path) -> None:
    """A new job writes nothing where its results would take their places, and a begun one goes on."""
    run(model, corpus, tmp_path / "whole", REQUESTS["frames"])
    (theirs,) = (tmp_path / "whole").rglob("3.npy")
    there = tmp_path / "other" / theirs.relative_to(tmp_path / "whole")
    there.parent.mkdir(parents=True)
    there.write_text("notes")
    before = sorted((tmp_path / "other").rglob("*"))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"files that results would replace: .*3\.npy\."):
            run(model, corpus, tmp_path / "other", REQUESTS["frames"])
        assert sorted((tmp_path / "other").rglob("*")) == before
    assert there.read_text() == "notes"
    (ours := theirs.with_name("3.npy.part")).write_bytes(b"half of it")
    (other := theirs.with_name("download.part")).write_text("theirs")
    (tmp_path / "whole" / "index.jsonl").unlink()  # as if it had been killed before its first line
    assert run(model, corpus, tmp_path / "whole", REQUESTS["frames"]).computed == 9
    assert other.exists()
    assert not ours.exists()


def test_a_finished_run_computes_nothing_again(model, corpus: Path, tmp_path: Path) -> None:
    run(model, corpus, tmp_path, REQUESTS["pooled"])
    before = contents(tmp_path)
    idle = Interrupted(model, 0)
    summary = run(idle, corpus, tmp_path, REQUESTS["pooled"])
    assert (summary.computed, summary.kept, summary.failed) == (0, 9, 1)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", VECTOR_FORMATS)
@pytest.mark.parametrize("what", ["frames", "pooled"])
def test_a_finished_folder_takes_further_recordings(model, corpus: Path, tmp_path: Path, what: str, kind: str) -> None:
    manifest = tmp_path / "list.jsonl"
    names = [str(path) for path in sorted(corpus.rglob("?.wav"))]

    def listing(count: int) -> Path:
        manifest.write_text("".join(json.dumps({"path": name}) + "\n" for name in names[:count]))
        return manifest

    run(model, listing(4), tmp_path / "out", REQUESTS[what], kind)
    first = lines(tmp_path / "out/index.jsonl")
    summary = run(model, listing(9), tmp_path / "out", REQUESTS[what], kind)
    assert (summary.computed, summary.kept) == (5, 4)
    run(model, listing(9), tmp_path / "whole", REQUESTS[what], kind)
    grown, whole = lines(tmp_path / "out/index.jsonl"), lines(tmp_path / "whole/index.jsonl")
    assert grown == whole
    assert [row["path"] for row in first] == names[:4]
    if what == "pooled":
        layer_names = REQUESTS[what].layer_names
        one, other = (
            read(tmp_path / name / f"vectors.{kind}", kind=kind, layer_names=layer_names, rows_first=True)
            for name in ("out", "whole")
        )
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_other_settings_are_refused_and_named(model, corpus: Path, tmp_path: Path) -> None:
    run(model, corpus, tmp_path, REQUESTS["frames"])
    before = contents(tmp_path)
    other = replace(REQUESTS["frames"], layers=(1,))
    with pytest.raises(ConfigurationError, match="layer: there 'last', now 1"):
        run(model, corpus, tmp_path, other)
    assert contents(tmp_path) == before
    # How the work is packed is not a setting of the result.
    assert run(model, corpus, tmp_path, replace(REQUESTS["frames"], batch_seconds=9.0)).computed == 0


def test_settings_bind_only_where_there_are_results(model, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(Interruption):
        run(Interrupted(model, 0), corpus, tmp_path, REQUESTS["frames"])
    assert run(model, corpus, tmp_path, REQUESTS["pooled"]).computed == 9
    assert json.loads((tmp_path / "settings.json").read_text())["pool"] == "mean+std"


def test_a_recording_that_is_mended_is_tried_again(model, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.wav", "b.wav"):
        soundfile.write(folder / name, np.zeros(RATE) + 0.1, RATE)
    (folder / "a.wav").write_bytes(b"")
    assert run(model, folder, tmp_path / "out", REQUESTS["pooled"]).failed == 1
    soundfile.write(folder / "a.wav", np.zeros(RATE) + 0.1, RATE)
    summary = run(model, folder, tmp_path / "out", REQUESTS["pooled"])
    assert (summary.computed, summary.kept, summary.failed) == (1, 1, 0)
    assert not (tmp_path / "out/errors.jsonl").exists()
    assert [row["path"] for row in lines(tmp_path / "out/index.jsonl")] == ["a.wav", "b.wav"]


def test_raising_stops_and_keeps_what_is_done(model, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError):
        run(model, corpus, tmp_path, REQUESTS["frames"], on_error="raise")


def test_a_batch_is_written_while_the_next_is_computed(Averager, corpus: Path, tmp_path: Path, monkeypatch) -> None:
    computing_more, write = threading.Event(), vectors.write

    class Telling(Averager):
        def forward(self, speech, **how):
            if self.passes:
                computing_more.set()
            return super().forward(speech, **how)

    def wait_and_write(*what, **how) -> None:
        assert computing_more.wait(timeout=10)
        write(*what, **how)

    monkeypatch.setattr(vectors, "write", wait_and_write)
    assert run(Telling(), corpus, tmp_path, EncodeRequest(**CUTTING)).computed == 9


def test_a_disk_that_fills_up_stops_the_run(Averager, corpus: Path, tmp_path: Path, monkeypatch) -> None:
    def write(*_, **_how) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vectors, "write", write)
    with pytest.raises(OSError, match="No space left"):
        run(Averager(), corpus, tmp_path, EncodeRequest(**CUTTING))


@pytest.mark.parametrize("what", REQUESTS)
@pytest.mark.parametrize("full_at", ["features", "journal", "window", "index"])
def test_after_room_was_made_the_same_command_goes_on(
    model, corpus: Path, tmp_path: Path, monkeypatch, what: str, full_at: str
) -> None:
    run(model, corpus, tmp_path / "whole", REQUESTS[what])
    writers = {
        "features": "vectors.write",
        "journal": "bulk_job.append_lines",
        "window": "partial_results.PartialResults.save",
        "index": "bulk_job.write_lines",
    }
    target = f"sonant.extraction.{writers[full_at]}"
    calls, work = itertools.count(), pkgutil.resolve_name(target)

    def write(*given, **how) -> None:
        if next(calls) == (what != "pooled"):  # the second time, of what is written more than once
            raise OSError(28, "No space left on device")
        work(*given, **how)

    with monkeypatch.context() as full:
        full.setattr(target, write)
        with pytest.raises(OSError, match="No space left"):
            run(model, corpus, tmp_path / "pieces", REQUESTS[what])
    run(model, corpus, tmp_path / "pieces", REQUESTS[what])
    assert contents(tmp_path / "pieces") == contents(tmp_path / "whole")


@pytest.mark.parametrize("kind", VECTOR_FORMATS)
@pytest.mark.parametrize("what", ["frames", "pooled"])
def test_every_name_that_a_file_can_have_is_written(model, tmp_path: Path, what: str, kind: str) -> None:
    names = [b"caf\xe9.wav", b'two\nlines "quoted".wav', b"-dash.wav", b"end .wav", b"n" * 251 + b".wav", b"b.wav"]
    names += [b"B.wav", b"b.flac", *(f"{name}.wav".encode() for name in ("\U0001f3a4 \u2028", "\u00e9", "e\u0301"))]
    (tmp_path / "in").mkdir()
    for name in names:
        path = os.fsencode(tmp_path / "in") + b"/" + name
        soundfile.write(path, np.full(RATE, 0.1), RATE, format=name[-4:].decode().strip("."))
    request = REQUESTS[what]
    for computed in (len(names), 0):  # the second time it reads what it wrote
        assert run(model, tmp_path / "in", tmp_path / "out", request, kind).computed == computed
    index = [json.loads(line) for line in (tmp_path / "out/index.jsonl").read_bytes().splitlines()]
    assert {row["path"] for row in index} == {readable_name(os.fsdecode(name)) for name in names}
    if request.pool is None:
        assert len({row["file"].casefold() for row in index}) == len(names)
        assert all((tmp_path / "out" / row["file"]).is_file() for row in index)


def test_half_precision_on_disk(model, corpus: Path, tmp_path: Path) -> None:
    run(model, corpus, tmp_path / "half", REQUESTS["pooled"], dtype="float16")
    run(model, corpus, tmp_path / "full", REQUESTS["pooled"])
    half, full = (np.load(tmp_path / name / "vectors.npy") for name in ("half", "full"))
    assert half.dtype == np.float16
    assert half.shape == full.shape == (9, 2, 64)
    np.testing.assert_array_equal(half, full.astype(np.float16))


def test_the_size_is_told_before_and_is_about_right(model, corpus: Path, tmp_path: Path) -> None:
    told: list[WorkEstimate] = []
    summary = run(model, corpus, tmp_path, REQUESTS["layers"], on_start=told.append)
    assert told[0].recordings == 9
    assert told[0].unreadable == 1
    assert abs(told[0].num_bytes / summary.num_bytes - 1) < 0.1
    assert abs(told[0].seconds - summary.seconds) < 0.2


def test_a_disk_that_is_too_small_is_refused(model, corpus: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    with pytest.raises(ConfigurationError, match="GB free"):
        run(model, corpus, tmp_path, REQUESTS["frames"])


@pytest.mark.parametrize("what", REQUESTS)
@pytest.mark.parametrize("name", ["0.wav", "1.wav"])
def test_one_recording_goes_into_one_file(model, corpus: Path, tmp_path: Path, what: str, name: str) -> None:
    request = REQUESTS[what]
    (path,) = corpus.rglob(name)
    run_to_file(model, path, tmp_path / "x.npy", request)
    (expected,), _ = collect(Engine([model]), [AudioSource(path, RATE)], request)
    found = np.load(tmp_path / "x.npy")
    wanted = expected.numpy() if request.stacked else expected[0].numpy()
    np.testing.assert_allclose(found[0] if request.pool else found, wanted, rtol=1e-4, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_many_recordings_do_not_go_into_one_file(model, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Name a folder"):
        run_to_file(model, corpus, tmp_path / "x.npy", REQUESTS["frames"])


KILLED = """
import sys, time, torch
sys.path.insert(0, sys.argv[1])
from pathlib import Path
torch.manual_seed(0); torch.set_num_threads(1)
from sonant.models import WavLMConfig, build
from sonant.extraction.bulk import run_job
from sonant.extraction.destination import VECTORS
from sonant.extraction.vectors import vector_writer
from sonant.extraction.engine import Engine
from sonant.extraction.inputs import gather
from sonant.extraction.request import EncodeRequest
model = build(WavLMConfig(conv_channels=(16,) * 7, dim=32, num_layers=3, num_heads=4, feed_forward_dim=64,
                          position_kernel=16, position_groups=4)).eval()
model.register_forward_pre_hook(lambda *_: time.sleep(float(sys.argv[4])))
request = EncodeRequest(layers=(1, "last"), stacked=True, pool=None if sys.argv[5] == "frames" else "mean",
                  batch_seconds=1.0, window_seconds=3.0, overlap_seconds=1.0)
writer = vector_writer(request, "npy", "float32", settings={"model": "m", "revision": "r"}, dim=32, frame_rate=50.0)
place = VECTORS.place(sys.argv[3], "npy", sys.argv[2])
run_job(Engine([model]), gather(sys.argv[2], sampling_rate=16_000), place, writer, show_progress=False)
"""


@pytest.mark.slow
@pytest.mark.parametrize("what", ["frames", "pooled"])
def test_a_killed_run_loses_nothing(corpus: Path, tmp_path: Path, what: str) -> None:
    """SIGKILL at different moments, then to the end: the same bytes as in one go."""

    def start(output: str, pause: float) -> subprocess.Popen[bytes]:
        arguments = [str(Path.cwd()), str(corpus), str(tmp_path / output), str(pause), what]
        return subprocess.Popen([sys.executable, "-c", KILLED, *arguments], env=os.environ | {"OMP_NUM_THREADS": "1"})

    assert start("whole", 0.0).wait() == 0
    journal = tmp_path / "pieces/journal.jsonl"
    for at_least in (1, 4):
        process = start("pieces", 0.4)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not (journal.exists() and journal.read_bytes().count(b"\n") >= at_least):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        with journal.open("ab") as file:  # a line that was being written
            file.write(b'{"path": "hal')
    assert start("pieces", 0.0).wait() == 0
    assert contents(tmp_path / "pieces") == contents(tmp_path / "whole")


MEMORY = """
import resource, sys, torch
from pathlib import Path
torch.manual_seed(0); torch.set_num_threads(1)
from sonant.models import WavLMConfig, build
from sonant.extraction.bulk import run_job
from sonant.extraction.destination import VECTORS
from sonant.extraction.vectors import vector_writer
from sonant.extraction.engine import Engine
from sonant.extraction.inputs import gather
from sonant.extraction.request import EncodeRequest
model = build(WavLMConfig(conv_channels=(16,) * 7, dim=32, num_layers=3, num_heads=4, feed_forward_dim=64,
                          position_kernel=16, position_groups=4, normalize=True)).eval()
request = EncodeRequest(layers=(0, 1, 2, 3), stacked=True, pool=None if sys.argv[3] == "frames" else "mean+std",
                  batch_seconds=10.0, window_seconds=10.0)
settings = {"model": "m", "revision": "r"}
writer = vector_writer(request, sys.argv[4], "float32", settings=settings, dim=32, frame_rate=50.0)
place = VECTORS.place(sys.argv[2], sys.argv[4], "talks")
run_job(Engine([model]), gather(sys.argv[1], sampling_rate=16_000), place, writer, show_progress=False)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("what", "kind"), [("frames", "npy"), ("frames", "parquet"), ("pooled", "npy")])
def test_memory_does_not_grow_with_the_recording(tmp_path: Path, what: str, kind: str) -> None:
    """Ten times the length: 70 MB more of samples and 28 MB more of frames, of which next to nothing is held."""
    peaks = []
    rng = np.random.default_rng(0)
    for minutes in (2, 20):
        path = tmp_path / f"{minutes}.flac"
        with soundfile.SoundFile(path, "w", RATE, 1) as file:
            for _ in range(minutes):
                file.write(0.1 * rng.standard_normal(60 * RATE).astype(np.float32))
        arguments = [str(path), str(tmp_path / f"out{minutes}"), what, kind]
        done = subprocess.run(
            [sys.executable, "-c", MEMORY, *arguments],
            capture_output=True, text=True, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        peaks.append(int(done.stdout) / 1024)
        (row,) = lines(tmp_path / f"out{minutes}/index.jsonl")
        assert row["frames"] == minutes * 3000 - 1
    assert peaks[1] - peaks[0] < 25, f"peaks of {peaks} MiB"
