"""Accepted forms of a recording: a path, bytes, a file object, samples with or without rate, or a mapping."""

import array
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Real
from typing import Any

import numpy as np

from sonant.audio.formats.file_objects import file_name, text_mode
from sonant.errors import UndecodableAudio

ACCEPTED = (
    "a path, bytes, a binary file object, an array or tensor of samples, a tuple (samples, rate), "
    "or a mapping with 'array' and 'sampling_rate' (or 'bytes', or 'path')"
)

KEYS = ("array", "sampling_rate", "bytes", "path")

# Names of these in other libraries, in lower case.
_OTHER_NAMES = {
    "array": "arr audio audios data input inputs input_values raw samples signal speech values wav wave waveform "
    "waveforms x y",
    "sampling_rate": "frequency freq fs rate sample_rate samplerate samplingrate sr",
    "bytes": "audio_bytes byte content contents file_bytes",
    "path": "audio_filepath audio_path file file_path filename filepath uri url wav_path",
}
_RIGHT_KEY = {other: right for right, others in _OTHER_NAMES.items() for other in others.split()}
# Keys that would change the audio: not supported, and must not be ignored.
_CUTS = frozenset(
    "begin channel channels end end_time frame_offset num_frames num_samples offset start start_time stop".split()
)


@dataclass(frozen=True)
class Samples:
    """Decoded samples.

    Attributes:
        values: numbers, an array or a tensor.
        rate: in hertz; None if unknown.
        is_one: whether this is known to be one recording, so that a second axis is the channels.
    """

    values: Any
    rate: int | None
    is_one: bool


def unwrap(source: Any) -> Any:
    """Unwrap a source from its mapping or tuple: return `Samples`, a path, bytes or an open binary file object.

    Raises UndecodableAudio.
    """
    if isinstance(source, Mapping):
        return _from_mapping(source)
    if hasattr(source, "get_all_samples"):  # decoder of torchcodec, as in datasets of Hugging Face
        return _decoded(source)
    if is_pair(source):
        values, rate = source if _is_number(source[1]) else source[::-1]
        return Samples(values, rate, is_one=True)
    if isinstance(source, memoryview) and source.format not in ("B", "b", "c"):
        return Samples(np.asarray(source), None, is_one=False)
    if isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
        return source
    if isinstance(source, array.array) and source.typecode != "u":
        return Samples(np.asarray(source), None, is_one=False)
    if hasattr(source, "read"):
        return _open_file(source)
    if isinstance(source, list | tuple) or hasattr(source, "__array__"):
        return Samples(source, None, is_one=False)
    hint = ""
    if isinstance(source, Real):
        hint = " If it is the rate of the array beside it, give the two as a tuple: (array, rate)."
    raise UndecodableAudio(f"{type(source).__name__} is not a recording; expected {ACCEPTED}.{hint}")


def _decoded(decoder: Any) -> Samples:
    try:
        decoded = decoder.get_all_samples()
    except (RuntimeError, ValueError, OSError) as error:
        raise UndecodableAudio(f"A {type(decoder).__name__} could not decode its recording: {error}.") from error
    return Samples(decoded.data, decoded.sample_rate, is_one=True)


def is_pair(source: Any) -> bool:
    """Return whether this is a tuple of samples and rate, in either order.

    soundfile, librosa and torchaudio return (samples, rate), scipy and gradio (rate, samples). A list of two is two
    recordings.
    """
    if not isinstance(source, tuple) or len(source) != 2:
        return False
    return any(_is_number(item) and _is_samples(other) for item, other in zip(source, source[::-1], strict=True))


def _is_number(item: Any) -> bool:
    """Return whether this is a number, or a tensor of one, as rates in torch-formatted datasets are."""
    is_scalar = hasattr(item, "__array__") and getattr(item, "ndim", 1) == 0
    return is_scalar or (isinstance(item, Real) and not isinstance(item, bool))


def _is_samples(item: Any) -> bool:
    if isinstance(item, list | tuple | array.array):
        return True
    return hasattr(item, "__array__") and getattr(item, "ndim", 1) > 0


def _from_mapping(source: Mapping[Any, Any]) -> Any:
    _check_keys(source)
    rate = source.get("sampling_rate")
    if source.get("array") is not None:
        values = source["array"]
        if isinstance(values, Mapping | str | bytes) or is_pair(values):
            raise UndecodableAudio(
                f"'array' holds a {type(values).__name__}, not samples; files belong under 'bytes' or 'path', and a "
                "recording that is already in a mapping or tuple of its own goes in without the outer one."
            )
        return Samples(values, rate, is_one=True)
    data = source.get("bytes")
    inner = source.get("path") if data is None else data
    if inner is None:
        raise UndecodableAudio(f"A mapping with the keys {list(source)} holds no recording; expected {ACCEPTED}.")
    if data is not None and hasattr(data, "__array__"):  # a binary column of a table
        inner = _bytes_of(data)
    if isinstance(inner, Mapping):
        raise UndecodableAudio("A mapping inside of a mapping: take the inner one alone.")
    return unwrap(inner)


def _bytes_of(data: Any) -> bytes:
    values = np.asarray(data)
    if values.dtype != np.uint8 or values.ndim != 1:
        raise UndecodableAudio(
            f"'bytes' holds an array of {values.dtype} and of shape {values.shape}; expected the bytes of a file "
            "(bytes, or uint8 on one axis). Samples belong under 'array', with 'sampling_rate'."
        )
    return values.tobytes()


def _check_keys(source: Mapping[Any, Any]) -> None:
    """Raise UndecodableAudio for a misspelled key, or one that would change the audio."""
    for key, value in source.items():
        if key not in KEYS and (isinstance(value, Mapping) or hasattr(value, "get_all_samples")):
            raise UndecodableAudio(
                f"The mapping is a row of a table, with the columns {list(source)}; its recording is under {key!r}: "
                f"give row[{key!r}] alone."
            )
    is_complete = any(source.get(key) is not None for key in ("array", "bytes", "path"))
    for key, value in source.items():
        right = None if key in KEYS else _right_key(key, value)
        if right == "path" and is_complete:
            continue  # name of the recording
        if right is not None:
            raise UndecodableAudio(
                f"The mapping has the key {key!r}, which is not read; call it {right!r}. Known keys: "
                f"{', '.join(map(repr, KEYS))}."
            )
        if str(key).lower() in _CUTS:
            raise UndecodableAudio(
                f"The mapping has the key {key!r}, and a recording is read as a whole: choose a channel with "
                "channel=, and cut the samples before. Take the key out to read all of it."
            )


def _right_key(key: Any, value: Any) -> str | None:
    """Return the correct name of a misspelled key; None for any other."""
    word = str(key).lower().strip().replace("-", "_").replace(" ", "_")
    near = get_close_matches(word, KEYS, n=1, cutoff=0.8)
    right = word if word in KEYS else _RIGHT_KEY.get(word) or (near[0] if near else None)
    if right == "array" and isinstance(value, bytes | bytearray | memoryview):
        return "bytes"
    return "path" if right == "array" and isinstance(value, str | os.PathLike) else right


def _open_file(file: Any) -> Any:
    """Return a readable binary file object. Raises UndecodableAudio if it is closed or in text mode."""
    name = file_name(file)
    if getattr(file, "closed", False) is True:
        raise UndecodableAudio(
            f"{name} is closed: it was used up before, or left its `with` block. Open it again, or give its path."
        )
    if isinstance(file, io.TextIOBase):
        raise text_mode(name)
    return file
