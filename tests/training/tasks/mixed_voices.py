"""Recordings of voices that a small model can tell apart, tones with many partials, and noises."""

import json
from pathlib import Path

import numpy as np
import soundfile

PITCHES = {"low": 110.0, "high": 640.0}


def voice(pitch: float, length: int, rng: np.random.Generator) -> np.ndarray:
    """A tone with partials up to 4 kHz, which comes and goes."""
    time = np.arange(length) / 16_000
    partials = np.arange(1, int(4_000 / pitch) + 1)
    tones = np.sin(2 * np.pi * pitch * partials[:, None] * time + rng.uniform(0, 6.28, (len(partials), 1)))
    return 0.1 * (tones / np.sqrt(partials)[:, None]).sum(0) * (1 + np.sin(2 * np.pi * 4 * time + rng.uniform(0, 6.28)))


def write_voices(folder: Path, number: int, *, seed: int = 0) -> Path:
    """Write recordings of each voice, 0.3 to 0.5 s long, and their manifest."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = []
    for name, pitch in PITCHES.items():
        for each in range(number):
            length = int(rng.integers(4_800, 8_000))
            soundfile.write(folder / f"{name}{each}.wav", voice(pitch * rng.uniform(0.95, 1.05), length, rng), 16_000)
            rows.append({"path": f"{name}{each}.wav", "speaker": name})
    return write_rows(folder / "manifest.jsonl", rows)


def write_noises(folder: Path) -> Path:
    """Write two noises and their manifest."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(5)
    for each in range(2):
        soundfile.write(folder / f"{each}.wav", rng.normal(0, 0.1, 3_000), 16_000)
    return write_rows(folder / "manifest.jsonl", [{"path": f"{each}.wav"} for each in range(2)])


def write_mixtures(folder: Path, number: int) -> Path:
    """Write mixtures of both voices, their sources beside them, and their manifest."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    rows = []
    for each in range(number):
        sources = [voice(pitch, 6_400, rng) for pitch in PITCHES.values()]
        names = [f"{each}.wav", f"{each}_1.wav", f"{each}_2.wav"]
        for name, samples in zip(names, [sum(sources), *sources], strict=True):
            soundfile.write(folder / name, samples, 16_000)
        rows.append(dict(zip(("path", "source_1", "source_2"), names, strict=True)) | {"speaker": f"pair{each}"})
    return write_rows(folder / "manifest.jsonl", rows)


def write_rows(manifest: Path, rows: list[dict[str, str]]) -> Path:
    """Write a manifest."""
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest
