"""Decoding block by block: soundfile first, PyAV (extra `audio`) for what soundfile does not know."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import soundfile

from sonant.audio.channels import Frames
from sonant.audio.decoder import Decoder, broken_off
from sonant.audio.ffmpeg import open_with_ffmpeg
from sonant.audio.headers import Patched, Promise, read_promise
from sonant.audio.mp3 import count_mp3_samples, mp3_lacks_length
from sonant.audio.sources import Encoded, open_encoded
from sonant.errors import TruncatedAudio, UndecodableAudio

BLOCK_FRAMES = 1 << 17  # about eight seconds at 16 kHz; of all channels together
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # a forged rate would ask for absurd amounts of resampling

_UNKNOWN_FRAMES = 1 << 62  # libsndfile says 2^63 - 1 for a FLAC stream of unknown length
_SOFT_LENGTHS = ("MP3", "OGG")  # estimated or counted by libsndfile, not promised by a header


@contextmanager
def open_decoder(source: Any) -> Iterator[Decoder]:
    """Open a path, bytes or a file object; the decoder lives as long as the context.

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


def _open(encoded: Encoded) -> AbstractContextManager[Decoder]:
    promise = read_promise(encoded.file, encoded.size)
    if promise.end is not None and promise.end > encoded.size:
        raise TruncatedAudio(
            f"{encoded.name}: the header promises {promise.end} bytes, the file holds {encoded.size}. The recording or "
            "its transfer was cut off: fetch it again, or keep what there is by writing it anew (ffmpeg -i OLD NEW)."
        )
    guessed = mp3_lacks_length(encoded.file)
    encoded.file.seek(0)
    try:
        return _soundfile(_sound_file(encoded, promise), encoded, guessed=guessed)
    except (soundfile.LibsndfileError, TypeError) as error:
        encoded.file.seek(0)
        return open_with_ffmpeg(encoded, getattr(error, "error_string", str(error)))


def _sound_file(encoded: Encoded, promise: Promise) -> "_ForwardSoundFile":
    """On disk libsndfile reads by itself: through Python every few hundred bytes would stop the other threads."""
    if encoded.descriptor is not None and promise.patch is None and os.name == "posix" and _may_start_late(encoded):
        os.lseek(encoded.descriptor, encoded.start, os.SEEK_SET)
        return _ForwardSoundFile(encoded.descriptor, closefd=False)
    return _ForwardSoundFile(Patched(encoded.file, *(promise.patch or ())))


def _may_start_late(encoded: Encoded) -> bool:
    """Whether libsndfile reads the format from a descriptor that stands behind tags; most others it refuses or cuts."""
    encoded.file.seek(0)
    head = encoded.file.read(4)
    encoded.file.seek(0)
    return encoded.start == 0 or head == b"fLaC" or (head[0] == 0xFF and head[1] >= 0xE0)


class _ForwardSoundFile(soundfile.SoundFile):
    """Reads forward only: soundfile otherwise seeks after every read, which fails on FLAC streams of unknown length."""

    def seekable(self) -> bool:
        return False


@contextmanager
def _soundfile(file: soundfile.SoundFile, encoded: Encoded, *, guessed: bool) -> Iterator[Decoder]:
    is_guessed_mp3 = guessed and file.format == "MP3"
    frames = None if is_guessed_mp3 or file.frames >= _UNKNOWN_FRAMES else file.frames
    promised = None if file.format in _SOFT_LENGTHS else frames

    def blocks() -> Iterator[Frames]:
        done, longest = 0, max(1024, BLOCK_FRAMES // file.channels)
        while promised is None or done < promised:
            wanted = longest if promised is None else min(longest, promised - done)
            try:
                block = file.read(wanted, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise broken_off(encoded.name, done / file.samplerate, frames, file.samplerate, error) from error
            if not len(block):
                break
            done += len(block)
            yield block
        if promised is not None and done < promised:
            raise broken_off(encoded.name, done / file.samplerate, frames, file.samplerate, "the data ends")

    def measure() -> float:
        total = count_mp3_samples(encoded.file) if is_guessed_mp3 else sum(map(len, blocks()))
        return total / file.samplerate

    with file:
        yield Decoder(encoded.name, file.samplerate, file.channels, frames, blocks, measure)
