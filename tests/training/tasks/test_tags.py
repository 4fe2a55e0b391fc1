"""Several labels and numbers of whole recordings, from the manifest to what is classified."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import sonant
from sonant.checkpoints import load_checkpoint
from sonant.errors import ConfigurationError, ManifestError
from sonant.layers.packed import Packed
from sonant.models import WavLMConfig
from sonant.recipes.tasks import task_run
from sonant.training.tasks import RegressionTask, TagTask, train_task
from sonant.training.tasks.regression import concordance
from tests.shapes import SMALL
from tests.training.tasks.tones import PITCHES, write_model, write_tones


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tones with the tags "tone" and their pitch, their pitch as a number, and its negative."""
    folder = tmp_path_factory.mktemp("tones")
    for name, number in (("train", 6), ("dev", 2)):
        manifest = write_tones(folder / name, number, seed=number)
        rows = [json.loads(line) for line in manifest.read_text().splitlines()]
        for row in rows:
            height = 20.0 + 10 * list(PITCHES).index(row["pitch"])
            row |= {"labels": ["tone", row["pitch"]], "height": height, "depth": -height}
        manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_model(folder / "model", WavLMConfig(**SMALL))
    return folder


def trained(tones: Path, output: Path, name: str, **changes: Any) -> tuple[Path, dict[str, Any]]:
    settings = {
        "model": str(tones / "model"),
        "data": str(tones / "train"),
        "dev": str(tones / "dev"),
        "output": str(output),
        "cache": str(output / "states"),
        "batching": {"batch_seconds": 8, "max_seconds": 1},
        "training": {"steps": 60, "lr": 1e-2, "validate_every": 20, "log_every": 20, "save_every": 60},
        "trackers": [],
    }
    run = task_run(name, [settings, changes])
    return train_task(run), json.loads((run.folder / "result.json").read_text())


def test_several_labels_are_learned(tones: Path, tmp_path: Path) -> None:
    folder, result = trained(tones, tmp_path, "tags")
    assert result["classes"]["tone"]["f1"] == result["classes"]["tone"]["average_precision"] == 1
    assert result["mean_average_precision"] > 0.7
    scores = sonant.classify(tones / "dev" / "low0.wav", model=folder)
    assert list(scores) == ["high", "low", "middle", "tone", "top"]
    assert scores["tone"] > 0.9
    assert load_checkpoint(folder).heads["sequence_classification"].metadata["problem_type"].startswith("multi_label")


@pytest.mark.parametrize("measure", ["mse", "ccc"])
def test_numbers_are_learned_and_given_as_they_are(tones: Path, tmp_path: Path, measure: str) -> None:
    folder, result = trained(tones, tmp_path, "regression", label=["height", "depth"], task={"measure": measure})
    assert result["pearson_depth"]["value"] > 0.35
    dev = [json.loads(line) for line in (tones / "dev" / "manifest.jsonl").read_text().splitlines()]
    found = sonant.classify([tones / "dev" / row["path"] for row in dev], model=folder)
    assert list(found[0]) == ["height", "depth"]
    error = sum(abs(each["height"] - row["height"]) for each, row in zip(found, dev, strict=True)) / len(dev)
    assert error == pytest.approx(result["mae_height"]["value"], rel=1e-3)
    assert error < 13  # of 20 to 50


def test_forms_of_labels() -> None:
    assert TagTask().normalized(["b", "a", "a"]) == '["a", "b"]'
    assert TagTask().normalized("a;b") == '["a;b"]'
    assert TagTask(separator=";").normalized("a; b") == '["a", "b"]'
    assert (TagTask().normalized([]), TagTask().normalized(" ")) == ("[]", "")
    assert RegressionTask().normalized("3.5") == "[3.5]"
    assert RegressionTask().normalized("") == ""
    for task, value in (
        (TagTask(), ["a", ""]),
        (RegressionTask(), "old"),
        (RegressionTask(), True),
        (RegressionTask(), float("inf")),
        (RegressionTask(names=("a", "b")), {"a": 1.0}),
    ):
        with pytest.raises(ManifestError, match=r"one of them is empty|expected a number"):
            task.normalized(value)


def test_numbers_that_are_all_the_same_are_refused(tones: Path, tmp_path: Path) -> None:
    rows = [{**json.loads(line), "height": 1} for line in (tones / "dev" / "manifest.jsonl").read_text().splitlines()]
    (tones / "dev" / "same.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ManifestError, match="have the same number"):
        trained(tones, tmp_path, "regression", data=str(tones / "dev" / "same.jsonl"), label="height")


def test_tags_are_of_one_field(tones: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="one field"):
        trained(tones, tmp_path, "tags", label=["labels", "pitch"])


def test_concordance_of_a_batch() -> None:
    found, wanted = torch.tensor([[2.0], [3], [4]]), torch.tensor([[1.0], [2], [3]])
    assert float(concordance(found, wanted)) == pytest.approx(4 / 7)


@pytest.mark.slow
def test_transformers_gives_the_same_numbers(tones: Path, tmp_path: Path) -> None:
    from transformers import WavLMForSequenceClassification

    folder, _ = trained(tones, tmp_path, "regression", label="height")
    theirs = WavLMForSequenceClassification.from_pretrained(folder).eval()
    assert theirs.config.problem_type == "regression"
    speech = Packed.pack([torch.randn(8000, generator=torch.Generator().manual_seed(0))])
    with torch.no_grad():
        expected = theirs(speech.values[None]).logits[0]
    found = sonant.classify(speech.values.numpy(), model=folder)
    assert list(found.values()) == pytest.approx(expected.tolist(), rel=1e-4)
