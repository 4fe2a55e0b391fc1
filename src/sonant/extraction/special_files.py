"""Checks of paths without opening them: to open a pipe may block for ever, to open a device have side effects."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from os import PathLike
from pathlib import Path

from sonant.errors import AudioError, UndecodableAudio
from sonant.extraction.prefetch import map_ahead


@dataclass(frozen=True)
class Unusable:
    """A placeholder for a recording that cannot be opened, with the error."""

    error: AudioError


Stamp = Mapping[str, int | str]  # size and time, or hash, to detect changes; empty: unknown

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_THREADS, _CHUNK = 8, 256  # network file systems have a high latency


def look(path: Path) -> tuple[Path | Unusable, Stamp]:
    """Return the path and its stamp; `Unusable` for special files. Without file status, reading the path will raise."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return path, {}
    kind = _KINDS.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        return Unusable(
            UndecodableAudio(
                f"{str(path)!r} is {kind}, not a file, and was not opened: take it out, or write what it gives to a "
                "file."
            )
        ), {}
    return path, {"source_bytes": status.st_size, "source_mtime_ns": status.st_mtime_ns}


def look_at_all(paths: Sequence[Path]) -> Iterator[tuple[Path | Unusable, Stamp]]:
    """Yield `look` of each path, in order, from several threads."""
    chunks = (paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK))
    for answers in map_ahead(lambda chunk: [look(path) for path in chunk], chunks, workers=_THREADS, depth=32):
        yield from answers


def is_pipe(path: str | PathLike[str]) -> bool:
    """Return whether a path is a pipe."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)  # noqa: PTH116 - bytes are a path too
    except (OSError, ValueError):
        return False


def stamp_of_bytes(data: bytes) -> Stamp:
    """Return the stamp of a recording without a file."""
    return {"source_sha256": sha256(data).hexdigest()}


def unlisted(folder: Path, error: OSError) -> Unusable:
    """Return a placeholder for the recordings of a folder that could not be listed."""
    name = str(folder) if len(str(folder)) < 300 else f"{str(folder)[:300]}…"
    return Unusable(
        AudioError(
            f"The folder {name!r} could not be listed ({error.strerror}), so what lies in it was left out: "
            "check its permissions and the disk."
        )
    )
