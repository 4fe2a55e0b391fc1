"""The frames and segments of a corpus that an analysis looks at, drawn before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sonant.analysis.abx import AbxCell, AbxItem, Mode, abx_cells
from sonant.analysis.timed_labels import Tier, Tiers
from sonant.layers.frame_grid import FrameGrid

Numbers = npt.NDArray[np.int64]

NUM_FRAMES = 20_000  # of the whole corpus
NUM_SEGMENTS = 4_000  # of each tier
ABX_SPEAKERS = 12  # with the most tokens; pairs of speakers grow with the square
ABX_TOKENS = 3  # of a category, context and speaker
MODES: tuple[Mode, ...] = ("within", "across")


@dataclass(frozen=True)
class PlannedSegment:
    """A phone or word of a recording, with its frames from `first` to `last`, the latter excluded."""

    tier: Tier
    text: str
    recording: int
    start: float
    end: float
    first: int
    last: int
    neighbors: tuple[str, str] = ("", "")


@dataclass(frozen=True, eq=False)
class SamplePlan:
    """Frames and segments that are kept of each recording.

    Attributes:
        frames: numbers of the frames of each recording, in order.
        frame_phones: phone of each of these frames; None where it is unknown or silence.
        segments: those whose mean is kept, by recording.
        abx: those whose frames are kept, by recording.
        cells: by tier and mode, of numbers in `abx_order`.
        abx_order: segments of `abx` of all recordings by tier.
    """

    frames: tuple[Numbers, ...]
    frame_phones: tuple[tuple[str | None, ...], ...]
    segments: tuple[tuple[PlannedSegment, ...], ...]
    abx: tuple[tuple[PlannedSegment, ...], ...]
    cells: Mapping[tuple[Tier, Mode], list[AbxCell]]
    abx_order: Mapping[Tier, tuple[PlannedSegment, ...]]


def plan_samples(
    seconds: Sequence[float | None],
    tiers: Sequence[Tiers],
    speakers: Sequence[str | None],
    grid: FrameGrid,
    sampling_rate: int,
    *,
    num_frames: int = NUM_FRAMES,
    seed: int = 0,
) -> SamplePlan:
    """Draw frames and segments of recordings whose durations are known; None: a recording that cannot be used."""
    counts = [_num_frames(length, grid, sampling_rate) for length in seconds]
    share = min(1.0, num_frames / max(sum(counts), 1))
    frames, phones = [], []
    for number, count in enumerate(counts):
        generator = np.random.default_rng((seed, number))
        size = min(count, max(2, round(share * count))) if count else 0
        chosen = np.sort(generator.choice(count, size, replace=False)) if size else np.zeros(0, dtype=np.int64)
        frames.append(chosen.astype(np.int64))
        phones.append(_phones_at((chosen * grid.stride + grid.receptive_field / 2) / sampling_rate, tiers[number]))
    every: dict[Tier, list[PlannedSegment]] = {"phone": [], "word": []}
    for number, (count, of_recording) in enumerate(zip(counts, tiers, strict=True)):
        for tier, labels in of_recording.items():
            texts = ["#", *(label.text or "#" for label in labels), "#"]
            for place, label in enumerate(labels):
                first, last = _frames_of(label.start, label.end, grid, sampling_rate, count)
                if label.text and first < last:
                    around = (texts[place], texts[place + 2])
                    every[tier].append(
                        PlannedSegment(tier, label.text, number, label.start, label.end, first, last, around)
                    )
    generator = np.random.default_rng(seed)
    means: list[list[PlannedSegment]] = [[] for _ in seconds]
    for found in every.values():
        for place in _drawn(generator, len(found), NUM_SEGMENTS):
            means[found[place].recording].append(found[place])
    cells, order = _abx(every, speakers)
    whole: list[list[PlannedSegment]] = [[] for _ in seconds]
    for found_in_tier in order.values():
        for segment in found_in_tier:
            whole[segment.recording].append(segment)
    return SamplePlan(
        tuple(frames), tuple(phones), tuple(map(tuple, means)), tuple(map(tuple, whole)), cells, order
    )  # fmt: skip


def _abx(
    every: Mapping[Tier, Sequence[PlannedSegment]], speakers: Sequence[str | None]
) -> tuple[dict[tuple[Tier, Mode], list[AbxCell]], dict[Tier, tuple[PlannedSegment, ...]]]:
    """Return the cells by tier and mode, and the segments that they need, which they number."""
    cells: dict[tuple[Tier, Mode], list[AbxCell]] = {}
    order: dict[Tier, tuple[PlannedSegment, ...]] = {}
    for tier, found in every.items():
        known = [each for each in found if speakers[each.recording]]
        names, tokens = np.unique([str(speakers[each.recording]) for each in known], return_counts=True)
        most = set(names[np.argsort(-tokens, kind="stable")[:ABX_SPEAKERS]].tolist())
        kept = [each for each in known if str(speakers[each.recording]) in most]
        items = [
            AbxItem(
                category=each.text,
                context=" ".join(each.neighbors) if tier == "phone" else "",
                speaker=str(speakers[each.recording]),
            )
            for each in kept
        ]
        by_mode = {mode: abx_cells(items, mode, most_tokens=ABX_TOKENS) for mode in MODES}
        used = sorted(
            {number for of_mode in by_mode.values() for cell in of_mode for number in (*cell.a, *cell.b, *cell.x)}
        )
        place = {number: index for index, number in enumerate(used)}
        order[tier] = tuple(kept[number] for number in used)
        for mode, of_mode in by_mode.items():
            if of_mode:
                cells[tier, mode] = [
                    AbxCell(
                        cell.categories,
                        cell.context,
                        cell.speakers,
                        *(tuple(place[number] for number in numbers) for numbers in (cell.a, cell.b, cell.x)),
                    )
                    for cell in of_mode
                ]
    return cells, order


def _num_frames(seconds: float | None, grid: FrameGrid, sampling_rate: int) -> int:
    samples = 0 if seconds is None else round(seconds * sampling_rate)
    return max(0, (samples - grid.receptive_field) // grid.stride + 1)


def _frames_of(start: float, end: float, grid: FrameGrid, sampling_rate: int, count: int) -> tuple[int, int]:
    """Return the frames whose centers lie in a segment, at least the nearest; none outside the recording."""
    first, last = (
        int(np.ceil((time * sampling_rate - grid.receptive_field / 2) / grid.stride)) for time in (start, end)
    )
    if last <= first:
        first = round(((start + end) / 2 * sampling_rate - grid.receptive_field / 2) / grid.stride)
        last = first + 1
    return max(0, min(first, count)), max(0, min(last, count))


def _phones_at(times: npt.NDArray[np.float64], tiers: Tiers) -> tuple[str | None, ...]:
    labels = tiers.get("phone", [])
    if not labels:
        return (None,) * len(times)
    place = np.searchsorted([label.start for label in labels], times, side="right") - 1
    return tuple(
        (labels[number].text or None) if number >= 0 and time < labels[number].end else None
        for number, time in zip(place.tolist(), times.tolist(), strict=True)
    )


def _drawn(generator: np.random.Generator, count: int, most: int) -> list[int]:
    if count <= most:
        return list(range(count))
    return np.sort(generator.choice(count, most, replace=False)).tolist()
