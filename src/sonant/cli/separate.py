"""`sonant separate`: recordings to a recording for each speaker."""

from pathlib import Path

from sonant.cli.options import JobFlags


def separate(source: str, *, model: str, output: Path, json: bool = False, options: JobFlags) -> int:
    """Give each speaker of a recording a recording of his own.

    The model is one that sonant train separation made, for a fixed number of speakers, whose order is arbitrary. The
    source is a recording, a folder (searched through), a manifest (.jsonl, .csv ...), or - for standard input. The
    output is a folder, in which each speaker has one (speaker_1, speaker_2 ...) with a WAV file (32-bit floating point,
    at the model's rate) for each recording; index.jsonl lists them, and errors.jsonl what could not be used.

    An interrupted run is resumed when it is started again, and a finished folder is brought up to date.

    Args:
        source (FILE|FOLDER|MANIFEST|-): what to separate.
        model (-m ID): a folder or a hub id.
        output (-o OUT): the folder for the separated recordings.
        json: print the summary as JSON.

    Examples:
        sonant separate meetings -m runs/separation/model -o separated
    """
    from sonant.cli.jobs import run_job
    from sonant.extraction.destination import SEPARATED

    return run_job(
        SEPARATED, lambda: options.load(model).write_separated, source, output, json=json, **options.keywords()
    )
