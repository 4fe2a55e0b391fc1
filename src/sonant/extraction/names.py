r"""Names of recordings in results, and names of result files.

File names are bytes, results are UTF-8. A byte that is not valid UTF-8 is written as \xHH (lower-case hexadecimal); a
backslash before text that looks like such an escape is written as \x5c. The mapping is thus invertible.
"""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any
from unicodedata import normalize

from sonant.data.files import digest, shortened
from sonant.errors import one_line

NAME_BYTES = 250  # file systems allow 255; drafts add ".part"
PATH_BYTES = 700  # inside the output folder; macOS allows 1024 for a whole path, Linux 4096

_SURROGATES = re.compile("[\ud800-\udfff]")  # Python's surrogateescape of invalid bytes
_ESCAPES = re.compile(r"\\(?=x[0-9a-f]{2}|u[0-9a-f]{4})")


def readable_name(name: str) -> str:
    """Return a file name as written in results, see the module."""
    return _SURROGATES.sub(_escaped, _ESCAPES.sub(r"\\x5c", name))


def as_json(value: Any) -> str:
    """Return JSON that can be encoded in UTF-8 even with surrogates in names."""
    text = json.dumps(value, ensure_ascii=False)
    return _SURROGATES.sub(lambda match: "\\" + _escaped(match), text)


def complaint(name: str, error: Exception | str) -> str:
    """Return an error message with the recording's name, added only if the message does not begin with it."""
    message = one_line(str(error))
    named = re.search(rf"(?<!\w){re.escape(one_line(name))}(?!\w)", message.split(": ", 1)[0])
    return message if named else f"{one_line(name)}: {message}"


def key_of(row: Mapping[str, Any]) -> str:
    """Return the key of an index line: the path, the channel if one was chosen, and the segment if it is one."""
    parts = [row.get(name) for name in ("path", "channel", "offset", "duration")]
    while parts[-1] is None:
        parts.pop()
    return "\0".join("" if part is None else str(part) for part in parts)


def output_names(names: Sequence[str], suffix: str, *, taken: Collection[str] = ()) -> list[str]:
    """Return an output file for each recording: `a/b.npy` for `a/b.wav`, but `a/b.wav.npy` if there is an `a/b.mp3`.

    The files are distinct even on file systems that ignore case or Unicode normalization; names that would collide or
    are too long end in "~" and a hash.

    Args:
        names: of the recordings.
        suffix: of the files, without the dot.
        taken: files that are not available.
    """
    room = NAME_BYTES - len(suffix) - 1
    inside = [_inside(name, room) for name in names]
    stems = Counter(_same(without_ending(path)) for path in inside)
    shortest = [stem if stems[_same(stem := without_ending(path))] == 1 else path for path in inside]
    files = Counter(_same(f"{path}.{suffix}") for path in shortest)
    files.update(map(_same, _folders(inside)))
    files.update(map(_same, taken))
    made: list[str] = []
    used: set[str] = set()
    for name, path in zip(names, shortest, strict=True):
        file = path if files[_same(f"{path}.{suffix}")] == 1 else _hashed(path, name, room)
        while _same(file) in used:
            file += "~"
        used.add(_same(file))
        made.append(f"{file}.{suffix}")
    return made


def _inside(name: str, room: int) -> str:
    """Return a valid relative path that does not leave its folder."""
    plain = PurePath(name)
    parts = ["__" if part == ".." else part for part in plain.parts if part != plain.anchor] or ["_"]
    inside = "/".join(shortened(part, room) for part in parts)
    return inside if len(inside.encode()) <= PATH_BYTES else _hashed(parts[-1], name, room)


def _hashed(path: str, name: str, room: int) -> str:
    folder, slash, last = path.rpartition("/")
    return f"{folder}{slash}{shortened(last, room - 17)}~{digest(name)}"


def without_ending(path: str) -> str:
    """Return the path without the file's ending."""
    last = path.rfind("/") + 1
    point = path.rfind(".", last + 1, len(path) - 1)
    return path if point < 0 else path[:point]


def _folders(paths: Iterable[str]) -> set[str]:
    """Return all parent folders of these files."""
    folders: set[str] = set()
    for path in paths:
        while (slash := path.rfind("/")) > 0 and (path := path[:slash]) not in folders:
            folders.add(path)
    return folders


def _same(path: str) -> str:
    """Return a key that is equal for names that some file systems treat as one."""
    return path.lower() if path.isascii() else normalize("NFC", normalize("NFD", path).casefold())


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
