"""The benchmark of alignment: words of known times are spliced, aligned, and compared."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import long_alignment
from benchmarks.alignment import main
from tests.heads import write_ctc


@pytest.mark.slow
def test_boundaries_are_measured(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for split in ("train", "dev", "test"):
        for kind in ("commands", "digits"):
            rows = []
            for number in range(12):
                path = tmp_path / f"{split}_{kind}_{number}.wav"
                word = np.r_[np.zeros(1_600), draw.uniform(-0.3, 0.3, 6_400), np.zeros(1_600)]
                soundfile.write(path, word, 16_000)
                rows.append(json.dumps({"path": path.name, "label": "hello", "speaker": str(number)}) + "\n")
            (tmp_path / f"{kind}_{split}.jsonl").write_text("".join(rows))
    write_ctc(tmp_path / "model")
    out = tmp_path / "out"
    main([*f"--data {tmp_path} --out {out} --model {tmp_path / 'model'} --recordings 3".split()])
    found = json.loads((out / "alignment.json").read_text())
    assert found["recordings"] == 3
    assert set(found["errors"]) >= {"sonant", "units", "to the next word"}
    assert found["errors"]["sonant"]["start"]["median_ms"] >= 0


@pytest.mark.slow
def test_a_long_file_is_aligned(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", draw.uniform(-0.3, 0.3, 32_000), 16_000)
    rows = (json.dumps({"path": f"{number}.wav", "text": "hello you"}) + "\n" for number in range(4))
    (tmp_path / "all.jsonl").write_text("".join(rows))
    write_ctc(tmp_path / "model")
    out = tmp_path / "out"
    long_alignment.main(f"--data {tmp_path / 'all.jsonl'} --model {tmp_path / 'model'} --out {out} --hours 1".split())
    found = json.loads((out / "long_alignment.json").read_text())
    assert (found["hours"], found["lines"]) == (0.002, 4)
    assert len(found["beyond_a_second"]) == 2
    assert found["peak_mib"] > 100
