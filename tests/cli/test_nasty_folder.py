"""Four commands on one folder with all that should not be there: what became of each file, and of each job.

The tables stand in docs/embedding.md; a test fails, and prints them, when they are not what comes out here.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonant.checkpoints import save_pretrained
from sonant.cli import main
from sonant.data.lock import output_lock
from sonant.errors import one_line
from sonant.extraction.names import readable_name
from tests.codes import vq_wav2vec
from tests.heads import write_ctc, write_frame_classifier

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="names that not all systems take")]

RATE = 16_000
PAGE = Path(__file__).parent.parent.parent / "docs/embedding.md"

# What makes each file odd, in the words of the table.
FILES = {
    "talk.wav": "",
    "talk.flac": "the same but for the ending",
    "TALK.wav": "the same but for capitals",
    "caf\udce9.wav": "a byte that is not UTF-8",
    "\u00e9.wav": "é as one character",
    "e\u0301.wav": "é as two characters",
    "two\nlines.wav": "the end of a line in its name",
    '"quoted" \U0001f3a4.wav': "quotation marks, emoji",
    "-dash.wav": "begins like an option",
    "end. .wav": "ends in a point and a blank",
    "n" * 251 + ".wav": "as long as names may be, 255 bytes",
    "sub/deep.wav": "",
    "link.wav": "a link to talk.wav",
    "again/deep.wav": "through a link to sub, which has its own name",
    "loop/talk.wav": "through a link to the folder itself",
    "outside/far.wav": "through a link to a folder elsewhere",
    "dangling.wav": "a link to what is not there",
    "itself.wav": "a link to itself",
    "pipe.wav": "a named pipe",
    "socket.wav": "a socket",
    "device.wav": "a link to /dev/zero",
    "empty.wav": "no bytes",
    "broken.wav": "no audio",
    ".hidden.wav": "hidden",
    "notes.txt": "not named like audio",
    "too-deep": "a folder in which paths grow too long",
}


def write(path: Path, seed: int, seconds: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    soundfile.write(os.fsencode(path), samples, RATE, format=path.suffix[1:].upper())


@pytest.fixture
def nasty(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "in"
    links = {"link.wav": "talk.wav", "again": "sub", "loop": ".", "outside": "../elsewhere", "dangling.wav": "gone.wav",
             "itself.wav": "itself.wav", "device.wav": "/dev/zero"}  # fmt: skip
    others = {"pipe.wav", "socket.wav", "empty.wav", "broken.wav", "notes.txt", "too-deep"}
    for seed, name in enumerate(FILES):
        if name not in others and name.split("/")[0] not in links:
            write(folder / name, seed)
    write(tmp_path / "elsewhere/far.wav", 99)
    for name, target in links.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.wav")
    (folder / "empty.wav").touch()
    (folder / "broken.wav").write_bytes(b"RIFF, but no more")
    (folder / "notes.txt").write_text("notes")
    here = os.open(folder, os.O_RDONLY)
    for part in ["too-deep", *["x" * 250] * 17]:  # as programs make them that go step by step
        os.mkdir(part, dir_fd=here)
        deeper = os.open(part, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.wav"))
        yield folder


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Each command with its model and what else it needs but source and output."""
    folder = tmp_path_factory.mktemp("models")
    write_ctc(folder / "ctc")
    write_frame_classifier(folder / "turns")
    save_pretrained(vq_wav2vec(), folder / "coder")
    models = {"embed": "turns", "units": "coder", "transcribe": "ctc", "diarize": "turns"}
    return {verb: [verb, "-m", str(folder / model)] for verb, model in models.items()}


OUTPUTS = {"embed": "embed", "units": "units.jsonl", "transcribe": "transcripts.jsonl", "diarize": "turns.jsonl"}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def outcomes(verb: str, folder: Path) -> dict[str, str]:
    """What became of each recording, by the name that it has in the results."""
    output = folder / OUTPUTS[verb]
    done = lines(output / "index.jsonl" if verb == "embed" else output)
    errors = lines(output / "errors.jsonl" if verb == "embed" else output.with_name(f"{output.name}.errors.jsonl"))
    return {row["path"]: "done" for row in done} | {row["path"]: row["error"] for row in errors}


def table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


def code(name: str) -> str:
    """A name as the page shows it."""
    name = one_line(name)
    return f"`{name[:5]}…{name[-26 if '~' in name else -5 :]}`" if len(name) > 60 else f"`{name}`"


def is_told(what: str) -> None:
    """The page says this."""
    print(what)
    assert what in PAGE.read_text(), "docs/embedding.md is stale: put in what is printed"


