"""Arrays of samples in any layout and number type, as mono float32."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonant.errors import EmptyAudio, NonFiniteAudio, UndecodableAudio

MAX_CHANNELS = 64

Waveform = NDArray[np.float32]  # (samples,)


def to_mono(values: Any) -> Waveform:
    """Samples (numbers, array or tensor) as float32 (samples,), the mean over channels.

    Of two axes the shorter one is the channels, so (channels, samples) and (samples, channels) both work; a square
    array is read as (channels, samples). Signed integers are PCM and divided by their full scale (int16 by 32768),
    unsigned ones are first centred; floats are taken as they are.

    Raises UndecodableAudio (not samples, or more axes than two), EmptyAudio (no samples).
    """
    array = _as_array(values)
    if array.size == 0:
        raise EmptyAudio(
            f"An array of shape {array.shape} holds no samples: the recording, or the cut from it, is empty."
        )
    if array.ndim not in (1, 2):
        raise UndecodableAudio(
            f"An array of shape {array.shape} is not one recording: expected (samples,), (channels, samples) or "
            "(samples, channels). Give the clips of a batch one by one."
        )
    if array.ndim == 2:
        if array.shape[0] > array.shape[1]:
            array = array.T
        if len(array) > MAX_CHANNELS:
            raise UndecodableAudio(
                f"An array of shape {np.shape(array)} would have {len(array)} channels (at most {MAX_CHANNELS}); it is "
                "probably a batch or a spectrogram. Give the waveforms one by one."
            )
        return downmix(_to_float(array).T)
    return _to_float(array)


def downmix(frames: NDArray[np.float32]) -> Waveform:
    """(samples, channels) float32 to (samples,), the mean over channels; always a new array."""
    with np.errstate(over="ignore", invalid="ignore"):  # infinities are for check_finite
        return np.ascontiguousarray(frames).mean(axis=1, dtype=np.float32)


def check_finite(samples: Waveform, rate: int, name: str, *, first: int = 0) -> None:
    """Refuse NaN and infinite samples; `first` is the place of samples[0] in the recording. Raises NonFiniteAudio."""
    finite = np.isfinite(samples)
    if not finite.all():
        place = first + int(np.argmin(finite))
        raise NonFiniteAudio(
            f"{name}: samples are NaN or infinite, the first of them at {place / rate:.3f} s. A division by zero or an "
            "overflow in earlier processing is the usual cause: make the recording again from its source, or cut the "
            "part out."
        )


def _as_array(values: Any) -> NDArray[Any]:
    if hasattr(values, "detach"):  # a torch tensor, on any device, with or without a gradient; numpy lacks bfloat16
        tensor = values.detach().cpu()
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    try:
        array = np.asarray(values)
    except (TypeError, ValueError) as error:
        raise UndecodableAudio(f"A {type(values).__name__} could not be read as samples: {error}.") from error
    if array.dtype.kind not in "iufOUSV" or (array.dtype.kind in "OUSV" and array.size):
        raise UndecodableAudio(
            f"An array of {array.dtype} holds no samples; expected floats or integers. Give paths or "
            "clips one by one, not in a list."
        )
    return array


def _to_float(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what does not fit float32 turns infinite and is refused by check_finite
            return np.array(array, dtype=np.float32, order="C")
    if array.dtype.itemsize == 8:
        raise UndecodableAudio(
            f"Samples of {array.dtype} have no full scale. If they are 16-bit values, convert them first: "
            "array.astype('int16'); if they were meant as floats between -1 and 1, to float32."
        )
    scale = 2.0 ** (8 * array.dtype.itemsize - 1)
    offset = scale if array.dtype.kind == "u" else 0.0
    return ((array.astype(np.float64) - offset) / scale).astype(np.float32)
