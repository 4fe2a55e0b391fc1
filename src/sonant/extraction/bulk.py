"""One bulk job: recordings to vectors, units, transcripts, turns or labels on disk; a killed one can be resumed.

The output folder of any kind of results:

- `settings.json`: model, options and whatever else shapes the results; a run that is resumed must have the same.
  Besides, in `sources`, where the recordings came from.
- the results: a file for each recording, named after it, in `features/` (frames), `units/`, or in the folder itself
  (transcripts, turns, labels); or one table of vectors, `vectors.npy` (or .npz, .safetensors, .parquet, .jsonl), a row
  a recording.
- `index.jsonl`: a line a recording, in the order of the input: path, seconds, frames, the source's size and time (or
  hash), the result's file or row, and in `warnings` what is odd about the recording; of vectors dim, layer, pool, model
  and revision too.
- `errors.jsonl`: a line a recording that could not be used: path, error, message.
  With a channel chosen, lines have `channel` after the path, and files `.channel0` in their names.
- `journal.jsonl`, `vectors.spool`, `unfinished/`, `running.lock`: only while a run is under way, or after it was
  killed.

Where the output is one file, `NAME.unfinished/` beside it holds settings, journal and spool until the file is whole,
and `NAME.errors.jsonl` lists the recordings that could not be used. Results for standard output are written in order,
as soon as all before them are there; such a run cannot be resumed.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sonant.data.files import shortened
from sonant.errors import ConfigurationError
from sonant.extraction.bulk_job import BulkJob
from sonant.extraction.destination import Destination
from sonant.extraction.engine import Engine, OnError
from sonant.extraction.inputs import Entry
from sonant.extraction.recording_warnings import recorded_warnings
from sonant.extraction.summary import Summary, WorkEstimate
from sonant.extraction.writers import Writer


def run_job(
    engine: Engine,
    entries: Sequence[Entry],
    place: Destination[Any],
    writer: Writer,
    *,
    source: str | None = None,
    on_error: OnError = "skip",
    show_progress: bool | None = None,
    on_start: Callable[[WorkEstimate], None] | None = None,
    on_failure: Callable[[str, Exception], None] | None = None,
) -> Summary:
    """Write the results of recordings, resuming an earlier run with the same settings where it stopped.

    Batches are planned from all recordings and finished whole, so a resumed run packs the same batches as one that was
    never interrupted. Recordings that failed are tried again, those that changed are computed anew, and those that the
    source names no more are dropped, unless the output holds results of other sources too.

    Args:
        source: what the recordings are of: the path of a folder or a manifest.
        on_start: called before the work begins, with how much there is to do.
        on_failure: called with the name of each recording that cannot be used, and why.

    Raises:
        ConfigurationError: the output holds results of other settings, another job writes it, the disk is too small, or
            several recordings do not fit into one file.
    """
    if len(entries) > 1 and not (place.is_folder or writer.joins):
        what = "recordings" if entries[0].number is None else "channels"
        raise ConfigurationError(
            f"{len(entries)} {what} do not fit into one file of {writer.what}. Name a folder for them."
        )
    with _work_folder(place) as work, recorded_warnings() as warnings_by_name:
        job = BulkJob(engine, entries, place, writer, work, source, warnings_by_name)
        job.on_error, job.on_failure = on_error, on_failure
        try:
            return job.run(show_progress=show_progress, on_start=on_start)
        finally:
            job.store.close()


@contextmanager
def _work_folder(place: Destination[Any]) -> Iterator[Path]:
    """Lock the output, and yield the folder of what is there only while the job runs."""
    if place.path is None:
        with TemporaryDirectory(prefix="sonant-") as folder:
            yield Path(folder)
        return
    with place.held():
        if place.is_folder:
            yield place.path
            return
        work = place.path.with_name(f"{shortened(place.path.name, 230)}.unfinished")
        work.mkdir(exist_ok=True)
        try:
            yield work
        finally:
            journal = work / "journal.jsonl"
            if not (journal.exists() and journal.stat().st_size) and not any((work / "unfinished").glob("*")):
                shutil.rmtree(work, ignore_errors=True)  # nothing in it, or gone already
