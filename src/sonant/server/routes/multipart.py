"""Forms of files and texts (multipart/form-data, RFC 7578), read as they arrive.

The work for a byte does not depend on what it is: boundaries are searched for by C, and what only resembles one, which
RFC 2046 forbids in a part, is refused.
"""

from enum import Enum, auto

from python_multipart.multipart import parse_options_header

from sonant.server.errors import ApiError
from sonant.server.routes.long_text import LongText
from sonant.server.settings import Limits
from sonant.server.text_limits import FIELDS, TEXT_BYTES, check_text

HEAD_BYTES = 8192  # of the headers of a part
BOUNDARY_BYTES = 256  # RFC 2046 allows 70
BASE64_GROWTH = 1.4  # a recording may be base64 in a text: a third longer, and with line breaks

Part = tuple[str, str | LongText | bytes]  # name and value; that of a file is bytes


class _State(Enum):
    CONTENTS = auto()  # of a part, or what stands before the first
    BOUNDARY = auto()  # the rest of its line
    HEAD = auto()
    END = auto()


class MultipartReader:
    """A reader of the parts of one form.

    Args:
        content_type: header of the request, which has the boundary.
        limits: on the number of files and the bytes of each.
    """

    def __init__(self, content_type: str, limits: Limits) -> None:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not 1 <= len(boundary) <= BOUNDARY_BYTES:
            raise invalid("The header has no boundary, or a very long one.")
        self._delimiter = b"\r\n--" + boundary
        self._limits = limits
        self._buffer = bytearray(b"\r\n")  # the first boundary may be the first line
        self._state = _State.CONTENTS
        self._name = ""
        self._is_file = False
        self._contents: bytearray | None = None  # of the part that has begun
        self._parts: list[Part] = []
        self._num_files = 0

    def feed(self, chunk: bytes) -> None:
        """Read the next bytes. Raises ApiError: 400: they are no form; 413: a file is too large."""
        self._buffer += chunk
        steps = {
            _State.CONTENTS: self._read_contents,
            _State.BOUNDARY: self._read_boundary,
            _State.HEAD: self._read_head,
        }
        while self._state in steps and steps[self._state]():
            pass
        if self._state == _State.END:
            self._buffer.clear()  # RFC 2046 allows text behind it

    def finish(self) -> list[Part]:
        """Return the parts in order. Raises ApiError 400: the form is not complete."""
        if self._state != _State.END:
            raise invalid("It ends before its last boundary.")
        return self._parts

    def _read_contents(self) -> bool:
        """Take contents up to the next boundary; return whether there is one."""
        found = self._buffer.find(self._delimiter)
        end = found if found >= 0 else max(0, len(self._buffer) - len(self._delimiter) + 1)
        if self._contents is not None:
            if len(self._contents) + end > self._limits.audio_bytes * (1 if self._is_file else BASE64_GROWTH):
                raise too_many_bytes(self._name.removesuffix("[]"), self._limits.audio_bytes)
            self._contents += self._buffer[:end]
        del self._buffer[: end if found < 0 else end + len(self._delimiter)]
        if found >= 0:
            self._end_part()
            self._state = _State.BOUNDARY
        return found >= 0

    def _end_part(self) -> None:
        if self._contents is None:
            return
        value: str | LongText | bytes
        if self._is_file:
            value = bytes(self._contents)
        elif len(self._contents) > TEXT_BYTES:
            value = LongText(self._contents, is_json=False)
        else:
            value = check_text(_text(bytes(self._contents)), self._name)
        self._parts.append((self._name, value))
        self._contents = None

    def _read_boundary(self) -> bool:
        if self._buffer.startswith(b"--"):
            self._state = _State.END
            return False
        end = self._buffer.find(b"\r\n")
        padding = bytes(self._buffer if end < 0 else self._buffer[:end]).strip(b" \t")
        if end < 0 and padding in {b"", b"-", b"\r"} and len(self._buffer) < BOUNDARY_BYTES:
            return False  # it goes on
        if padding or end < 0:
            raise invalid("A line in a part begins with the boundary.")
        del self._buffer[:end]  # the line break may begin an empty head
        self._state = _State.HEAD
        return True

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, HEAD_BYTES)
        if end < 0:
            if len(self._buffer) >= HEAD_BYTES:
                raise invalid(f"The headers of a part have more than {HEAD_BYTES} bytes.")
            return False
        options = _disposition(bytes(self._buffer[:end]))
        if b"name" not in options:
            raise invalid('A part has no header Content-Disposition with a "name".')
        self._name = check_text(_text(options[b"name"]), "a name in the form")
        self._is_file = b"filename" in options
        self._num_files += self._is_file
        if self._num_files > self._limits.inputs or len(self._parts) - self._num_files >= FIELDS:
            raise invalid(f"It has more than {self._limits.inputs} files, or more than {FIELDS} other fields.")
        self._contents = bytearray()
        del self._buffer[: end + 4]
        self._state = _State.CONTENTS
        return True


def _disposition(head: bytes) -> dict[bytes, bytes]:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            return parse_options_header(value.strip())[1]
    return {}


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def invalid(told: str) -> ApiError:
    return ApiError(
        400,
        "invalid_multipart",
        f"The body is labeled multipart/form-data, and cannot be read as that: {told} If it is JSON, set Content-Type: "
        "application/json. If it is a form, do not set the header by hand: the client that writes the parts knows the "
        "boundary between them.",
    )


def too_many_bytes(param: str, limit: int) -> ApiError:
    """Make the error for an encoded recording that exceeds the limit."""
    return ApiError(
        413,
        "audio_too_large",
        f"The recording in {param} is larger than {limit} bytes. Compress it (FLAC, Opus), or send it in pieces.",
        param=param,
    )
