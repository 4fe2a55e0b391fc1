"""The interface of both decoders, and the error of a recording that breaks off."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonant.errors import TruncatedAudio

Frames = NDArray[np.float32]  # (samples, channels)
BLOCK_FRAMES = 1 << 17  # about eight seconds at 16 kHz; of all channels together


@dataclass(frozen=True)
class FileDecoder:
    """A recording ready to decode; of `blocks` and `measure` one may be called, once.

    Attributes:
        name: what messages call the recording.
        rate: samples a second, per channel.
        channels: how many each block has.
        frames: samples per channel that the header promises or lets expect; None where it says nothing.
        blocks: decodes float32 blocks (samples, channels), in order; each is the caller's own.
        measure: the length in seconds, by walking through the whole file.
        is_wide: whether samples are stored as 32-bit integers, into which 16-bit values are written by mistake.
    """

    name: str
    rate: int
    channels: int
    frames: int | None
    blocks: Callable[[], Iterator[Frames]]
    measure: Callable[[], float]
    is_wide: bool = False


def broken_off(name: str, done: float, frames: int | None, rate: int, why: object) -> TruncatedAudio:
    """The error of a recording of `frames` samples of which `done` seconds were good."""
    promised = "" if frames is None or not rate else f" of the {frames / rate:.2f} s that its header promises"
    return TruncatedAudio(
        f"{name}: decoding breaks off some time after {done:.2f} s{promised} ({why}). The file was cut off or damaged: "
        "fetch it again, or keep what there is by writing it anew (ffmpeg -i OLD NEW)."
    )
