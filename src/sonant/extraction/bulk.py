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

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sonant.errors import ConfigurationError, UnknownName
from sonant.extraction.batching import Batch
from sonant.extraction.engine import Engine, OnError, Outcome
from sonant.extraction.formats import Format, Rows, check_format, estimated_bytes, read, sync, write
from sonant.extraction.inputs import Entry, output_names
from sonant.extraction.journal import Journal, read_lines, settle, write_lines
from sonant.extraction.progress import Progress
from sonant.extraction.request import Request
from sonant.extraction.sinks import Pooled, RowsOnDisk, Sink, Spooled, in_memory
from sonant.extraction.sources import AudioSource
from sonant.inference.precision import Precision

INDEX, JOURNAL = "index.jsonl", "journal.jsonl"

StoredType = Literal["float32", "float16"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What made the features: the name of the model, the hub's revision, a hash of the weights, and the arithmetic."""

    model: str
    revision: str
    weights: str
    dim: int
    frame_rate: float
    precision: Precision | None = None  # None: that of the weights


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a bulk run is about to do.

    Attributes:
        recordings: to encode; kept: finished by an earlier run; unreadable: known to fail already.
        seconds: of audio to encode, from headers.
        num_bytes: about how large their features will be on disk.
    """

    recordings: int
    kept: int
    unreadable: int
    seconds: float
    num_bytes: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a bulk run did.

    Attributes:
        computed: recordings encoded by this run; kept: those that an earlier run had finished.
        failed: recordings that could not be used, listed in `errors`.
        seconds: audio encoded by this run; wall_seconds: what it took, decoding and writing included.
        num_bytes: size of the features, this run's and earlier ones.
    """

    output: Path
    computed: int
    kept: int
    failed: int
    seconds: float
    wall_seconds: float
    num_bytes: int
    errors: Path | None = None


class Writer:
    """Knows what a request looks like on disk."""

    def __init__(self, identity: Identity, request: Request, *, kind: Format, dtype: StoredType) -> None:
        check_format(kind)
        if dtype not in ("float32", "float16"):
            raise UnknownName("stored number type", dtype, ["float32", "float16"])
        self.identity, self.request, self.format = identity, request, kind
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.dim = request.vector_dim(identity.dim)

    def settings(self) -> dict[str, Any]:
        """Whatever shapes the numbers; what only moves their last bit (device, batch size) is left out."""
        request = self.request
        return {
            "model": self.identity.model,
            "revision": self.identity.revision,
            "weights": self.identity.weights,
            "layer": list(request.layers) if request.stacked else request.layers[0],
            "pool": request.pool,
            "normalize": request.normalize,
            "window_seconds": request.window_seconds,
            "overlap_seconds": request.overlap if request.window_seconds else None,
            "precision": self.identity.precision,
            "format": self.format,
            "dtype": self.dtype.name,
            "dim": self.dim,
            "frame_rate": self.identity.frame_rate,
        }

    def row(self, name: str, outcome: Outcome) -> dict[str, Any]:
        """A recording's line in the index."""
        settings = self.settings()
        return {
            "path": name,
            "seconds": round(outcome.seconds, 6),
            "frames": outcome.frames,
            **{key: settings[key] for key in ("dim", "layer", "pool", "model", "revision")},
        }

    def frames(self, path: Path, layers: Sequence[Rows]) -> None:
        """Write the frames of one recording."""
        starts = np.arange(len(layers[0])) / self.identity.frame_rate
        columns = (
            {"seconds": [round(float(start), 6) for start in starts]} if self.format in ("parquet", "jsonl") else {}
        )
        self._write(path, layers, columns)

    def vectors(self, path: Path, layers: Sequence[Rows], index: Sequence[Mapping[str, Any]]) -> None:
        """Write a vector for each recording of the index."""
        self._write(path, layers, {name: [row[name] for row in index] for name in ("path", "seconds")})

    def read_vectors(self, path: Path) -> np.ndarray:
        """(layers, recordings, dim)."""
        return read(path, kind=self.format, layer_names=self.request.layer_names, rows_first=True)

    def _write(self, path: Path, layers: Sequence[Rows], columns: Mapping[str, Sequence[Any]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(
            path,
            dict(zip(self.request.layer_names, layers, strict=True)),
            kind=self.format,
            dtype=self.dtype,
            dim=self.dim,
            columns=columns,
            stacked=self.request.stacked,
            rows_first=self.request.pool is not None,
        )


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
    source = _source(entry, engine)
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
            _write_frames(writer, path, outcome)
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
    has_results = any((folder / name).exists() and (folder / name).stat().st_size for name in (INDEX, JOURNAL))
    settle(folder / "settings.json", writer.settings(), bound=has_results, free=("model", "revision"))
    run = _Run(engine, entries, folder, writer, on_error)
    try:
        return run.go(show_progress=show_progress, on_start=on_start)
    finally:
        run.close()


class _Run:
    """One run of `embed_folder`."""

    def __init__(
        self, engine: Engine, entries: Sequence[Entry], folder: Path, writer: Writer, on_error: OnError
    ) -> None:
        self.engine, self.entries, self.folder, self.writer, self.on_error = engine, entries, folder, writer, on_error
        self.request = writer.request
        self.sources = [_source(entry, engine) for entry in entries]
        self.index_path, self.errors_path = folder / INDEX, folder / "errors.jsonl"
        self.journal_path, self.spool_path = folder / JOURNAL, folder / "vectors.spool"
        self.vectors_path = folder / f"vectors.{writer.format}"
        self.files = output_names([entry.name for entry in entries], writer.format)
        self.errors: dict[int, dict[str, Any]] = {}
        self._reopen()
        self.journal = Journal(self.journal_path)
        self.kept = sum(entry.name in self.journal.rows for entry in entries)
        self.spool = None
        if self.request.pool is not None:
            self.spool_path.touch()
            self.spool = self.spool_path.open("r+b")
            # Rows that a kill left without their line in the journal are written again.
            self.spool.truncate(len(self.journal.rows) * self._row_bytes)
            self.spool.seek(0, 2)

    @property
    def _row_bytes(self) -> int:
        return len(self.request.layers) * self.writer.dim * self.writer.dtype.itemsize

    def go(self, *, show_progress: bool | None, on_start: Callable[[Estimate], None] | None) -> Summary:
        seconds, failures = self.engine.lengths(self.sources, on_error=self.on_error)
        todo = [item for item, entry in enumerate(self.entries) if entry.name not in self.journal.rows]
        # Planned from all, then without what is finished: the batches of an interrupted run come out the same.
        batches = [batch.only(set(todo)) for batch in self.engine.plan(seconds, self.request)]
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
                computed=len(self.journal.rows) - self.kept,
                kept=self.kept,
                failed=len(self.errors),
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
        if self.request.pool is not None:
            return Pooled(self.request)
        if not windowed:
            return in_memory(self.request)
        path = self._feature_path(item)
        path.parent.mkdir(parents=True, exist_ok=True)
        return Spooled(path.with_name(f".{path.name}"), self.request, self.writer.dtype)

    def _feature_path(self, item: int) -> Path:
        return self.folder / "features" / self.files[item]

    def _commit(self, outcomes: Sequence[Outcome]) -> None:
        """Make a batch durable: its features first, then, in one write, the lines that say so."""
        rows = [self.writer.row(self.entries[outcome.item].name, outcome) for outcome in outcomes]
        if self.spool is not None:
            for outcome in outcomes:
                self.spool.write(np.ascontiguousarray(outcome.value.numpy(), dtype=self.writer.dtype).data)
            sync(self.spool)
            rows = [row | {"row": number} for number, row in enumerate(rows, start=len(self.journal.rows))]
        else:
            for outcome, row in zip(outcomes, rows, strict=True):
                path = self._feature_path(outcome.item)
                _write_frames(self.writer, path, outcome)
                row["file"] = path.relative_to(self.folder).as_posix()
        self.journal.append(rows)

    def _note_errors(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self.errors[outcome.item] = {
                "path": self.entries[outcome.item].name,
                "error": type(outcome.error).__name__,
                "message": str(outcome.error),
            }
        if outcomes:
            write_lines(self.errors_path, [self.errors[item] for item in sorted(self.errors)])

    def _finish(self) -> int:
        """The final files, in the order of the input; the journal goes last, so a kill here costs nothing either."""
        finished = self.journal.rows
        here = [entry.name for entry in self.entries if entry.name in finished]
        names = here + sorted(set(finished).difference(here))
        index = [finished[name] for name in names]
        if self.request.pool is not None:
            self._write_vectors(index)
            index = [row | {"row": number} for number, row in enumerate(index)]
            paths = [self.vectors_path]
        else:
            paths = [self.folder / row["file"] for row in index]
        write_lines(self.index_path, index)
        if not self.errors:
            self.errors_path.unlink(missing_ok=True)
        self.journal_path.unlink()
        self.spool_path.unlink(missing_ok=True)
        return sum(path.stat().st_size for path in paths if path.exists())

    def _write_vectors(self, index: Sequence[Mapping[str, Any]]) -> None:
        if not index:
            return
        shape = (len(index), len(self.request.layers), self.writer.dim)
        spool = np.memmap(self.spool_path, self.writer.dtype, "r", shape=shape)
        order = np.array([row["row"] for row in index])
        self.writer.vectors(self.vectors_path, [_Picked(spool[:, i], order) for i in range(shape[1])], index)

    def _reopen(self) -> None:
        """A finished folder that gets more recordings becomes a run under way again."""
        if self.journal_path.exists() or not self.index_path.exists():
            return
        index = read_lines(self.index_path)
        if self.request.pool is not None and index:
            vectors = self.writer.read_vectors(self.vectors_path).transpose(1, 0, 2)  # (recordings, layers, dim)
            self.spool_path.write_bytes(np.ascontiguousarray(vectors, dtype=self.writer.dtype).tobytes())
        write_lines(self.journal_path, index)

    def _estimate(self, seconds: float, recordings: int, unreadable: int) -> Estimate:
        """How much there is to do; refuses what the disk has no room for."""
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
        return Estimate(recordings=recordings, kept=self.kept, unreadable=unreadable, seconds=seconds, num_bytes=needed)


class _Picked:
    """Rows of a matrix in another order, fetched a slice at a time."""

    def __init__(self, rows: np.ndarray, order: np.ndarray) -> None:
        self._rows, self._order = rows, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, span: slice) -> np.ndarray:
        return self._rows[self._order[span]]


def _write_frames(writer: Writer, path: Path, outcome: Outcome) -> None:
    """Write frames from memory, or from the spool, which is then removed."""
    if isinstance(outcome.value, list):
        layers: list[RowsOnDisk] = outcome.value
        try:
            writer.frames(path, layers)
        finally:
            for rows in layers:
                rows.path.unlink(missing_ok=True)
    else:
        writer.frames(path, list(outcome.value.numpy()))


def _source(entry: Entry, engine: Engine) -> AudioSource:
    return AudioSource(
        entry.audio,
        engine.sampling_rate,
        min_samples=engine.receptive_field,
        known_seconds=entry.seconds,
        label=entry.name,
    )
