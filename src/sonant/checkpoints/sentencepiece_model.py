"""The pieces of a sentencepiece model, read from its file without the package sentencepiece.

The file is a protocol buffer, of which the pieces and three settings are parsed. The parser needs no more memory than
the file's size.

Source: sentencepiece `sentencepiece_model.proto`, for the numbers of fields and types.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sonant.errors import CorruptedCheckpoint

MOST_BYTES = 1 << 26  # published models have up to 5 MB
Kind = Literal["normal", "unknown", "control", "user defined", "unused", "byte"]
KINDS: tuple[Kind, ...] = ("normal", "unknown", "control", "user defined", "unused", "byte")  # the first is number 1

_PIECES, _TRAINER, _DENORMALIZER = 1, 2, 5  # fields of the model
_TEXT, _KIND = 1, 3  # of a piece
_MARK_BEHIND = 24  # of the trainer
_CHARACTERS = 2  # of the denormalizer
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # types of fields


@dataclass(frozen=True)
class SentencePieceModel:
    """The pieces of a sentencepiece model.

    Attributes:
        texts: pieces by number; "▁" (U+2581) is a space.
        kinds: of each piece; "control" pieces have no text, the "unknown" one replaces text without a piece.
        mark_behind: whether "▁" marks ends of words, not beginnings.
        rewrites: whether joined pieces are denormalized to obtain the text.
    """

    texts: tuple[str, ...]
    kinds: tuple[Kind, ...]
    mark_behind: bool = False
    rewrites: bool = False


def read_sentencepiece_model(path: Path) -> SentencePieceModel:
    """Return the pieces of a sentencepiece model.

    Raises:
        CorruptedCheckpoint: no such model, or a damaged file.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise CorruptedCheckpoint(f"{path} is no sentencepiece model: it has {size} bytes.")
    texts: list[str] = []
    kinds: list[Kind] = []
    mark_behind = rewrites = False
    try:
        for number, value in _fields(path.read_bytes()):
            if number == _PIECES:
                text, kind = _piece(_message(value))
                texts.append(text)
                kinds.append(kind)
            elif number == _TRAINER:
                mark_behind = any(field == _MARK_BEHIND and inner != 0 for field, inner in _fields(_message(value)))
            elif number == _DENORMALIZER:
                rewrites = any(field == _CHARACTERS and inner != b"" for field, inner in _fields(_message(value)))
    except (ValueError, IndexError) as error:
        raise CorruptedCheckpoint(
            f"{path} is no sentencepiece model, or is damaged ({error}). Download or copy it again."
        ) from None
    if not texts:
        raise CorruptedCheckpoint(f"{path} is no sentencepiece model: it has no pieces.")
    return SentencePieceModel(tuple(texts), tuple(kinds), mark_behind, rewrites)


def _piece(data: bytes) -> tuple[str, Kind]:
    text, kind = "", 1
    for number, value in _fields(data):
        if number == _TEXT:
            text = _message(value).decode("utf-8")
        elif number == _KIND:
            if not isinstance(value, int) or not 1 <= value <= len(KINDS):
                raise ValueError(f"a piece is of kind {value!r:.20}")
            kind = value
    return text, KINDS[kind - 1]


def _message(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number stands where a message was expected")  # noqa: TRY004 (an error of the file)
    return value


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if kind == _VARINT:
            value, at = _varint(data, at)
        else:
            length = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}.get(kind)
            if kind == _BYTES:
                length, at = _varint(data, at)
            if length is None or number == 0:
                raise ValueError(f"a field has the type {kind} and the number {number}")
            if at + length > len(data):
                raise ValueError("a field reaches beyond the end")
            value, at = data[at : at + length], at + length
        yield number, value


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the variable-length integer at an offset, and the offset after it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number has more than ten bytes")
