"""Recordings inside a page: data URIs of compressed audio, bounded in size."""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from io import BytesIO

import soundfile

from sonant import audio
from sonant.audio import Segment
from sonant.data import ManifestEntry
from sonant.errors import AudioError, MissingExtra

CLIP_SECONDS = 30.0  # longer recordings are cut
MOST_BYTES = 6_000_000  # of all clips of a page
RATE = 16_000


def audio_clips(entries: Sequence[ManifestEntry]) -> Iterator[str | None]:
    """Yield a data URI of each recording; None for one that cannot be read, and for all once `MOST_BYTES` are full.

    MP3, which all browsers play (Safari plays Opus only since 2025); about 5 kB a second.
    """
    room = MOST_BYTES
    for entry in entries:
        clip = _encoded(entry) if room > 0 else None
        room -= len(clip or "")
        yield clip if clip is not None and room > 0 else None


def _encoded(entry: ManifestEntry) -> str | None:
    try:
        segment = entry.segment
        if audio.duration(entry.audio, segment=segment) > CLIP_SECONDS:
            start = 0.0 if segment is None else segment.start
            segment = Segment(start, start + CLIP_SECONDS)
        samples = audio.read(entry.audio, sampling_rate=RATE, channel=entry.channel, segment=segment)
    except (AudioError, MissingExtra):
        return None
    file = BytesIO()
    soundfile.write(file, samples.clip(-1, 1), RATE, format="MP3", subtype="MPEG_LAYER_III")
    return f"data:audio/mpeg;base64,{b64encode(file.getvalue()).decode()}"
