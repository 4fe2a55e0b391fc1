"""The comparison of options of pretraining, on noise bursts: equal time, a row a run, and nothing done twice."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import pretraining_options
from sonant.models.wavlm import WavLMConfig
from tests.shapes import TINY

SPLITS = {"pretrain/manifest": 14, "keywords/commands_train": 16, "speaker/asv": 6}
NAMES = ["plain", "frozen half", "mel energies", "codebooks", "self-distillation"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Recordings of three words by four speakers, in each of the three lists."""
    rng = np.random.default_rng(0)
    for name, number in SPLITS.items():
        manifest = tmp_path / "data" / f"{name}.jsonl"
        manifest.parent.mkdir(parents=True)
        lines = []
        for clip in range(number):
            path = manifest.with_name(f"{clip}.wav")
            soundfile.write(path, rng.normal(0, 0.1, 16_000 + 500 * clip), 16_000)
            row = {
                "path": path.name,
                "duration": 1 + clip / 32,
                "speaker": f"s{clip % 4}",
                "label": f"w{clip // 4 % 3}",
            }
            lines.append(json.dumps(row))
        manifest.write_text("\n".join(lines))
    return tmp_path / "data"


@pytest.mark.slow
def test_options_share_the_time_of_the_plain_recipe(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretraining_options, "TIMED", 2)
    monkeypatch.setattr(pretraining_options, "MODELS", {"small": WavLMConfig(**TINY)})
    out = tmp_path / "out"
    arguments = ["--data", str(data), "--out", str(out), "--minutes", "0.004", "--probes", "2", "--only", *NAMES]
    pretraining_options.main(arguments)
    table = (out / "options.md").read_text()
    rows = {
        row[0]: row for row in ([cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:-2])
    }
    assert list(rows) == [name for name in pretraining_options.options_for(WavLMConfig(**TINY)) if name in NAMES]
    plain = json.loads((out / "plain" / "steps.json").read_text())["steps"]
    for name, (_, steps, seconds, _, keywords, voices) in rows.items():
        folder = out / name.replace(" ", "_")
        ratio = json.loads((folder / "steps.json").read_text())["ratio"]
        assert int(steps) == pytest.approx(plain / ratio, abs=1)
        assert float(seconds) >= 0
        assert keywords.count(",") == voices.count(",") == 1  # two probes
        reports = pretraining_options.probes_of(folder)
        assert [report["step"] for report in reports] == [int(steps) // 2, int(steps)]
    assert 0 < json.loads((out / "plain" / "steps.json").read_text())["extractor_share"] < 1
    before = {path: path.stat().st_mtime_ns for path in out.glob("*/*") if path.is_file()}
    capsys.readouterr()
    pretraining_options.main(arguments)
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert capsys.readouterr().out.rstrip().endswith(table.rstrip())
