"""The page on self-training: its commands run, one after another, on a miniature of the data that it names."""

import json
import shlex
from pathlib import Path

import pytest

from sonant.cli import main
from sonant.models import W2vBERT2Config
from tests.shapes import BLOCKS
from tests.test_docs import DOCS, blocks
from tests.training.tasks.test_ctc import write_words
from tests.training.tasks.tones import write_model

PAGE = DOCS / "self_training.md"
STEPS = "training.steps=2 training.validate_every=2 training.lr=1e-5 batching.batch_seconds=4 batching.max_seconds=4"
# Added to each command: a few steps of small batches, and a small encoder.
SMALL = [f"{name}.{setting}" for name in ("fine_tuning", "ctc", "seq2seq") for setting in STEPS.split()] + (
    "seq2seq.model=mel seq2seq.task.num_subwords=12 seq2seq.task.decoder.dim=16 seq2seq.task.decoder.num_layers=1 "
    "decoder.beam=4 decoder.n_best=2 decoder.beam_tokens=4 trials=2 trackers="
).split()


@pytest.mark.slow
def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    for seed, (name, number) in enumerate({"train": 6, "more": 4, "dev": 2, "test": 2}.items()):
        manifest = write_words(Path(name), number, seed=seed)
        rows = [json.loads(line) for line in manifest.read_text().splitlines()]
        manifest.unlink()  # what is left of `more` are recordings alone
        Path(f"{name}.jsonl").write_text(
            "".join(json.dumps(row | {"path": f"{name}/{row['path']}", "speaker": name}) + "\n" for row in rows)
        )
    write_model(Path("mel"), W2vBERT2Config(**BLOCKS, conv_kernel=5))
    text = "\n".join(block.text for block in blocks(PAGE) if block.language == "console").replace("\\\n", " ")
    lines = [line.removeprefix("$ ") for line in text.splitlines() if line]
    for line in lines:
        _, *arguments = shlex.split(line)
        assert main([*arguments, *(SMALL if arguments[0] == "self-train" else [])]) == 0, line
    assert "\nlabeling: label by beam 4, 2 texts each\n" in capsys.readouterr().err
    assert "| test | ctc | beam |" in Path("runs/self_training/evaluation/results.md").read_text()
    assert len(Path("transcripts.jsonl").read_text().splitlines()) == 4
    assert Path("runs/chosen/ctc/model").is_dir()
