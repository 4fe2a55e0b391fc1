"""Evaluation of the models of self-training on the development and test sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sonant.api import SpeechEncoder, evaluate_asr
from sonant.data.settings import write_settings
from sonant.evaluation.recognition import Metric
from sonant.extraction.decoder_options import GREEDY
from sonant.self_training.run_files import RunFiles, StageResult
from sonant.self_training.tuning import decoders, tuned
from sonant.training.self_training import StageName

RESULTS, TABLE = "results.json", "results.md"
METRICS: tuple[Metric, ...] = ("wer", "cer")
FINAL: tuple[StageName, ...] = ("ctc", "seq2seq")


def evaluated(files: RunFiles) -> StageResult:
    """Measure the teacher and the final models that there are: CTC greedily, by the beam, and rescored."""
    run, folder = files.run, files.folder("evaluation")
    models = {"teacher": files.teacher("evaluation")}
    models |= {name: str(files.folder(name) / "model") for name in FINAL if files.is_finished(name)}
    rows: list[dict[str, Any]] = []
    for name, model in models.items():
        encoder = files.loaded(model)
        weights = files.folder("tuning") if name == "teacher" else folder / f"tuning_{name}"
        if name == "ctc" and "tuning" in run.planned:
            tuned(files, model, weights)
        for part in ("dev", "test"):
            if manifest := getattr(run, part):
                for how, path in _transcribed(files, encoder, name, Path(manifest), folder / part, weights):
                    rows.append(_measured(files, manifest, path, part=part, system=name, decoding=how))
    write_settings(folder / RESULTS, {"results": rows})
    (folder / TABLE).write_text(table(rows), encoding="utf-8")
    return StageResult(f"{len(rows)} decodings of {len(models)} models", _best(rows), {"results": rows})


def _transcribed(
    files: RunFiles, encoder: SpeechEncoder, name: str, manifest: Path, folder: Path, weights: Path
) -> Iterator[tuple[str, Path]]:
    """Yield the ways of decoding, and the file of hypotheses of each."""
    folder.mkdir(parents=True, exist_ok=True)
    ways = {"greedy": GREEDY} | decoders(files, weights) if name != "seq2seq" else {"search": GREEDY}  # of the model
    for how, options in ways.items():
        path = folder / f"{name}_{how}.jsonl"
        encoder.write_transcripts(manifest, path, format="json", progress=None, **options.given)
        yield how, path


def _measured(files: RunFiles, manifest: str, path: Path, *, part: str, system: str, decoding: str) -> dict[str, Any]:
    """Measure a file of hypotheses, a final model's beside the teacher's of the same decoding.

    What a seq2seq model writes, without a language model, is compared with the teacher's greedy texts.
    """
    options: dict[str, Any] = {"label": files.run.label, "normalize": files.normalization, "metrics": METRICS}
    row: dict[str, Any] = {"set": part, "system": system, "decoding": decoding}
    if system == "teacher":
        report = evaluate_asr(manifest, path, **options).report
    else:
        beside = path.with_name(f"teacher_{'greedy' if decoding == 'search' else decoding}.jsonl")
        report = evaluate_asr(manifest, beside, against=path, **options).report
        names = ("difference", "low", "high", "p_value")
        row["against_teacher"] = {
            metric: {name: getattr(each, name) for name in names} for metric, each in report.comparison.items()
        }
    totals = report.systems[-1].totals
    for metric in METRICS:
        row[metric] = {name: getattr(totals[metric], name) for name in ("rate", "low", "high")}
    return row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return a Markdown table: error rates in percent with intervals, and the difference to the teacher."""
    lines = ["| set | model | decoding | WER % | CER % | WER against teacher | p |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        against = row.get("against_teacher", {}).get("wer")
        beside = (
            ["", ""] if against is None else [_interval(against, "difference", sign="+"), f"{against['p_value']:.2g}"]
        )
        cells = [
            row["set"],
            row["system"],
            row["decoding"],
            *(_interval(row[metric], "rate") for metric in METRICS),
            *beside,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _interval(found: dict[str, Any], name: str, *, sign: str = "") -> str:
    if found["low"] is None:
        return "-" if found[name] is None else f"{100 * found[name]:{sign}.1f}"
    return f"{100 * found[name]:{sign}.1f} [{100 * found['low']:{sign}.1f}, {100 * found['high']:{sign}.1f}]"


def _best(rows: Sequence[dict[str, Any]]) -> str:
    """Say the best word error rate of each model on the last set."""
    of_last = [row for row in rows if row["set"] == rows[-1]["set"] and row["wer"]["rate"] is not None]
    best = {
        row["system"]: min(100 * each["wer"]["rate"] for each in of_last if each["system"] == row["system"])
        for row in of_last
    }
    return f"{rows[-1]['set']}: best WER " + ", ".join(f"{name} {rate:.1f} %" for name, rate in best.items())
