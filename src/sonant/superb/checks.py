"""Problems of the data of an evaluation, found before anything is trained."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sonant.checkpoints import make_backbone
from sonant.checkpoints.fresh import fresh_or_loaded
from sonant.data import ManifestEntry, check_labels
from sonant.errors import ManifestError, SonantWarning, warn
from sonant.superb.trials import HeadTrial
from sonant.training.tasks.run import starting_checkpoint
from sonant.training.tasks.sets import read_labels


def check_data(trials: Iterable[HeadTrial]) -> None:
    """Warn of the problems of the data of some trials, one for each task and fold.

    Raises ManifestError for errors of any of them, unless rows with errors are left out.
    """
    errors = []
    for trial in trials:
        name = trial.question.data.name
        for line in _problems(trial):
            if line.startswith("warning") or trial.run.on_error == "skip":
                warn(f"{name}: {line}", SonantWarning)
            else:
                errors.append(f"{name}: {line}")
    if errors:
        raise ManifestError(
            "Nothing was trained, since the data have problems:\n"
            + "\n".join(errors)
            + "\nCorrect them, or leave out such rows (--on-error skip)."
        )


def _problems(trial: HeadTrial) -> Iterator[str]:
    """Yield the problems of the data of a trial, each a line."""
    data, run = trial.question.data, trial.run
    yield from data.problems
    checkpoint = starting_checkpoint(run, fresh_or_loaded(run.model, seed=run.seed))
    with TemporaryDirectory() as folder:
        try:
            rows = read_labels(run, checkpoint, make_backbone(checkpoint), Path(folder), on_error="skip")
            yield from rows.report.splitlines()
            train, test = (
                rows.task.recordings(str(data.manifests[part]), rows.needs.column) for part in ("train", "test")
            )
            for problem in check_labels(train, test, needs=rows.needs, on_error="skip").problems:
                if problem.part == "dev":  # as it calls the second set; those of train are known
                    yield str(replace(problem, part="test"))
        except ManifestError as error:
            yield f"error: {error}"
            return
    for part, entries in (("train", train), ("test", test)):
        yield from _single_speaker(part, entries)


def _single_speaker(part: str, entries: list[ManifestEntry]) -> Iterator[str]:
    speakers = {str(entry.fields.get("speaker") or "") for entry in entries}
    if len(speakers) == 1 and speakers != {""}:
        (speaker,) = speakers
        yield f"warning: all {len(entries)} rows of {part} are of one speaker, {speaker}: others may differ"
