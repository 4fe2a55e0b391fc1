"""Writing of manifests, such as that of a folder of audio files."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sonant import audio
from sonant.audio.channels import ChannelSelection
from sonant.data.audio_folder import read_audio_folder
from sonant.data.entries import EMBEDDED, MIX, ManifestEntry, entry_of
from sonant.data.files import atomic
from sonant.data.manifest import FOREIGN_LISTS, MANIFEST, list_in, read_manifest
from sonant.data.progress import Progress
from sonant.data.splits import TRAIN, CorpusSplit, split_entries
from sonant.errors import AudioError, ConfigurationError, ManifestError, MissingExtra

LEADING = ("path", "duration", "start", "end", "channel")  # columns


@dataclass(frozen=True)
class MadeManifest:
    """A manifest that was made.

    Attributes:
        path: of the manifest.
        recordings: number of rows.
        seconds: of all rows.
        skipped: reason for each recording left out, and each folder that could not be listed, by name.
        parts: the manifests into which it was divided, by name.
        divided_by: field whose values are in one part each; "" if there are no parts.
    """

    path: Path
    recordings: int
    seconds: float
    skipped: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, MadeManifest] = field(default_factory=dict)
    divided_by: str = ""


def make_manifest(
    source: str | Path,
    output: str | Path | None = None,
    *,
    label: int | None = None,
    speaker: int | None = None,
    shares: Mapping[str, float] | None = None,
    by: str = "",
    overwrite: bool = False,
    show_progress: bool | None = None,
) -> MadeManifest:
    """Write the manifest of a folder of audio files, or of a list in another format.

    Rows have path, duration, sampling_rate, num_channels and what the source says: `text`, `label`, `speaker` of a
    folder (see `sonant.data.audio_folder.read_audio_folder`), all columns of a list. Recordings that cannot be read
    are left out.

    Args:
        source: a folder; or a manifest, also a folder of Kaldi or Hugging Face.
        output: the ending says which format: .jsonl, .csv, .tsv or .parquet; None: `manifest.jsonl` in the folder.
        label, speaker: level of the folder below `source` whose name is the label or speaker: 1, 2 ..., or -1 for the
            one that holds the file.
        shares: divide the manifest as well, as `split_entries` does with `by`: `{"dev": 0.1, "test": 0.1}` writes
            `train`, `dev` and `test` beside it, in its format.
        overwrite: replace existing files.
        show_progress: see `Progress`.

    Raises:
        ConfigurationError: a file to write exists, or has no name or an unknown ending; levels were given for a list;
            shares cannot be, or were not given beside `by`.
        ManifestError: the source is no corpus, none of its recordings can be read, or they cannot be divided.
    """
    source = Path(source)
    listed = list_in(source, FOREIGN_LISTS) if source.is_dir() else source
    if output is None and not source.is_dir():
        raise ConfigurationError(f"Name the manifest to write: {source} is not a folder, in which it would lie.")
    output = source / MANIFEST if output is None else Path(output)
    if output.suffix.lower() not in WRITERS:
        raise ConfigurationError(f"{output} was given for a manifest; expected an ending of {', '.join(WRITERS)}.")
    part_files = {name: output.with_name(f"{name}{output.suffix}") for name in (TRAIN, *shares)} if shares else {}
    if by and not shares:
        raise ConfigurationError(f"by={by} was given without a share to divide off, such as dev=0.1.")
    for file in (output, *part_files.values()):
        if file.exists() and not overwrite:
            raise ConfigurationError(f"{file} exists. Choose another name, or overwrite it (--overwrite).")
    if output in part_files.values():
        raise ConfigurationError(f"A part would replace {output}, the manifest of all. Give that another name.")
    skipped: dict[str, str] = {}
    if listed is None:
        folder = read_audio_folder(source, label=label, speaker=speaker)
        skipped |= {str(path): f"The folder could not be listed: {e.strerror}" for path, e in folder.unlisted.items()}
        entries = [entry_of(row, Path()) for row in folder.rows]
    elif label is None and speaker is None:
        entries = read_manifest(listed)
    else:
        raise ConfigurationError(f"Labels and speakers by folder are for folders of audio files; {listed} is a list.")
    described = []
    with ThreadPoolExecutor() as pool, Progress(len(entries), title="reading", unit="files", show=show_progress) as bar:
        for entry, found in zip(entries, pool.map(_described, entries), strict=True):
            if isinstance(found, ManifestEntry):
                described.append(found)
            else:
                skipped[entry.name] = str(found)
            bar.update()
    if not described:
        why = next((f" The first: {message}" for message in skipped.values()), "")
        raise ManifestError(f"None of the {len(entries)} recordings of {source} could be read.{why}")
    split = split_entries(described, shares, by=by) if shares else CorpusSplit("", {})
    parts = {name: _written(part_files[name], rows) for name, rows in split.parts.items()}
    return replace(_written(output, described), skipped=skipped, parts=parts, divided_by=split.by)


def _written(path: Path, entries: Sequence[ManifestEntry]) -> MadeManifest:
    write_manifest(path, entries)
    return MadeManifest(path, len(entries), sum(entry.duration or 0.0 for entry in entries))


def _described(entry: ManifestEntry) -> ManifestEntry | Exception:
    """Return an entry with duration, rate and number of channels, or the error of one that cannot be read."""
    try:
        if entry.mixture is not None:
            return replace(entry, duration=round(entry.seconds(), 6))
        info = audio.info(entry.audio, segment=entry.segment)
        ChannelSelection(entry.channel, info.channels, entry.name)
    except (AudioError, MissingExtra) as error:
        return error
    fields = {"sampling_rate": info.sampling_rate, "num_channels": info.channels}
    return replace(entry, duration=round(info.duration, 6), fields={**fields, **entry.fields, **fields})


def write_manifest(path: str | Path, entries: Sequence[ManifestEntry]) -> None:
    """Write a manifest, by the ending of its name as .jsonl, .csv, .tsv or .parquet.

    Paths below its folder are written relative to it, others absolute. Read again, JSON Lines and Parquet give equal
    entries; the other formats give their fields as text.

    Raises:
        ConfigurationError: an unknown ending.
        ManifestError: a value that the format cannot hold.
        MissingExtra: Parquet needs the extra `table`.
    """
    path = Path(path)
    write = WRITERS.get(path.suffix.lower())
    if write is None:
        raise ConfigurationError(f"{path} was given for a manifest; expected an ending of {', '.join(WRITERS)}.")
    folder = Path(os.path.abspath(path.parent))  # noqa: PTH100 - resolve() would follow links to audio elsewhere
    rows = [_row(entry, folder) for entry in entries]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as draft:
        write(draft, rows)


def _row(entry: ManifestEntry, folder: Path) -> dict[str, Any]:
    path = _relative(entry.path, folder)
    row: dict[str, Any] = {"path": str(path)}
    if entry.mixture is not None:
        row = {"id": entry.path.name, MIX: [part.row(_relative(part.path, folder)) for part in entry.mixture.parts]}
    if entry.duration is not None:
        row["duration"] = entry.duration
    if entry.segment is not None:
        row["start"] = entry.segment.start
        row |= {} if entry.segment.end is None else {"end": entry.segment.end}
    if entry.channel is not None:
        row["channel"] = entry.channel
    if entry.data is not None:
        row[EMBEDDED] = {"bytes": entry.data, "path": str(path)}
    return row | {name: value for name, value in entry.fields.items() if name not in row}


def _relative(path: Path, folder: Path) -> Path:
    there = Path(os.path.abspath(path))  # noqa: PTH100
    return there.relative_to(folder) if there.is_relative_to(folder) else there


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns of all rows: those with a meaning first, others in order of first appearance."""
    names = dict.fromkeys(name for row in rows for name in row)
    return [*(name for name in LEADING if name in names), *(name for name in names if name not in LEADING)]