def test_what_becomes_of_each_file(commands: dict[str, list[str]], nasty: Path, tmp_path: Path) -> None:
    found = {}
    for verb, command in commands.items():
        assert main([*command, str(nasty), "-o", str(tmp_path / OUTPUTS[verb])]) == 1
        found[verb] = outcomes(verb, tmp_path)
        for path in [tmp_path / OUTPUTS[verb], *(tmp_path / "embed").rglob("*")]:
            assert not {".part", ".lock", ".spool", ".unfinished"} & {path.suffix}
    files = {row["path"]: row["file"].removeprefix("features/") for row in lines(tmp_path / "embed/index.jsonl")}
    rows = []
    for name, odd in FILES.items():
        path = readable_name(name)
        became = {verb: found[verb].pop(path, "left out") for verb in commands}
        file = code(files[path]) if path in files else ""
        rows.append([code(readable_name(name)), odd, *became.values(), file])
    for verb, rest in found.items():
        (deep,) = rest  # the folder that could not be listed, with its 4,000 bytes of path
        assert deep.startswith("too-deep/xxx")
        rows[-1][2 + list(commands).index(verb)] = rest[deep]
    is_told(table(["in the folder", "", *commands, "file of `embed`"], rows))


# A process of the command line that is slow enough to be killed half way.
SLOW = """
import sys, time, torch
torch.nn.modules.module.register_module_forward_pre_hook(lambda *_: time.sleep(float(sys.argv[1])))
from sonant.cli import main
sys.exit(main(sys.argv[2:]))
"""


def start(pause: float, arguments: list[str]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, str(pause), *arguments], env=environment, stdout=subprocess.DEVNULL
    )


def contents(path: Path) -> dict[str, bytes]:
    paths = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(file.relative_to(path)): file.read_bytes() for file in paths if file.is_file()}


def running(output: Path) -> Path:
    """The lock file that is there while a job is."""
    return output.with_name(f"{output.name}.lock") if output.suffix else output / "running.lock"


def run_again(command: list[str], source: Path, output: Path) -> str:
    """Killed three times, at one moment and another, then to the end; as good as in one go?"""
    whole = output.with_name(f"whole-{output.name}")
    assert start(0.0, [*command, str(source), "-o", str(whole)]).wait() == 0
    for seconds in (0.2, 1.0, 2.5):
        process = start(0.02, [*command, str(source), "-o", str(output)])
        while process.poll() is None and not running(output).exists():
            time.sleep(0.01)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert running(output).exists(), "it was not slow enough to be killed"
        assert not output.is_file(), "half a file is under its name"
    assert start(0.0, [*command, str(source), "-o", str(output)]).wait() == 0
    assert contents(output) == contents(whole)
    assert not running(output).exists()
    return "the same, byte for byte"


def second_job(command: list[str], source: Path, output: Path) -> str:
    """While another job works on the output."""
    with output_lock(output, is_folder=not output.suffix):
        before = contents(output)
        code = main([*command, str(source), "-o", str(output)])
        assert contents(output) == before
    return f"refused, exit code {code}"


def changed(command: list[str], source: Path, output: Path) -> str:
    """One recording changed, one gone, one new."""
    main([*command, str(source), "-o", str(output)])
    write(source / "1.wav", 77)
    (source / "2.wav").unlink()
    write(source / "new.wav", 78)
    assert main([*command, str(source), "-o", str(output)]) == 0
    fresh = output.with_name(f"fresh-{output.name}")
    assert main([*command, str(source), "-o", str(fresh)]) == 0
    assert contents(output) == contents(fresh)
    assert set(outcomes(command[0], output.parent)) == {path.name for path in source.iterdir()}
    return "as in a fresh output"


JOBS: dict[str, Callable[[list[str], Path, Path], str]] = {
    "killed (`kill -9`) three times, then started again": run_again,
    "a second job on the same output": second_job,
    "one recording changed, one gone, one new, then started again": changed,
}


def test_what_becomes_of_each_job(commands: dict[str, list[str]], tmp_path: Path) -> None:
    rows = []
    for number, (what, job) in enumerate(JOBS.items()):
        became = []
        for verb, command in commands.items():
            source = tmp_path / f"{verb}{number}/in"
            for seed, seconds in enumerate((0.7, 1.0, 0.6, 9.0, 0.8)):
                write(source / f"{seed}.wav", seed, seconds)
            windows = ["--batch-seconds", "1.5", "--window-seconds", "3"]
            became.append(job([*command, *windows], source, source.parent / OUTPUTS[verb]))
            shutil.rmtree(source.parent)
        rows.append([what, *became])
    is_told(table(["", *commands], rows))
