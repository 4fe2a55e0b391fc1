"""`sonant evaluate`: measures of models on recordings with labels."""

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sonant.cli.options import InferenceFlags
from sonant.extraction.decoder_options import DecoderOptions

if TYPE_CHECKING:
    from sonant.evaluation.recognition import RecognitionReport


def evaluate() -> int:
    """Measure models on recordings with labels; each task is a command of its own.

    Examples:
        sonant evaluate asr test.jsonl -m runs/recognizer/model -o evaluation
    """
    from sonant.errors import ConfigurationError

    raise ConfigurationError("Name a task: sonant evaluate asr ...; see sonant evaluate --help.")


def evaluate_asr(
    data: str,
    *,
    model: str,
    against: str | None = None,
    output: Path | None = None,
    label: str = "text",
    speaker: str = "speaker",
    by: list[str] | None = None,
    metrics: list[Literal["wer", "cer", "per", "pfer"]] | None = None,
    normalize: Literal["none", "cased", "lower", "upper"] = "none",
    worst: int = 20,
    audio: bool = True,
    json: bool = False,
    decoding: DecoderOptions,
    options: InferenceFlags,
) -> int:
    """Measure speech recognition on recordings with transcripts, or compare two systems.

    Error rates have 95 % bootstrap intervals, over speakers where they are known. The output is a folder with a page of
    its own (index.html: error rates by speaker, length and other fields, frequent errors, the worst recordings with
    audio), results.json, and transcripts.jsonl of a model, which may take the place of that model the next time.

    Instead of a model, -m and --against take a file of hypotheses: .jsonl (with id or path, and text), .csv, .tsv,
    .txt, .trn, or Kaldi's text. Options of decoding are for models, both of them. Recordings that could not be used are
    named, and listed in errors.jsonl; the exit code is then 1.

    Args:
        data (MANIFEST|FOLDER): recordings with their transcripts.
        model (-m ID|FILE): a hub id, a folder or a checkpoint file, with a CTC head; or a file of hypotheses.
        against (ID|FILE): a second system, compared with the first on the same recordings.
        output (-o FOLDER): where the page and the results go. Without it the totals are printed only.
        label (FIELD): field of the manifest with the transcript.
        speaker (FIELD): field with the speaker.
        by (FIELD,...): further fields by whose values error rates are listed, such as gender,accent.
        metrics (METRIC,...): wer, cer, per (phones, separated by spaces), pfer (phone features, needs PanPhon); the
            first one decides which recordings are the worst. Without it: wer,cer.
        normalize: of both texts: none; cased (without punctuation), or lower or upper case as well.
        worst (N): number of recordings with most errors on the page.
        audio: put the worst recordings into the page, to be listened to.
        json: print the totals as JSON.

    Examples:
        sonant evaluate asr dev.jsonl -m facebook/wav2vec2-base-960h --normalize upper -o evaluation
        sonant evaluate asr dev.jsonl -m runs/ctc/model --against facebook/hubert-large-ls960-ft -o comparison
        sonant evaluate asr kaldi/data/test -m exp/decode/text --against other.trn --by gender --json
    """
    from sonant.api.evaluation import ERRORS, evaluate_asr
    from sonant.cli.json_output import print_json
    from sonant.data.hypotheses import is_hypotheses
    from sonant.extraction.names import complaint

    done = evaluate_asr(
        data,
        model if is_hypotheses(model) else options.load(model),
        against=against if against is None or is_hypotheses(against) else options.load(against),
        output=output,
        label=label,
        speaker=speaker,
        by=by or (),
        metrics=metrics or ("wer", "cer"),
        normalize=normalize,
        worst=worst,
        embed_audio=audio,
        progress=None,
        **decoding.given,
        **options.keywords(),
    )
    if json:
        page = None if done.page is None else str(done.page)
        print_json({**done.report.to_json(recordings=False), "failures": dict(done.failures), "page": page})
    else:
        _print(done.report)
        if done.page is not None:
            print(done.page)
    if done.failures:
        listed = "" if done.page is None else f": {done.page.with_name(ERRORS)}"
        print(f"{len(done.failures)} could not be used{listed}", file=sys.stderr)
        for name, message in islice(done.failures.items(), 3):
            print("  " + complaint(name, message), file=sys.stderr)
    return 1 if done.failures else 0


def _print(report: "RecognitionReport") -> None:
    """Print the totals, and the comparison of two systems, in percent."""
    from sonant.cli.console import make_console, plain_table, print_parts

    table = plain_table("", *(f"{metric.upper()} %" for metric in report.metrics))
    for system in report.systems:
        found = [system.totals[metric] for metric in report.metrics]
        table.add_row(system.name, *(_percent(each.rate, each.low, each.high) for each in found))
    if compared := report.comparison.values():
        table.add_row("difference", *(_percent(each.difference, each.low, each.high, sign="+") for each in compared))
        table.add_row("p value", *(f"{each.p_value:.2g}" for each in compared))
    print_parts(make_console(), [table])


def _percent(value: float | None, low: float | None, high: float | None, *, sign: str = "") -> str:
    if value is None:
        return "-"
    text = f"{100 * value:{sign}.2f}"
    return text if low is None or high is None else f"{text} [{100 * low:{sign}.2f}, {100 * high:{sign}.2f}]"
