"""File names, and atomic writing of files."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from sonant.errors import ConfigurationError, SonantError


def as_path(given: object, what: str) -> Path:
    """Return an argument as a path. Raises ConfigurationError, with its purpose `what`, for anything else."""
    if isinstance(given, str | os.PathLike) and isinstance(os.fspath(given), str) and str(given).strip():
        return Path(given)
    shown = repr(given) if isinstance(given, str | bytes | int | float | None) else f"a {type(given).__name__}"
    raise ConfigurationError(f"{shown[:80]} was given as {what}; expected a path.")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` on success, and is removed on error.

    The old file stays complete until then; memory maps of it stay valid.

    Raises OSError, with the path: it could not be written, as on a full disk, whatever the writer makes of that.
    """
    draft = path.with_name(f"{path.name}.part")
    try:
        yield draft
        draft.replace(path)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if (number := _failed_write(error)) is not None:
            raise OSError(number, os.strerror(number), str(path)) from error
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give the path to errors of writing to a file that do not say which one it was, as on a full disk."""
    try:
        yield
    except OSError as error:
        if isinstance(error, SonantError) or error.filename is not None or error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def _failed_write(error: BaseException) -> int | None:
    """Return the error number of a failed write, which torch and safetensors hide in errors of their own."""
    for each in (error, error.__context__):
        if isinstance(each, OSError) and not isinstance(each, SonantError) and each.filename is None:
            return each.errno
    told = re.search(r"\(os error (\d+)\)", str(error)) if type(error).__name__ == "SafetensorError" else None
    return None if told is None else int(told[1])


def json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a file of lines, up to the first one that is incomplete or damaged.

    There are none in a file that does not exist. What follows was not written whole, or lost since.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    found = []
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            break
        if not isinstance(value, dict):
            break
        found.append(value)
    return found


def shortened(name: str, room: int) -> str:
    """Shorten a file name to at most `room` bytes, with a hash of the full name at its end."""
    data = name.encode(errors="surrogateescape")
    if len(data) <= room:
        return name
    return f"{data[: room - 17].decode(errors='ignore')}~{digest(name)}"


def digest(name: str) -> str:
    """Hash of a name, 16 hexadecimal digits."""
    return sha256(name.encode(errors="surrogateescape")).hexdigest()[:16]
