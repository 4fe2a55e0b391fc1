"""Stages of self-training. Each goes on from what an earlier call has left in its folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sonant.data import ManifestEntry, read_manifest
from sonant.data.files import atomic
from sonant.data.manifest_writer import write_manifest
from sonant.data.texts import Texts
from sonant.decoding.ngrams.files import load_ngram_model, save_ngrams
from sonant.decoding.ngrams.kneser_ney import train_kneser_ney
from sonant.decoding.perplexity import score_sentences, total
from sonant.errors import ManifestError
from sonant.evaluation.error_rates import ErrorCounts, error_counts
from sonant.self_training.evaluation import evaluated
from sonant.self_training.pseudo_labels import (
    Labeled,
    check_spelling,
    labels_of,
    marked,
    none_left,
    read_labels,
    select,
    without_known,
    write_labels,
)
from sonant.self_training.run_files import RunFiles, StageResult
from sonant.self_training.tuning import decoders, reference_of, tuned
from sonant.training.ranks import on_first
from sonant.training.self_training import StageName
from sonant.training.tasks import TaskRun, train_task
from sonant.training.text import train_language_model

UNLABELED, TRANSCRIPTS, LABELS = "unlabeled.jsonl", "transcripts.jsonl", "labels.jsonl"  # of labeling
TRAIN = "train.jsonl"  # of selection


def teacher(files: RunFiles) -> StageResult:
    """Train the model that labels."""
    run = files.run
    return _trained(files, replace(run.fine_tuning, name="teacher", model=run.model, data=run.data))


def ngram(files: RunFiles) -> StageResult:
    """Make an n-gram language model."""
    return on_first(lambda: _ngram(files))


def transformer_lm(files: RunFiles) -> StageResult:
    """Train a Transformer language model."""
    run = files.run
    data, dev = on_first(lambda: (_texts(files, "data"), _texts(files, "dev") if run.dev else ""))
    training = replace(
        run.text_training,
        name="transformer_lm",
        data=str(data),
        dev=str(dev),
        normalization=files.normalization,
        output=str(run.folder),
        device=run.device,
        seed=run.seed,
        trackers=run.trackers,
    )
    train_language_model(training)
    measured = _measures(training.folder)
    shown = next((f"perplexity {value:.1f} on dev" for name, value in measured.items() if "perplexity" in name), "")
    return StageResult(
        f"{training.training.steps:,} steps on {Path(run.lm_text or run.data).name}", shown, {"dev": measured}
    )


def tuning(files: RunFiles) -> StageResult:
    """Search the weights of the teacher's decoder."""
    return on_first(lambda: tuned(files, files.teacher("tuning"), files.folder("tuning")))


def labeling(files: RunFiles) -> StageResult:
    """Write the teacher's texts of the recordings without transcripts."""
    return on_first(lambda: _labeling(files))


def selection(files: RunFiles) -> StageResult:
    """Choose texts, and write the manifest of both kinds of recordings."""
    return on_first(lambda: _selection(files))


def ctc(files: RunFiles) -> StageResult:
    """Train the pretrained model on both."""
    run = files.run
    return _trained(files, replace(run.ctc, name="ctc", model=run.model, data=_both(files, "ctc")))


def seq2seq(files: RunFiles) -> StageResult:
    """Train a sequence to sequence model on both."""
    return _trained(files, replace(files.run.seq2seq, name="seq2seq", data=_both(files, "seq2seq")))


def evaluation(files: RunFiles) -> StageResult:
    """Measure teacher and final models on dev and test."""
    return on_first(lambda: evaluated(files))


WORK: Mapping[StageName, Callable[[RunFiles], StageResult]] = {
    "teacher": teacher,
    "ngram": ngram,
    "transformer_lm": transformer_lm,
    "tuning": tuning,
    "labeling": labeling,
    "selection": selection,
    "ctc": ctc,
    "seq2seq": seq2seq,
    "evaluation": evaluation,
}


def _measures(folder: Path) -> dict[str, Any]:
    """Return what a finished training measured on the development set; nothing without one."""
    path = folder / "result.json"
    measures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return measures


def _trained(files: RunFiles, training: TaskRun) -> StageResult:
    """Carry out a training on labels, with the settings that all stages share."""
    run = files.run
    training = replace(
        training,
        label=run.label,
        dev=run.dev,
        output=str(run.folder),
        device=run.device,
        seed=run.seed,
        trackers=run.trackers,
    )
    train_task(training)
    dev = _measures(training.folder)
    rates = [f"{name.upper()} {100 * each['value']:.1f} %" for name, each in dev.items() if isinstance(each, dict)]
    shown = f"dev: {', '.join(rates)}" if rates else ""
    return StageResult(
        f"{training.training.steps:,} steps on {Path(training.data).name}", shown, {"model": "model", "dev": dev}
    )


