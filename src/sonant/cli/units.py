"""`sonant units`: recordings to discrete units."""

from pathlib import Path
from typing import Literal

from sonant.cli.options import JobFlags


def units(
    source: str,
    *,
    model: str,
    output: Path | None = None,
    kmeans: Path | None = None,
    layer: int | Literal["last"] | None = None,
    deduplicate: bool = False,
    format: Literal["text", "jsonl", "npy"] | None = None,  # noqa: A002 - the option's name
    json: bool = False,
    options: JobFlags,
) -> int:
    """Turn recordings into discrete units, a number for each frame.

    A vq-wav2vec gives its own codes, joined by - where it has several groups. Any other model gives the clusters of one
    of its layers: name the file of cluster centers with --kmeans and the layer with --layer.

    The source is a recording, a folder (searched through), a manifest (.jsonl, .csv ...), or - for standard input.
    Without an output, lines go to standard output: the name of a recording, a tab, its units. What could not be used
    is listed in errors.jsonl, in the folder or beside the file.

    An interrupted run that writes a file or a folder is resumed when it is started again, and a finished folder is
    brought up to date.

    Args:
        source (FILE|FOLDER|MANIFEST|-): what to turn into units.
        output (-o OUT): a file of lines (.txt or .jsonl), or a folder of arrays. Without it, or for -: standard output.
        model (-m ID): a hub id, a folder or a checkpoint file.
        kmeans (PATH): cluster centers, as pretraining saves them in kmeans.safetensors.
        layer (-l N|last): the layer that the centers were made of.
        deduplicate (-d): take out repetitions; jsonl and npy then hold durations in frames.
        format: of the units. Without it: by the ending of OUT, else npy.
        json: print the summary as JSON; needs an output.

    Examples:
        sonant units talk.wav -m runs/vq_wav2vec_tiny/quantized/model
        sonant units corpus/manifest.jsonl -m vq-wav2vec.pt -o units.jsonl --deduplicate
        sonant units talks -m sonant/wavlm-tiny --kmeans kmeans.safetensors --layer 5 -o units
    """
    from sonant.cli.jobs import run_job
    from sonant.extraction.destination import UNITS

    return run_job(
        UNITS,
        lambda: options.load(model).write_units,
        source,
        output,
        json=json,
        kmeans=kmeans,
        layer=layer,
        deduplicate=deduplicate,
        format=format,
        **options.keywords(),
    )
