"""Bulk jobs: vectors, units, transcripts, speaker turns or labels of many recordings on disk, resumable after a kill.

Files of the output folder, for any kind of results:

- `settings.json`: model and options that determine the results; a resumed run must have the same. The field `sources`
  lists the inputs of the recordings.
- the results: one file per recording, in `features/` (frames), `units/`, or the folder itself (transcripts, turns,
  labels); or one table of vectors, `vectors.npy` (or .npz, .safetensors, .parquet, .jsonl), one row per recording.
- `index.jsonl`: one line per recording, in input order: path, seconds, frames, the source's size and time (or hash),
  the result's file or row, and `warnings` about the audio; for vectors also dim, layer, pool, model and revision.
- `errors.jsonl`: one line per unusable recording: path, error, message.
  If a channel was chosen, lines have `channel` after the path, and file names `.channel0`.
- `journal.jsonl`, `vectors.spool`, `unfinished/`, `running.lock`: present only during a run or after a kill.

If the output is one file, `NAME.unfinished/` beside it holds settings, journal and spool until the file is complete,
and `NAME.errors.jsonl` lists unusable recordings. Results for standard output are written in input order; such a run
cannot be resumed.
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
    """Write the results of recordings; resume an earlier run with the same settings.

    Batches are planned from all recordings and finished whole, so a resumed run packs the same batches as an
    uninterrupted one. Recordings that failed or changed are computed again. Results of recordings that are no longer in
    the source are removed, unless the output also holds results of other sources.

    Args:
        source: the path of the folder or manifest that the recordings are from.
        on_start: called with an estimate of the work before it begins.
        on_failure: called with the name of each unusable recording and the error.

    Raises:
        ConfigurationError: the output holds results of other settings, another job writes it, the disk is too small,
            several recordings do not fit into one file, or results would replace recordings or files of others.
    """
    if len(entries) > 1 and not (place.is_folder or writer.joins):
        what = "recordings" if entries[0].number is None else "channels"
        raise ConfigurationError(
            f"{len(entries)} {what} do not fit into one file of {writer.what}. Name a folder for them."
        )
    writer.check(entries, place)
    with _work_folder(place) as work, recorded_warnings() as warnings_by_name:
        job = BulkJob(engine, entries, place, writer, work, source, warnings_by_name)
        job.on_error, job.on_failure = on_error, on_failure
        try:
            return job.run(show_progress=show_progress, on_start=on_start)
        finally:
            job.store.close()


@contextmanager
def _work_folder(place: Destination[Any]) -> Iterator[Path]:
    """Lock the output, and yield the folder of the job's temporary files."""
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
                shutil.rmtree(work, ignore_errors=True)  # empty, or removed already
