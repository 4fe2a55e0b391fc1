"""Folder of a pretraining run: its settings, recordings and labels, checked against those it began with."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from sonant.audio.augment import Waveforms
from sonant.checkpoints.checkpoint import meta_backbone
from sonant.data import WaveformStore, read_manifest
from sonant.data.lock import output_lock
from sonant.data.settings import json_values, write_or_check_settings
from sonant.errors import ConfigurationError, ManifestError, SonantError
from sonant.models import Backbone
from sonant.models.identity import fingerprint
from sonant.pretraining import FileTargets, MaskedPredictionConfig
from sonant.pretraining.file_targets import import_labels
from sonant.training.loop import DivergedError
from sonant.training.ranks import world
from sonant.training.runs import WAVEFORMS, PretrainingRun

# Settings that may change when a run is resumed. Contents of corpora and teacher must be the same, paths need not.
MAY_DIFFER = (
    "device",
    "output",
    "name",
    "data",
    "noise",
    "impulse_responses",
    "teacher",
    "initial_model",
    "probes.*",
    "trackers",
    "stages.*.objective.targets.path",
    "stages.*.objective.targets.lengths",
    "stages.*.objective.targets.manifest",
    "stages.*.objective.targets.codebook",
    "stages.*.training.compile",
    "stages.*.training.gradient_checkpointing",
    "stages.*.training.log_every",
    "stages.*.training.save_every",
    "stages.*.training.validate_every",
)


class RunRecordings(NamedTuple):
    """Decoded recordings of a run."""

    waveforms: WaveformStore
    noises: Waveforms
    impulse_responses: Waveforms


def open_run(run: PretrainingRun, teacher: Backbone | None, initial: Backbone | None, lock: ExitStack) -> RunRecordings:
    """Lock the folder of a run, check or write its settings, and return its speech, noises and impulse responses."""
    folder, rate = run.folder, run.model.sampling_rate
    recordings = read_manifest(run.data)
    lock.enter_context(held_folder(folder))
    begun = any(entry.is_dir() and entry.name != WAVEFORMS for entry in folder.iterdir())
    noises = stored(run.noise, folder / WAVEFORMS / "noise", rate)
    impulse_responses = stored(run.impulse_responses, folder / WAVEFORMS / "impulse_responses", rate)
    made_of = {
        "noise": content_of(noises),
        "impulse_responses": content_of(impulse_responses),
        "teacher": None if teacher is None else fingerprint(teacher),
    }
    if initial is not None:
        made_of["initial_model"] = fingerprint(initial)
    settings = json_values(run) | {"processes": world(), "made_of": made_of}
    if begun:
        write_or_check_settings(folder / "run.json", settings, has_results=True, may_differ=MAY_DIFFER)
    waveforms = WaveformStore.build(recordings, folder / WAVEFORMS, sampling_rate=rate)
    if not begun:
        write_or_check_settings(folder / "run.json", settings, has_results=False)
    _import_labels(run, waveforms)
    return RunRecordings(waveforms, noises, impulse_responses)


@contextmanager
def held_folder(folder: Path, *, results: str = "state.pt") -> Iterator[None]:
    """Lock the folder of a run; remove a new one if the run fails before it has `results`, a pattern of paths."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    if any(each.exists() and not each.is_dir() for each in (folder, *folder.parents)):
        raise ConfigurationError(
            f"{folder} cannot be the folder of a run: part of its path is a file. Set output=PATH."
        )
    with output_lock(folder, is_folder=True):
        is_new = bool(missing) and len(list(folder.iterdir())) == 1  # only the lock file; no other job was faster
        try:
            yield
        except SonantError as error:
            trained = isinstance(error, DivergedError) or any(folder.rglob(results))
            if is_new and not trained:
                shutil.rmtree(folder)
                for parent in missing[1:]:
                    with suppress(OSError):  # another run has begun there
                        parent.rmdir()
            raise


def _import_labels(run: PretrainingRun, waveforms: WaveformStore) -> None:
    """Import the label files of all stages, so that one of a later stage is not found wrong after days."""
    for stage in run.stages:
        objective = stage.objective
        if isinstance(objective, MaskedPredictionConfig) and isinstance(objective.targets, FileTargets):
            folder = run.folder / stage.name / "targets"
            import_labels(waveforms, objective.targets, folder, meta_backbone(run.model))


def stored(manifest: str, folder: Path, sampling_rate: int) -> Waveforms:
    """Decode noises or impulse responses to disk, in float32, since many exceed full scale."""
    if not manifest:
        return ()
    store = WaveformStore.build(read_manifest(manifest), folder, sampling_rate=sampling_rate, sample_type="float32")
    if store.skipped:
        raise ManifestError(
            f"{len(store.skipped)} of the recordings of {manifest} cannot be read. The first: "
            f"{next(iter(store.skipped.values()))} Mend them, or take them out of the list."
        )
    return store


def content_of(waveforms: Waveforms) -> dict[str, Any]:
    """Return number and hash of waveforms."""
    digest = sha256()
    for number in range(len(waveforms)):
        waveform = waveforms[number]
        digest.update(f"{len(waveform)} ".encode())
        digest.update(waveform.data)
    return {"recordings": len(waveforms), "hash": f"sha256:{digest.hexdigest()[:16]}"}
