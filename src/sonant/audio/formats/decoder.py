"""Interface of both decoders, and the error of a truncated recording."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonant.errors import TruncatedAudio

Frames = NDArray[np.float32]  # (samples, channels)
BLOCK_FRAMES = 1 << 17  # about eight seconds at 16 kHz; over all channels


@dataclass(frozen=True)
class FileDecoder:
    """An opened recording; either `blocks` or `measure` may be called, once.

    Attributes:
        name: in messages.
        rate: samples a second, per channel.
        channels: number of channels.
        frames: samples per channel according to the header; None if unknown.
        blocks: decodes float32 blocks (samples, channels), in order; new arrays.
        measure: computes the duration in seconds by parsing the whole file.
        is_wide: whether samples are stored as 32-bit integers, which sometimes hold 16-bit values by mistake.
    """

    name: str
    rate: int
    channels: int
    frames: int | None
    blocks: Callable[[], Iterator[Frames]]
    measure: Callable[[], float]
    is_wide: bool = False


def broken_off(name: str, done: float, frames: int | None, rate: int, why: object) -> TruncatedAudio:
    """Make the error of a recording of `frames` samples of which `done` seconds were decoded."""
    promised = "" if frames is None or not rate else f" of the {frames / rate:.2f} s that its header promises"
    return TruncatedAudio(
        f"{name}: decoding breaks off some time after {done:.2f} s{promised} ({why}). The file was cut off or damaged: "
        "fetch it again, or keep what there is by converting it (ffmpeg -i OLD NEW)."
    )
