"""Decoding of the consecutive recordings of one file."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace

import numpy as np
import soundfile

from sonant.audio.formats.decoder import FileDecoder, Frames, part_of
from sonant.audio.formats.ffmpeg import open_with_ffmpeg
from sonant.audio.formats.file_layout import FileLayout, Part
from sonant.audio.formats.libsndfile import decode_sound_file, open_sound_file
from sonant.audio.formats.mp3 import Mp3
from sonant.audio.formats.sources import EncodedAudio
from sonant.errors import UndecodableAudio


def open_one(encoded: EncodedAudio, samples: int | None = None) -> AbstractContextManager[FileDecoder]:
    """Open a file that holds one recording, with the number of samples if it was counted."""
    try:
        file = open_sound_file(encoded)
        if samples is None or file.frames >= samples:
            return decode_sound_file(file, encoded.name, samples)
        file.close()
        why = "soundfile would stop too early"
    except (soundfile.LibsndfileError, TypeError) as error:
        why = getattr(error, "error_string", str(error))
    encoded.file.seek(0)
    return open_with_ffmpeg(encoded, why)


@contextmanager
def open_mp3(encoded: EncodedAudio, mp3: Mp3) -> Iterator[FileDecoder]:
    """Open an MP3, which is walked through only when it is decoded, or measured and its tag does not suffice."""
    rate, channels = mp3.kind.rate, mp3.kind.channels

    def blocks(first: int = 0, stop: int | None = None) -> Iterator[Frames]:
        layout = mp3.layout()
        if layout.parts:
            with open_all(encoded, layout) as decoder:
                yield from decoder.blocks(first, stop)

    def measure() -> float:
        return sum(part.samples or 0 for part in mp3.layout().parts) / rate

    yield FileDecoder(encoded.name, rate, channels, mp3.samples, blocks, measure)


@contextmanager
def open_all(encoded: EncodedAudio, layout: FileLayout) -> Iterator[FileDecoder]:
    """Open all parts of a file as one recording, which has the channels of the first. Raises UndecodableAudio."""

    def opened(part: Part) -> AbstractContextManager[FileDecoder]:
        return open_one(encoded.view(part.pieces), part.samples)

    with _open_directly(encoded, layout) or opened(layout.parts[0]) as first:

        def parts() -> Iterator[FileDecoder]:
            yield first
            for part in layout.parts[1:]:
                with opened(part) as decoder:
                    if decoder.rate != first.rate:
                        raise UndecodableAudio(
                            f"{encoded.name}: several recordings one behind another, at {first.rate} Hz and at "
                            f"{decoder.rate} Hz: convert it to one rate first (ffmpeg -i OLD NEW.wav)."
                        )
                    yield decoder

        def blocks(begin: int = 0, stop: int | None = None) -> Iterator[Frames]:
            layout.warn(encoded.name)
            return first.blocks(begin, stop) if len(layout.parts) == 1 else part_of(joined(), begin, stop)

        def joined() -> Iterator[Frames]:
            for part in parts():
                for frames in part.blocks():
                    yield _with_channels(frames, first.channels)

        def measure() -> float:
            return sum(part.measure() if part.frames is None else part.frames / part.rate for part in parts())

        counted = first.frames if len(layout.parts) == 1 else None
        yield replace(first, frames=counted, blocks=blocks, measure=measure)


def _open_directly(encoded: EncodedAudio, layout: FileLayout) -> AbstractContextManager[FileDecoder] | None:
    """Open the only part of a file directly by libsndfile, which is faster on disk, if that reads all of it."""
    if not layout.is_plain:
        return None
    samples = layout.parts[0].samples
    with suppress(soundfile.LibsndfileError):
        file = open_sound_file(encoded)
        if samples is None or file.frames >= samples:
            return decode_sound_file(file, encoded.name, samples)
        file.close()
    return None


def _with_channels(frames: Frames, channels: int) -> Frames:
    """Convert frames (samples, k) to (samples, channels): if k differs, each channel is the mean of the k."""
    if frames.shape[1] == channels:
        return frames
    return np.repeat(frames.mean(axis=1, keepdims=True, dtype=np.float32), channels, axis=1)