def _write_json_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            _refuse_bytes(row)
            text = json.dumps(row, ensure_ascii=False)
            # A name that is not UTF-8 has surrogates, which only escapes can say.
            file.write((text if _is_writable(text) else json.dumps(row)) + "\n")


def _is_writable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.DictWriter(file, _columns(rows), restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            _refuse_bytes(row)
            writer.writerow(row)


def _write_tsv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    names = _columns(rows)
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        file.write("\t".join(names) + "\n")
        for row in rows:
            _refuse_bytes(row)
            cells = ["" if row.get(name) is None else str(row[name]) for name in names]
            if any(sign in cell for cell in cells for sign in "\t\r\n"):
                raise ManifestError(
                    f"{row['path']}: a value holds a tab or an end of line, which a .tsv cannot. Write .csv or .jsonl."
                )
            file.write("\t".join(cells) + "\n")


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("pyarrow", extra="table", purpose="A Parquet manifest") from error
    names = _columns(rows)
    try:
        parquet.write_table(pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]), path)
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise ManifestError(
            f"The manifest cannot be written as Parquet ({error}). A column has one type there; write .jsonl instead."
        ) from error


def _refuse_bytes(row: Mapping[str, Any]) -> None:
    if EMBEDDED in row and isinstance(row[EMBEDDED], Mapping):
        raise ManifestError(
            f"{row['path']}: its audio is in the table, which only Parquet can hold. Write the manifest as .parquet."
        )


WRITERS: dict[str, Callable[[Path, Sequence[Mapping[str, Any]]], None]] = {
    ".jsonl": _write_json_lines,
    ".csv": _write_csv,
    ".tsv": _write_tsv,
    ".parquet": _write_parquet,
}
