"""`sonant enhance`: recordings to recordings with less noise."""

from pathlib import Path

from sonant.cli.options import JobFlags


def enhance(source: str, *, model: str, output: Path, json: bool = False, options: JobFlags) -> int:
    """Take noise away from speech.

    The model is one that sonant train enhancement made. The source is a recording, a folder (searched through), a
    manifest (.jsonl, .csv ...), or - for standard input. The output is a folder with a WAV file (32-bit floating point,
    at the model's rate) for each recording, an index.jsonl that lists them, and an errors.jsonl if recordings could not
    be used; or one .wav file for one recording.

    An interrupted run is resumed when it is started again, and a finished folder is brought up to date.

    Args:
        source (FILE|FOLDER|MANIFEST|-): what to enhance.
        model (-m ID): a folder or a hub id.
        output (-o OUT): where the enhanced recordings go.
        json: print the summary as JSON.

    Examples:
        sonant enhance calls -m runs/enhancement/model -o enhanced
        sonant enhance call.wav -m runs/enhancement/model -o clean.wav
    """
    from sonant.cli.jobs import run_job
    from sonant.extraction.destination import ENHANCED

    return run_job(
        ENHANCED, lambda: options.load(model).write_enhanced, source, output, json=json, **options.keywords()
    )
