"""Folder of a training on labels: its settings, and its recordings with their labels."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from math import inf
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sonant.checkpoints import Checkpoint
from sonant.data import LabelNeeds, ManifestEntry, check_labels
from sonant.data.settings import json_values, read_settings, write_or_check_settings
from sonant.data.waveforms import corpus_hash, is_of
from sonant.errors import ConfigurationError, ManifestError, SonantWarning, some_of, warn
from sonant.models import Backbone
from sonant.models.identity import fingerprint
from sonant.training.ranks import world
from sonant.training.run_folder import held_folder
from sonant.training.runs import WAVEFORMS
from sonant.training.state import MAY_DIFFER
from sonant.training.tasks.recordings import LabeledRecordings, with_sources
from sonant.training.tasks.settings import TaskRun
from sonant.training.tasks.task import Task

# Settings that may change when a run is resumed. Contents of model and recordings must be the same, paths need not.
FREE = (
    "cache",
    "device",
    "on_error",
    "output",
    "name",
    "data",
    "dev",
    "model",
    "task.calibrated",
    "task.mixing.noise",
    "task.mixing.dev_noise",
    "task.mixing.impulse_responses",
    "trackers",
    "waveforms.*",
    *(f"training.{name}" for name in MAY_DIFFER),
)


class LabeledSets(NamedTuple):
    """Recordings of a run, the task as fitted to their labels, their classes, and the fingerprint of the model."""

    model: str
    task: Task
    classes: tuple[str, ...]
    train: LabeledRecordings
    dev: LabeledRecordings | None

    @property
    def both(self) -> list[LabeledRecordings]:
        """The sets that there are."""
        return [self.train] if self.dev is None else [self.train, self.dev]


class LabeledRows(NamedTuple):
    """Rows of the manifests of a run that can be used.

    Attributes:
        needs: of the labels.
        task: as fitted to the labels.
        classes: of the labels.
        sets: rows by set, "train" and "dev", or pieces of them.
        report: problems of the other rows.
    """

    needs: LabelNeeds
    task: Task
    classes: tuple[str, ...]
    sets: dict[str, list[ManifestEntry]]
    report: str


def read_labels(
    run: TaskRun,
    checkpoint: Checkpoint,
    backbone: Backbone,
    folder: Path,
    *,
    on_error: Literal["raise", "skip"],
    resumed: bool = False,
    dev_name: str = "dev",
) -> LabeledRows:
    """Read the manifests of a run and check their labels.

    Args:
        folder: for files of the task.
        on_error: as in `check_labels`.
        resumed: the files in the folder are those of this run.
        dev_name: of the set `dev` in the report, such as "test".

    Raises:
        ManifestError: there are rows that cannot be used, or none that can.
    """
    given = run.task if isinstance(run.label, str) else run.task.with_columns(run.label)
    needs = LabelNeeds(
        column=run.label,
        normalize=given.normalized,
        num_frames=lambda seconds: backbone.num_frames(round(seconds * backbone.sampling_rate)),
        title=given.label_title,
    )
    data, dev = (given.recordings(name, needs.column) if name else [] for name in (run.data, run.dev))
    labels = [label for entry in data if (label := needs.label(entry))]
    task = given.fitted(labels, checkpoint=checkpoint, model=run.model, folder=folder, resumed=resumed)
    classes = task.classes(labels) if labels else ()
    known = frozenset(classes)
    needs = replace(
        needs,
        min_frames=task.min_frames,
        outside=lambda label: task.outside(label, known),
        speaker="" if _are_speakers(data, needs) and not task.is_open_set else needs.speaker,
    )
    checked = check_labels(data, dev, needs=needs, on_error=on_error)
    if run.dev:
        task.check_dev(list(map(needs.label, checked.dev)))
    whole = {"train": checked.train} | ({"dev": checked.dev} if run.dev else {})
    sets = {name: _pieces(entries, task, needs, run.batching.max_seconds, name) for name, entries in whole.items()}
    told = (replace(each, part=dev_name) if each.part == "dev" else each for each in checked.problems)
    return LabeledRows(needs, task, classes, sets, "\n".join(map(str, told)))


def _are_speakers(entries: Sequence[ManifestEntry], needs: LabelNeeds) -> bool:
    """Return whether the labels are the speakers, so that those of a closed set are in all of its parts."""
    labels = [(entry.text_in(needs.speaker), needs.label(entry)) for entry in entries]
    return bool(labels) and all(speaker == label for speaker, label in labels)


def _pieces(
    entries: Sequence[ManifestEntry], task: Task, needs: LabelNeeds, max_seconds: float, name: str
) -> list[ManifestEntry]:
    """Divide long recordings of a set where the task can, and leave out what it cannot learn, with a warning."""
    pieces = [piece for entry in entries for piece in task.pieces(entry, needs.column, max_seconds)]
    reasons = [task.unfit(needs.label(piece)) for piece in pieces]
    if left_out := [f"{piece.name}: {reason}" for piece, reason in zip(pieces, reasons, strict=True) if reason]:
        why = f"{len(left_out)} of the {len(pieces)} recordings of {name}, or pieces of them, cannot be learned"
        if len(left_out) == len(pieces):
            raise ManifestError(f"{why}, which leaves none. The first: {left_out[0]}.")
        warn(f"{why}, and are left out. The first: {left_out[0]}.", SonantWarning)
    return [piece for piece, reason in zip(pieces, reasons, strict=True) if not reason]


def open_sets(run: TaskRun, checkpoint: Checkpoint, backbone: Backbone, lock: ExitStack) -> LabeledSets:
    """Lock the folder of a run, decode its recordings, and check or write its settings."""
    lock.enter_context(held_folder(run.folder))
    begun = run.has_begun
    rows = read_labels(run, checkpoint, backbone, run.folder, on_error=run.on_error, resumed=begun)
    if rows.report:
        warn(f"The labels have problems:\n{rows.report}", SonantWarning)
    task, classes, both = rows.task, rows.classes, rows.sets
    before = read_settings(run.folder / "run.json") if begun else {}
    keys = {
        name: _waveform_key(run, with_sources(entries, task), before.get(WAVEFORMS, {}).get(name), backbone)
        for name, entries in both.items()
    }

    def read(name: str) -> LabeledRecordings:
        longest = inf if name == "train" and run.augmentation.crop_seconds else run.batching.max_seconds
        return read_set(run, rows, both[name], backbone, name=name, key=keys[name], max_seconds=longest)

    sets = LabeledSets(
        fingerprint(backbone),
        task,
        classes,
        read("train"),
        read("dev") if run.dev else None,
    )
    speed = max(run.augmentation.speeds)
    if too_fast := sets.train.too_fast(task, backbone, speed):
        warn(
            f"{len(too_fast)} of the {len(sets.train.used)} recordings of train would have fewer frames than their "
            f"labels take at a speed of {speed:g}: {some_of(too_fast, 5)}. Each keeps its own speed where the one "
            "drawn would be too fast.",
            SonantWarning,
        )
    made_of = {
        "model": sets.model,
        "data": sets.train.fingerprint,
        "dev": None if sets.dev is None else sets.dev.fingerprint,
    }
    made_of |= {name: sha256(path.read_bytes()).hexdigest()[:16] for name, path in task.files().items()}
    if run.uses_cache:
        made_of["states"] = "cached"
    if begun:
        check_contents(run, before.get("made_of", {}), made_of)
    settings = json_values(run) | {"processes": world(), "made_of": made_of, WAVEFORMS: keys}
    write_or_check_settings(run.folder / "run.json", settings, has_results=begun, may_differ=FREE)
    return sets


def read_set(
    run: TaskRun,
    rows: LabeledRows,
    entries: Sequence[ManifestEntry],
    backbone: Backbone,
    *,
    name: str,
    max_seconds: float,
    key: str = "",
) -> LabeledRecordings:
    """Decode a set of a run.

    Args:
        rows: labels of the run.
        name: of the set.
        max_seconds: longer recordings are left out.
        key: of the folder of decoded recordings; "": by the recordings.
    """
    task = rows.task
    found = LabeledRecordings.read(
        entries,
        list(map(rows.needs.label, entries)),
        _waveform_folder(run, name, key or corpus_hash(with_sources(entries, task), backbone.sampling_rate)),
        task,
        name=name,
        backbone=backbone,
        max_seconds=max_seconds,
        on_error=run.on_error,
    )
    mixer = task.mixer(
        name,
        given=found.sources,
        labels={number: found.labels[number] for number in found.used if number not in found.sources},
        folder=run.folder / WAVEFORMS,
        sampling_rate=backbone.sampling_rate,
    )
    return replace(found, mixer=mixer)


def check_contents(run: TaskRun, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise ConfigurationError if a run has begun with other contents of its files, or with another use of a cache."""
    words = {
        "model": "other weights of the model",
        "data": "other recordings or labels in data",
        "dev": "other recordings or labels in dev" if before.get("dev") else "no dev",
        "states": "states from a cache (cache=FOLDER)" if before.get("states") else "no cache of states (cache=)",
    }
    changed = [words.get(name, f"another {name}") for name in {**before, **now} if before.get(name) != now.get(name)]
    if changed:
        raise ConfigurationError(
            f"{run.folder} holds a run that began with {', and with '.join(changed)}. Give the same again to go on "
            "with it, or begin a new run under another name: name=NAME."
        )


def _waveform_key(run: TaskRun, recordings: Sequence[ManifestEntry], known: str | None, backbone: Backbone) -> str:
    """Return the key of the folder of decoded recordings.

    A run that has begun keeps its own, `known`, though files may be gone by now, unless they are listed elsewhere now.
    """
    if known and is_of(Path(run.output).expanduser() / WAVEFORMS / known, recordings):
        return known
    return corpus_hash(recordings, backbone.sampling_rate)


def _waveform_folder(run: TaskRun, name: str, key: str) -> Path:
    """Return the folder of decoded recordings: one for all runs in `output` that are trained on the same ones.

    A run of an earlier version keeps its own, in its folder.
    """
    own = run.folder / WAVEFORMS / name
    return own if own.is_dir() else Path(run.output).expanduser() / WAVEFORMS / key
