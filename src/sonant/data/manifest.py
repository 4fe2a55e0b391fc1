"""Manifests, lists of recordings in the formats of `FORMATS`, and folders as corpora."""

from collections.abc import Callable, Iterator
from pathlib import Path

from sonant.data.audio_folder import all_listed, read_audio_folder
from sonant.data.entries import ManifestEntry, entry_of
from sonant.data.kaldi import SCP, SEGMENTS, read_scp, read_segments
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
    SEGMENTS: read_segments,
}
FORMATS = (
    ".jsonl (one JSON object a line; NeMo's .json too), .csv, .tsv (with a line of column names, or fairseq's, with "
    "the root folder in its first line), .parquet, and Kaldi's wav.scp"
)
# Extensions of lists in other formats, which are refused.
OTHER_LISTS = frozenset(
    ".txt .lst .list .m3u .m3u8 .pls .cue .xlsx .xls .ods .yaml .yml .xml .arrow .feather .ark .gz .zip".split()
)
MANIFEST = "manifest.jsonl"  # the list of a folder
# Lists that make a folder a corpus of Kaldi, or of Hugging Face (audiofolder).
FOREIGN_LISTS = (SCP, "metadata.jsonl", "metadata.csv", "metadata.parquet")


def is_manifest(path: Path) -> bool:
    """Return True if a file name has the extension of a list, even one that `read_manifest` refuses."""
    return _kind(path) in READERS or _kind(path) in OTHER_LISTS


def read_manifest(path: str | Path) -> list[ManifestEntry]:
    """Read a manifest; relative paths start at its folder.

    A folder is a corpus too: it is read by its `manifest.jsonl`, or the list of `FOREIGN_LISTS` in it; without one, its
    audio files are the recordings, see `sonant.data.audio_folder`.

    Raises:
        ManifestError: the file is missing, empty or of another format, or a row is invalid.
        MissingExtra: Parquet needs the extra `table`.
    """
    path = Path(path)
    if path.is_dir():
        listed = list_in(path)
        if listed is None:
            return [entry_of(row, Path()) for row in all_listed(read_audio_folder(path))]
        path = listed
    if not path.is_file():
        raise ManifestError(
            f"There is no manifest at {path}. Expected a list of recordings, {FORMATS}; or a folder of audio files, or "
            f"with a {MANIFEST}."
        )
    read = READERS.get(_kind(path))
    if read is None:
        raise ManifestError(
            f"{path} is no list of recordings, by its name. Lists end in {FORMATS}. A single recording is listed in "
            'one of these too, for instance in a .csv of two lines: "path" and its path.'
        )
    recordings = [entry_of(row, path.parent) for row in read(path)]
    if not recordings:
        raise ManifestError(f"{path} lists no recordings.")
    return recordings


def list_in(folder: Path, names: tuple[str, ...] = (MANIFEST, *FOREIGN_LISTS)) -> Path | None:
    """Return the list of a folder's recordings; None if it has none.

    Raises:
        ManifestError: there are several, and none is `manifest.jsonl`.
    """
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) > 1 and found[0].name != MANIFEST:
        raise ManifestError(
            f"{folder} holds several lists of recordings: {', '.join(path.name for path in found)}. Name the one that "
            "is meant."
        )
    return found[0] if found else None


def _kind(path: Path) -> str:
    return path.name if path.name == SEGMENTS else path.suffix.lower()
