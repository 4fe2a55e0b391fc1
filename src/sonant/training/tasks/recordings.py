"""Labeled recordings of a manifest: decoded, with the units of their labels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal

import torch

from sonant.data import ManifestEntry, WaveformStore
from sonant.data.lock import output_lock
from sonant.errors import ManifestError, SonantWarning, some_of, warn
from sonant.models import Backbone
from sonant.training.tasks.mixer import Mixer
from sonant.training.tasks.targets import Target
from sonant.training.tasks.task import Task


@dataclass(frozen=True, eq=False)
class LabeledRecordings:
    """Decoded recordings with labels.

    Attributes:
        waveforms: decoded audio.
        labels: of each waveform, normalized.
        speakers: of each waveform; None where its row says none.
        used: numbers of the waveforms that are neither too short for their label nor too long.
        sampling_rate: of the waveforms.
        sources: numbers of the waveforms that are the target of one, by its number.
        mixer: makes the recordings; None: they are as they are.
    """

    waveforms: WaveformStore
    labels: list[str]
    speakers: list[str | None]
    used: list[int]
    sampling_rate: int
    sources: Mapping[int, Sequence[int]] = field(default_factory=dict)
    mixer: Mixer | None = None

    @classmethod
    def read(
        cls,
        entries: Sequence[ManifestEntry],
        given: list[str],
        folder: Path,
        task: Task,
        *,
        name: str,
        backbone: Backbone,
        max_seconds: float,
        on_error: Literal["raise", "skip"],
    ) -> "LabeledRecordings":
        """Decode recordings into a folder, once for all runs; a warning tells which cannot be used, and why.

        Args:
            given: normalized label of each.
            name: of the set, for messages.
            on_error: whether recordings that cannot be decoded, or hold NaN, are left out.

        Raises ManifestError: none can be used, or some cannot be decoded.
        """
        with output_lock(folder, is_folder=True, wait=True):
            waveforms = WaveformStore.build(with_sources(entries, task), folder, sampling_rate=backbone.sampling_rate)
        sources, faults = _numbered_sources(waveforms, entries, task)
        rows = [row for row in waveforms.rows.tolist() if row < len(entries)]
        others = len(waveforms) - len(rows)  # sources are the last, and have neither label nor speaker
        labels = [given[row] for row in rows] + [""] * others
        speakers = [entries[row].text_in("speaker") for row in rows] + [None] * others
        problems, used = list(waveforms.skipped.items()), []
        if problems and on_error == "raise":
            told = some_of([f"{Path(path).name}: {why}" for path, why in problems], 5).removesuffix(".")
            raise ManifestError(
                f"{len(problems)} of the {len(entries)} recordings of {name} cannot be decoded: {told}. Correct the "
                "rows, or leave them out (on_error=skip)."
            )
        for number, row in enumerate(rows):
            path, length = waveforms.paths[number], int(waveforms.lengths[number])
            seconds = length / backbone.sampling_rate
            frames, needed = backbone.num_frames(length), task.min_frames(labels[number])
            if frames < needed:
                problems.append((path, f"it is {seconds:.2f} s long and has {frames} frames; its label takes {needed}"))
            elif row in faults:
                problems.append((path, faults[row]))
            elif length > max_seconds * backbone.sampling_rate:
                problems.append((path, f"it is {seconds:.1f} s long, and batching.max_seconds={max_seconds:g}"))
            else:
                used.append(number)
        if problems:
            why = f"{len(problems)} of the {len(entries)} recordings of {name} cannot be used"
            names, first = some_of([Path(path).name for path, _ in problems], 5), problems[0][1].removesuffix(".")
            if not used:
                raise ManifestError(f"{why}, which leaves none: {names}. Of the first: {first}.")
            warn(f"{why}, and are left out: {names}. Of the first: {first}.", SonantWarning)
        return cls(waveforms, labels, speakers, used, backbone.sampling_rate, sources)

    def too_fast(self, task: Task, backbone: Backbone, speed: float) -> list[str]:
        """Return the names of the recordings that would have too few frames for their labels at a speed."""
        return [
            Path(self.waveforms.paths[number]).name
            for number in self.used
            if backbone.num_frames(round(int(self.waveforms.lengths[number]) / speed))
            < task.min_frames(self.labels[number])
        ]

    @property
    def fingerprint(self) -> str:
        """Short hash of audio, labels and choice, and of what is mixed in."""
        parts = [self.waveforms.fingerprint, self.labels, self.used]
        content = json.dumps(parts if self.mixer is None else [*parts, self.mixer.fingerprint])
        return f"sha256:{sha256(content.encode()).hexdigest()[:16]}"

    @property
    def hours(self) -> float:
        """Duration of the recordings that are used."""
        return float(self.waveforms.lengths[self.used].sum()) / self.sampling_rate / 3600

    def targets(self, task: Task, classes: Sequence[str]) -> list[Target]:
        """Return the target of each recording; those of recordings that are not used are empty.

        Units of an open set that are none of the classes get the numbers from that of the classes on, in their order.
        """
        numbers = {name: number for number, name in enumerate(classes)}
        if task.is_open_set:
            found = {unit for number in self.used for unit in task.units(self.labels[number])}
            for unit in sorted(found - numbers.keys()):
                numbers[unit] = len(numbers)
        targets: list[Target] = [torch.zeros(0)] * len(self.labels)
        for number in self.used:
            targets[number] = task.target(self.labels[number], numbers)
        return targets


def with_sources(entries: Sequence[ManifestEntry], task: Task) -> list[ManifestEntry]:
    """Return recordings, and behind all of them the sources that are their targets."""
    return [*entries, *(source for entry in entries for source in task.sources(entry))]


def _numbered_sources(
    waveforms: WaveformStore, entries: Sequence[ManifestEntry], task: Task
) -> tuple[dict[int, list[int]], dict[int, str]]:
    """Return the numbers of the sources of recordings, by the number of each, and what is wrong with others, by row."""
    numbers = {row: number for number, row in enumerate(waveforms.rows.tolist())}
    found: dict[int, list[int]] = {}
    faults: dict[int, str] = {}
    first = len(entries)
    for row, entry in enumerate(entries):
        rows = range(first, first := first + len(task.sources(entry)))
        if not rows or row not in numbers:
            continue
        known = [numbers[each] for each in rows if each in numbers]
        lengths = [int(waveforms.lengths[number]) for number in (numbers[row], *known)]
        if len(known) < len(rows):
            faults[row] = "one of its sources cannot be read"
        elif len(set(lengths)) > 1:
            faults[row] = f"it has {lengths[0]} samples, and its sources have {lengths[1:]}"
        else:
            found[numbers[row]] = known
    return found, faults
