"""The comparison of models with and without utterance mixing, and the speech that they are measured on."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import mixing
from sonant.data import read_manifest
from sonant.models.wavlm import WavLMConfig
from tests.shapes import TINY
from tests.training.tasks.tones import write_model

KINDS = {"pretrain/manifest": 4, "noise/train": 2, "noise/dev": 2, "speaker/asv": 4, "speaker/sid_train": 4}
KEYWORDS = {f"keywords/commands_{part}": 8 for part in ("train", "dev", "test")}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, number in (KINDS | KEYWORDS).items():
        manifest = tmp_path / "data" / f"{name}.jsonl"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        rows = []
        for clip in range(number):
            path = manifest.with_name(f"{manifest.stem}{clip}.wav")
            soundfile.write(path, rng.normal(0, 0.1, 24_000), 16_000)
            rows.append({"path": path.name, "duration": 1.5, "speaker": f"s{clip % 2}", "label": f"w{clip // 2 % 2}"})
        manifest.write_text("\n".join(map(json.dumps, rows)))
    pairs = [(first, second) for first in range(4) for second in range(4) if first < second]
    lines = [f"{int(first % 2 == second % 2)} asv{first}.wav asv{second}.wav" for first, second in pairs]
    (tmp_path / "data/speaker/trials.txt").write_text("\n".join(lines))
    return tmp_path / "data"


@pytest.mark.parametrize("added", ["noise", "voice"])
@pytest.mark.parametrize("snr", [0.0, 10.0])
def test_what_is_added_has_the_energy_and_another_speaker(data: Path, added: str, snr: float) -> None:
    recordings = read_manifest(data / "keywords/commands_test.jsonl")
    noises = read_manifest(data / "noise/dev.jsonl")
    clean = list(mixing.under(mixing.Condition(), recordings, noises))
    for entry, before, after in zip(
        recordings, clean, mixing.under(mixing.Condition(added, snr), recordings, noises), strict=True
    ):
        rest = after - before
        ratio = 10 * np.log10(np.mean(before**2) / np.mean(rest**2))
        assert ratio == pytest.approx(snr, abs=0.01)
        if added == "voice":
            (source,) = [other for other in recordings if same_shape(mixing.start_of(other), rest)]
            assert source.fields["speaker"] != entry.fields["speaker"]


def same_shape(first: np.ndarray, second: np.ndarray) -> bool:
    return abs(np.corrcoef(first, second)[0, 1]) > 0.99


@pytest.mark.slow
def test_models_are_compared(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_model(tmp_path / "model", WavLMConfig(**TINY))
    out = tmp_path / "out"
    arguments = ["--data", str(data), "--out", str(out), "--model", str(model)]
    mixing.main([*arguments, "--steps", "2", "--layer", "1", "--clusters", "2"])
    results = json.loads((out / "mixing.json").read_text())
    assert list(results) == ["before", "without mixing", "with mixing"]
    for tasks in results.values():
        assert list(tasks["keywords"]) == list(tasks["verification"]) == list(map(str, mixing.CONDITIONS))
        for value, low, high in tasks["keywords"].values():
            assert 0 <= low <= value <= high <= 100
    assert len((out / "mixing.md").read_text().splitlines()) == 2 + len(mixing.CONDITIONS)
