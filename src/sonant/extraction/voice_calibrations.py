"""Files of calibrations: those that users make, the one that comes with sonant, and thresholds of model cards.

A file holds calibrations by the fingerprint of the speaker embeddings that they belong to.
"""

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from uuid import uuid4

from sonant import models
from sonant.decoding.voice_calibration import VoiceCalibration
from sonant.errors import ConfigurationError, ModelWarning, warn
from sonant.models.catalog import CATALOG

FILE_NAME = "voices.json"  # in the folder of a model
SHIPPED = Path(models.__file__).parent / "wavlm_tiny" / FILE_NAME  # written by `python -m benchmarks.voices`
CARD_THRESHOLDS = {"microsoft/wavlm-base-plus-sv": 0.86}  # by model: the cosine that its card names


def known_calibration(name: str, fingerprint: Callable[[], str]) -> VoiceCalibration | None:
    """Return the calibration of a model: that of the file beside it, the shipped one, or its card's; None: none.

    Args:
        name: by which it was loaded.
        fingerprint: returns the fingerprint of its speaker embeddings.

    Raises:
        ConfigurationError: the file beside the model cannot be read.
    """
    place = Path(name)
    beside = (place if place.is_dir() else place.parent) / FILE_NAME if place.exists() else None
    if beside is not None and beside.exists():
        found = read_calibrations(beside)
        if (voices := fingerprint()) in found:
            return found[voices]
        warn(
            f"{beside} holds no calibration for the present weights of the model, and is not used. Make it again: "
            f"sonant voices calibrate MANIFEST -m {name} --output {beside}.",
            ModelWarning,
        )
    shipped = _shipped()
    if (voices := fingerprint()) in shipped:
        return shipped[voices]
    for model, threshold in CARD_THRESHOLDS.items():
        if name in (model, CATALOG[model].short_name):
            return VoiceCalibration((threshold,), f"The threshold that the card of {model} names.")
    return None


def read_calibrations(path: str | os.PathLike[str]) -> dict[str, VoiceCalibration]:
    """Return the calibrations in a file by fingerprint. Raises ConfigurationError: no such file, or another one."""
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(data, dict):
            raise ConfigurationError("it holds no object")
        return {voices: VoiceCalibration.from_data(each) for voices, each in data.items()}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{path} cannot be read as calibrations of voices: {error}. Name a file that sonant voices calibrate "
            "MANIFEST --output FILE has written."
        ) from error


def calibration_in(path: str | os.PathLike[str], fingerprint: str) -> VoiceCalibration:
    """Return the calibration of a model in a file. Raises ConfigurationError: it has none for this fingerprint."""
    found = read_calibrations(path)
    if fingerprint not in found:
        raise ConfigurationError(
            f"{path} has no calibration for this model and its weights ({fingerprint}), only for "
            f"{', '.join(found) or 'none'}. Make one: sonant voices calibrate MANIFEST --output {path}."
        )
    return found[fingerprint]


def write_calibration(path: str | os.PathLike[str], fingerprint: str, calibration: VoiceCalibration) -> None:
    """Write the calibration of a model to a file, in which those of other models are kept.

    Raises ConfigurationError: the file holds something else, or cannot be written.
    """
    place = Path(path)
    kept = read_calibrations(place) if place.exists() else {}
    data = {voices: each.as_data() for voices, each in (kept | {fingerprint: calibration}).items()}
    draft = place.with_name(f".{place.name}.{uuid4().hex}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(data, ensure_ascii=False) + "\n", encoding="utf-8")
        draft.replace(place)
    except OSError as error:
        raise ConfigurationError(f"The calibration cannot be written to {path}: {error.strerror}.") from error
    finally:
        draft.unlink(missing_ok=True)


@cache
def _shipped() -> dict[str, VoiceCalibration]:
    """Return the calibrations that come with sonant."""
    return read_calibrations(SHIPPED) if SHIPPED.exists() else {}
