"""Labeled recordings of a manifest: decoded, with the units of their labels."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sonant.data import WaveformStore, read_manifest
from sonant.errors import ManifestError, SonantWarning, some_of, warn
from sonant.models import Backbone
from sonant.training.tasks.task import Task


@dataclass(frozen=True, eq=False)
class LabeledRecordings:
    """Decoded recordings with labels.

    Attributes:
        waveforms: decoded audio.
        labels: of each waveform, normalized.
        used: numbers of the waveforms that are neither too short for their label nor too long.
    """

    waveforms: WaveformStore
    labels: list[str]
    used: list[int]

    @classmethod
    def read(
        cls, manifest: str, folder: Path, task: Task, *, label: str, backbone: Backbone, max_seconds: float
    ) -> "LabeledRecordings":
        """Decode the recordings of a manifest into a folder; a warning tells which cannot be used, and why.

        Args:
            label: field of the manifest.

        Raises:
            ManifestError: the manifest cannot be read, a recording has no label, or none can be used.
        """
        entries = read_manifest(manifest)
        values = [entry.fields.get(label) for entry in entries]
        given = ["" if value is None else task.normalized(str(value)) for value in values]
        if missing := [entry for entry, value in zip(entries, given, strict=True) if not value]:
            there = [repr(name) for name, value in missing[0].fields.items() if value not in (None, "")]
            raise ManifestError(
                f"{len(missing)} of the {len(entries)} recordings of {manifest} have no {label!r}; the first is "
                f"{missing[0].path.name}, with {', '.join(there) or 'no other field'}. Name another field, "
                "label=FIELD, or take those recordings out of the list."
            )
        waveforms = WaveformStore.build(entries, folder, sampling_rate=backbone.sampling_rate)
        labels = [given[row] for row in waveforms.rows]
        problems, used = list(waveforms.skipped.items()), []
        for number, (path, length) in enumerate(zip(waveforms.paths, waveforms.lengths.tolist(), strict=True)):
            seconds = length / backbone.sampling_rate
            frames, needed = backbone.num_frames(length), task.min_frames(labels[number])
            if frames < needed:
                problems.append((path, f"it is {seconds:.2f} s long and has {frames} frames; its label takes {needed}"))
            elif length > round(max_seconds * backbone.sampling_rate):
                problems.append((path, f"it is {seconds:.1f} s long, and batching.max_seconds={max_seconds:g}"))
            else:
                used.append(number)
        if problems:
            why = f"{len(problems)} of the {len(entries)} recordings of {manifest} cannot be used"
            names = some_of([Path(path).name for path, _ in problems], 5)
            if not used:
                raise ManifestError(f"{why}, which leaves none: {names}. Of the first: {problems[0][1]}.")
            warn(f"{why}, and are left out: {names}. Of the first: {problems[0][1]}.", SonantWarning)
        return cls(waveforms, labels, used)

    @property
    def used_labels(self) -> list[str]:
        """Labels of the recordings that are used."""
        return [self.labels[number] for number in self.used]

    @property
    def fingerprint(self) -> str:
        """Short hash of audio, labels and choice."""
        content = json.dumps([self.waveforms.fingerprint, self.labels, self.used])
        return f"sha256:{sha256(content.encode()).hexdigest()[:16]}"

    def units(self, convert: Callable[[str], Sequence[int]]) -> list[Sequence[int]]:
        """Convert the labels that are used; others get no units. Raises ManifestError, with the name of a recording."""
        units: list[Sequence[int]] = [()] * len(self.labels)
        for number in self.used:
            try:
                units[number] = convert(self.labels[number])
            except ManifestError as error:
                raise ManifestError(f"{Path(self.waveforms.paths[number]).name}: {error}") from error
        return units
