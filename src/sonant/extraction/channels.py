"""Sources of recordings, split into channels if requested."""

from collections.abc import Iterable
from typing import TypeVar

from sonant.extraction.engine import READERS
from sonant.extraction.prefetch import map_ahead
from sonant.extraction.sources import AudioSource

AnySource = TypeVar("AnySource", bound=AudioSource)


def by_channel(sources: Iterable[AnySource]) -> list[list[AnySource]]:
    """Return a list per source: one source per channel if its channel is "all", else the source itself."""
    return list(map_ahead(lambda pair: pair[1].channels(pair[0]), enumerate(sources), workers=READERS, depth=64))
