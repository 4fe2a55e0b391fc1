"""`sonant embed`: recordings to files of vectors."""

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sonant.extraction.summary import Estimate, Summary


def embed(
    source: str,
    *,
    output: Path,
    model: str = "sonant/wavlm-tiny",
    layer: int | list[int | Literal["last"]] | Literal["last", "all"] | None = None,
    pool: Literal["mean", "max", "mean+std"] | None = None,
    task: Literal["speaker", "content", "emotion", "semantic"] | None = None,
    format: Literal["npy", "npz", "safetensors", "parquet", "jsonl"] | None = None,  # noqa: A002 - the option's name
    dtype: Literal["float32", "float16"] = "float32",
    normalize: bool = False,
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
    """Turn recordings into vectors.

    The source is a recording, a folder (searched through), a manifest (.jsonl, .csv ...), or - for standard input.
    The output is a folder with the vectors, an index.jsonl that says what is where, and an errors.jsonl if recordings
    could not be used. One recording may go into one file instead: name it with the ending of a format.

    An interrupted run goes on where it stopped when it is started again. A finished folder is brought up to date:
    recordings that changed are encoded anew, new ones added, those that are gone dropped.

    Args:
        source (FILE|FOLDER|MANIFEST|-): what to encode.
        output (-o OUT): where the vectors go.
        model (-m ID): a shipped model, a hub id, a folder or a checkpoint file.
        layer (-l LAYER): a number, several with commas between, last or all; 0 is the input of the first block. Without
            it: what --task says, else last.
        pool (-p mean|max|mean+std): one vector a recording. Without it: what --task says, else a vector every 20 ms.
        task (-t speaker|content|emotion|semantic): layer and pooling that serve a task.
        format: of the files. Without it: by the ending of OUT, else npy.
        dtype: of the numbers in the files.
        normalize: scale each vector to length one.
        channel (mix|N|all): the mean of a recording's channels, one of them, counted from 0, or each by itself. Without
            it: mix.
        language (LANG): of a model with adapters by language (MMS), such as fra. Without it: that of its weights.
        batch_seconds: audio that shares one forward pass. Without it: what suits the device.
        window_seconds: longer recordings are cut into windows and stitched; 0 never cuts.
        overlap_seconds: what neighboring windows share. Without it: 8, or a quarter of windows below 32.
        device: cpu, cuda, cuda:0,cuda:1 ... Without it: a GPU if there is one.
        precision: of the arithmetic. Without it: that of the weights, float32.
        on_error: skip a recording that cannot be used and go on (the exit code is then 1), or raise.
        json: print the summary as JSON.

    Examples:
        sonant embed talk.wav -o talk.npy
        sonant embed recordings -o vectors --pool mean --layer 6
        sonant embed corpus/manifest.jsonl -o speakers --task speaker --format parquet
    """
    from sonant.api import load
    from sonant.extraction.destination import VECTORS

    VECTORS.place(output, format, source)  # refused before the model is loaded
    encoder = load(model, device=device, language=language, precision=precision)
    summary = encoder.embed(
        source,
        output,
        layer=layer,
        pool=pool,
        task=task,
        format=format,
        dtype=dtype,
        normalize=normalize,
        channel=channel,
        batch_seconds=batch_seconds,
        window_seconds=window_seconds or None,
        overlap_seconds=overlap_seconds,
        on_error=on_error,
        on_start=_announce,
    )
    if json:
        _print_json(summary)
    else:
        _print(summary)
    return 1 if summary.failed else 0


def _announce(estimate: "Estimate") -> None:
    """Print an estimate of the run on stderr."""
    kept = f", {estimate.kept} done before" if estimate.kept else ""
    changed = f", {estimate.changed} changed since" if estimate.changed else ""
    gone = f", {estimate.gone} gone since" if estimate.gone else ""
    unreadable = f", {estimate.unreadable} cannot be read" if estimate.unreadable else ""
    print(
        f"{_recordings(estimate.recordings)}, {_time(estimate.seconds)} of audio, about {_size(estimate.num_bytes)} of "
        f"vectors{kept}{changed}{gone}{unreadable}",
        file=sys.stderr,
    )


def _print(summary: "Summary") -> None:
    speed = f" ({summary.seconds / summary.wall_seconds:.0f} x real time)" if summary.computed else ""
    kept = f", {summary.kept} kept from before" if summary.kept else ""
    changed = f", {summary.changed} had changed" if summary.changed else ""
    gone = f", {summary.gone} gone and dropped" if summary.gone else ""
    print(
        f"{_recordings(summary.computed)} encoded, {_time(summary.seconds)} of audio in {_time(summary.wall_seconds)}"
        f"{speed}{kept}{changed}{gone}"
    )
    print(f"{summary.output}  {_size(summary.num_bytes)}")
    if summary.errors is not None:
        print(f"{summary.failed} could not be used: {summary.errors}", file=sys.stderr)
        _print_failures(summary.errors)


def _print_failures(errors: Path, *, most: int = 3) -> None:
    """Print why the first of the recordings listed in a file could not be used."""
    from json import loads

    from sonant.extraction.names import complaint

    with errors.open(encoding="utf-8") as lines:
        for line in islice(lines, most):
            failure = loads(line)
            print("  " + complaint(failure["path"], failure["message"]), file=sys.stderr)
        if next(lines, None):
            print("  ...", file=sys.stderr)


def _print_json(summary: "Summary") -> None:
    import json
    from dataclasses import asdict

    print(json.dumps(asdict(summary), default=str))


def _recordings(number: int) -> str:
    return "1 recording" if number == 1 else f"{number} recordings"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.2f} h"


def _size(num_bytes: int) -> str:
    size, unit = float(num_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.3g} {unit}" if size < 100 else f"{size:.0f} {unit}"
