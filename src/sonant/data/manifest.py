"""Manifests, lists of recordings in the formats of `FORMATS`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import isfinite
from pathlib import Path
from typing import Any

from sonant.data.kaldi import read_scp, refuse_segments
from sonant.data.rows import ManifestRow, read_json_lines, read_parquet, read_table
from sonant.data.tsv import read_tsv
from sonant.errors import ManifestError

# By file extension; "segments" is a full name (Kaldi).
READERS: dict[str, Callable[[Path], Iterator[ManifestRow]]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json_lines,
    ".csv": read_table,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
    ".scp": read_scp,
    "segments": refuse_segments,
}
FORMATS = (
    ".jsonl (one JSON object a line; NeMo's .json too), .csv, .tsv (with a line of column names, or fairseq's, with "
    "the root folder in its first line), .parquet, and Kaldi's wav.scp"
)
# Extensions of lists in other formats, which are refused.
OTHER_LISTS = frozenset(
    ".txt .lst .list .m3u .m3u8 .pls .cue .xlsx .xls .ods .yaml .yml .xml .arrow .feather .ark .gz .zip".split()
)
PATHS = ("path", "audio_filepath", "file_name")  # ours, NeMo's, Hugging Face's for audio folders
NEARLY = ("file", "filename", "filepath", "audio", "audio_path", "audio_file", "wav", "wav_path", "paths")


@dataclass(frozen=True)
class ManifestEntry:
    """One recording of a manifest.

    Attributes:
        path: of the audio file.
        duration: seconds, if given.
        fields: all other columns: text, speaker, label, ...
    """

    path: Path
    duration: float | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def is_manifest(path: Path) -> bool:
    """Return True if a file name has the extension of a list, even one that `read_manifest` refuses."""
    return _kind(path) in READERS or _kind(path) in OTHER_LISTS


def read_manifest(path: str | Path) -> list[ManifestEntry]:
    """Read a manifest, or `manifest.jsonl` in a folder; relative paths start at its folder.

    Raises:
        ManifestError: the file is missing, empty or of another format, or a row is invalid.
        MissingExtra: Parquet needs the extra `table`.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "manifest.jsonl"
    if not path.is_file():
        raise ManifestError(
            f"There is no manifest at {path}. Expected a list of recordings, {FORMATS}; or a folder that holds "
            "manifest.jsonl."
        )
    read = READERS.get(_kind(path))
    if read is None:
        raise ManifestError(
            f"{path} is no list of recordings, by its name. Lists end in {FORMATS}. A single recording is listed in "
            'one of these too, for instance in a .csv of two lines: "path" and its path.'
        )
    recordings = [_recording(row, path.parent) for row in read(path)]
    if not recordings:
        raise ManifestError(f"{path} lists no recordings.")
    return recordings


def _kind(path: Path) -> str:
    return path.name if path.name == "segments" else path.suffix.lower()


def _recording(row: ManifestRow, folder: Path) -> ManifestEntry:
    fields = dict(row.fields)
    named = [name for name in PATHS if name in fields]
    if not named:
        raise ManifestError(f"{row.where}: {_lacks_path(list(fields))}")
    if len(named) > 1:
        raise ManifestError(
            f"{row.where}: {' and '.join(map(repr, named))} both name a recording. Keep one of the two."
        )
    given = fields.pop(named[0])
    if not isinstance(given, str) or not given.strip():
        raise ManifestError(f"{row.where}: {named[0]!r} is {given!r}; expected the path of a recording.")
    path = folder / given
    _refuse_other_encodings(row, given, path, fields)
    if fields.get("offset") not in (None, "") and _seconds(row, "offset", fields["offset"]):
        raise ManifestError(
            f"{row.where}: offset={fields['offset']!r} asks for a part of {given!r}, and recordings are read whole. "
            "Cut the parts into files of their own first, or take the offsets out of the list."
        )
    return ManifestEntry(path, _seconds(row, "duration", fields.pop("duration", None)), fields)


def _lacks_path(names: list[str]) -> str:
    near = [
        name
        for name in names
        if name.strip().lower() in NEARLY or get_close_matches(name.strip().lower(), PATHS, cutoff=0.7)
    ]
    return (
        f"nothing here is called {PATHS[0]!r} (nor {PATHS[1]!r}, as in NeMo, nor {PATHS[2]!r}). The names are "
        f"{', '.join(map(repr, names[:12]))}"
        + (f"; is {' or '.join(map(repr, near[:3]))} meant? Rename it to {PATHS[0]!r}." if near else ".")
    )


def _seconds(row: ManifestRow, name: str, value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        seconds = float(value) if not isinstance(value, bool) else -1.0
    except (TypeError, ValueError):
        seconds = -1.0
    if not isfinite(seconds) or seconds < 0:
        raise ManifestError(f"{row.where}: {name!r} is {value!r}; expected seconds, 0 or more.")
    return seconds


def _refuse_other_encodings(row: ManifestRow, given: str, path: Path, fields: Mapping[str, Any]) -> None:
    """Raise ManifestError for fields that are not UTF-8, except the path of an existing file."""
    garbled = [name for name, value in fields.items() if isinstance(value, str) and not _is_unicode(value)]
    if not _is_unicode(given) and not path.exists():
        garbled.insert(0, "path")
    if garbled:
        raise ManifestError(
            f"{row.where}: {garbled[0]!r} is not UTF-8. Save the list as UTF-8; a spreadsheet calls it CSV UTF-8."
        )


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
