"""The page on a recognizer of one's own: its commands run, one after another, on a miniature of the corpus it names."""

import shlex
from pathlib import Path

import httpx2
import numpy as np
import pytest
import soundfile

import sonant
from sonant.cli import main
from sonant.server.settings import ServerSettings
from tests.server.running import running
from tests.test_docs import DOCS, blocks

PAGE = DOCS / "recognition.md"
# Added to the command of the training: a few steps of small batches.
SMALL = ["training.steps=4", "training.validate_every=2", "batching.batch_seconds=4", "batching.max_seconds=4"]


def console_lines() -> list[str]:
    text = "\n".join(block.text for block in blocks(PAGE) if block.language == "console").replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in text.splitlines()]


def write_corpus(folder: Path) -> None:
    """Two recordings of each of four speakers, with transcripts beside them."""
    rng = np.random.default_rng(0)
    for speaker in ("ada", "ben", "cleo", "dan"):
        (folder / speaker).mkdir(parents=True)
        for number in (1, 2):
            soundfile.write(folder / speaker / f"000{number}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
            (folder / speaker / f"000{number}.txt").write_text("one two" if number == 1 else "two")


@pytest.mark.slow
def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_corpus(Path("recordings"))
    done = []
    for line in console_lines():
        if not line.startswith("sonant ") or line.startswith("sonant serve"):
            continue
        _, *arguments = shlex.split(line)
        assert main([*arguments, *(SMALL if arguments[0] == "train" else [])]) == 0, line
        done.append(arguments[0])
    assert done == ["manifest", "train", "pretrain", "transcribe", "transcribe", "evaluate"]
    assert "<h1" in Path("evaluation/index.html").read_text()
    assert len(Path("transcripts.jsonl").read_text().splitlines()) == 2
    capsys.readouterr()

    (code,) = (block.text for block in blocks(PAGE) if block.language == "python")
    exec(compile(code, str(PAGE), "exec"), {})
    printed = capsys.readouterr().out.strip()
    assert printed == sonant.transcribe("recordings/ada/0001.wav", model="runs/recognizer/model").text

    assert "sonant serve --model runs/recognizer/model" in console_lines()
    (curl,) = (line for line in console_lines() if line.startswith("curl"))
    assert "-F model=recognizer -F file=@recordings/ada/0001.wav" in curl
    with running(ServerSettings(data=Path("sonant-data"), models=("runs/recognizer/model",))) as server:
        answer = httpx2.post(
            f"{server.base_url}/v1/audio/transcriptions",
            headers={"Authorization": f"Bearer {server.user_key}"},
            data={"model": "recognizer"},
            files={"file": Path("recordings/ada/0001.wav").read_bytes()},
        )
    assert answer.status_code == 200, answer.text
    assert answer.json()["text"] == printed
