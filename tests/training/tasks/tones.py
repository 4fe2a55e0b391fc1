"""Labeled recordings, noisy tones whose pitch is the label, and models with random weights."""

import json
from pathlib import Path

import numpy as np
import soundfile
import torch

from sonant.checkpoints import save_pretrained
from sonant.models import BackboneConfig, build

PITCHES = {"low": 200.0, "middle": 500.0, "high": 1200.0, "top": 3000.0}


def write_tones(folder: Path, number: int, *, seed: int = 0) -> Path:
    """Write recordings of each pitch, 0.2 to 0.5 s long, and their manifest."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = []
    for name, pitch in PITCHES.items():
        for each in range(number):
            time = np.arange(rng.integers(3_200, 8_000)) / 16_000
            tone = 0.3 * np.sin(2 * np.pi * (pitch * rng.uniform(0.9, 1.1) * time + rng.random()))
            soundfile.write(folder / f"{name}{each}.wav", tone + rng.normal(0, 0.02, len(time)), 16_000)
            rows.append(json.dumps({"path": f"{name}{each}.wav", "pitch": name, "speaker": f"{seed}-{each}"}))
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join(rows) + "\n")
    return manifest


def write_model(folder: Path, config: BackboneConfig) -> Path:
    """Write a model with random weights."""
    torch.manual_seed(0)
    save_pretrained(build(config), folder)
    return folder
