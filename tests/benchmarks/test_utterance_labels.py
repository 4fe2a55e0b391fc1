"""The comparison of ways to learn labels of recordings: speakers apart, a row a way, and nothing done twice."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import utterance_labels
from sonant.models.wavlm import WavLMConfig
from tests.shapes import TINY
from tests.training.tasks.tones import write_model


def write(data: Path, stem: str, labels: list[dict[str, object]]) -> None:
    """Write train, dev and test of a recording a label and speaker, of five speakers."""
    rng, folder = np.random.default_rng(0), data / stem.partition("/")[0]
    folder.mkdir(parents=True)
    for part in utterance_labels.PARTS:
        rows = []
        for number, label in enumerate(labels * 5):
            name = f"{part}{number}.wav"
            soundfile.write(folder / name, rng.normal(0, 0.1, 8_000), 16_000)
            rows.append(json.dumps({"path": name, "speaker": f"s{number % 5}", **label}))
        (data / f"{stem}{part}.jsonl").write_text("\n".join(rows))


@pytest.mark.slow
def test_ways_of_learning_labels_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write(data, "keywords/digits_", [{"label": "one"}, {"label": "two"}])
    write(data, "intents/", [{"slots": {"coffeeDrink": "mocha"}}, {"slots": {"coffeeDrink": "latte"}}, {"slots": {}}])
    model = write_model(tmp_path / "model", WavLMConfig(**TINY))
    arguments = ["--data", str(data), "--out", str(out), "--model", str(model), "--tasks", "digits", "intents"]
    arguments += ["--steps", "2", "--frozen-steps", "3", "--batch-seconds", "2"]
    utterance_labels.main(arguments)
    results = json.loads((out / "labels.json").read_text())
    assert list(results) == ["digits", "intents"]
    assert all([row["way"] for row in rows] == list(utterance_labels.WAYS) for rows in results.values())
    for row in results["digits"]:
        assert row["accuracy"][1] <= row["accuracy"][0] <= row["accuracy"][2]
        assert row["speakers"] == 1
        assert ("p" in row) == (row["way"] != "mean")
    lists = [(out / "manifests" / f"digits_{part}.jsonl").read_text() for part in utterance_labels.PARTS]
    speakers = [{json.loads(line)["speaker"] for line in text.splitlines()} for text in lists]
    assert [len(each) for each in speakers] == [3, 1, 1]
    assert len(set.union(*speakers)) == 5
    assert (out / "labels.png").stat().st_size > 1000
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/test.json")}
    utterance_labels.main(arguments)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert json.loads((out / "labels.json").read_text())["digits"][0]["accuracy"] == results["digits"][0]["accuracy"]
