"""`sonant embed`: recordings to files of vectors."""

from pathlib import Path
from typing import Literal

from sonant.cli.options import JobFlags


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
    json: bool = False,
    options: JobFlags,
) -> int:
    """Turn recordings into vectors.

    The source is a recording, a folder (searched through), a manifest (.jsonl, .csv ...), or - for standard input.
    The output is a folder with the vectors, an index.jsonl that lists them, and an errors.jsonl if recordings could not
    be used. One recording may go into one file instead: name it with the ending of a format.

    An interrupted run is resumed when it is started again. A finished folder is brought up to date: changed and new
    recordings are encoded, results of removed ones deleted.

    Args:
        source (FILE|FOLDER|MANIFEST|-): what to encode.
        output (-o OUT): where the vectors go.
        model (-m ID): a shipped model, a hub id, a folder or a checkpoint file.
        layer (-l LAYER): a number, several with commas between, last or all; 0 is the input of the first block. Without
            it: what --task says, else last.
        pool (-p mean|max|mean+std): one vector per recording. Without it: what --task says, else a vector every 20 ms.
        task (-t speaker|content|emotion|semantic): layer and pooling that serve a task.
        format: of the files. Without it: by the ending of OUT, else npy.
        dtype: of the numbers in the files.
        normalize: scale each vector to length one.
        json: print the summary as JSON.

    Examples:
        sonant embed talk.wav -o talk.npy
        sonant embed recordings -o vectors --pool mean --layer 6
        sonant embed corpus/manifest.jsonl -o speakers --task speaker --format parquet
    """
    from sonant.cli.jobs import run_job
    from sonant.extraction.destination import VECTORS

    return run_job(
        VECTORS,
        lambda: options.load(model).embed,
        source,
        output,
        json=json,
        layer=layer,
        pool=pool,
        task=task,
        format=format,
        dtype=dtype,
        normalize=normalize,
        **options.keywords(),
    )
