"""Bulk encoding of recordings into files; a killed run can be resumed, and gives the same files byte for byte.

The output folder:

- `settings.json`: model, layers, pooling and whatever else shapes the numbers; a run that goes on must have the same.
  Besides, in `sources`, where the recordings came from.
- `features/...`: frames, one file a recording, in the folders of the input.
- `vectors.npy` (or .npz, .safetensors, .parquet, .jsonl): pooled, one file, a row a recording.
- `index.jsonl`: a line a recording, in the order of the input: path, seconds, frames, dim, layer, pool, model,
  revision, the source's size and time (or hash), its file or row, and in `warnings` what is odd about it.
- `errors.jsonl`: a line a recording that could not be used: path, error, message.
  With a channel chosen, lines have `channel` after the path, and files `.channel0` in their names.
- `journal.jsonl`, `vectors.spool`, `unfinished/`, `running.lock`: only while a run is under way, or after it was
  killed.
"""

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from sonant.data.files import shortened
from sonant.data.lock import held
from sonant.errors import ConfigurationError
from sonant.extraction.destination import Destination, destination
from sonant.extraction.engine import Engine, OnError
from sonant.extraction.features import Writer
from sonant.extraction.folder_run import FolderRun
from sonant.extraction.formats import FORMATS, Format
from sonant.extraction.inputs import Entry, check_source
from sonant.extraction.oddities import noted
from sonant.extraction.progress import Progress
from sonant.extraction.sinks import Pooled, Sink, Spooled, in_memory
from sonant.extraction.summary import Estimate, Summary


def embed_file(
    engine: Engine, entries: Sequence[Entry], path: Path, writer: Writer, *, show_progress: bool | None = None
) -> Summary:
    """Encode one recording into one file; raise an error if it cannot be used.

    Frames of a recording in windows are kept in a folder beside the file, `NAME.unfinished`, until they are complete; a
    run that was stopped resumes after its last window.

    Raises:
        ConfigurationError: there are several recordings, or another job writes this file.
    """
    if len(entries) > 1:
        what = "recordings" if writer.channel != "all" else "channels"
        raise ConfigurationError(f"{len(entries)} {what} do not go into one file, {path}. Name a folder.")
    (entry,) = entries
    source = entry.source(sampling_rate=engine.sampling_rate, min_samples=engine.receptive_field)
    request = writer.request
    seconds = source.seconds()
    unfinished = writer.unfinished(path.with_name(f"{shortened(path.name, 230)}.unfinished"), entry)

    def sink(_: int, *, windowed: bool) -> Sink:
        if not windowed:
            return in_memory(request, stored=writer.dtype)
        if request.pool is None:
            return Spooled(unfinished, request, writer.dtype)
        return Pooled(request, unfinished, stored=writer.dtype)

    with (
        held(path, is_folder=False),
        Progress(seconds, show=show_progress, title=entry.name) as progress,
    ):
        ((outcome,),) = engine.run([source], engine.plan([seconds], request), request, sink, progress=progress)
        try:
            if request.pool is None:
                writer.frames(path, outcome)
            else:
                writer.vectors(path, list(outcome.value[:, None].numpy()), [writer.row(entry, outcome)])
        finally:
            unfinished.remove()
        return Summary(
            output=path,
            computed=1,
            kept=0,
            failed=0,
            seconds=outcome.seconds,
            wall_seconds=progress.wall_seconds,
            num_bytes=path.stat().st_size,
        )


def vector_destination(
    output: str | PathLike[str], kind: Format | None, source: str | PathLike[str]
) -> Destination[Format]:
    """Return where vectors go: into a folder, or for one recording into a file whose ending names a format."""
    check_source(source)
    return destination(
        output,
        kind,
        what="vectors",
        endings={f".{each}": each for each in FORMATS},
        folders=FORMATS,
        usual="npy",
        printed=None,
        source=source,
    )


def embed_folder(
    engine: Engine,
    entries: Sequence[Entry],
    folder: Path,
    writer: Writer,
    *,
    source: str | None = None,
    on_error: OnError = "skip",
    show_progress: bool | None = None,
    on_start: Callable[[Estimate], None] | None = None,
) -> Summary:
    """Encode recordings into a folder, going on where an earlier run with the same settings stopped.

    Batches are planned from all recordings and finished whole, so a resumed run packs the same batches as one that was
    never interrupted. Recordings that failed are tried again, those that changed are encoded anew, and those that the
    source names no more are dropped, unless the folder holds results of other sources too.

    Args:
        source: what the recordings are of: the path of a folder or a manifest.

    Raises:
        ConfigurationError: the folder holds results of other settings, another job fills it, or the disk is too small.
    """
    with held(folder, is_folder=True), noted() as oddities:
        run = FolderRun(engine, entries, folder, writer, source=source, on_error=on_error, oddities=oddities)
        try:
            return run.go(show_progress=show_progress, on_start=on_start)
        finally:
            run.close()
