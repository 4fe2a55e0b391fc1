"""Problems of the data of an evaluation, found before anything is trained."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from sonant.checkpoints import make_backbone
from sonant.checkpoints.fresh import fresh_or_loaded
from sonant.data import ManifestEntry, check_labels, read_manifest
from sonant.data.label_problems import shared_with
from sonant.data.trials import match_trials, read_trials
from sonant.errors import ManifestError, SonantWarning, warn
from sonant.superb.data import TaskData
from sonant.superb.settings import SuperbRun
from sonant.superb.tasks import DOCUMENTS
from sonant.superb.trials import HeadTrial
from sonant.training.tasks.run import starting_checkpoint
from sonant.training.tasks.sets import read_labels


def check_data(run: SuperbRun, data: Iterable[tuple[TaskData, Sequence[HeadTrial]]]) -> None:
    """Warn of the problems of the data of tasks and folds, each with a training, or none.

    Raises ManifestError for errors of any of them, unless rows with errors are left out.
    """
    errors = []
    for each, trials in data:
        for line in chain(each.problems, _unmatched(each), *map(_problems, trials)):
            if line.startswith("warning") or run.on_error == "skip":
                warn(f"{each.name}: {line}", SonantWarning)
            else:
                errors.append(f"{each.name}: {line}")
    if errors:
        raise ManifestError(
            "Nothing was trained, since the data have problems:\n"
            + "\n".join(errors)
            + "\nCorrect them, or leave out such rows (--on-error skip)."
        )


def _unmatched(data: TaskData) -> Iterator[str]:
    """Yield the problems of lists of trials."""
    others = read_manifest(data.manifests[DOCUMENTS]) if DOCUMENTS in data.manifests else []
    for part, path in data.trials.items():
        try:
            match_trials(read_trials(path), [*read_manifest(data.manifests[part]), *others])
        except ManifestError as error:
            yield f"error: {error}"


def _problems(trial: HeadTrial) -> Iterator[str]:
    """Yield the problems of the recordings and labels of a training, each a line."""
    data, run = trial.question.data, trial.run
    checkpoint = starting_checkpoint(run, fresh_or_loaded(run.model, seed=run.seed))
    with TemporaryDirectory() as folder:
        try:
            rows = read_labels(run, checkpoint, make_backbone(checkpoint), Path(folder), on_error="skip")
            yield from rows.report.splitlines()
            train, dev, test = (
                rows.task.recordings(str(data.manifests[part]), rows.needs.column) for part in ("train", "dev", "test")
            )
            for problem in check_labels(train, test, needs=rows.needs, on_error="skip").problems:
                if problem.part == "dev":  # as it calls the second set; those of train are known
                    yield str(replace(problem, part="test"))
        except ManifestError as error:
            yield f"error: {error}"
            return
    yield from map(str, shared_with(dev, test, part="test", speaker="", first_part="dev"))
    for part, entries in (("train", train), ("test", test)):
        yield from _single_speaker(part, entries)


def _single_speaker(part: str, entries: list[ManifestEntry]) -> Iterator[str]:
    speakers = {entry.text_in("speaker") for entry in entries}
    if len(speakers) == 1 and speakers != {None}:
        (speaker,) = speakers
        yield f"warning: all {len(entries)} rows of {part} are of one speaker, {speaker}: others may differ"
