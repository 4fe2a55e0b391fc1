"""Duration of a recording in a container of FFmpeg, by its header and by timestamps, which may not start at 0."""

import math
import warnings
from typing import Any, BinaryIO

from sonant.audio.formats.matroska import read_matroska
from sonant.errors import AudioWarning

SLACK_SECONDS = 0.2  # durations are rounded to whole packets
_DRIFT = 0.01  # tolerance for the clock of a device
# In other containers, FFmpeg computes timestamps from packet sizes.
_CLOCKED = frozenset("aac asf flv matroska mov mpeg mpegts nut".split())
_LONGEST_PACKET = 2.0  # seconds; in an mp4, a packet before a gap lasts until the next one


def header_seconds(stream: Any, container: Any, file: BinaryIO) -> float | None:
    """Return the duration in an mp4 or Matroska header; for other containers FFmpeg only estimates one.

    In Matroska it counts from timestamp 0, which need not be the first sample.
    """
    names = set(container.format.name.split(","))
    if "mp4" in names and stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if "matroska" in names and len(container.streams) == 1:  # otherwise it may be the duration of the video
        return read_matroska(file).seconds
    return None


def sound_seconds(seconds: float | None, stream: Any, container: Any, frame: Any) -> float | None:
    """Return the duration of the audio from `header_seconds`; `frame` is the first decoded one.

    None if timestamps begin late, or if an mp4 has too few packets for the duration, i.e. gaps.
    """
    if seconds is None or frame is None:
        return seconds
    if "matroska" in container.format.name:
        return seconds if abs(stream.start_time or 0) * stream.time_base < SLACK_SECONDS / 4 else None
    per_packet = max(frame.samples, stream.codec_context.frame_size or 1)  # PCM may have packets of one sample
    too_few = 0 < stream.frames * per_packet < (seconds - SLACK_SECONDS) * frame.sample_rate
    return None if too_few else seconds


def packet_seconds(container: Any) -> float | None:
    """Return the time from the start of the first packet to the end of the last; None for missing or jumping times."""
    if not _CLOCKED & set(container.format.name.split(",")):
        return None
    time_base = container.streams.audio[0].time_base
    begin = end = None
    for packet in container.demux(container.streams.audio[0]):
        if not packet.size:
            continue
        if packet.pts is None:
            return None
        at, length = float(packet.pts * time_base), float((packet.duration or 0) * time_base)
        if length > _LONGEST_PACKET:
            return None
        if end is not None and abs(at - end) > SLACK_SECONDS:
            return None
        if begin is None:
            begin = 0.0 if -SLACK_SECONDS < at < 0 else at  # audio before 0 is for the decoder and not output
        end = at + length
    return 0.0 if begin is None or end is None else end - begin


class Clock:
    """Timestamps of decoded frames.

    Attributes:
        end: in seconds, of the last frame with a timestamp.
    """

    def __init__(self) -> None:
        self._begin, self.end = math.inf, -math.inf

    def pass_over(self, frame: Any) -> None:
        """Advance to the end of a frame."""
        if frame.time is not None:
            self._begin = min(self._begin, frame.time)
            self.end = frame.time + frame.samples / frame.sample_rate

    def warn(self, name: str, seconds: float) -> None:
        """Warn (AudioWarning) if timestamps disagree with the `seconds` that were decoded."""
        if math.isfinite(self.end) and abs(self.end - self._begin - seconds) > max(1.0, _DRIFT * seconds):
            warnings.warn(
                f"{name}: its clock goes from {self._begin:.2f} s to {self.end:.2f} s, and there are {seconds:.2f} s "
                "of sound, read as one piece: the recording was paused, or packets of it are lost. Times are counted "
                "in the sound that there is.",
                AudioWarning,
                stacklevel=2,
            )
