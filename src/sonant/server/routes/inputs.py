"""Recordings in requests: a file, base64, a data URI, an address, or a content part with one of these."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sonant.server.errors import ApiError
from sonant.server.intake.fetch import Fetcher
from sonant.server.routes.audio_text import decoded
from sonant.server.routes.bodies import RequestBody
from sonant.server.routes.long_text import HEAD, PIECE, LongText
from sonant.server.routes.multipart import too_many_bytes
from sonant.server.settings import Limits
from sonant.server.text_limits import too_long

MIN_AUDIO_BYTES = 32  # the header of every format is longer
WORD = 40  # characters; what has spaces and longer words is no language
FORMS = (
    "base64 of an audio file, a data URI, an http(s) address, or a content part such as "
    '{"type": "input_audio", "input_audio": {"data": "<base64>", "format": "wav"}}'
)


@dataclass(frozen=True)
class UploadedAudio:
    """A recording uploaded as a file of a form."""

    param: str
    data: bytes


@dataclass(frozen=True)
class WrittenAudio:
    """A recording written as text: base64, or the contents of a data URI.

    Attributes:
        text: without the head of a data URI.
        is_base64: otherwise its bytes are percent-encoded.
        is_uri: whether percent-encoded characters are decoded first.
    """

    param: str
    text: str | LongText
    is_base64: bool = True
    is_uri: bool = False


@dataclass(frozen=True)
class LinkedAudio:
    """A recording at an address of http or https."""

    param: str
    url: str


AudioInput = UploadedAudio | WrittenAudio | LinkedAudio  # each with `param`, its place in the request


async def read(
    recording: AudioInput, fetcher: Fetcher, limits: Limits, *, share: str, take: Callable[[int], None]
) -> bytes:
    """Return the encoded audio.

    Args:
        share: whose turns at fetching are used.
        take: called with numbers of bytes, beside those of the body.

    Raises ApiError: 400: invalid base64, or an address that may not or cannot be fetched; 413: too large; those of
        `take`.
    """
    match recording:
        case UploadedAudio(data=data):
            return data
        case LinkedAudio(url=url):
            return await fetcher.fetch(url, share=share, take=take)
        case WrittenAudio(param=param, text=text):
            work = partial(
                decoded, text, is_base64=recording.is_base64, is_uri=recording.is_uri, most=limits.audio_bytes
            )
            try:
                data = work() if len(text) <= PIECE else await asyncio.to_thread(work)
            except OverflowError:
                raise too_many_bytes(param, limits.audio_bytes) from None
            except ValueError as error:
                raise _not_audio(recording, error) from None
            if len(data) < MIN_AUDIO_BYTES:
                raise _not_audio(recording, ValueError(f"it holds {len(data)} bytes, fewer than any recording has"))
            take(len(data))
            return data


def recordings(body: RequestBody, *names: str, limits: Limits) -> list[AudioInput]:
    """Collect the recordings in the fields of these names.

    Raises ApiError: 400: no recordings, too many, or a value that is none; `param` says which.
    """
    files = [(name, data) for name, data in body.files if name in names]
    given = [(name, body.fields[name]) for name in names if body.fields.get(name) is not None]
    if len(files) + len(given) == 0:
        also = f", or files in fields named {' or '.join(names)} of a form" if len(names) > 1 else ""
        raise ApiError(400, "missing_parameter", f"{names[0]} is missing; expected {FORMS}{also}.", param=names[0])
    found: list[AudioInput] = [
        UploadedAudio(name if len(files) == 1 else f"{name}[{index}]", data) for index, (name, data) in enumerate(files)
    ]
    for name, value in given:
        if isinstance(value, list):
            found += _several(value, name, limits)
        else:
            found.append(_one(value, name))
    _check_count(len(found), names[0], limits)
    return found


def one_recording(body: RequestBody, *names: str, limits: Limits) -> AudioInput:
    """Return the only recording in the fields of these names. Raises ApiError if there is not exactly one."""
    found = recordings(body, *names, limits=limits)
    if len(found) > 1:
        raise ApiError(
            400, "too_many_inputs", f"{names[0]} holds {len(found)} recordings; expected one.", param=names[0]
        )
    return found[0]


def _check_count(count: int, param: str, limits: Limits) -> None:
    if count > limits.inputs:
        raise ApiError(
            400,
            "too_many_inputs",
            f"{param} holds {count} recordings; one request may hold {limits.inputs}. Send several requests.",
            param=param,
        )


def _several(items: Sequence[Any], param: str, limits: Limits) -> list[AudioInput]:
    if not items:
        raise ApiError(400, "empty_input", f"{param} is an empty list; expected {FORMS}, or several.", param=param)
    if _is_number(items[0]):
        raise _numbers(items, param)
    _check_count(len(items), param, limits)
    return [_one(item, f"{param}[{index}]") for index, item in enumerate(items)]


def _one(item: Any, param: str) -> AudioInput:
    """Parse one recording, a string or an object around one."""
    match item:
        case {"content": list() as parts}:
            if len(parts) != 1:
                raise _refused(f"{param}.content holds {len(parts)} parts; expected one recording", param)
            return _part(parts[0], f"{param}.content[0]")
        case {"content": part}:
            return _part(part, f"{param}.content")
        case _:
            return _part(item, param)


def _part(item: Any, param: str) -> AudioInput:
    match item:
        case str() | LongText():
            return _text(item, param)
        case {"input_audio": {"data": (str() | LongText()) as text}} | {
            "audio": {"data": (str() | LongText()) as text}
        }:
            return _text(text, param)
        case {"audio_url": {"url": (str() | LongText()) as text}} | {"audio": {"url": (str() | LongText()) as text}}:
            return _text(text, param)
        case {"audio_url": (str() | LongText()) as text} | {"audio": (str() | LongText()) as text}:
            return _text(text, param)
        case {"type": "text"} | {"text": str() | LongText()}:
            raise _refused(f"{param} is text, and the models here take speech", param)
        case {"type": str(kind)}:
            raise _refused(f"{param} is a part of type {kind[:40]!r} without what such a part holds", param)
        case dict():
            raise _refused(f"{param} is an object with {_listed(item)}", param)
        case [first, *_] if _is_number(first):
            raise _numbers(item, param)
        case _:
            raise _refused(f"{param} is {_kind(item)}", param)


def _text(text: str | LongText, param: str) -> AudioInput:
    head = (text.head if isinstance(text, LongText) else text[:HEAD]).lstrip()
    start = head[:64].lower()
    if not start:
        raise ApiError(400, "empty_input", f"{param} is empty; expected {FORMS}.", param=param)
    if start.startswith("data:"):
        about, comma, _ = head.partition(",")
        if not comma:
            raise _refused(f"{param} is a data URI without a comma", param)
        data = text.after_comma() if isinstance(text, LongText) else text.partition(",")[2]
        if isinstance(data, str) and not data.strip():
            raise ApiError(400, "empty_input", f"{param} is a data URI without data.", param=param)
        return WrittenAudio(param, data, is_base64=about.rstrip().lower().endswith(";base64"), is_uri=True)
    scheme, separator, _ = start.partition("://")
    if not separator:
        return WrittenAudio(param, text)
    if scheme in {"http", "https"}:
        if isinstance(text, LongText):
            raise too_long(param)
        return LinkedAudio(param, text.strip())
    raise _refused(f"{param} is an address of {scheme[:20]}://, which a server cannot follow", param)


def _not_audio(recording: WrittenAudio, error: ValueError) -> ApiError:
    param, text = recording.param, recording.text
    head = text.head if isinstance(text, LongText) else text.strip()
    words = head.split()
    shown, longest = repr(head[:24]), max(map(len, words), default=0)
    if longest <= WORD and (len(words) > 1 or head.isalnum()):
        return _refused(f"{param} is the text {shown}, and the models here take speech", param)
    if isinstance(error, UnicodeError):
        told = "characters outside ASCII"
    elif " " in head:
        told = "it has spaces; was it sent as a form without its + being written as %2B?"
    else:
        told = str(error)
    what = "base64" if recording.is_base64 else "percent-encoded"
    return _refused(
        f"{param} begins with {shown} and is not {what} of a recording ({told}). A server cannot open a path on your "
        "machine, nor raw bytes made into text: encode the file, as in base64.b64encode(data).decode()",
        param,
    )


def _numbers(items: Sequence[Any], param: str) -> ApiError:
    looks_like_bytes = all(isinstance(item, int) and 0 <= item < 256 for item in items[:1000])
    why = (
        "The openai client makes that of `bytes`: send base64.b64encode(data).decode() in their place"
        if looks_like_bytes
        else "Token numbers of text mean nothing to a speech model (LangChain: check_embedding_ctx_length=False), and "
        "bare samples do not tell their rate: send a file, such as wav, as base64"
    )
    shown = ", ".join(str(item)[:20] for item in items[:4])
    return _refused(f"{param} is a list of {len(items)} numbers ({shown}, ...). {why}", param)


def _refused(what: str, param: str) -> ApiError:
    return ApiError(400, "invalid_input", f"{what}. Expected {FORMS}.", param=param)


def _is_number(item: Any) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool)


def _kind(item: Any) -> str:
    names = {bool: "true or false", type(None): "null", list: "a list inside a list"}
    return names.get(type(item), "a number")


def _listed(item: dict[str, Any]) -> str:
    names = ", ".join(repr(name[:40]) for name in list(item)[:5])
    return f"the members {names}" if names else "no members"
