"""The comparison of ways to train a recognizer: a row a way and set, and nothing done twice."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import recognition
from sonant.models.wavlm import WavLMConfig
from tests.shapes import TINY
from tests.training.tasks.tones import write_model


@pytest.mark.slow
def test_ways_of_training_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    for name in ("train_10min", "train_1h", "dev", "test"):
        rows = []
        for clip in range(4):
            soundfile.write(data / f"{name}{clip}.wav", rng.normal(0, 0.1, 12_000), 16_000)
            rows.append(json.dumps({"path": f"{name}{clip}.wav", "text": "NO ON", "speaker": f"{name}{clip % 2}"}))
        (data / f"{name}.jsonl").write_text("\n".join(rows))
    model = write_model(tmp_path / "model", WavLMConfig(**TINY))
    arguments = ["--data", str(data), "--out", str(out), "--model", str(model), "--sets", "10min", "1h"]
    arguments += ["--steps", "2", "--batch-seconds", "4"]
    recognition.main(arguments)
    rows = json.loads((out / "recognition.json").read_text())
    assert [(row["set"], row["way"]) for row in rows] == [(a, w) for a in ("10min", "1h") for w in recognition.WAYS]
    for row in rows:
        rate, low, high = row["wer"]
        assert low <= rate <= high
        assert (out / f"{row['way']}-{row['set']}" / "evaluation" / "index.html").exists()
    assert (out / "recognition.md").read_text().count("\n") == 2 + len(rows)
    told = capsys.readouterr().out
    assert "WER of one text for all recordings, NO|ON again and again: 0.0 %" in told
    assert "CER of one text for all recordings, " in told
    assert (out / "recognition.png").stat().st_size > 1000
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/test.json")}
    recognition.main(arguments)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert rows == json.loads((out / "recognition.json").read_text())


def test_one_text_for_all_is_chosen_on_dev_and_measured_on_test(tmp_path: Path) -> None:
    texts = {"train_1h": ["A A B"], "dev": ["A B A B", "A B"], "test": ["A B A A", "C"]}
    for name, lines in texts.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps({"text": line}) for line in lines))
    assert recognition.one_text(tmp_path, str.split) == (["A", "B"], 40.0)  # two of five words: A for B, A for C
