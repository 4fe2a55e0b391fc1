"""Data and a model of an evaluation in miniature: tones whose pitch is the label."""

from pathlib import Path

from sonant.models import WavLMConfig
from tests.shapes import TINY
from tests.training.tasks.tones import write_model, write_tones

MODEL = WavLMConfig(**TINY)


def write_task(folder: Path, *, number: int = 3) -> Path:
    """Write train, dev and test, each of other speakers, with the label as SUPERB's recipes name it."""
    for seed, part in enumerate(("train", "dev", "test")):
        manifest = write_tones(folder / part, number, seed=seed)
        manifest.write_text(manifest.read_text().replace('"pitch"', '"label"'))
    return folder


def write_tiny(folder: Path) -> str:
    return str(write_model(folder / "tiny", MODEL))
