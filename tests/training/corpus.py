"""A corpus of noise, with its manifest."""

import json
from pathlib import Path

import numpy as np
import soundfile


def write_corpus(folder: Path, lengths: list[int]) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(len(lengths))
    lines = []
    for number, samples in enumerate(lengths):
        soundfile.write(folder / f"{number}.wav", rng.normal(0, 0.1, samples), 16_000)
        lines.append(json.dumps({"path": f"{number}.wav"}))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return folder
