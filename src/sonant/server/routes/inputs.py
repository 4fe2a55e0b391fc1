"""Recordings in requests: a file, base64, a data URI, an address, or a content part with one of these."""

import asyncio
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sonant.server.errors import ApiError
from sonant.server.intake.fetch import Fetcher
from sonant.server.routes.bodies import RequestBody, too_many_bytes
from sonant.server.settings import Limits

PIECE = 1 << 18  # characters of base64 decoded in one call, which holds the GIL: well under a millisecond
URL_SAFE = bytes.maketrans(b"-_", b"+/")
WHITESPACE = b" \t\r\n"
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
class Base64Audio:
    """A recording in base64; whitespace, the URL-safe alphabet and missing padding are accepted."""

    param: str
    text: str


@dataclass(frozen=True)
class LinkedAudio:
    """A recording at an address of http or https."""

    param: str
    url: str


AudioInput = UploadedAudio | Base64Audio | LinkedAudio  # each with `param`, its place in the request


async def read(recording: AudioInput, fetcher: Fetcher, limits: Limits) -> bytes:
    """Return the encoded audio.

    Raises ApiError: 400: invalid base64, or an address that may not or cannot be fetched; 413: too large.
    """
    match recording:
        case UploadedAudio(data=data):
            return data
        case LinkedAudio(url=url):
            return await fetcher.fetch(url)
        case Base64Audio(param=param, text=text):
            if len(text) * 3 // 4 > limits.audio_bytes + len(text) // 16:  # without line breaks
                raise too_many_bytes(param, limits.audio_bytes)
            try:
                data = _decoded(text) if len(text) <= PIECE else await asyncio.to_thread(_decoded, text)
            except ValueError as error:
                raise _not_base64(recording, error) from None
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
        case str():
            return _text(item, param)
        case {"input_audio": {"data": str(text)}} | {"audio": {"data": str(text)}}:
            return _text(text, param)
        case {"audio_url": {"url": str(text)}} | {"audio": {"url": str(text)}}:
            return _text(text, param)
        case {"audio_url": str(text)} | {"audio": str(text)}:
            return _text(text, param)
        case {"type": "text"} | {"text": str()}:
            raise _refused(f"{param} is text, and the models here take speech", param)
        case {"type": str(kind)}:
            raise _refused(f"{param} is a part of type {kind[:40]!r} without what such a part holds", param)
        case dict():
            raise _refused(f"{param} is an object with {_listed(item)}", param)
        case [first, *_] if _is_number(first):
            raise _numbers(item, param)
        case _:
            raise _refused(f"{param} is {_kind(item)}", param)


def _text(text: str, param: str) -> AudioInput:
    start = text[:64].lstrip().lower()
    if not start:
        raise ApiError(400, "empty_input", f"{param} is empty; expected {FORMS}.", param=param)
    if start.startswith("data:"):
        head, comma, data = text.partition(",")
        if not comma or not head.rstrip().lower().endswith(";base64"):
            raise _refused(f"{param} is a data URI without ;base64 before its comma", param)
        if not data.strip():
            raise ApiError(400, "empty_input", f"{param} is a data URI without data.", param=param)
        return Base64Audio(param, data)
    scheme, separator, _ = start.partition("://")
    if not separator:
        return Base64Audio(param, text)
    if scheme in {"http", "https"}:
        return LinkedAudio(param, text.strip())
    raise _refused(f"{param} is an address of {scheme[:20]}://, which a server cannot follow", param)


def _decoded(text: str) -> bytes:
    """Decode base64 in pieces, so that other threads can run in between. Raises ValueError."""
    pieces, rest = [b""], b""
    for start in range(0, len(text), PIECE):
        clean = rest + text[start : start + PIECE].encode("ascii").translate(URL_SAFE, WHITESPACE)
        whole = len(clean) // 4 * 4
        pieces.append(_piece(clean[:whole], after=pieces[-1]))
        rest = clean[whole:]
    pieces.append(_piece(rest + b"=" * (-len(rest) % 4), after=pieces[-1]))
    return b"".join(pieces)


def _piece(clean: bytes, *, after: bytes) -> bytes:
    if clean and len(after) % 3:
        raise ValueError("there is more after its end")
    return binascii.a2b_base64(clean, strict_mode=True) if clean else after[:0]


def _not_base64(recording: Base64Audio, error: ValueError) -> ApiError:
    told = "characters outside ASCII" if isinstance(error, UnicodeEncodeError) else str(error)
    start = recording.text[:24].strip()
    return _refused(
        f"{recording.param} begins with {start!r} and is not base64 ({told}). A server cannot open a path on your "
        "machine, nor raw bytes made into text: encode the file, as in base64.b64encode(data).decode()",
        recording.param,
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
