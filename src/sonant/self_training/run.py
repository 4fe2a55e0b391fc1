"""Execution of self-training."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from sonant.data import ManifestEntry, read_manifest
from sonant.data.label_problems import shared_with
from sonant.data.settings import json_values, write_or_check_settings
from sonant.data.texts import Texts
from sonant.decoding.prefix_beam import Lexicon
from sonant.errors import ManifestError, SonantWarning, warn
from sonant.extraction.decoder_options import GREEDY, digest_of_files
from sonant.extraction.language_models import read_language_model, read_text_scorer
from sonant.recipes.self_training import self_training_run
from sonant.self_training.pseudo_labels import without_known
from sonant.self_training.run_files import RunFiles
from sonant.self_training.stages import WORK
from sonant.training.ranks import on_first, process_group
from sonant.training.run_folder import held_folder
from sonant.training.self_training import STAGES, SelfTrainingRun, StageName, check
from sonant.training.stages import carry_out
from sonant.training.state import MAY_DIFFER

# Settings that may change when a run is resumed. Contents of manifests and texts must be the same, paths need not.
FREE = (
    *("device", "output", "name", "data", "unlabeled", "dev", "test", "lm", "lm_text", "final", "stages", "trackers"),
    *(f"*.{name}" for name in ("device", "output", "trackers", "cache", "on_error")),
    *(f"*.training.{name}" for name in MAY_DIFFER),
)


class SelfTrained(NamedTuple):
    """Results of a run.

    Attributes:
        folder: of the run; `stages.md` says what each stage did.
        models: folders of the final models by name, "ctc" and "seq2seq", that are finished.
        results: of the finished stages, as JSON values.
    """

    folder: Path
    models: Mapping[str, Path]
    results: Mapping[StageName, Mapping[str, Any]]


def self_train(recipe: str = "self_training", /, **settings: Any) -> SelfTrained:
    """Train models on recordings with and without transcripts.

    A model that is trained on the transcripts labels the other recordings, by a beam search with a language model, and
    final models learn from both. A run that was interrupted goes on when it is called again with the same settings.

    Args:
        recipe: "self_training", for data of one's own, or a published run, such as "self_training_large_10min".
        **settings: those of `sonant.training.self_training.SelfTrainingRun`, in place of the recipe's; nested ones as
            mappings: `ctc={"training": {"steps": 500}}`.

    Raises:
        UnknownName: an unknown recipe.
        ConfigurationError: an unknown or invalid setting, or the run's folder is of others.
        ManifestError: recordings or transcripts cannot be used.
        CheckpointError: a model cannot be read.
    """
    plain = {name: os.fspath(value) if isinstance(value, os.PathLike) else value for name, value in settings.items()}
    return carry_out_self_training(self_training_run(recipe, [plain]))


def carry_out_self_training(
    run: SelfTrainingRun, *, on_stage: Callable[[StageName], None] | None = None
) -> SelfTrained:
    """Start or resume a run; the processes of torchrun do its trainings together, and the first one all else.

    `output/name` gets `run.json`, a folder for each stage with `stage.json`, and `stages.md`. Raises as `self_train`.

    Args:
        on_stage: called before each stage that is not finished.
    """
    check(run)
    files = RunFiles(run)
    with process_group(run.device), ExitStack() as lock:
        on_first(lambda: _open(run, lock))

        def work(stage: StageName, _: None) -> None:
            if on_stage is not None:
                on_first(lambda: on_stage(stage))
            began = time.monotonic()
            result = WORK[stage](files)
            on_first(lambda: files.finish(stage, result, time.monotonic() - began))

        carry_out(run.planned, None, is_finished=files.is_finished, load=lambda *_: None, work=work)
        on_first(files.write_table)  # a call may have been killed between a result and the table
    models = {name: files.folder(name) / "model" for name in ("ctc", "seq2seq") if files.is_finished(name)}
    return SelfTrained(run.folder, models, files.results())


def _open(run: SelfTrainingRun, lock: ExitStack) -> None:
    """Lock the folder of a run, check or write its settings, and warn of what dev and test share with its data.

    Files that a later stage reads are read once, so that one that does not fit is not found wrong after days.
    """
    lock.enter_context(held_folder(run.folder, results="*/*"))
    sets = {name: read_manifest(path) for name in ("data", "unlabeled", "dev", "test") if (path := getattr(run, name))}
    made_of = {name: _content(entries, run.label) for name, entries in sets.items()}
    begun = any((run.folder / stage).is_dir() for stage in STAGES)
    made_of |= {
        name: digest_of_files(Path(path).expanduser(), name)
        for name, path in (("lm", run.lm), ("lm_text", run.lm_text), ("lexicon", run.decoder.lexicon))
        if path
    }
    if not begun:
        _check_language_models(run)
    options = json_values(run.decoder.given) | {"lexicon": None}
    settings = json_values(replace(run, decoder=GREEDY)) | {"decoder": options, "made_of": made_of}
    write_or_check_settings(run.folder / "run.json", settings, has_results=begun, may_differ=FREE)
    known = {name: entries for name, entries in sets.items() if name != "unlabeled"}
    heard = [*sets["data"], *without_known(sets["unlabeled"], known)[0]]
    for part in ("dev", "test"):
        for problem in shared_with(heard, sets.get(part, []), part=part):
            warn(str(problem), SonantWarning)


def _check_language_models(run: SelfTrainingRun) -> None:
    """Raise an error of ours if a file of a language model, or of text for one, cannot be used."""
    words = None if run.decoder.lexicon is None else Lexicon.read(run.decoder.lexicon).words
    if run.lm:
        read_language_model(run.lm, words=words)
    if run.transformer_lm:
        read_text_scorer(run.transformer_lm)
    if run.lm_text and next(iter(Texts(run.lm_text)), None) is None:
        raise ManifestError(f"{run.lm_text} was given as lm_text and has no text; expected a sentence in each line.")


def _content(entries: Sequence[ManifestEntry], label: str) -> str:
    """Return a hash of the names of recordings and their transcripts."""
    rows = [(entry.path.name, str(entry.segment), entry.channel, entry.fields.get(label)) for entry in entries]
    return f"sha256:{sha256(json.dumps(rows).encode(errors='surrogateescape')).hexdigest()[:16]}"
