"""The recordings of a job, split into channels if requested."""

from collections.abc import Sequence
from dataclasses import replace

from sonant.audio import Channel
from sonant.audio.channels import check_channel
from sonant.extraction.engine import READERS
from sonant.extraction.inputs import Entry
from sonant.extraction.prefetch import map_ahead
from sonant.extraction.sources import AudioSource


def of_channel(entries: Sequence[Entry], channel: Channel | None) -> list[Entry]:
    """Return the entries for the mean of the channels, for one channel or, with "all", one for each channel of each.

    A recording that cannot be opened is given as its first channel, and reading that raises the error.
    """
    check_channel(channel)
    if channel is None or channel == "mix":
        return list(entries)
    if channel != "all":
        return [replace(entry, channel=int(channel)) for entry in entries]

    def split(numbered: tuple[int, Entry]) -> list[Entry]:
        number, entry = numbered
        count = len(AudioSource(entry.audio, 0, channel="all").channels(number))
        return [replace(entry, channel=place, number=number) for place in range(count)]

    groups = map_ahead(split, enumerate(entries), workers=READERS, depth=64)
    return [entry for group in groups for entry in group]
