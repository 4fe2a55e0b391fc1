"""One run of a bulk job: valid results of earlier runs, computation of the others, final files."""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from sonant.errors import ConfigurationError
from sonant.extraction.batching import PlannedBatch
from sonant.extraction.destination import Destination
from sonant.extraction.earlier_results import compare, stamped
from sonant.extraction.engine import Engine, OnError, Outcome
from sonant.extraction.inputs import Entry
from sonant.extraction.journal import (
    append_lines,
    failure,
    read_journal,
    read_lines,
    write_lines,
    write_or_check_settings,
)
from sonant.extraction.names import key_of
from sonant.extraction.partial_results import PartialResults
from sonant.extraction.progress import AudioProgress
from sonant.extraction.result_stores import JobState, TextStore
from sonant.extraction.sinks import Sink
from sonant.extraction.summary import Summary, WorkEstimate
from sonant.extraction.writers import Writer

GROUP = 256  # recordings planned together where results are printed in input order


class BulkJob:
    """One run of a job; `warnings_by_name` maps names of recordings to their warnings, filled during the run."""

    on_error: OnError
    on_failure: Callable[[str, Exception], None] | None

    def __init__(
        self,
        engine: Engine,
        entries: Sequence[Entry],
        place: Destination[Any],
        writer: Writer,
        work: Path,
        source: str | None,
        warnings_by_name: Mapping[str, Sequence[str]],
    ) -> None:
        self.engine, self.entries, self.place, self.writer, self.work = engine, entries, place, writer, work
        self.warnings_by_name = warnings_by_name
        self.index_path, self.journal_path = work / "index.jsonl", work / "journal.jsonl"
        self.errors_path = place.errors_path or work / "errors.jsonl"
        self.errors: dict[int, dict[str, Any]] = {}
        self.computed = self.printed = 0
        self._open(source)

    def _open(self, source: str | None) -> None:
        """Load the valid results of a finished or interrupted run."""
        has_results = any(path.exists() and path.stat().st_size for path in (self.index_path, self.journal_path))
        settings_path, spool = self.work / "settings.json", self.work / f"{self.writer.what}.spool"
        is_new = not has_results and not settings_path.exists()
        complete = write_or_check_settings(settings_path, self.writer.settings, source=source, has_results=has_results)
        if not self.journal_path.exists():
            spool.unlink(missing_ok=True)
            if self.index_path.exists():
                write_lines(self.journal_path, read_lines(self.index_path))
        lines = read_journal(self.journal_path)
        rows = {key_of(row): row for row in lines}
        self.earlier = compare(rows, self.entries, complete=complete)
        self.results = {key: row for key, row in rows.items() if key in self.earlier.kept}
        self.kept = sum(entry.key in self.results for entry in self.entries)
        state = JobState(self.place, self.work, spool, self.entries, lines, self.results, is_new)
        try:
            self.store = self.writer.store(state)
        except ConfigurationError:
            if is_new:  # the folder stays as it was
                for path in (settings_path, self.journal_path):
                    path.unlink(missing_ok=True)
            raise

    def run(self, *, show_progress: bool | None, on_start: Callable[[WorkEstimate], None] | None) -> Summary:
        seconds, failures = self.engine.lengths(self.entries, on_error=self.on_error)
        todo = {item for item, entry in enumerate(self.entries) if entry.key not in self.results}
        failures = [failure for failure in failures if failure.item in todo]  # kept results need no source
        batches = [batch.only(todo) for batch in self._plan(seconds)]
        todo_seconds = sum(seconds[item] or 0.0 for item in todo)
        estimate = self._estimate(todo_seconds, len(todo) - len(failures), len(failures))
        if on_start is not None:
            on_start(estimate)
        self.errors_path.unlink(missing_ok=True)
        self._note_errors(failures)
        with AudioProgress(todo_seconds, show=show_progress, title=self.writer.what) as progress:
            self._compute([batch for batch in batches if batch.items], progress)
            num_bytes = self._finish()
            return Summary(
                output=self.place.path or Path("-"),
                computed=self.computed,
                kept=self.kept,
                failed=len(self.errors),
                changed=len(self.earlier.changed),
                gone=len(self.earlier.gone),
                seconds=progress.seconds,
                wall_seconds=progress.wall_seconds,
                num_bytes=num_bytes,
                errors=self.place.errors_path if self.errors else None,
            )

    def _plan(self, seconds: Sequence[float | None]) -> Iterator[PlannedBatch]:
        """Yield batches planned from all recordings, so that a resumed run has the same batches."""
        group = len(seconds) if self.place.path is not None else GROUP
        for start in range(0, len(seconds), group or 1):
            for batch in self.engine.plan(seconds[start : start + group], self.writer.request):
                yield replace(batch, items=tuple(start + item for item in batch.items))

    def _compute(self, batches: Sequence[PlannedBatch], progress: AudioProgress) -> None:
        """Run the model over batches; write the results of each while the next is computed."""
        written: Future[None] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="sonant-write") as thread:  # waits for what was computed
            for outcomes in self.engine.run(
                self.entries, batches, self.writer.request, self._sink, on_error=self.on_error, progress=progress
            ):
                if written is not None:
                    written.result()
                written = thread.submit(self._keep, outcomes)
            if written is not None:
                written.result()

    def _sink(self, item: int, *, windowed: bool) -> Sink:
        partial = None
        if windowed and self.writer.resumes_recordings:
            entry = self.entries[item]
            facts = {**entry.facts, **entry.stamp, **self.writer.settings}
            partial = PartialResults(self._partial_path(item), facts)
        return self.writer.sink(self.entries[item], partial)

    def _partial_path(self, item: int) -> Path:
        return self.work / "unfinished" / sha256(self.entries[item].key.encode()).hexdigest()[:16]

    def _keep(self, outcomes: Sequence[Outcome]) -> None:
        self._commit([outcome for outcome in outcomes if outcome.error is None])
        self._note_errors([outcome for outcome in outcomes if outcome.error is not None])
        if self.place.path is None:
            self._print()

    def _commit(self, outcomes: Sequence[Outcome]) -> None:
        """Write the results of a batch to disk, then all its journal lines at once."""
        places = self.store.add([(self.entries[outcome.item], outcome) for outcome in outcomes])
        rows = [self._row(outcome) | place for outcome, place in zip(outcomes, places, strict=True)]
        for outcome, row in zip(outcomes, rows, strict=True):
            if warnings := self.warnings_by_name.get(self.entries[outcome.item].name):
                row["warnings"] = list(warnings)
        append_lines(self.journal_path, rows)
        self.results.update({key_of(row): row for row in rows})
        self.computed += len(rows)
        for outcome in outcomes:
            shutil.rmtree(self._partial_path(outcome.item), ignore_errors=True)

    def _row(self, outcome: Outcome) -> dict[str, Any]:
        entry = self.entries[outcome.item]
        measured = {"seconds": round(outcome.seconds, 6), "frames": outcome.frames}
        return {**entry.facts, **measured, **self.writer.facts, **entry.stamp}

    def _note_errors(self, outcomes: Sequence[Outcome]) -> None:
        rows = []
        for outcome in outcomes:
            assert outcome.error is not None
            entry = self.entries[outcome.item]
            rows.append(failure(entry.facts, outcome.error))
            self.errors[outcome.item] = rows[-1]
            if self.on_failure is not None:
                self.on_failure(entry.name, outcome.error)
        append_lines(self.errors_path, rows)

    def _print(self) -> None:
        """Print the results of all recordings before the first unfinished one."""
        assert isinstance(self.store, TextStore)
        for entry in islice(self.entries, self.printed, None):
            if row := self.results.get(entry.key):
                sys.stdout.buffer.write(self.store.text(row))
            elif self.printed not in self.errors:
                break
            self.printed += 1
        sys.stdout.buffer.flush()

    def _finish(self) -> int:
        """Write the final files in input order; remove the journal last, so that a kill loses nothing."""
        named = {entry.key: entry for entry in self.entries}
        elsewhere = sorted(set(self.results).difference(named))
        rows = [stamped(self.results[key], entry) for key, entry in named.items() if key in self.results]
        index, num_bytes = self.store.finish(rows + [self.results[key] for key in elsewhere])
        if self.errors:
            write_lines(self.errors_path, [self.errors[item] for item in sorted(self.errors)])
        self.store.close()
        if self.place.is_folder:
            write_lines(self.index_path, index)
            if self.writer.resumes_recordings:  # other jobs make no such folder: it is the user's
                shutil.rmtree(self.work / "unfinished", ignore_errors=True)
            self.journal_path.unlink()
            (self.work / f"{self.writer.what}.spool").unlink(missing_ok=True)
        elif self.place.path is not None:
            shutil.rmtree(self.work)
        return num_bytes

    def _estimate(self, seconds: float, recordings: int, unreadable: int) -> WorkEstimate:
        """Return an estimate of the work; raise ConfigurationError if it exceeds the free disk space."""
        needed = self.writer.estimated_bytes(recordings, seconds)
        free = shutil.disk_usage(self.work).free
        if needed > free:
            raise ConfigurationError(
                f"The {self.writer.what} of {recordings} recordings ({seconds / 3600:.1f} h) would take about "
                f"{needed / 1e9:.1f} GB, and {self.work} has {free / 1e9:.1f} GB free. Choose another disk"
                + (", fewer layers, a pooling, or float16." if self.writer.what == "vectors" else ".")
            )
        return WorkEstimate(
            recordings=recordings,
            kept=self.kept,
            unreadable=unreadable,
            changed=len(self.earlier.changed),
            gone=len(self.earlier.gone),
            seconds=seconds,
            num_bytes=needed,
        )
