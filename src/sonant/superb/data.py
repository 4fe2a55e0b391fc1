"""Data of an evaluation: manifests of a user, or corpora in their official layouts, as manifests of each task and fold.

A folder is named by a task (`ks=FOLDER`), by a corpus (`speech_commands=FOLDER`, for all tasks that use it), or holds
folders of these names. The folder of a task holds manifests called train, dev and test, in any format; or FOLDER is the
beginning of their names: `ks=words/commands` stands for `words/commands_train.jsonl` and so on. Pairs to compare are in
`test_trials.txt` beside them, as `sonant.data.trials` reads it; those that are not listed are of the other kind.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from sonant.data.corpora import CORPORA, CorpusSets, read_corpus
from sonant.data.files import atomic
from sonant.data.manifest import FORMATS, READERS, read_manifest
from sonant.data.manifest_writer import write_manifest
from sonant.data.trials import read_trials
from sonant.errors import ConfigurationError, ManifestError, UnknownName
from sonant.superb.tasks import SUPERB_TASKS, is_there

ALL = ""  # the name of a folder of folders
Data = Mapping[str, str]


@dataclass(frozen=True, eq=False)
class TaskData:
    """Manifests of a task.

    Attributes:
        fold: number from 1; 0 where there is one test set.
        manifests: by part.
        problems: of the files of a corpus.
        files: others, by the setting of the task that names them.
        trials: files of pairs to compare, by part.
    """

    task: str
    fold: int
    manifests: Mapping[str, Path]
    problems: tuple[str, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    trials: Mapping[str, Path] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Task and fold."""
        return f"{self.task}-fold{self.fold}" if self.fold else self.task

    def digest(self, part: str) -> str:
        """Return a short hash of the rows of a manifest, and of its trials."""
        rows: list[Any] = [(entry.identity, entry.fields) for entry in read_manifest(self.manifests[part])]
        rows += read_trials(self.trials[part]) if part in self.trials else []
        return sha256(json.dumps(rows, sort_keys=True, default=str).encode(errors="surrogateescape")).hexdigest()[:16]


def known_data(given: Data) -> dict[str, Path]:
    """Return the folder of each task and corpus that is named, or found in a folder of folders.

    Raises UnknownName, or ConfigurationError where nothing is found.
    """
    names = [*SUPERB_TASKS, *CORPORA]
    found: dict[str, Path] = {}
    for name, folder in given.items():
        path = Path(folder).expanduser()
        if name != ALL:
            if name not in names:
                raise UnknownName("task or corpus", name, names)
            found[name] = path
            continue
        inside = {each: path / each for each in names if (path / each).is_dir()}
        if not inside:
            raise ConfigurationError(
                f"{path} has no folder that is called as a task or a corpus ({', '.join(names)}). Name what it is, "
                f"such as ks={folder}."
            )
        found |= {each: place for each, place in inside.items() if each not in given}
    return found


def tasks_with(found: Mapping[str, Path]) -> tuple[str, ...]:
    """Return the tasks that can be trained on what there is."""
    return tuple(task for task in SUPERB_TASKS if is_there(task) and _source(task, found))


def data_of(task: str, found: Mapping[str, Path], folder: Path) -> list[TaskData]:
    """Return the manifests of a task, one for each fold; those of a corpus are written into a folder.

    Raises ConfigurationError or ManifestError.
    """
    name = _source(task, found)
    if name is None:
        raise ConfigurationError(
            f"There is no data for {task} ({SUPERB_TASKS[task].title}). Name a folder of manifests, --data "
            f"{task}=FOLDER, or of a corpus, --data {_corpora(task)[0]}=FOLDER."
        )
    if name == task:
        return [TaskData(task, 0, _manifests(found[name], task), trials=_trials(found[name], task))]
    folds = CORPORA[name][task].folds
    numbers = range(1, folds + 1) if folds > 1 else (0,)
    return [_of_corpus(task, fold, read_corpus(name, found[name], task, fold=fold or 1), folder) for fold in numbers]


def _source(task: str, found: Mapping[str, Path]) -> str | None:
    return next((name for name in (task, *_corpora(task)) if name in found), None)


def _corpora(task: str) -> list[str]:
    return [name for name, uses in CORPORA.items() if task in uses]


def _of_corpus(task: str, fold: int, read: CorpusSets, folder: Path) -> TaskData:
    data = TaskData(task, fold, {}, tuple(map(str, read.problems)), read.files or {})
    manifests = {part: folder / data.name / f"{part}.jsonl" for part in read.sets}
    for part, path in manifests.items():
        write_manifest(path, read.sets[part])
    trials = {part: folder / data.name / f"{part}_trials.txt" for part in read.trials or {}}
    for part, path in trials.items():
        with atomic(path) as draft:
            draft.write_text("".join(map(str, (read.trials or {})[part])), encoding="utf-8")
    return replace(data, manifests=manifests, trials=trials)


def _places(folder: Path, name: str) -> tuple[Path, Path]:
    """Return where a file of a task may be: in its folder, or behind the beginning of the names."""
    return folder / name, folder.parent / f"{folder.name}_{name}"  # "." has no name


def _trials(folder: Path, task: str) -> dict[str, Path]:
    """Find the trials of a task. Raises ManifestError if it needs those that are missing."""
    about, found = SUPERB_TASKS[task], {}
    for part in about.trials:
        places = _places(folder, f"{part}_trials.txt")
        if path := next((path for path in places if path.is_file()), None):
            found[part] = path
        elif about.needs_trials:
            raise ManifestError(f"There is no {places[0]}. Expected the pairs to compare for {task}, one a line.")
    return found


def _manifests(folder: Path, task: str) -> dict[str, Path]:
    """Find the manifests of a task: files, or folders that are corpora."""
    found = {}
    endings = ["", *(ending for ending in READERS if ending.startswith("."))]
    for part in SUPERB_TASKS[task].parts:
        for beginning in _places(folder, part):  # manifests in the folder come before those beside it
            places = [beginning.with_name(f"{beginning.name}{ending}") for ending in endings]
            folders = [path for path in places if path.is_dir()]
            there = [path for path in places if path.is_file()] or folders  # recordings may lie beside a manifest
            if there:
                break
        if len(there) != 1:
            said = f"several manifests of {part}: {', '.join(path.name for path in there)}" if there else f"no {part}"
            raise ManifestError(
                f"{folder} has {said}. Expected {', '.join(SUPERB_TASKS[task].parts)} for {task}, each one of "
                f"{FORMATS}; or a corpus "
                f"in its official layout, named as one: {_corpora(task)[0]}={folder}."
            )
        found[part] = there[0]
    return found
