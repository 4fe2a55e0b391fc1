"""Names that a file can have, and files that appear whole."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from sonant.errors import ConfigurationError


def as_path(given: object, what: str) -> Path:
    """The path that a caller gave, with `what` it is for in the message of the ConfigurationError if it is none."""
    if isinstance(given, str | os.PathLike) and isinstance(os.fspath(given), str) and str(given).strip():
        return Path(given)
    shown = repr(given) if isinstance(given, str | bytes | int | float | None) else f"a {type(given).__name__}"
    raise ConfigurationError(f"{shown[:80]} was given as {what}; expected a path.")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A path to write to that becomes `path` when all went well, and vanishes otherwise.

    The old file is never half overwritten, and what is mapped from it into memory stays as it is.
    """
    draft = path.with_name(f"{path.name}.part")
    try:
        yield draft
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def shortened(name: str, room: int) -> str:
    """A file name of at most `room` bytes; one that is cut ends in a hash of the whole."""
    data = name.encode(errors="surrogateescape")
    if len(data) <= room:
        return name
    return f"{data[: room - 17].decode(errors='ignore')}~{digest(name)}"


def digest(name: str) -> str:
    """Return a hash of a name, in 16 hexadecimal digits."""
    return sha256(name.encode(errors="surrogateescape")).hexdigest()[:16]
