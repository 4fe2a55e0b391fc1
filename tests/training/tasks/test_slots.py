"""Slot filling: labels, metrics, and a model that transcribes with slots."""

import json
from pathlib import Path

import pytest
import torch

import sonant
from sonant.checkpoints import load_checkpoint, save_pretrained
from sonant.errors import ConfigurationError, ManifestError, SonantWarning
from sonant.models import WavLMConfig
from sonant.recipes.tasks import task_run
from sonant.training.tasks import CTCTask, SlotTask, train_task
from tests.shapes import SMALL
from tests.training.tasks.test_ctc import write_words
from tests.training.tasks.tones import write_model

TASK = SlotTask(normalize="upper").with_columns(("text", "slots"))


def logits_of(text: str, classes: tuple[str, ...]) -> torch.Tensor:
    """Return frames whose best path spells a text, with a blank behind each token."""
    tokens = [number for unit in TASK.units(text) for number in (classes.index(unit), 0)]
    return 20 * torch.nn.functional.one_hot(torch.tensor(tokens), len(classes)).float()


def test_labels_are_marked_texts_of_one_form() -> None:
    label = TASK.normalized({"text": "Play  yesterday, please", "slots": [["song", "yesterday,"]]})
    assert label == "PLAY B-song YESTERDAY E-song PLEASE"
    assert SlotTask(normalize="upper").normalized("play B-song yesterday, E-song please") == label
    assert TASK.normalized({"text": "stop", "slots": None}) == "STOP"
    assert TASK.units("A B-song B") == ["A", "|", "B-song", "|", "B"]
    with pytest.raises(ManifestError, match="left open"):
        SlotTask().normalized("play B-song yesterday")
    with pytest.raises(ManifestError, match="None of the 1 texts has a slot"):
        TASK.classes(["STOP"])
    with pytest.raises(ConfigurationError, match=r"label=\[text\] was given"):
        SlotTask().with_columns(("text",))
    with pytest.raises(ConfigurationError, match="texts with slots are of characters"):
        SlotTask(vocabulary="bytes")
    assert CTCTask().units("A B") == ["A", "|", "B"]


def test_slots_are_measured_and_the_texts_without_marks() -> None:
    reference = "GO TO B-city NEW YORK E-city"
    classes = TASK.classes([reference])
    said = ["GO TO B-city NEW YORK E-city", "GO TO B-city NEW YOR E-city", "GO TO B-city NEW YORK"]
    units = torch.tensor([classes.index(unit) for unit in TASK.units(reference)])
    found = TASK.counts([(logits_of(each, classes), units) for each in said], classes)
    assert found == {
        "slot_type_f1": [(1.0, 1), (1.0, 1), (0.0, 1)],
        "slot_value_cer": [(0, 8), (1, 8), (8, 8)],
        "wer": [(0, 4), (1, 4), (0, 4)],
        "cer": [(0, 14), (1, 14), (0, 14)],
    }


def test_a_model_transcribes_with_slots(tmp_path: Path) -> None:
    manifest = write_words(tmp_path / "train", 6)
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows:
        row["slots"] = [["first", row["text"].split()[0]]]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = {
        "model": str(write_model(tmp_path / "model", WavLMConfig(**SMALL))),
        "data": str(manifest),
        "dev": str(manifest),
        "output": str(tmp_path / "runs"),
        "batching": {"batch_seconds": 8, "max_seconds": 4},
        "training": {"steps": 1, "validate_every": 1},
        "trackers": [],
    }
    run = task_run("slots", [settings])
    with pytest.warns(SonantWarning, match="recordings of train too"):
        folder = train_task(run)
    measured = json.loads((run.folder / "result.json").read_text())
    assert measured.keys() == {"recordings", "slot_type_f1", "slot_value_cer", "wer", "cer"}
    checkpoint = load_checkpoint(folder)
    head = checkpoint.heads["ctc"]
    vocabulary = head.metadata["vocabulary"]
    head.tensors["weight"].zero_()  # a model that always says the name of a slot, and whose times are known
    head.tensors["bias"].copy_(10.0 * torch.tensor([name == "B-first" for name in vocabulary]))
    encoder = sonant.load(folder)
    save_pretrained(encoder.model, tmp_path / "marks", heads={"ctc": head})
    found = sonant.transcribe(tmp_path / "train/0.wav", model=tmp_path / "marks")
    assert (found.text, found.words, found.slots) == ("", (), ())  # a slot that is left open
    assert "slots" not in found.as_json()
