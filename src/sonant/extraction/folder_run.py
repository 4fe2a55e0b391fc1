"""One run of a bulk job that fills a folder."""

import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from sonant.errors import ConfigurationError
from sonant.extraction.batching import Batch
from sonant.extraction.changes import review, stamped
from sonant.extraction.engine import Engine, OnError, Outcome
from sonant.extraction.features import Writer
from sonant.extraction.formats import estimated_bytes
from sonant.extraction.inputs import Entry
from sonant.extraction.journal import Journal, failure, read_lines, settle, write_lines
from sonant.extraction.names import key_of, output_names
from sonant.extraction.progress import Progress
from sonant.extraction.sinks import Pooled, Sink, Spooled, in_memory
from sonant.extraction.summary import Estimate, Summary
from sonant.extraction.vector_spool import VectorSpool


class FolderRun:
    """One run of `embed_folder`; `oddities` collects warnings by the names of the recordings while it runs."""

    def __init__(
        self,
        engine: Engine,
        entries: Sequence[Entry],
        folder: Path,
        writer: Writer,
        *,
        source: str | None,
        on_error: OnError,
        oddities: Mapping[str, Sequence[str]],
    ) -> None:
        self.engine, self.entries, self.folder, self.writer, self.on_error = engine, entries, folder, writer, on_error
        self.request, self.oddities = writer.request, oddities
        self.sources = [
            entry.source(sampling_rate=engine.sampling_rate, min_samples=engine.receptive_field) for entry in entries
        ]
        self.index_path, self.errors_path = folder / "index.jsonl", folder / "errors.jsonl"
        self.journal_path, self.spool_path = folder / "journal.jsonl", folder / "vectors.spool"
        self.vectors_path = folder / f"vectors.{writer.format}"
        self.errors: dict[int, dict[str, Any]] = {}
        self._reopen(source)
        self.files = self._file_names()
        self.kept = sum(entry.key in self.results for entry in entries)
        self.computed = 0

    def _reopen(self, source: str | None) -> None:
        """Load the results that are still valid, of a finished folder or of a run that was stopped."""
        has_results = any(path.exists() and path.stat().st_size for path in (self.index_path, self.journal_path))
        complete = settle(
            self.folder / "settings.json",
            self.writer.settings(),
            source=source,
            bound=has_results,
            free=("model", "revision"),
        )
        if self.journal_path.exists():
            self._sweep()
        elif self.index_path.exists():
            index = read_lines(self.index_path)
            if self.request.pool is not None and index:
                vectors = self.writer.read_vectors(self.vectors_path).transpose(1, 0, 2)  # (recordings, layers, dim)
                self.spool_path.write_bytes(np.ascontiguousarray(vectors, dtype=self.writer.dtype).tobytes())
            write_lines(self.journal_path, index)
        self.journal = Journal(self.journal_path)
        self.spool = None
        if self.request.pool is not None:
            shape = (len(self.request.layers), self.writer.dim)
            self.spool = VectorSpool(self.spool_path, shape, self.writer.dtype, rows=len(self.journal.lines))
        self.review = review(self.journal.rows, self.entries, complete=complete)
        self.results = {key: row for key, row in self.journal.rows.items() if key in self.review.kept}

    def _sweep(self) -> None:
        """Remove partly written files that a killed run left."""
        for here, _, names in os.walk(self.folder):
            for name in names:
                if name.endswith(".part"):
                    Path(here, name).unlink(missing_ok=True)

    def _file_names(self) -> list[str]:
        """Return a file name for each recording that is not taken by another's kept result."""
        names = [entry.file_name for entry in self.entries]
        files = output_names(names, self.writer.format)
        if self.request.pool is not None:
            return files
        usual = {entry.key: f"features/{file}" for entry, file in zip(self.entries, files, strict=True)}
        taken = [row["file"] for key, row in self.results.items() if row["file"] != usual.get(key)]
        return output_names(names, self.writer.format, taken=[file.removeprefix("features/") for file in taken])

    def go(self, *, show_progress: bool | None, on_start: Callable[[Estimate], None] | None) -> Summary:
        seconds, failures = self.engine.lengths(self.sources, on_error=self.on_error)
        todo = {item for item, entry in enumerate(self.entries) if entry.key not in self.results}
        failures = [failure for failure in failures if failure.item in todo]  # what is kept need not be read
        # Planned from all, then without what is finished: the batches of an interrupted run come out the same.
        batches = [batch.only(todo) for batch in self.engine.plan(seconds, self.request)]
        batches = [batch for batch in batches if batch.items]
        todo_seconds = sum(seconds[item] or 0.0 for item in todo)
        estimate = self._estimate(todo_seconds, len(todo) - len(failures), len(failures))
        if on_start is not None:
            on_start(estimate)
        self._note_errors(failures)
        with Progress(todo_seconds, show=show_progress) as progress:
            self._compute(batches, progress)
            num_bytes = self._finish()
            return Summary(
                output=self.folder,
                computed=self.computed,
                kept=self.kept,
                failed=len(self.errors),
                changed=len(self.review.changed),
                gone=len(self.review.gone),
                seconds=progress.seconds,
                wall_seconds=progress.wall_seconds,
                num_bytes=num_bytes,
                errors=self.errors_path if self.errors else None,
            )

    def _compute(self, batches: Sequence[Batch], progress: Progress) -> None:
        """Run the model over batches; each is written while the next is computed."""
        written: Future[None] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="sonant-write") as writer:  # waits for what was computed
            for outcomes in self.engine.run(
                self.sources, batches, self.request, self._sink, on_error=self.on_error, progress=progress
            ):
                if written is not None:
                    written.result()
                written = writer.submit(self._keep, outcomes)
            if written is not None:
                written.result()

    def _keep(self, outcomes: Sequence[Outcome]) -> None:
        self._commit([outcome for outcome in outcomes if outcome.error is None])
        self._note_errors([outcome for outcome in outcomes if outcome.error is not None])

    def close(self) -> None:
        self.journal.close()
        if self.spool is not None:
            self.spool.close()

    def _sink(self, item: int, *, windowed: bool) -> Sink:
        if not windowed:
            return in_memory(self.request, stored=self.writer.dtype)
        unfinished = self.writer.unfinished(self._unfinished_path(item), self.entries[item])
        if self.request.pool is not None:
            return Pooled(self.request, unfinished, stored=self.writer.dtype)
        return Spooled(unfinished, self.request, self.writer.dtype)

    def _unfinished_path(self, item: int) -> Path:
        return self.folder / "unfinished" / sha256(self.entries[item].key.encode()).hexdigest()[:16]

    def _commit(self, outcomes: Sequence[Outcome]) -> None:
        """Make a batch durable: write its features first, then, in one write, its lines of the journal."""
        rows = [self.writer.row(self.entries[outcome.item], outcome) for outcome in outcomes]
        if self.spool is not None:
            numbers = self.spool.append(outcome.value.numpy() for outcome in outcomes)
            rows = [row | {"row": number} for row, number in zip(rows, numbers, strict=True)]
        else:
            for outcome, row in zip(outcomes, rows, strict=True):
                row["file"] = f"features/{self.files[outcome.item]}"
                self.writer.frames(self.folder / row["file"], outcome)
        for outcome, row in zip(outcomes, rows, strict=True):
            if warnings := self.oddities.get(self.sources[outcome.item].name):
                row["warnings"] = list(warnings)
        self.journal.append(rows)
        self.results.update({key_of(row): row for row in rows})
        self.computed += len(rows)
        for outcome in outcomes:
            shutil.rmtree(self._unfinished_path(outcome.item), ignore_errors=True)

    def _note_errors(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            assert outcome.error is not None
            self.errors[outcome.item] = failure(self.entries[outcome.item].facts, outcome.error)
        if outcomes:
            write_lines(self.errors_path, [self.errors[item] for item in sorted(self.errors)])

    def _finish(self) -> int:
        """Write the final files in the order of the input; the journal goes last, so that a kill here loses nothing."""
        named = {entry.key: entry for entry in self.entries}
        elsewhere = sorted(set(self.results).difference(named))
        index = [stamped(self.results[key], entry) for key, entry in named.items() if key in self.results]
        index += [self.results[key] for key in elsewhere]
        if self.spool is not None:
            if index:
                self.writer.vectors(self.vectors_path, self.spool.layers([row["row"] for row in index]), index)
            else:
                self.vectors_path.unlink(missing_ok=True)
            index = [row | {"row": number} for number, row in enumerate(index)]
            paths = [self.vectors_path]
        else:
            paths = [self.folder / row["file"] for row in index]
        write_lines(self.index_path, index)
        if not self.errors:
            self.errors_path.unlink(missing_ok=True)
        self._drop({row["file"] for row in index if "file" in row})
        shutil.rmtree(self.folder / "unfinished", ignore_errors=True)
        self.journal.close()
        self.journal_path.unlink()
        self.close()
        self.spool_path.unlink(missing_ok=True)
        return sum(path.stat().st_size for path in paths if path.exists())

    def _drop(self, used: Collection[str]) -> None:
        """Remove the files of results that are no longer valid."""
        for file in {row["file"] for row in self.journal.lines if "file" in row}.difference(used):
            (self.folder / file).unlink(missing_ok=True)
            for folder in list(PurePath(file).parents)[:-1]:
                with suppress(OSError):  # it holds others
                    (self.folder / folder).rmdir()

    def _estimate(self, seconds: float, recordings: int, unreadable: int) -> Estimate:
        """Return an estimate of the work; raise ConfigurationError if the disk has no room for it."""
        rows = recordings if self.request.pool is not None else round(seconds * self.writer.identity.frame_rate)
        needed = estimated_bytes(
            rows, self.writer.dim, len(self.request.layers), kind=self.writer.format, dtype=self.writer.dtype
        )
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise ConfigurationError(
                f"The features of {recordings} recordings ({seconds / 3600:.1f} h) would take about {needed / 1e9:.1f} "
                f"GB, and {self.folder} has {free / 1e9:.1f} GB free. Choose fewer layers, a pooling, float16 or "
                "another disk."
            )
        return Estimate(
            recordings=recordings,
            kept=self.kept,
            unreadable=unreadable,
            changed=len(self.review.changed),
            gone=len(self.review.gone),
            seconds=seconds,
            num_bytes=needed,
        )
