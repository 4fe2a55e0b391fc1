"""Interface of both decoders, and the error of a truncated recording."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sonant.errors import TruncatedAudio

Frames = NDArray[np.float32]  # (samples, channels)
BLOCK_FRAMES = 1 << 17  # about eight seconds at 16 kHz; over all channels


class DecodeBlocks(Protocol):
    """A function that decodes the samples from `first` to before `stop`, None: to the end.

    It yields float32 blocks (samples, channels), in order; new arrays.
    """

    def __call__(self, first: int = 0, stop: int | None = None, /) -> Iterator[Frames]: ...


@dataclass(frozen=True)
class FileDecoder:
    """An opened recording; either `blocks` or `measure` may be called, once.

    Attributes:
        name: in messages.
        rate: samples a second, per channel.
        channels: number of channels.
        frames: samples per channel according to the header; None if unknown.
        blocks: decodes the samples, or part of them. Uncompressed files, FLAC and Ogg are sought through, others
            decoded from their beginning.
        measure: computes the duration in seconds by parsing the whole file.
        is_wide: whether samples are stored as 32-bit integers, which sometimes hold 16-bit values by mistake.
    """

    name: str
    rate: int
    channels: int
    frames: int | None
    blocks: DecodeBlocks
    measure: Callable[[], float]
    is_wide: bool = False


def part_of(blocks: Iterable[Frames], first: int, stop: int | None) -> Iterator[Frames]:
    """Yield the samples from `first` to before `stop` of blocks (samples, channels)."""
    done = 0
    for block in blocks:
        begin, end = max(first - done, 0), len(block) if stop is None else min(stop - done, len(block))
        done += len(block)
        if begin < end:
            yield block if end - begin == len(block) else block[begin:end]
        if stop is not None and done >= stop:
            return


def without_seeking(blocks: Callable[[], Iterator[Frames]]) -> DecodeBlocks:
    """Make a function for parts of a recording that is always decoded from its beginning."""

    def part(first: int = 0, stop: int | None = None, /) -> Iterator[Frames]:
        return part_of(blocks(), first, stop)

    return part


def broken_off(name: str, done: float, frames: int | None, rate: int, why: object) -> TruncatedAudio:
    """Make the error of a recording of `frames` samples of which `done` seconds were decoded."""
    promised = "" if frames is None or not rate else f" of the {frames / rate:.2f} s that its header promises"
    return TruncatedAudio(
        f"{name}: decoding breaks off some time after {done:.2f} s{promised} ({why}). The file was cut off or damaged: "
        "fetch it again, or keep what there is by converting it (ffmpeg -i OLD NEW)."
    )
