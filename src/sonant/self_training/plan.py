"""Plan of a self-training run before it starts."""

from collections.abc import Callable, Mapping

from sonant.data import read_manifest
from sonant.self_training.pseudo_labels import without_known
from sonant.training.self_training import Selection, SelfTrainingRun, StageName, check

WHAT: Mapping[StageName, Callable[[SelfTrainingRun], str]] = {
    "teacher": lambda run: f"train {run.model} by CTC, {run.fine_tuning.training.steps:,} steps",
    "ngram": lambda run: f"make a {run.ngram_order}-gram of {run.lm_text or 'the transcripts'}",
    "transformer_lm": lambda run: f"train a Transformer language model, {run.text_training.training.steps:,} steps",
    "tuning": lambda run: f"try {run.trials:,} values of the decoder's weights on dev",
    "labeling": lambda run: f"label by beam {run.decoder.beam or 'default'}, {run.decoder.n_best or 1} texts each",
    "selection": lambda run: f"choose texts: {_limits(run.selection)}",
    "ctc": lambda run: f"train {run.model} by CTC on labels and texts, {run.ctc.training.steps:,} steps",
    "seq2seq": lambda run: f"train a fresh model on labels and texts, {run.seq2seq.training.steps:,} steps",
    "evaluation": lambda run: (
        f"measure all models on {' and '.join(part for part in ('dev', 'test') if getattr(run, part))}"
    ),
}


def _limits(selection: Selection) -> str:
    given = [f"{name}={value:g}" for name, value in vars(selection).items() if value]
    return ", ".join(given) or "all that are not empty"


def plan(run: SelfTrainingRun) -> list[tuple[str, str]]:
    """Return what each stage would do."""
    return [(stage, WHAT[stage](run)) for stage in run.planned]


def recordings(run: SelfTrainingRun) -> dict[str, int]:
    """Check a run and count its recordings by set, and those of the unlabeled ones that would be left out.

    Nothing is counted, nor checked, while data or unlabeled are not named.
    """
    if not run.data or not run.unlabeled:
        return {}
    check(run)
    known = {name: read_manifest(path) for name in ("data", "dev", "test") if (path := getattr(run, name))}
    kept, left_out = without_known(read_manifest(run.unlabeled), known)
    counts = {name: len(entries) for name, entries in known.items()} | {"unlabeled": len(kept)}
    return counts | {f"left out, in {name}": count for name, count in left_out.items() if count}
