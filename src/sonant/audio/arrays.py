"""Conversion of sample arrays of any layout and dtype to float32."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonant.audio.formats.decoder import Frames
from sonant.audio.formats.signatures import REACH, is_audio_file
from sonant.errors import EmptyAudio, NonFiniteAudio, UndecodableAudio

MAX_CHANNELS = 64

Waveform = NDArray[np.float32]  # (samples,), or (samples, channels) for all channels


def to_frames(values: Any, *, is_one: bool) -> Frames:
    """Convert samples (numbers, array or tensor) to a new float32 array (samples, channels).

    The shorter of two axes is the channels: (channels, samples) and (samples, channels) both work; axes of length one
    are dropped. Signed integers are PCM and divided by full scale (int16 by 32768), unsigned ones are centered first;
    floats are not scaled.

    Args:
        is_one: whether this is known to be one recording; otherwise (several, samples) may be a batch and is refused.

    Raises:
        UndecodableAudio: not samples, or possibly a batch.
        EmptyAudio: no samples.
    """
    array = _as_array(values)
    samples, channels = layout(array.shape, is_one=is_one)
    array = array.reshape([length for length in array.shape if length > 1] or [1])
    if array.ndim == 2 and array.shape[0] <= array.shape[1]:
        array = array.T
    return _to_float(array).reshape(samples, channels)


def shape_of(values: Any) -> tuple[int, ...]:
    """Return the shape of samples without copying them from their device. Raises UndecodableAudio."""
    shape = getattr(values, "shape", None)
    return tuple(shape) if shape is not None else _as_array(values).shape


def is_wide(values: Any) -> bool:
    """Return whether the samples are 32-bit integers."""
    return str(getattr(values, "dtype", "")).removeprefix("torch.") in ("int32", "uint32")


def layout(shape: tuple[int, ...], *, is_one: bool) -> tuple[int, int]:
    """Return the numbers of samples and channels of a shape; `is_one` and errors as in `to_frames`."""
    if 0 in shape:
        raise EmptyAudio(f"An array of shape {shape} holds no samples: the recording, or the cut from it, is empty.")
    axes = [length for length in shape if length > 1]
    if not shape:
        raise UndecodableAudio("A single number was given as a recording; expected (samples,).")
    if len(axes) > 2:
        raise UndecodableAudio(
            f"An array of shape {shape} is not one recording: expected (samples,), (channels, samples) or "
            "(samples, channels). Give the clips of a batch one by one: list(array)."
        )
    samples, channels = (axes[0] if axes else 1, 1) if len(axes) < 2 else (max(axes), min(axes))
    if channels > MAX_CHANNELS:
        raise UndecodableAudio(
            f"An array of shape {shape} would have {channels} channels (at most {MAX_CHANNELS}); it is probably a "
            "batch or a spectrogram. Give the waveforms of a batch one by one: list(array)."
        )
    if len(axes) == 2 and axes[0] <= axes[1] and not is_one:  # (samples, 2) cannot be a batch of clips of two samples
        raise UndecodableAudio(
            f"An array of shape {shape} may be one recording of {channels} channels or a batch of {channels} clips. If "
            'it is one recording, say which channel: channel="mix" (the mean), a number from 0, or "all". If it is a '
            "batch, give list(array)."
        )
    return samples, channels


def check_finite(samples: Waveform, rate: int, name: str, *, first: int = 0) -> None:
    """Refuse NaN and infinite samples; `first` is the index of samples[0] in the recording. Raises NonFiniteAudio."""
    finite = np.isfinite(samples)
    if not finite.all():
        place = first + int(np.argmin(finite.reshape(len(samples), -1).all(axis=1)))
        raise NonFiniteAudio(
            f"{name}: samples are NaN or infinite, the first of them at {place / rate:.3f} s. A division by zero or an "
            "overflow in earlier processing is the usual cause: make the recording again from its source, or cut the "
            "part out."
        )


def _as_array(values: Any) -> NDArray[Any]:
    try:
        array = _as_numpy(values)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        hint = ""
        if isinstance(values, list | tuple) and len(values) == 2:
            hint = " Samples with their rate are a tuple (samples, rate), or a mapping with array and sampling_rate."
        why = str(error).rstrip(".")
        raise UndecodableAudio(f"A {type(values).__name__} could not be read as samples: {why}.{hint}") from error
    if np.ma.is_masked(values):
        raise UndecodableAudio(
            f"A masked array hides {int(np.ma.getmaskarray(values).sum())} of its samples: say what stands for them, "
            "as in array.filled(0), or cut them out."
        )
    if array.dtype.kind in "OUS" and array.size:
        raise UndecodableAudio(
            f"An array of {array.dtype} holds no samples; expected floats or integers. Give paths or clips one by one, "
            "in a list; numbers as array.astype('float32')."
        )
    if array.dtype.kind not in "iufOUS":
        raise UndecodableAudio(f"An array of {array.dtype} holds no samples; expected floats or integers.")
    return array


def _as_numpy(values: Any) -> NDArray[Any]:
    if hasattr(values, "detach"):  # a torch tensor on any device, with or without gradient; numpy has no bfloat16
        tensor = values.detach().cpu()
        array: NDArray[Any] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        return array
    return np.asarray(values)


def _to_float(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # values beyond float32 become infinite and are refused by check_finite
            return np.array(array, dtype=np.float32, order="C")
    _check_no_file(array)
    if array.dtype.itemsize == 8:
        raise UndecodableAudio(
            f"Samples of {array.dtype} have no full scale. If they are 16-bit values, convert them first: "
            "array.astype('int16'); if they were meant as floats between -1 and 1, to float32."
        )
    scale = 2.0 ** (8 * array.dtype.itemsize - 1)
    offset = scale if array.dtype.kind == "u" else 0.0
    return ((array.astype(np.float64) - offset) / scale).astype(np.float32)


def _check_no_file(array: NDArray[Any]) -> None:
    """Raise UndecodableAudio if the array holds the bytes of an audio file."""
    if array.ndim != 1 or array.dtype == np.int8 or array.dtype.itemsize == 2:
        return
    head = array[:REACH]
    if head.min() >= 0 and head.max() <= 255 and is_audio_file(data := head.astype(np.uint8).tobytes()):
        raise UndecodableAudio(
            f"An array of {array.dtype} begins as an audio file does ({data[:8]!r}): these are the bytes of a file, "
            "not samples. Give them as bytes: bytes(array)."
        )
