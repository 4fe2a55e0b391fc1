"""Labeled recordings of a manifest: decoded, with the units of their labels."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from sonant.data import ManifestEntry, WaveformStore
from sonant.data.lock import output_lock
from sonant.errors import ManifestError, SonantWarning, some_of, warn
from sonant.models import Backbone
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
    """

    waveforms: WaveformStore
    labels: list[str]
    speakers: list[str | None]
    used: list[int]
    sampling_rate: int

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
    ) -> "LabeledRecordings":
        """Decode recordings into a folder, once for all runs; a warning tells which cannot be used, and why.

        Args:
            given: normalized label of each.
            name: of the set, for messages.

        Raises ManifestError: none can be used.
        """
        with output_lock(folder, is_folder=True, wait=True):
            waveforms = WaveformStore.build(entries, folder, sampling_rate=backbone.sampling_rate)
        rows = waveforms.rows.tolist()
        labels, speakers = [given[row] for row in rows], [_speaker(entries[row]) for row in rows]
        problems, used = list(waveforms.skipped.items()), []
        for number, (path, length) in enumerate(zip(waveforms.paths, waveforms.lengths.tolist(), strict=True)):
            seconds = length / backbone.sampling_rate
            frames, needed = backbone.num_frames(length), task.min_frames(labels[number])
            if frames < needed:
                problems.append((path, f"it is {seconds:.2f} s long and has {frames} frames; its label takes {needed}"))
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
        return cls(waveforms, labels, speakers, used, backbone.sampling_rate)

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
        """Short hash of audio, labels and choice."""
        content = json.dumps([self.waveforms.fingerprint, self.labels, self.used])
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


def _speaker(entry: ManifestEntry) -> str | None:
    value = entry.fields.get("speaker")
    return None if value is None or value == "" else str(value)
