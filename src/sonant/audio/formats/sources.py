"""Paths, bytes and file objects as binary files."""

import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sonant.audio.formats.file_objects import can_seek, file_name, open_file_object, read_all
from sonant.audio.formats.id3 import after_tags
from sonant.audio.formats.spliced import Piece, splice
from sonant.errors import AudioError, AudioNotFound, EmptyAudio, TruncatedAudio


@dataclass(frozen=True)
class EncodedAudio:
    """An encoded recording as a seekable binary file that begins after leading ID3 or APE tags.

    Attributes:
        file: the binary file.
        size: in bytes, without tags.
        name: in messages.
        descriptor: of a file on disk, for decoders that read it directly; None for bytes and file objects.
        start: offset of the recording in the file of `descriptor`, in bytes.
    """

    file: BinaryIO
    size: int
    name: str
    descriptor: int | None = None
    start: int = 0

    def view(self, pieces: Sequence[Piece]) -> "EncodedAudio":
        """Return the recording as a file of pieces of it."""
        size = sum(len(piece) if isinstance(piece, bytes) else piece[1] - piece[0] for piece in pieces)
        return EncodedAudio(splice(self.file, pieces), size, self.name)


@contextmanager
def open_encoded(source: Any) -> Iterator[EncodedAudio]:
    """Open a path, bytes or a file object.

    A seekable file object is read from its beginning, and its position is restored; another one (a pipe, a socket) is
    read into memory. Only files opened here are closed.
    """
    if isinstance(source, str | os.PathLike):
        with _open_path(source) as encoded:
            yield encoded
    elif isinstance(source, bytes | bytearray | memoryview):
        yield _encoded(io.BytesIO(source), f"a recording of {memoryview(source).nbytes} bytes")
    else:
        name = file_name(source)
        if not can_seek(source):
            yield _encoded(io.BytesIO(read_all(source)), name)
            return
        with open_file_object(source) as file:
            yield _encoded(file, name)


@contextmanager
def _open_path(source: str | os.PathLike[Any]) -> Iterator[EncodedAudio]:
    path = Path(os.fsdecode(source))
    name = str(path)
    if "://" in os.fsdecode(source) and not path.exists():
        raise AudioNotFound(
            f"{os.fsdecode(source)!r} is an address, and sonant fetches nothing: download the file first."
        )
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        if path.is_symlink():
            raise AudioNotFound(
                f"{name!r} is a link to {str(path.readlink())!r}, which is not there: mend the link, or take it out."
            ) from None
        where = "" if path.is_absolute() else f" (looked in {Path.cwd()})"
        raise AudioNotFound(f"There is no file {name!r}{where}: check the spelling and the folder.") from None
    except IsADirectoryError:
        raise AudioNotFound(f"{name!r} is a folder, not a recording: give the files in it one by one.") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"{name!r} cannot be opened ({error}): check the path and its permissions.") from error
    with file:
        if file.seekable():
            yield _encoded(file, name, file.fileno())
        else:
            yield _encoded(io.BytesIO(file.read()), name)


def _encoded(file: BinaryIO, name: str, descriptor: int | None = None) -> EncodedAudio:
    size = file.seek(0, io.SEEK_END)
    start = after_tags(file)
    if size == 0:
        raise EmptyAudio(
            f"{name}: the file is empty (0 bytes); the recording or its transfer probably failed: make it again."
        )
    if start == size:
        raise EmptyAudio(f"{name}: {size} bytes of tags (ID3, APE), and no recording behind them: make it again.")
    if start > size:
        raise TruncatedAudio(
            f"{name}: it begins with tags (ID3, APE) of {start} bytes, and holds {size}. The file or its transfer was "
            "cut off: fetch it again."
        )
    if start:
        file = splice(file, [(start, size)])
    file.seek(0)
    return EncodedAudio(file, size - start, name, descriptor, start)