def _both(files: RunFiles, of: StageName) -> str:
    return str(files.needed("selection", of, "") / TRAIN)


def _texts(files: RunFiles, part: str) -> Path:
    """Return the file of the texts that language models are made of, or of the transcripts of dev."""
    run = files.run
    if part == "data" and run.lm_text:
        return Path(run.lm_text).expanduser()
    path = run.folder / "texts" / f"{part}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = (reference_of(files, entry) for entry in read_manifest(getattr(run, part)))
    with atomic(path) as draft:
        draft.write_text("".join(f"{text}\n" for text in texts if text), encoding="utf-8")
    return path


def _ngram(files: RunFiles) -> StageResult:
    run, folder = files.run, files.folder("ngram")
    folder.mkdir(parents=True, exist_ok=True)
    path = _texts(files, "data")
    texts = Texts(str(path), files.normalization)
    ngrams = train_kneser_ney(texts, order=run.ngram_order, discount_fallback=True, source=str(path))
    save_ngrams(folder / "lm.arpa.gz", ngrams)
    facts: dict[str, Any] = {"order": run.ngram_order, "ngrams": [len(table.words) for table in ngrams.tables]}
    shown = ""
    if run.dev:
        dev = Texts(str(_texts(files, "dev")), files.normalization)
        found = total(score_sentences(load_ngram_model(folder / "lm.arpa.gz"), dev))
        facts |= {"perplexity": found.perplexity, "words": found.num_words, "unknown_words": found.num_unknown}
        shown = f"dev: perplexity {found.perplexity:,.0f}, {found.num_unknown:,} of {found.num_words:,} words unknown"
    return StageResult(f"{run.ngram_order}-gram of {Path(run.lm_text or run.data).name}", shown, facts)


def _labeling(files: RunFiles) -> StageResult:
    run, folder = files.run, files.folder("labeling")
    known = {name: read_manifest(path) for name in ("data", "dev", "test") if (path := getattr(run, name))}
    kept, left_out = without_known(read_manifest(run.unlabeled), known)
    manifest = folder / UNLABELED
    write_manifest(manifest, kept)
    *_, options = decoders(files, files.folder("tuning")).values()
    encoder = files.loaded(files.teacher("labeling"))
    summary = encoder.write_transcripts(manifest, folder / TRANSCRIPTS, format="json", progress=None, **options.given)
    labels = list(labels_of(manifest, folder / TRANSCRIPTS))
    with atomic(folder / LABELS) as draft:
        write_labels(draft, labels)
    hours = sum(each.seconds for each in labels) / 3600
    facts = {"recordings": len(labels), "hours": hours, "failed": summary.failed, "left_out": left_out}
    shown = _compared(files, kept, labels, facts)
    return StageResult(f"{len(labels):,} recordings, {hours:.2f} h, {sum(left_out.values()):,} left out", shown, facts)


def _compared(files: RunFiles, entries: list[ManifestEntry], labels: list[Labeled], facts: dict[str, Any]) -> str:
    """Compare texts with the transcripts that their recordings happen to have, and add the rate to the facts."""
    pairs = [
        (reference_of(files, entries[each.row]), each.text)
        for each in labels
        if entries[each.row].fields.get(files.run.label)
    ]
    rate = sum(error_counts(*zip(*pairs, strict=True)), ErrorCounts()).rate if pairs else None
    if rate is None:
        return ""
    facts |= {"wer": rate, "with_transcripts": len(pairs)}
    return f"WER {100 * rate:.1f} % of the {len(pairs):,} with transcripts"


def _selection(files: RunFiles) -> StageResult:
    run, labeled = files.run, files.needed("labeling", "selection", "")
    entries = read_manifest(labeled / UNLABELED)
    source = Path(run.teacher).name if run.teacher else f"{run.name}/teacher"
    chosen = select(entries, read_labels(labeled / LABELS), run.selection, label=run.label, source=source)
    given = read_manifest(run.data)
    if not chosen.entries:
        raise ManifestError(none_left(chosen.facts))
    check_spelling(
        [str(each.fields[run.label]) for each in chosen.entries], [reference_of(files, each) for each in given]
    )
    folder = files.folder("selection")
    write_manifest(folder / TRAIN, [*marked(given), *chosen.entries])
    facts = chosen.facts | {"labeled": len(given)}
    left = f"{facts['empty']:,} empty, {facts['filtered']:,} filtered, {facts['without_result']:,} unusable"
    return StageResult(
        f"{facts['kept']:,} texts kept, {facts['hours']:.2f} h; {left}", f"with {len(given):,} labeled", facts
    )
