"""Every task of the suite, on the miniature of its corpus: from the files to the table."""

import json
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import sonant
from sonant.superb.tasks import AVAILABLE, SUPERB_TASKS
from tests.data.corpora.layouts import LAYOUTS, noise, write_lines
from tests.superb.miniature import write_tiny

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::sonant.errors.SonantWarning")]
NARROW: dict[str, dict[str, Any]] = {
    "asr": {"lstm_dim": 8},
    "sf": {"lstm_dim": 8},
    "asv": {"channels": 8, "pooled_dim": 8, "embedding_dim": 8},
    "sd": {"lstm_dim": 8},
    "se": {"hidden_dim": 8},
    "ss": {"hidden_dim": 8},
    "st": {"num_subwords": 16, "decoder": {"dim": 16, "num_heads": 2, "feed_forward_dim": 16}},
}


@pytest.mark.parametrize("task", AVAILABLE)
def test_a_task_is_trained_and_measured_on_its_corpus(tmp_path: Path, task: str) -> None:
    corpus = SUPERB_TASKS[task].corpus
    LAYOUTS[corpus](tmp_path / corpus, partial(noise, seconds=1.0))
    changes = {task: {"task": NARROW[task]}} if task in NARROW else None
    settings: dict[str, Any] = {"tasks": [task], "steps": 2, "output": tmp_path / "out", "changes": changes}
    done = sonant.evaluate_superb(write_tiny(tmp_path), {corpus: tmp_path / corpus}, **settings)
    (row,) = done.rows
    if task == "asv":  # the official trials, of which there are two
        (measured,) = (tmp_path / "out").glob("trainings/*/test.json")
        assert json.loads(measured.read_text())["measures"]["trials"] == 2
    for metric in SUPERB_TASKS[task].metrics:
        if metric.name == "pesq" and find_spec("pesq") is None:
            assert metric.name not in row.measures
            continue
        found = row.measures[metric.name]
        assert found.low <= found.value <= found.high


def test_speakers_of_trials_are_the_labels_of_the_training(tmp_path: Path) -> None:
    for part in ("train", "dev", "test"):
        names = [f"{number}.wav" for number in range(4)]
        for name in names:
            noise(tmp_path / "asv" / part / name, name, seconds=1.0)
        rows = (json.dumps({"path": name, "who": name in names[:2]}) for name in names)
        write_lines(tmp_path / "asv" / part / "manifest.jsonl", *rows)
    write_lines(
        tmp_path / "asv" / "test_trials.txt", "1 0.wav 1.wav", "0 0.wav 2.wav", "0 1.wav 3.wav", "1 2.wav 3.wav"
    )
    changes = {"asv": {"label": "who", "task": NARROW["asv"]}}
    settings: dict[str, Any] = {"steps": 2, "output": tmp_path / "out", "changes": changes}
    (row,) = sonant.evaluate_superb(write_tiny(tmp_path), {"asv": tmp_path / "asv"}, **settings).rows
    assert row.measures["eer"].low <= row.measures["eer"].value <= row.measures["eer"].high
