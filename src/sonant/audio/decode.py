"""Decoding block by block: soundfile first, PyAV (extra `audio`) for what soundfile does not know."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO

import soundfile

from sonant.audio.channels import Frames
from sonant.audio.headers import Patched, Promise, read_promise
from sonant.audio.mp3 import count_mp3_samples, mp3_lacks_length
from sonant.audio.sources import Encoded, open_encoded
from sonant.errors import MissingExtra, TruncatedAudio, UndecodableAudio, pip_install

BLOCK_FRAMES = 1 << 17  # about eight seconds at 16 kHz; of all channels together
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # a forged rate would ask for absurd amounts of resampling

# What FFmpeg may take a file for. It also knows formats that name other files or addresses, which it then opens (sdp,
# hls, concat, dash), and hundreds of pictures and games.
_AV_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,dtshd,eac3,flac,flv,gsm,loas,matroska,mlp,mov,mp3,mpc,mpc8,"
    "mpeg,mpegts,nistsphere,nut,ogg,oma,qcp,rm,shn,sox,tak,truehd,tta,voc,w64,wav,webm,wv,xwma"
)

_UNKNOWN_FRAMES = 1 << 62  # libsndfile says 2^63 - 1 for a FLAC stream of unknown length
_SOFT_LENGTHS = ("MP3", "OGG")  # estimated or counted by libsndfile, not promised by a header


@dataclass(frozen=True)
class Decoder:
    """A recording ready to decode; of `blocks` and `measure` one may be called, once.

    Attributes:
        name: what messages call the recording.
        rate: samples a second, per channel.
        channels: how many each block has.
        frames: samples per channel that the header promises or lets expect; None where it says nothing.
        blocks: decodes float32 blocks (samples, channels), in order; each is the caller's own.
        measure: the length in seconds, by walking through the whole file.
    """

    name: str
    rate: int
    channels: int
    frames: int | None
    blocks: Callable[[], Iterator[Frames]]
    measure: Callable[[], float]


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
        return _av(encoded, getattr(error, "error_string", str(error)))


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
                raise _broken_off(encoded.name, done / file.samplerate, frames, file.samplerate, error) from error
            if not len(block):
                break
            done += len(block)
            yield block
        if promised is not None and done < promised:
            raise _broken_off(encoded.name, done / file.samplerate, frames, file.samplerate, "the data ends")

    def measure() -> float:
        total = count_mp3_samples(encoded.file) if is_guessed_mp3 else sum(map(len, blocks()))
        return total / file.samplerate

    with file:
        yield Decoder(encoded.name, file.samplerate, file.channels, frames, blocks, measure)


@contextmanager
def _av(encoded: Encoded, why: str) -> Iterator[Decoder]:
    kind = _needs_av(encoded.file)
    try:
        import av
    except ImportError:
        if kind is not None:
            raise MissingExtra("av", extra="audio", purpose=f"Reading {encoded.name} ({kind})") from None
        raise UndecodableAudio(
            f"{encoded.name}: not audio in a format that soundfile reads ({why}). If it is audio, "
            f"{pip_install('audio', 'av')} makes sonant read more formats; or convert it: ffmpeg -i OLD NEW.wav."
        ) from None
    with ExitStack() as stack:
        try:
            container = stack.enter_context(_open_container(av, encoded))
        except (av.FFmpegError, ValueError, OSError) as error:
            if kind == "mp4/m4a":
                raise TruncatedAudio(
                    f"{encoded.name}: an mp4/m4a file without a usable index ({error}). The index is written last, so "
                    "the recording or its transfer was probably cut off: fetch it again."
                ) from error
            raise UndecodableAudio(
                f"{encoded.name}: not audio in any format that soundfile or FFmpeg reads ({why}; {error}). Check that "
                "it is a whole recording; raw samples go in as an array: np.frombuffer(data, 'int16')."
            ) from error
        if not container.streams.audio:
            raise UndecodableAudio(f"{encoded.name}: holds no audio track: give a recording with sound.")
        if container.streams.audio[0].codec_context is None:
            raise UndecodableAudio(
                f"{encoded.name}: {container.format.name} with a codec that FFmpeg does not know; it may be "
                "damaged. Convert it with the program that wrote it."
            )
        yield _av_decoder(av, container, encoded)


def _open_container(av: Any, encoded: Encoded) -> Any:
    encoded.file.seek(0)
    return av.open(encoded.file, mode="r", metadata_errors="ignore", container_options=_av_options(av))


@cache
def _av_options(av: Any) -> dict[str, str]:
    """Keep FFmpeg to the sound of this file: nothing else is opened, and no picture decoded to learn its size."""
    decoders = []
    for name in sorted(av.codecs_available):
        with suppress(av.codec.codec.UnknownCodecError):  # it only writes this one
            codec = av.Codec(name, "r")
            decoders += [name] if codec.type == "audio" else []
    return {"format_whitelist": _AV_FORMATS, "protocol_whitelist": "none", "codec_whitelist": ",".join(decoders)}


def _av_decoder(av: Any, container: Any, encoded: Encoded) -> Decoder:
    name, stream = encoded.name, container.streams.audio[0]
    # Float, channels and rate untouched. Not planar: PyAV reads past the end of a frame of more than seven planes.
    resampler = av.AudioResampler(format="flt")
    decoded = container.decode(stream)

    def next_frame(done_seconds: float) -> Any:
        try:
            return next(decoded, None)
        except (av.FFmpegError, ValueError, OSError) as error:
            raise _broken_off(name, done_seconds, frames, rate, error) from error

    rate, channels, frames = stream.rate or 0, 1, None
    first = next_frame(0.0)
    if first is not None:
        rate = first.sample_rate  # HE-AAC doubles the rate that its header names
        channels = first.layout.nb_channels
    seconds = header_seconds(stream, container)
    frames = None if seconds is None else round(seconds * rate)

    def blocks() -> Iterator[Frames]:
        frame, done = first, 0
        while frame is not None:
            if (frame.sample_rate, frame.layout.nb_channels) != (rate, channels):
                raise UndecodableAudio(
                    f"{name}: the sound changes from {rate} Hz and {channels} channels to {frame.sample_rate} Hz and "
                    f"{frame.layout.nb_channels} within the file: convert it to one kind first (ffmpeg -i OLD NEW.wav)."
                )
            try:
                converted = resampler.resample(frame)
            except (av.FFmpegError, ValueError) as error:
                raise UndecodableAudio(
                    f"{name}: {channels} channels of {frame.format.name} are more than FFmpeg converts, or the sound "
                    f"changes its kind within the file ({error}): make it mono first (ffmpeg -i OLD -ac 1 NEW.wav)."
                ) from error
            for interleaved in converted:
                block = interleaved.to_ndarray().reshape(-1, channels)  # (samples, channels)
                done += len(block)
                yield block
            frame = next_frame(done / rate)
        # Containers round their length to whole packets, so only a clear lack counts.
        if frames is not None and done < frames - rate // 5:
            raise _broken_off(name, done / rate, frames, rate, "the data ends")

    def measure() -> float:
        with _open_container(av, encoded) as again:  # a frame of this one is decoded
            packets = again.demux(again.streams.audio[0])
            ends = [(packet.pts or 0) + (packet.duration or 0) for packet in packets if packet.size]
        return float(max(ends, default=0) * stream.time_base)

    return Decoder(name, rate, channels, frames, blocks, measure)


def header_seconds(stream: Any, container: Any) -> float | None:
    """The length that an mp4 or Matroska header names; for other containers FFmpeg only guesses one."""
    if not {"mp4", "matroska"} & set(container.format.name.split(",")):
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1  # else it may be the pictures that last so long
    return container.duration / 1e6 if alone and container.duration is not None else None  # microseconds


def _needs_av(file: BinaryIO) -> str | None:
    """The name of a format that only PyAV reads, from the first bytes."""
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    if head[4:8] == b"ftyp":
        return "mp4/m4a"
    if head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return "aac"
    known = {b"\x1aE\xdf\xa3": "webm/mkv", b"0&\xb2u": "wma", b"#!AM": "amr", b"ADIF": "aac"}
    return known.get(head[:4])


def _broken_off(name: str, done: float, frames: int | None, rate: int, why: object) -> TruncatedAudio:
    promised = "" if frames is None or not rate else f" of the {frames / rate:.2f} s that its header promises"
    return TruncatedAudio(
        f"{name}: decoding breaks off some time after {done:.2f} s{promised} ({why}). The file was cut off or damaged: "
        "fetch it again, or keep what there is by writing it anew (ffmpeg -i OLD NEW)."
    )
