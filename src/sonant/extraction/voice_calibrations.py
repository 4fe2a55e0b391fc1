"""Calibrations of speaker embeddings that come with sonant, or with the card of a model."""

import json
from functools import cache
from pathlib import Path

from sonant import models
from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.models.catalog import CATALOG

SHIPPED = Path(models.__file__).parent / "wavlm_tiny/voices.json"  # written by `python -m benchmarks.voices`
CARD_THRESHOLDS = {"microsoft/wavlm-base-plus-sv": 0.86}  # by model: the cosine that its card names


def calibration_of(voices: str, name: str) -> VoiceCalibration | None:
    """Return the calibration of a model; None: none is known.

    Args:
        voices: fingerprint of its speaker embeddings.
        name: by which it was loaded.
    """
    shipped = _shipped()
    if voices in shipped:
        return shipped[voices]
    for model, threshold in CARD_THRESHOLDS.items():
        if name in (model, CATALOG[model].short_name):
            return VoiceCalibration((threshold,), f"The threshold that the card of {model} names.")
    return None


@cache
def _shipped() -> dict[str, VoiceCalibration]:
    """Return the calibrations that come with sonant by the fingerprint of speaker embeddings."""
    data = json.loads(SHIPPED.read_text(encoding="utf-8")) if SHIPPED.exists() else {}
    return {voices: VoiceCalibration.from_data(each) for voices, each in data.items()}
