"""Packing of recordings into batches by their lengths alone, so that a resumed run packs the same batches."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

CPU_SECONDS = 30.0  # small batches fit into a core's caches
GPU_SECONDS_A_GIGABYTE = 20.0
GPU_SECONDS = (60.0, 600.0)  # the largest saturates even the largest GPUs


def usual_batch_seconds(gpu_bytes: int | None) -> float:
    """Return the default seconds of audio in a forward pass, by the memory of the GPU (None: on a CPU).

    A second of audio takes at most 25 MB: four float32 copies of 3,200 frames of 512 channels in the first convolution.
    A default batch thus fits into half of the memory.
    """
    if gpu_bytes is None:
        return CPU_SECONDS
    least, most = GPU_SECONDS
    return min(most, max(least, GPU_SECONDS_A_GIGABYTE * gpu_bytes / 1e9))


@dataclass(frozen=True)
class PlannedBatch:
    """Indices of recordings that are computed together.

    Attributes:
        is_streamed: whether the batch is one long recording, which is read in blocks.
    """

    items: tuple[int, ...]
    is_streamed: bool = False

    def only(self, wanted: Collection[int]) -> "PlannedBatch":
        """Return the batch reduced to the wanted recordings."""
        return PlannedBatch(tuple(item for item in self.items if item in wanted), self.is_streamed)


def pack(seconds: Sequence[float | None], *, batch_seconds: float, window_seconds: float | None) -> list[PlannedBatch]:
    """Pack recordings into batches of at most `batch_seconds`, longest first, so that memory runs out early or never.

    A recording longer than a batch has a batch of its own; it is streamed if it is also longer than a window.

    Args:
        seconds: duration of each recording, overlaps of windows included; None: unknown, the recording is left out.
        window_seconds: longest window; None: recordings are not cut.
    """
    known = [(length, item) for item, length in enumerate(seconds) if length is not None]
    batches: list[PlannedBatch] = []
    held: list[int] = []
    room = 0.0
    for length, item in sorted(known, key=lambda pair: (-pair[0], pair[1])):
        if window_seconds is not None and length > max(window_seconds, batch_seconds):
            batches.append(PlannedBatch((item,), is_streamed=True))
            continue
        if held and length > room:
            batches.append(PlannedBatch(tuple(held)))
            held = []
        room = (room if held else batch_seconds) - length
        held.append(item)
    if held:
        batches.append(PlannedBatch(tuple(held)))
    return batches


class Sized(Protocol):
    """An object with a length in samples."""

    @property
    def size(self) -> int: ...


S = TypeVar("S", bound=Sized)


def within(items: Iterable[S], room: float) -> Iterator[list[S]]:
    """Group consecutive items into at most `room` samples each; a longer item is a group of its own."""
    group: list[S] = []
    left = room
    for item in items:
        if group and item.size > left:
            yield group
            group, left = [], room
        group.append(item)
        left -= item.size
    if group:
        yield group
