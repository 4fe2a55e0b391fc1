"""Functions for single calls: each loads a model, uses it and releases it."""

from __future__ import annotations

from os import PathLike
from typing import Any, Unpack

from sonant.api.encoder import SpeechEncoder
from sonant.api.loading import encoder_of, load
from sonant.api.running import Running

Model = str | PathLike[str] | SpeechEncoder


def units(audio: Any, *, model: Model, **how: Any) -> Any:
    """Return discrete units of one recording or several; see `SpeechEncoder.units`, whose other arguments work too.

    Args:
        audio: path, bytes, file object, array, tensor or `{"array", "sampling_rate"}`; or several of these.
        model: one that was loaded, or what `load` takes; for many calls load it once.
    """
    return encoder_of(model).units(audio, **how)


def transcribe(audio: Any, *, model: Model, language: str | None = None, **how: Unpack[Running]) -> Any:
    """Transcribe one recording or several; see `SpeechEncoder.transcribe`.

    Args:
        audio: as in `units`.
        model: one that was loaded, or what `load` takes, with a CTC head: "facebook/wav2vec2-base-960h".
        language: of a model with adapters by language (MMS), such as "fra"; a loaded model stays switched to it. None
            takes that of the loaded model, or of the weights.
    """
    if isinstance(model, SpeechEncoder):
        if language is not None:
            model.set_language(language)
        return model.transcribe(audio, **how)
    return load(model, language=language).transcribe(audio, **how)


def verify(a: Any, b: Any, *, model: Model, threshold: float | None = None, **how: Unpack[Running]) -> Any:
    """Return whether one voice speaks in two recordings; see `SpeechEncoder.verify`.

    Args:
        a, b: a recording each, or lists of the same length.
        model: one that was loaded, or what `load` takes, with an x-vector head: "microsoft/wavlm-base-plus-sv".
    """
    return encoder_of(model).verify(a, b, threshold=threshold, **how)


def classify(audio: Any, *, model: Model, **how: Unpack[Running]) -> Any:
    """Classify one whole recording or several, a number for each label; see `SpeechEncoder.classify`.

    Args:
        audio: as in `units`.
        model: one that was loaded, or what `load` takes, with a head for whole recordings:
            "audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim".
    """
    return encoder_of(model).classify(audio, **how)


def diarize(
    audio: Any,
    *,
    model: Model,
    num_speakers: int | None = None,
    threshold: float | None = None,
    **how: Unpack[Running],
) -> Any:
    """Return who speaks when in one recording or several; see `SpeechEncoder.diarize`.

    Args:
        audio: as in `units`.
        model: one that was loaded, or what `load` takes: "microsoft/wavlm-base-plus-sd".
    """
    return encoder_of(model).diarize(audio, num_speakers=num_speakers, threshold=threshold, **how)
