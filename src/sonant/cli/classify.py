"""`sonant classify`: recordings to the numbers that a head gives each label."""

from pathlib import Path

from sonant.cli.options import JobFlags


def classify(
    source: str,
    *,
    model: str,
    output: Path | None = None,
    json: bool = False,
    options: JobFlags,
) -> int:
    """Classify whole recordings, with a model that was fine-tuned for it: a number for each of its labels.

    The source is a recording, a folder (searched through), a manifest (.jsonl, .csv ...), or - for standard input. The
    answer is a line of JSON for each recording: probabilities of a classifier, or the numbers of a regression. What
    could not be used is named, and listed in errors.jsonl, in the folder or beside the file.

    An interrupted run that writes a file or a folder is resumed when it is started again, and a finished folder is
    brought up to date.

    Args:
        source (FILE|FOLDER|MANIFEST|-): what to classify.
        model (-m ID): a hub id, a folder or a checkpoint file, with a head for whole recordings.
        output (-o OUT): a file (.json, .jsonl), or a folder with a file for each recording. Without it, or for -:
            standard output.
        json: print the summary as JSON; needs an output.

    Examples:
        sonant classify talk.wav -m audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim
        sonant classify calls -m audeering/wav2vec2-large-robust-6-ft-age-gender -o callers.jsonl
    """
    from sonant.cli.jobs import run_job
    from sonant.extraction.destination import LABELS

    return run_job(LABELS, lambda: options.load(model).write_labels, source, output, json=json, **options.keywords())
