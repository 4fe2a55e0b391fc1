"""Targets of masked prediction from label files of one's own."""

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from sonant.data import LabelStore, WaveformStore
from sonant.data.label_files import LabelFile, open_labels
from sonant.data.settings import json_values, write_or_check_settings
from sonant.errors import ConfigurationError, ManifestError, some_of
from sonant.models import Backbone

TOLERANCE_SECONDS = 0.1  # as in fairseq's `verify_label_lengths`
NAMED = 5  # recordings in a message


@dataclass(frozen=True, kw_only=True)
class FileTargets:
    """Labels from a file or folder, see `sonant.data.label_files.FORMATS`.

    Attributes:
        path: of the file or folder.
        lengths: .npy of the number of labels of each recording, for a .npy of all labels.
        manifest: list that a .km or a .npy follows, such as fairseq's .tsv; "": the run's data.
        rate: labels a second. A frame takes the label of its time, as in fairseq: of 100 a second every second one.
        num_clusters: number of different labels; 0: one more than the largest.
    """

    path: str = ""
    lengths: str = ""
    manifest: str = ""
    rate: float = 50.0
    num_clusters: int = 0

    def __post_init__(self) -> None:
        if not self.rate > 0:
            raise ConfigurationError(f"rate={self.rate} was given; expected labels a second, such as 50.")

    @property
    def files(self) -> list[str]:
        """Files and folders that are named."""
        return [each for each in (self.path, self.lengths, self.manifest) if each]

    def open(self) -> LabelFile:
        """Open the labels. Raises ManifestError."""
        if not self.path:
            raise ManifestError("No labels were named. Give objective.targets.path=PATH of the stage.")
        return open_labels(self.path, lengths=self.lengths, manifest=self.manifest)

    def counted(self) -> Self:
        """Return the targets with `num_clusters`, which is read from the labels if it is 0."""
        if self.num_clusters:
            return self
        labels = self.open()
        largest = max((int(labels.read(i).max(initial=-1)) for i in range(labels.count)), default=-1)
        return replace(self, num_clusters=largest + 1)


def import_labels(waveforms: WaveformStore, targets: FileTargets, folder: str | Path, backbone: Backbone) -> LabelStore:
    """Write the label of every frame of a model into a folder, or return those that are there.

    Labels may last 0.1 s longer or shorter than their recording, as in fairseq; the last one is repeated.

    Raises:
        ManifestError: recordings have no labels, labels of another length, or labels out of range; all are counted.
        ConfigurationError: labels in the folder are of other files, speech or frames.
    """
    folder = Path(folder)
    made_of = {
        "targets": {**json_values(targets), "path": "", "lengths": "", "manifest": ""},
        "labels": [
            _digest(Path(each).expanduser()) for each in (targets.path, targets.lengths, targets.manifest) if each
        ],
        "speech": waveforms.fingerprint,
        "frames": [backbone.sampling_rate, backbone.stride, backbone.receptive_field],
    }
    is_there = (folder / "lengths.npy").exists()
    folder.mkdir(parents=True, exist_ok=True)
    write_or_check_settings(folder / "settings.json", made_of, has_results=is_there)
    if not is_there:
        labels = targets.open()
        numbers = _numbers(waveforms, labels)
        _check(waveforms, targets, labels, numbers, backbone)
        ratio = targets.rate / backbone.frame_rate
        rows = (
            _of_frames(labels.read(number), backbone.num_frames(int(length)), ratio)
            for number, length in zip(numbers, waveforms.lengths, strict=True)
        )
        LabelStore.write(folder, rows, num_labels=targets.num_clusters)
    return LabelStore(folder)


def _numbers(waveforms: WaveformStore, labels: LabelFile) -> list[int]:
    """Return the number of each recording among the labels."""
    if labels.names is None:
        if labels.count != waveforms.num_rows:
            raise ManifestError(
                f"{labels.path} has labels for {labels.count} recordings, and the data lists {waveforms.num_rows}. "
                "Name the list that the labels follow, such as fairseq's .tsv: objective.targets.manifest=TSV of the "
                "stage."
            )
        return [int(row) for row in waveforms.rows]
    found, missing, owner = [], [], dict[int, str]()
    for number, path in enumerate(waveforms.paths):
        identity = waveforms.fields(number).get("id")
        place = labels.find(Path(path), None if identity is None else str(identity))
        if place is None:
            missing.append(path)
            continue
        if owner.setdefault(place, path) != path:
            raise ManifestError(
                f"The labels {labels.names[place]!r} of {labels.path} could be those of {owner[place]} and of {path}. "
                "Write more of the path into the names."
            )
        found.append(place)
    if missing:
        raise ManifestError(
            f"{len(missing)} of {len(waveforms)} recordings have no labels in {labels.path}: "
            f"{some_of(missing, NAMED)}. Make their labels, or take them out of the data."
        )
    return found


def _check(
    waveforms: WaveformStore, targets: FileTargets, labels: LabelFile, numbers: list[int], backbone: Backbone
) -> None:
    """Raise ManifestError, with their number, if recordings have labels of another length or out of range."""
    lengths, ranges = [], []
    for number, path, samples in zip(numbers, waveforms.paths, waveforms.lengths, strict=True):
        row, seconds = labels.read(number), int(samples) / backbone.sampling_rate
        lacks = len(row) == 0 < backbone.num_frames(int(samples))
        if lacks or abs(len(row) / targets.rate - seconds) > TOLERANCE_SECONDS:
            lengths.append(f"{path} ({len(row)} labels, {seconds:.2f} s)")
        if len(row) and not (row.min() >= 0 and row.max() < targets.num_clusters):
            ranges.append(f"{path} ({row.min()} to {row.max()})")
    if lengths:
        raise ManifestError(
            f"{len(lengths)} of {len(numbers)} recordings have more or fewer labels than fit their length by over "
            f"{TOLERANCE_SECONDS} s, at {targets.rate:g} labels a second: {some_of(lengths, NAMED)}. Is the rate "
            "another (objective.targets.rate), or are the labels of other recordings or in another order?"
        )
    if ranges:
        raise ManifestError(
            f"{len(ranges)} of {len(numbers)} recordings have labels outside 0 to {targets.num_clusters - 1}: "
            f"{some_of(ranges, NAMED)}. Give the number of different labels: objective.targets.num_clusters."
        )


def _of_frames(labels: NDArray[np.int64], num_frames: int, ratio: float) -> NDArray[np.int64]:
    """Return the label of each frame; `ratio`: labels a frame."""
    places = np.floor(np.arange(num_frames) * ratio + 1e-6).astype(np.int64)
    return labels[np.minimum(places, len(labels) - 1)]


def _digest(path: Path) -> str:
    """Return a short hash of a file, or of the files of a folder."""
    digest = sha256()
    for each in sorted(path.rglob("*.npy")) if path.is_dir() else [path]:
        with each.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return f"sha256:{digest.hexdigest()[:16]}"
