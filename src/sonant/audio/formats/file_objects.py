"""File objects of the caller, read without moving their position for other readers."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Any, BinaryIO

from sonant.errors import AudioError, UndecodableAudio

_BUFFER = 1 << 14
_LOCKS = tuple(Lock() for _ in range(64))  # one lock for each file object, by identity


@contextmanager
def open_file_object(file: Any) -> Iterator[BinaryIO]:
    """Open a seekable file object as a binary file with its own position, which begins at 0.

    Several readers may use one object at once, in threads or in turns. Its position is restored at the end.

    Raises:
        UndecodableAudio: text mode, or any error of the object.
    """
    with _LOCKS[id(file) % len(_LOCKS)]:
        position = file.tell()
    try:
        yield io.BufferedReader(_FileObject(file), _BUFFER)
    finally:
        if not getattr(file, "closed", False):
            with suppress(Exception), _LOCKS[id(file) % len(_LOCKS)]:  # reading fails, too, and raises the error
                file.seek(position)


def can_seek(file: Any) -> bool:
    """Return whether seeking to the end and back works; some gzip files claim to be seekable and are not."""
    with _LOCKS[id(file) % len(_LOCKS)]:
        try:
            position = file.tell()
            file.seek(0, io.SEEK_END)
            file.seek(position)
        except Exception:  # noqa: BLE001  # any error of a foreign file object; `read_all` reports it
            return False
    return True


def read_all(file: Any) -> bytes:
    """Read the rest of a file object. Raises UndecodableAudio: unreadable, or text mode."""
    name = file_name(file)
    try:
        data = file.read()
    except Exception as error:  # damaged archives and broken connections raise errors of many kinds
        raise _unreadable(name, error) from error
    if not isinstance(data, bytes | bytearray | memoryview):
        raise text_mode(name)
    return bytes(data)


class _FileObject(io.RawIOBase):
    def __init__(self, file: Any) -> None:
        self._file, self._name, self._at = file, file_name(file), 0
        self._lock = _LOCKS[id(file) % len(_LOCKS)]
        with self._reading():
            file.seek(0, io.SEEK_END)
            self._size = file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        with self._reading():
            if self._file.tell() != self._at:
                self._file.seek(self._at)
            data = self._file.read(len(buffer))
            if not isinstance(data, bytes | bytearray | memoryview):
                raise text_mode(self._name)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except AudioError:
            raise
        except Exception as error:
            raise _unreadable(self._name, error) from error


def _unreadable(name: str, error: Exception) -> UndecodableAudio:
    return UndecodableAudio(
        f"{name} could not be read ({type(error).__name__}: {error}): check the file or the connection."
    )


def file_name(file: Any) -> str:
    """Return the name of a file object for messages."""
    return str(getattr(file, "name", None) or f"a {type(file).__name__}")


def text_mode(name: str) -> UndecodableAudio:
    """Make the error for a file object in text mode."""
    return UndecodableAudio(f"{name} gives text, not bytes: open it in binary mode, open(path, 'rb').")
