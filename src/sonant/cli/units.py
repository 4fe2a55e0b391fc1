"""`sonant units`: recordings to discrete units."""

from pathlib import Path
from typing import Literal


def units(
    source: str,
    *,
    model: str,
    output: Path | None = None,
    kmeans: Path | None = None,
    layer: int | Literal["last"] | None = None,
    deduplicate: bool = False,
    format: Literal["text", "jsonl", "npy"] | None = None,  # noqa: A002 - the option's name
    channel: int | Literal["mix", "all"] | None = None,
    language: str | None = None,
    batch_seconds: float | None = None,
    window_seconds: float = 60.0,
    overlap_seconds: float | None = None,
    device: list[str] | None = None,
    precision: Literal["float32", "bfloat16", "float16", "int8"] | None = None,
    on_error: Literal["skip", "raise"] = "skip",
    json: bool = False,
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
        channel (mix|N|all): the mean of a recording's channels, one of them, counted from 0, or each by itself. Without
            it: mix.
        language (LANG): of a model with adapters by language (MMS), such as fra. Without it: that of its weights.
        batch_seconds: audio that shares one forward pass. Without it: what suits the device.
        window_seconds: longer recordings are cut into windows; 0 never cuts.
        overlap_seconds: what neighboring windows share. Without it: 8, or a quarter of windows below 32.
        device: cpu, cuda, cuda:0,cuda:1 ... Without it: a GPU if there is one.
        precision: of the arithmetic. Without it: that of the weights, float32.
        on_error: skip a recording that cannot be used and go on (the exit code is then 1), or raise.
        json: print the summary as JSON; needs an output.

    Examples:
        sonant units talk.wav -m runs/vq_wav2vec_tiny/quantized/model
        sonant units corpus/manifest.jsonl -m vq-wav2vec.pt -o units.jsonl --deduplicate
        sonant units talks -m sonant/wavlm-tiny --kmeans kmeans.safetensors --layer 5 -o units
    """
    from sonant.api import load
    from sonant.cli.jobs import check_output, run_job
    from sonant.extraction.destination import UNITS

    path = check_output(UNITS, output, format, source, json=json)
    return run_job(
        load(model, device=device, language=language, precision=precision).write_units,
        UNITS.what,
        source,
        path,
        json=json,
        kmeans=kmeans,
        layer=layer,
        deduplicate=deduplicate,
        format=format,
        channel=channel,
        batch_seconds=batch_seconds,
        window_seconds=window_seconds or None,
        overlap_seconds=overlap_seconds,
        on_error=on_error,
    )
