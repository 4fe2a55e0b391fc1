"""Spoken terms: the places of recordings that sound like a query, by dynamic time warping over frames.

A path gives each frame of the query one frame of the recording; from one frame to the next it stays in the recording,
or goes one or two frames on. With C(i, j) the distance of frame i of the query and frame j of the recording, the path
that ends there costs

    D(i, j) = C(i, j) + min(D(i - 1, j), D(i - 1, j - 1), D(i - 1, j - 2)),    D(0, j) = C(0, j)

since it may begin anywhere, and what is reported is D of the last frame, over the number of frames of the query. Row i
needs row i - 1 alone, so that all frames of all recordings, and all queries, are computed at once.

Source: query by example in SUPERB (arXiv 2105.01051), whose steps are the asymmetric pattern P0 of Sakoe and Chiba,
IEEE TASSP 26-1, 1978, and whose distance is that of `frame_distances`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed

LEAST_FRAMES = 5  # of a query, as in SUPERB
MOST_DISTANCES = 1 << 25  # numbers at a time


class Match(NamedTuple):
    """One place of a recording.

    Attributes:
        query, recording: their numbers.
        start_frame, end_frame: in the recording, the end excluded.
        distance: mean over the frames of the query, 0 or more.
    """

    query: int
    recording: int
    start_frame: int
    end_frame: int
    distance: float


@dataclass(frozen=True, eq=False)
class PathEndings:
    """The best path that ends at each frame of recordings.

    Attributes:
        distances: float32 (queries, total_frames), mean over the frames of the query.
        starts: int64 (queries, total_frames), the packed frame at which the path begins.
    """

    distances: Tensor
    starts: Tensor


def frame_distances(queries: Packed, recordings: Packed, *, relative: bool = False) -> Tensor:
    """Compute exp(1 - cosine) - 1 of frames (total_query_frames, dim) and (total_frames, dim), of each with each.

    Args:
        relative: map the distances of a frame of a query in one recording linearly to 0 (nearest) to 1 (farthest).
    """
    cosines = normalize(queries.values, dim=-1) @ normalize(recordings.values, dim=-1).T
    distances = (1 - cosines).clamp_(min=0).expm1_()
    if relative:
        for of_recording in distances.split(recordings.sizes, dim=1):
            low, high = of_recording.amin(1, keepdim=True), of_recording.amax(1, keepdim=True)
            of_recording.sub_(low).div_((high - low).clamp(min=1e-9))
    return distances


def endings(queries: Packed, recordings: Packed, *, relative: bool = False) -> PathEndings:
    """Find the best path that ends at each frame of packed recordings, for each of some queries.

    Args:
        queries, recordings: frames of one width; no clip is empty.
        relative: as in `frame_distances`.

    Raises ConfigurationError: the widths differ, or a clip is empty.
    """
    if queries.values.shape[1:] != recordings.values.shape[1:] or min(*queries.sizes, *recordings.sizes) == 0:
        raise ConfigurationError(
            f"Queries of {queries.sizes[:5]} frames of width {queries.values.shape[-1]} were given for recordings of "
            f"{recordings.sizes[:5]} frames of width {recordings.values.shape[-1]}; expected frames of one layer of "
            "one model, one or more for each."
        )
    costs = frame_distances(queries, recordings, relative=relative)  # (total_query_frames, total_frames)
    order = sorted(range(len(queries)), key=lambda number: -queries.sizes[number])  # those that go on are the first
    firsts = queries.offsets[:-1][order]
    lengths = [queries.sizes[number] for number in order]
    frames = recordings.values.shape[0]
    place = torch.arange(frames) - recordings.offsets[:-1].repeat_interleave(recordings.lengths)  # in its recording
    barred = [torch.where(place < step, torch.inf, 0.0).to(costs.device) for step in (1, 2)]
    totals = costs[firsts]
    starts = torch.arange(frames, device=costs.device).expand(len(queries), frames)
    found = PathEndings(torch.empty_like(totals), torch.empty_like(totals, dtype=torch.int64))
    for row in range(lengths[0]):
        if row:
            active = sum(length > row for length in lengths)
            before, begun = totals[:active], starts[:active]
            totals, starts = before, begun
            for step, bar in enumerate(barred, start=1):
                coming = pad(before, (step, 0))[:, :frames] + bar
                is_better = coming < totals
                totals = torch.where(is_better, coming, totals)
                starts = torch.where(is_better, pad(begun, (step, 0))[:, :frames], starts)
            totals = totals + costs[firsts[:active] + row]
        for rank, length in enumerate(lengths[: len(totals)]):
            if length == row + 1:
                found.distances[order[rank]] = totals[rank] / length
                found.starts[order[rank]] = starts[rank]
    return found


def matches(queries: Packed, recordings: Packed, *, per_recording: int = 1, relative: bool = False) -> list[Match]:
    """Find the nearest places of each recording for each query, in the order of queries, recordings and distances.

    Args:
        queries, recordings: frames of one width; no clip is empty.
        per_recording: most places of a recording, which do not overlap.
        relative: as in `frame_distances`.
    """
    found: list[Match] = []
    for group in _groups(queries, recordings.values.shape[0]):
        part = Packed.pack(queries.unpack()[group.start : group.stop])
        paths = endings(part, recordings, relative=relative)
        for query, (distances, starts) in enumerate(zip(paths.distances.cpu(), paths.starts.cpu(), strict=True)):
            first = 0
            for number, size in enumerate(recordings.sizes):
                here = slice(first, first + size)
                places = _separate(distances[here], starts[here] - first, per_recording)
                found += [Match(group.start + query, number, *place) for place in places]
                first += size
    return found


def _groups(queries: Packed, frames: int) -> Iterator[range]:
    """Yield ranges of queries whose distances fit into memory, one query at least."""
    first, held = 0, 0
    for number, size in enumerate(queries.sizes):
        if number > first and held + size * frames > MOST_DISTANCES:
            yield range(first, number)
            first, held = number, 0
        held += size * frames
    yield range(first, len(queries))


def _separate(distances: Tensor, starts: Tensor, most: int) -> Iterator[tuple[int, int, float]]:
    """Yield begin, end and distance of the nearest places of one recording, which do not overlap."""
    ends = torch.arange(1, len(distances) + 1)
    for rank in range(most):
        best = int(distances.argmin())
        start, end, distance = int(starts[best]), best + 1, float(distances[best])
        if distance == torch.inf:
            return
        yield start, end, distance
        if rank + 1 < most:
            distances = distances.masked_fill((starts < end) & (ends > start), torch.inf)
