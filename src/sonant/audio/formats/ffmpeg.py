"""Decoding by FFmpeg, through PyAV (extra `audio`)."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from typing import Any, BinaryIO

from sonant.audio.formats.clock import SLACK_SECONDS, Clock, header_seconds, packet_seconds, sound_seconds
from sonant.audio.formats.decoder import FileDecoder, Frames, broken_off, without_seeking
from sonant.audio.formats.sources import EncodedAudio
from sonant.audio.formats.spliced import splice
from sonant.errors import MissingExtra, TruncatedAudio, UndecodableAudio, pip_install

# Formats that FFmpeg may detect. Others refer to files or URLs, which it would open (sdp, hls, concat, dash), or are
# pictures and games.
_AV_FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dts,dtshd,eac3,flac,flv,gsm,loas,matroska,mlp,mov,mp3,mpc,mpc8,"
    "mpeg,mpegts,nistsphere,nut,ogg,oma,qcp,rm,shn,sox,tak,truehd,tta,voc,w64,wav,webm,wv,xwma"
)


@contextmanager
def open_with_ffmpeg(encoded: EncodedAudio, why: str) -> Iterator[FileDecoder]:
    """Open what soundfile cannot read, for the reason `why`. Raises MissingExtra, TruncatedAudio, UndecodableAudio."""
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
                    f"{encoded.name}: an mp4/m4a file without a usable index ({_said(error)}). The index is written "
                    "last, so the recording or its transfer was probably cut off: fetch it again."
                ) from error
            raise UndecodableAudio(
                f"{encoded.name}: not audio in any format that soundfile or FFmpeg reads ({why.rstrip('.')}; "
                f"{_said(error)}). Check that it is a whole recording; raw samples go in as an array: "
                "np.frombuffer(data, 'int16')."
            ) from error
        if not container.streams.audio:
            raise UndecodableAudio(f"{encoded.name}: holds no audio track: give a recording with sound.")
        if container.streams.audio[0].codec_context is None:
            raise UndecodableAudio(
                f"{encoded.name}: {container.format.name} with a codec that FFmpeg does not know; it may be "
                "damaged. Convert it with the program that wrote it."
            )
        yield _av_decoder(av, container, encoded)


def _open_container(av: Any, encoded: EncodedAudio) -> Any:
    # A new file object, since several containers may be open; always a spliced one, so that all sources seek alike.
    file = splice(encoded.file, [(0, encoded.size)])
    return av.open(file, mode="r", metadata_errors="ignore", container_options=_av_options(av))


@cache
def _av_options(av: Any) -> dict[str, str]:
    """Restrict FFmpeg to audio formats and codecs, and to this file."""
    decoders = []
    for name in sorted(av.codecs_available):
        with suppress(av.codec.codec.UnknownCodecError):  # an encoder only
            codec = av.Codec(name, "r")
            decoders += [name] if codec.type == "audio" else []
    return {"format_whitelist": _AV_FORMATS, "protocol_whitelist": "none", "codec_whitelist": ",".join(decoders)}


def _av_decoder(av: Any, container: Any, encoded: EncodedAudio) -> FileDecoder:
    name, stream = encoded.name, container.streams.audio[0]
    # Float, channels and rate untouched. Not planar: PyAV reads past the end of a frame of more than seven planes.
    resampler = av.AudioResampler(format="flt")
    decoded = container.decode(stream)

    def next_frame(done_seconds: float) -> Any:
        try:
            return next(decoded, None)
        except (av.FFmpegError, ValueError, OSError, IndexError) as error:  # IndexError: tracks that change
            raise broken_off(name, done_seconds, frames, rate, error) from error

    rate, channels, frames = stream.rate or 0, 1, None
    promised = header_seconds(stream, container, encoded.file)
    first = next_frame(0.0)
    if first is not None:
        rate = first.sample_rate  # HE-AAC doubles the rate in the header
        channels = first.layout.nb_channels
    seconds = sound_seconds(promised, stream, container, first)
    frames = None if seconds is None else round(seconds * rate)

    def blocks() -> Iterator[Frames]:
        frame, done, clock = first, 0, Clock()
        while frame is not None:
            clock.pass_over(frame)
            for block in _convert(av, resampler, frame, (rate, channels), name):
                done += len(block)
                yield block
            frame = next_frame(done / rate)
        if first is None and _has_packets():
            raise UndecodableAudio(
                f"{name}: {container.format.name} with {stream.codec_context.name}, of which FFmpeg decodes nothing. "
                "It is damaged or of a rare kind: convert it with the program that wrote it."
            )
        if promised is not None and max(done / rate, clock.end) < promised - SLACK_SECONDS:
            raise broken_off(name, done / rate, round(promised * rate), rate, "the data ends")
        clock.warn(name, done / rate)

    def _has_packets() -> bool:
        with _open_container(av, encoded) as again:
            return any(packet.size for packet in again.demux(again.streams.audio[0]))

    def measure() -> float:
        try:
            with _open_container(av, encoded) as again:  # the first one has been read from
                seconds = packet_seconds(again)
        except (av.FFmpegError, ValueError, OSError, IndexError) as error:
            raise broken_off(name, 0.0, frames, rate, error) from error
        return sum(map(len, blocks())) / rate if seconds is None or first is None else seconds

    return FileDecoder(name, rate, channels, frames, without_seeking(blocks), measure)


def _convert(av: Any, resampler: Any, frame: Any, kind: tuple[int, int], name: str) -> Iterator[Frames]:
    """Convert a frame to float32 (samples, channels). Raises UndecodableAudio if rate or channels differ."""
    rate, channels = kind
    if (frame.sample_rate, frame.layout.nb_channels) != kind:
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
        yield interleaved.to_ndarray().reshape(-1, channels)


def _said(error: Exception) -> str:
    """FFmpeg's error message, without error number and file name."""
    return getattr(error, "strerror", None) or str(error)


def _needs_av(file: BinaryIO) -> str | None:
    """Name of a format that only PyAV reads, from the first bytes; None for others."""
    file.seek(0)
    head = file.read(16)
    file.seek(0)
    if head[4:8] == b"ftyp":
        return "mp4/m4a"
    if head[:2] in (b"\xff\xf1", b"\xff\xf9"):
        return "aac"
    known = {b"\x1aE\xdf\xa3": "webm/mkv", b"0&\xb2u": "wma", b"#!AM": "amr", b"ADIF": "aac"}
    return known.get(head[:4])
