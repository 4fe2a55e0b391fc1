"""Decoding by libsndfile, through soundfile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import soundfile

from sonant.audio.formats.decoder import BLOCK_FRAMES, FileDecoder, Frames, broken_off, part_of
from sonant.audio.formats.sources import EncodedAudio
from sonant.audio.formats.spliced import splice

_UNKNOWN_FRAMES = 1 << 62  # 2^63 - 1 for a FLAC stream of unknown length
_SOFT_LENGTHS = ("MP3", "OGG")  # found by scanning the file, not stated by a header
_SOFT_FRAMES = 1152  # tolerance of these: a frame of an MP3
# Formats and sample types in which libsndfile finds a sample without decoding those before it. It does so in an MP3
# too, but then complains on stderr of frames that refer to earlier ones.
_SOUGHT_FORMATS = ("FLAC", "OGG")
_SOUGHT_TYPES = ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")


def open_sound_file(encoded: EncodedAudio) -> soundfile.SoundFile:
    """Open by libsndfile, which reads files on disk itself: reads through Python would block other threads."""
    encoded.file.seek(0)
    if encoded.descriptor is not None and os.name == "posix" and _may_start_late(encoded):
        os.lseek(encoded.descriptor, encoded.start, os.SEEK_SET)
        return _ForwardSoundFile(encoded.descriptor, closefd=False)
    return _ForwardSoundFile(splice(encoded.file, [(0, encoded.size)]))


def _may_start_late(encoded: EncodedAudio) -> bool:
    """Return whether libsndfile can read this format from after tags; it refuses or truncates most formats."""
    encoded.file.seek(0)
    head = encoded.file.read(4)
    encoded.file.seek(0)
    return encoded.start == 0 or head == b"fLaC" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0")


class _ForwardSoundFile(soundfile.SoundFile):
    """A sound file without seeking: soundfile seeks after each read, which fails on FLAC of unknown length."""

    def seekable(self) -> bool:
        return False


@contextmanager
def decode_sound_file(file: soundfile.SoundFile, name: str, samples: int | None) -> Iterator[FileDecoder]:
    """Decode a file opened by libsndfile, with the number of samples if it was counted."""
    is_soft = file.format in _SOFT_LENGTHS
    is_unknown = file.frames >= _UNKNOWN_FRAMES or file.format == "MP3"  # for which libsndfile only estimates it
    frames = file.frames if samples is None and not is_unknown else samples
    promised = None if is_soft else frames

    can_seek = frames is not None and (file.format in _SOUGHT_FORMATS or file.subtype in _SOUGHT_TYPES)

    def blocks(first: int = 0, stop: int | None = None) -> Iterator[Frames]:
        done = file.seek(first) if can_seek and frames is not None and 0 < first < frames else 0
        return part_of(decoded(done, stop), first - done, None)

    def decoded(done: int, stop: int | None) -> Iterator[Frames]:
        longest = max(1024, BLOCK_FRAMES // file.channels)
        end = min((each for each in (promised, stop) if each is not None), default=None)
        while end is None or done < end:
            wanted = longest if end is None else min(longest, end - done)
            try:
                block = file.read(wanted, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                raise broken_off(name, done / file.samplerate, frames, file.samplerate, error) from error
            if not len(block):
                break
            done += len(block)
            yield block if len(block) == wanted else block.copy()  # otherwise the view keeps a whole block in memory
        expected = frames if frames is None or stop is None else min(frames, stop)
        if expected is not None and done < expected - (_SOFT_FRAMES if is_soft else 0):
            raise broken_off(name, done / file.samplerate, frames, file.samplerate, "the data ends")

    def measure() -> float:
        return sum(map(len, blocks())) / file.samplerate

    with file:
        is_wide = file.subtype == "PCM_32"
        yield FileDecoder(name, file.samplerate, file.channels, frames, blocks, measure, is_wide=is_wide)
