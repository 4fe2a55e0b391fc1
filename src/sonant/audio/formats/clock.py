"""The length of a recording in a container of FFmpeg, by its header and by its clock, which need not begin at 0."""

import math
import warnings
from typing import Any, BinaryIO

from sonant.audio.formats.matroska import read_matroska
from sonant.errors import AudioWarning

SLACK_SECONDS = 0.2  # containers round their length to whole packets
_DRIFT = 0.01  # by which the clock of a device may be off
# In other containers the times of packets are what FFmpeg makes of their sizes.
_CLOCKED = frozenset("aac asf flv matroska mov mpeg mpegts nut".split())
_LONGEST_PACKET = 2.0  # seconds; in an mp4 a packet before a hole lasts until the next one


def header_seconds(stream: Any, container: Any, file: BinaryIO) -> float | None:
    """The length that an mp4 or Matroska header names; for other containers FFmpeg only guesses one.

    In Matroska it counts from the clock's 0, where that is not the beginning of the sound.
    """
    names = set(container.format.name.split(","))
    if "mp4" in names and stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if "matroska" in names and len(container.streams) == 1:  # else it may be the pictures that last so long
        return read_matroska(file).seconds
    return None


def sound_seconds(seconds: float | None, stream: Any, container: Any, frame: Any) -> float | None:
    """The length of the sound, where `header_seconds` tells it; `frame` is the first one that was decoded.

    None where the clock begins late, or where the packets of an mp4 are too few for the length: it has holes.
    """
    if seconds is None or frame is None:
        return seconds
    if "matroska" in container.format.name:
        return seconds if abs(stream.start_time or 0) * stream.time_base < SLACK_SECONDS / 4 else None
    per_packet = max(frame.samples, stream.codec_context.frame_size or 1)  # PCM has packets of one sample
    too_few = 0 < stream.frames * per_packet < (seconds - SLACK_SECONDS) * frame.sample_rate
    return None if too_few else seconds


def packet_seconds(container: Any) -> float | None:
    """The time from the first packet's beginning to the last one's end; None where their clock is absent or jumps."""
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
            begin = 0.0 if -SLACK_SECONDS < at < 0 else at  # what stands before 0 is for the decoder, and not heard
        end = at + length
    return 0.0 if begin is None or end is None else end - begin


class Clock:
    """The clock of the frames that a decoder gives.

    Attributes:
        end: in seconds, of the last frame that has a time.
    """

    def __init__(self) -> None:
        self._begin, self.end = math.inf, -math.inf

    def pass_over(self, frame: Any) -> None:
        """Go on to the end of a frame."""
        if frame.time is not None:
            self._begin = min(self._begin, frame.time)
            self.end = frame.time + frame.samples / frame.sample_rate

    def warn(self, name: str, seconds: float) -> None:
        """Warn (AudioWarning) if the clock went on for another time than the `seconds` of sound that were decoded."""
        if math.isfinite(self.end) and abs(self.end - self._begin - seconds) > max(1.0, _DRIFT * seconds):
            warnings.warn(
                f"{name}: its clock goes from {self._begin:.2f} s to {self.end:.2f} s, and there are {seconds:.2f} s "
                "of sound, read as one piece: the recording was paused, or packets of it are lost. Times are counted "
                "in the sound that there is.",
                AudioWarning,
                stacklevel=2,
            )
