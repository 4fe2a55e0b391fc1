"""`sonant evaluate asv`: speaker verification of a model on trials."""

import sys
from itertools import islice
from pathlib import Path

from sonant.cli.options import InferenceFlags


def evaluate_asv(
    data: str,
    *,
    model: str,
    trials: Path | None = None,
    cohort: Path | None = None,
    top: int = 300,
    whole: bool = False,
    speaker: str = "speaker",
    scores: Path | None = None,
    json: bool = False,
    options: InferenceFlags,
) -> int:
    """Measure speaker verification on recordings of known speakers: EER, minDCF and Cllr.

    Intervals of 95 % are drawn by speaker. Detection costs are at priors of the same speaker of 0.01 and 0.05, with
    equal costs. Cllr is of ratios that were calibrated on the trials of other speakers. Recordings that cannot be used
    are named, and their trials left out; the exit code is then 1.

    Args:
        data (MANIFEST|FOLDER): recordings with their speakers.
        model (-m ID): a hub id, a folder or a checkpoint file.
        trials (FILE): pairs to compare, "1 ENROLLED TEST" or "0 ENROLLED TEST" a line. Without it: all pairs.
        cohort (MANIFEST): other speakers, by whose mean embeddings scores are normalized (AS-norm).
        top (N): most similar speakers of the cohort.
        whole: take whole recordings, pauses included, as published figures do; without it their speech, as sonant
            verify does.
        speaker (FIELD): field of the manifests with the speaker.
        scores (FILE): gets a line for each trial: score, and both recordings.
        json: print the measures as JSON.

    Examples:
        sonant evaluate asv asv.jsonl -m runs/speaker/model --trials trials.txt
        sonant evaluate asv vox1.jsonl -m microsoft/wavlm-base-plus-sv --trials veri_test2.txt --whole
        sonant evaluate asv asv.jsonl -m runs/speaker/model --trials trials.txt --cohort train.jsonl --json
    """
    from sonant.api.speaker_evaluation import evaluate_asv as evaluate
    from sonant.cli.json_output import print_json
    from sonant.extraction.names import complaint

    done = evaluate(
        data,
        options.load(model),
        trials=trials,
        cohort=cohort,
        top=top,
        whole=whole,
        speaker=speaker,
        progress=None,
        **options.keywords(),
    )
    if scores is not None:
        from sonant.data.files import atomic

        with atomic(scores) as draft:
            rows = zip(done.scores, done.trials, strict=True)
            draft.write_text("".join(f"{score:.6f} {one} {other}\n" for score, (one, other) in rows), encoding="utf-8")
    if json:
        print_json({**done.measures, "skipped": done.skipped, "failures": dict(done.failures)}, indent=2)
    else:
        from sonant.cli.console import make_console, plain_table, print_parts

        table = plain_table("", "value", "95 % interval")
        for name, each in done.measures.items():
            if isinstance(each, dict):
                share = 100 if name == "eer" else 1
                low, high = each["low"], each["high"]
                interval = "-" if low is None else f"{share * low:.3g} to {share * high:.3g}"
                table.add_row("EER %" if name == "eer" else name, f"{share * each['value']:.3g}", interval)
        print_parts(
            make_console(), [f"{done.measures['trials']:,} trials, {done.measures['targets']:,} targets", table]
        )
    if done.failures:
        print(f"{len(done.failures)} could not be used, and {done.skipped} trials were left out", file=sys.stderr)
        for name, message in islice(done.failures.items(), 3):
            print("  " + complaint(name, message), file=sys.stderr)
    return 1 if done.failures else 0
