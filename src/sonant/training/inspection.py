"""Inspection of a pretraining run before it starts: its data, its batches, the disk, and the duration of its steps."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sonant import audio
from sonant.checkpoints import load_checkpoint, make_backbone
from sonant.data import ManifestEntry, read_manifest
from sonant.data.settings import check_same_settings, json_values, read_settings
from sonant.errors import AudioError, CheckpointUnavailable, some_of
from sonant.models import Backbone
from sonant.training.checks import check, check_given
from sonant.training.corpus_headers import CorpusHeaders, read_headers
from sonant.training.disk_need import disk_free, disk_need
from sonant.training.ranks import world
from sonant.training.run_folder import MAY_DIFFER
from sonant.training.runs import PretrainingRun, completed
from sonant.training.stage_forecast import Findings, StageForecast, forecast_stage
from sonant.training.step_time import StepTime

DECODED, DECODING_SECONDS = 8, 5.0


@dataclass(frozen=True)
class Inspection:
    """Result of an inspection.

    Attributes:
        hours: of audio; estimated where headers were not read and the manifest gives no durations.
        decoding_hours: of decoding the corpus on one core.
        disk: bytes that the run will write, by purpose.
        disk_free: bytes, with what the run has written already.
        problems: reasons why the run would fail, or lose recordings.
        warnings: odd settings, with which the run would go on.
    """

    recordings: int
    hours: float
    headers: CorpusHeaders
    decoding_hours: float
    disk: dict[str, int]
    disk_free: int
    stages: tuple[StageForecast, ...]
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def inspect(run: PretrainingRun, *, limit_seconds: float = 60.0) -> Inspection:
    """Inspect a run, without writing anything.

    Args:
        limit_seconds: roughly the longest time that the steps may take which are measured, all stages together.

    Raises:
        ConfigurationError: the run cannot start with these settings, or its folder is of a run with others.
        ManifestError: the data, noises or impulse responses are no list of recordings.
    """
    run = completed(run)
    check(run)
    _check_begun(run)
    found, rate = Findings(), run.model.sampling_rate
    recordings = read_manifest(run.data)
    headers = read_headers(recordings, rate, seed=run.seed)
    _look_at_headers(headers, run.data, found)
    extra = 0
    for manifest in filter(None, (run.noise, run.impulse_responses)):
        mixed = read_headers(read_manifest(manifest), rate, seed=run.seed)
        extra += int(mixed.samples.sum())
        if mixed.unreadable:
            found.problems.append(f"{manifest}: {_unreadable(mixed)} None of these may be unreadable.")
    previous = _previous(run, found)
    measured: dict[object, StepTime | str] = {}
    stages = []
    for number, stage in enumerate(run.stages):
        left = limit_seconds / len(run.stages)
        stages.append(forecast_stage(run, stage, number, headers, measured, left, found))
    disk = disk_need(run, headers.samples, extra, previous)
    free = disk_free(run)
    if sum(disk.values()) > free:
        found.problems.append(
            f"The run will write {sum(disk.values()) / 1e9:.1f} GB to {run.folder}, where {free / 1e9:.1f} GB are "
            "free. Make room, or name another place: output=PATH."
        )
    hours = headers.samples.sum() / rate / 3600
    decoding = hours * _decoding_speed(recordings, rate, run.seed)
    return Inspection(
        len(recordings),
        hours,
        headers,
        decoding,
        disk,
        free,
        tuple(stages),
        tuple(found.problems),
        tuple(found.warnings),
    )


def _check_begun(run: PretrainingRun) -> None:
    path = run.folder / "run.json"
    if path.exists():
        before = read_settings(path)
        now = json_values(run) | {"processes": world(), "made_of": before.get("made_of")}
        check_same_settings(path, before, now, may_differ=MAY_DIFFER)


def _look_at_headers(headers: CorpusHeaders, manifest: str, found: Findings) -> None:
    if headers.unreadable:
        found.problems.append(f"{manifest}: {_unreadable(headers)} The run would leave these out.")
    if headers.mislabeled:
        found.warnings.append(
            f"{manifest}: the durations of {len(headers.mislabeled)} recordings are not those of their files "
            f"({some_of(headers.mislabeled, most=3)}). The run goes by the files."
        )


def _unreadable(headers: CorpusHeaders) -> str:
    first = next(iter(headers.unreadable.values()))
    return f"{len(headers.unreadable)} of {headers.num_read} recordings looked at cannot be read. The first: {first}"


def _previous(run: PretrainingRun, found: Findings) -> Backbone | None:
    """Load and check the models that the run names, if they are on this machine."""
    models = []
    for source in (run.teacher, run.initial_model):
        try:
            models.append(make_backbone(load_checkpoint(source, local_files_only=True)) if source else None)
        except CheckpointUnavailable:
            if Path(source).is_absolute() or source.startswith((".", "~")):
                raise
            found.warnings.append(f"{source} is not on this machine, and was not looked at; the run would fetch it.")
            return None
    teacher, initial = models
    previous, start = teacher or initial, initial or teacher
    if previous is not None and start is not None:
        check_given(run, previous, start)
    return previous


def _decoding_speed(recordings: list[ManifestEntry], sampling_rate: int, seed: int) -> float:
    """Return seconds of decoding for a second of audio, by some recordings; 0 if none can be decoded."""
    began, decoded = time.monotonic(), 0.0
    for number in np.random.default_rng(seed).permutation(len(recordings))[:DECODED].tolist():
        try:
            entry = recordings[number]
            decoded += len(audio.read(entry.audio, sampling_rate=sampling_rate, **entry.part)) / sampling_rate
        except AudioError:
            continue
        if time.monotonic() - began > DECODING_SECONDS:
            break
    return (time.monotonic() - began) / decoded if decoded else 0.0
