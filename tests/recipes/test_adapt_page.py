"""The commands of the page on continued pretraining, on a miniature of the model and of the recordings."""

import re
import shlex
from pathlib import Path

import pytest
import soundfile
from transformers import AutoModel

import sonant
from sonant.checkpoints import save_pretrained
from sonant.cli import main
from sonant.models import WavLMConfig, build
from tests.shapes import TINY
from tests.training.corpus import write_corpus

PAGE = Path(__file__).parents[2] / "docs/pretraining.md"
SMALL = """
stages:
  continued:
    objective: {targets: {%s}}
    batching: {batch_seconds: 3, max_seconds: 2}
    training: {steps: 2, grad_accumulation: 1, precision: float32}
"""


def commands() -> list[list[str]]:
    """The commands of the section, as words."""
    section = PAGE.read_text(encoding="utf-8").partition("## Continue pretraining on your own")[2].partition("\n## ")[0]
    blocks = "\n".join(re.findall(r"```console\n(.*?)```", section, re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(line)[2:] for line in blocks.splitlines() if line.startswith("$ sonant ")]


@pytest.mark.slow
def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_pretrained(build(WavLMConfig(**TINY)), tmp_path / "microsoft/wavlm-base-plus")
    samples = [20_000, 33_000, 48_000, 16_000, 25_000, 31_000]
    write_corpus(tmp_path / "recordings", samples)
    (tmp_path / "train.tsv").write_text(
        f"{tmp_path}/recordings\n" + "".join(f"{number}.wav\t{length}\n" for number, length in enumerate(samples))
    )
    (tmp_path / "train.km").write_text("".join(" ".join(["0", "1"] * (length // 640)) + "\n" for length in samples))
    (tmp_path / "clusters.yaml").write_text(SMALL % "layer: 1, num_clusters: 4")
    (tmp_path / "labels.yaml").write_text(SMALL % "")
    assert len(commands()) == 7
    for words in commands():
        labeled = any(word.endswith("type=FileTargets") for word in words)
        more = ["labels.yaml" if labeled else "clusters.yaml"] if words[0] == "pretrain" else []
        assert main([words[0], *words[1:], *more]) == 0, words
    for name in ("adapt", "short", "again", "labeled", "taught"):
        model = tmp_path / "runs" / name / "continued/model"
        assert sonant.load(model).encode(soundfile.read(tmp_path / "recordings/0.wav")[0], sampling_rate=16_000).size
        AutoModel.from_pretrained(model)
    assert len(list((tmp_path / "vectors").rglob("*.npy"))) == len(samples)
