"""Choice of the decoder: soundfile, or PyAV (extra `audio`) where soundfile fails."""

import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from sonant.audio.formats.adts import read_adts
from sonant.audio.formats.concatenated import open_all, open_mp3, open_one
from sonant.audio.formats.decoder import FileDecoder
from sonant.audio.formats.flac import read_flac
from sonant.audio.formats.headers import check_header
from sonant.audio.formats.mp3 import find_mp3
from sonant.audio.formats.ogg import read_ogg
from sonant.audio.formats.sources import EncodedAudio, open_encoded
from sonant.errors import AudioWarning, TruncatedAudio, UndecodableAudio

LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # a forged rate would cause excessive resampling


@contextmanager
def open_decoder(source: Any) -> Iterator[FileDecoder]:
    """Open a path, bytes or a file object as a decoder.

    Raises AudioNotFound, EmptyAudio (0 bytes), TruncatedAudio, UndecodableAudio; MissingExtra (a format for PyAV).
    """
    with open_encoded(source) as encoded, ExitStack() as stack:
        decoder = stack.enter_context(_open(encoded))
        if not LOWEST_RATE <= decoder.rate <= HIGHEST_RATE:
            raise UndecodableAudio(
                f"{encoded.name}: the header names a sampling rate of {decoder.rate} Hz; expected {LOWEST_RATE} to "
                f"{HIGHEST_RATE}. It is probably damaged: write the file again with the true rate."
            )
        yield decoder


def _open(encoded: EncodedAudio) -> AbstractContextManager[FileDecoder]:
    check = check_header(encoded.file, encoded.size, encoded.name)
    if check.end is not None and check.end > encoded.size:
        raise TruncatedAudio(
            f"{encoded.name}: the header promises {check.end} bytes, the file holds {encoded.size}. The recording or "
            "its transfer was cut off: fetch it again, or keep what there is by converting it (ffmpeg -i OLD NEW)."
        )
    if check.note is not None:
        warnings.warn(
            f"{encoded.name}: {check.note}. It is read to the end. The program that wrote it was probably "
            "stopped, or is wrong: compare the length, and convert it (ffmpeg -i OLD NEW).",
            AudioWarning,
            stacklevel=2,
        )
    if check.pieces is not None:
        encoded = encoded.view(check.pieces)
    mp3 = find_mp3(encoded.file, encoded.name, encoded.size)
    if mp3 is not None:
        return open_mp3(encoded, mp3)
    for read_layout in (read_ogg, read_flac, read_adts):
        if (layout := read_layout(encoded.file, encoded.name, encoded.size)) is not None:
            return open_all(encoded, layout)
    return open_one(encoded)
