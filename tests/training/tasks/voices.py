"""Labeled recordings of made-up voices: harmonic sounds whose formants are the speaker's, with changing pitch."""

import json
from pathlib import Path

import numpy as np
import soundfile


def write_voices(folder: Path, speakers: int, number: int, *, seconds: float = 0.6, seed: int = 0) -> Path:
    """Write recordings of each speaker, and their manifest; other seeds are other speakers."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = []
    for speaker in range(speakers):
        formants = rng.uniform(300, 5_000, 3)
        for each in range(number):
            length = round(seconds * rng.uniform(0.8, 1.2) * 16_000)
            time = np.arange(length) / 16_000
            pitch = rng.uniform(90, 220)
            harmonics = pitch * np.arange(1, 30)
            gains = np.exp(-(((harmonics[:, None] - formants) / 300) ** 2)).sum(1) + 0.01
            wave = (gains[:, None] * np.sin(2 * np.pi * harmonics[:, None] * time + rng.random((29, 1)))).sum(0)
            wave = 0.2 * wave / np.abs(wave).max() + rng.normal(0, 0.005, length)
            name = f"{seed}-{speaker}-{each}.wav"
            soundfile.write(folder / name, wave, 16_000)
            rows.append(json.dumps({"path": name, "speaker": f"{seed}-{speaker}"}))
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join(rows) + "\n")
    return manifest
