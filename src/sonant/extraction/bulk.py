"""Many recordings to files: what a kill leaves behind is kept, and the finished folder is the same byte for byte.

The output folder:

- `settings.json`: model, layers, pooling and whatever else shapes the numbers; a run that goes on must have the same.
- `features/...`: frames, one file a recording, in the folders of the input.
- `vectors.npy` (or .npz, .safetensors, .parquet, .jsonl): pooled, one file, a row a recording.
- `index.jsonl`: a line a recording, in the order of the input: path, seconds, frames, dim, layer, pool, model,
  revision, and its file or row.
- `errors.jsonl`: a line a recording that could not be used: path, error, message.
- `journal.jsonl`, `vectors.spool`: only while a run is under way, or after it was killed.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from sonant.errors import ConfigurationError
from sonant.extraction.engine import Engine, OnError
from sonant.extraction.features import Writer
from sonant.extraction.folder_run import FolderRun
from sonant.extraction.inputs import Entry
from sonant.extraction.progress import Progress
from sonant.extraction.sinks import Sink, Spooled, in_memory
from sonant.extraction.summary import Estimate, Summary


def embed(
    engine: Engine,
    entries: Sequence[Entry],
    output: Path,
    writer: Writer,
    *,
    on_error: OnError = "skip",
    show_progress: bool | None = None,
    on_start: Callable[[Estimate], None] | None = None,
) -> Summary:
    """Encode recordings into a folder, or one recording into a file where the output's ending is that of the format."""
    if output.suffix != f".{writer.format}" or output.is_dir():
        return embed_folder(
            engine, entries, output, writer, on_error=on_error, show_progress=show_progress, on_start=on_start
        )
    if len(entries) > 1:
        raise ConfigurationError(f"{len(entries)} recordings do not go into one file, {output}. Name a folder.")
    return embed_file(engine, entries[0], output, writer, show_progress=show_progress)


def embed_file(
    engine: Engine, entry: Entry, path: Path, writer: Writer, *, show_progress: bool | None = None
) -> Summary:
    """Encode one recording into one file; raises what is wrong with it."""
    source = entry.source(sampling_rate=engine.sampling_rate, min_samples=engine.receptive_field)
    request = writer.request
    seconds = source.seconds()
    path.parent.mkdir(parents=True, exist_ok=True)

    def sink(_: int, *, windowed: bool) -> Sink:
        if request.pool is None and windowed:
            return Spooled(path.with_name(f".{path.name}"), request, writer.dtype)
        return in_memory(request)

    with Progress(seconds, show=show_progress, title=entry.name) as progress:
        ((outcome,),) = engine.run([source], engine.plan([seconds], request), request, sink, progress=progress)
        if request.pool is None:
            writer.frames(path, outcome)
        else:
            writer.vectors(path, list(outcome.value[:, None].numpy()), [writer.row(entry.name, outcome)])
        return Summary(
            output=path,
            computed=1,
            kept=0,
            failed=0,
            seconds=outcome.seconds,
            wall_seconds=progress.wall_seconds,
            num_bytes=path.stat().st_size,
        )


def embed_folder(
    engine: Engine,
    entries: Sequence[Entry],
    folder: Path,
    writer: Writer,
    *,
    on_error: OnError = "skip",
    show_progress: bool | None = None,
    on_start: Callable[[Estimate], None] | None = None,
) -> Summary:
    """Encode recordings into a folder, going on where an earlier run with the same settings stopped.

    Batches are planned from all recordings and finished whole, so a resumed run packs the same batches as one that was
    never interrupted. Recordings that failed are tried again.

    Raises:
        ConfigurationError: the folder holds results of other settings, or the disk is too small.
    """
    folder.mkdir(parents=True, exist_ok=True)
    run = FolderRun(engine, entries, folder, writer, on_error)
    try:
        return run.go(show_progress=show_progress, on_start=on_start)
    finally:
        run.close()
