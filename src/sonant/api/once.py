"""One function a deed, for those who do it once: the model is loaded, used and let go."""

from __future__ import annotations

from os import PathLike
from typing import Any

from sonant.api.encoder import SpeechEncoder
from sonant.api.loading import encoder_of

Model = str | PathLike[str] | SpeechEncoder


def units(audio: Any, *, model: Model, **how: Any) -> Any:
    """Discrete units of one recording or several; see `SpeechEncoder.units`, whose further arguments are taken too.

    Args:
        audio: path, bytes, file object, array, tensor or `{"array", "sampling_rate"}`; or several of these.
        model: one that was loaded, or what `load` takes; for many calls load it once.
    """
    return encoder_of(model).units(audio, **how)
