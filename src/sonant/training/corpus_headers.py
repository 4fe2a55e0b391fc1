"""Lengths of a corpus from its manifest and the headers of some recordings, without decoding it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonant.data import ManifestEntry
from sonant.errors import AudioError

MOST_READ = 1000
MOST_SECONDS = 15.0
TOLERANCE = 0.02  # of a length in a manifest, as a share


@dataclass(frozen=True)
class CorpusHeaders:
    """Lengths and readability of a corpus, by a sample of its headers.

    Attributes:
        samples: int64 (recordings,), by the header, else the manifest, else drawn from the lengths of those read.
        num_read: recordings whose header was looked at.
        num_unknown: recordings whose length is neither in the manifest nor read.
        unreadable: message of each recording whose header could not be read, by name.
        mislabeled: recordings whose duration in the manifest is not that of the header, by name.
    """

    samples: NDArray[np.int64]
    num_read: int
    num_unknown: int
    unreadable: dict[str, str]
    mislabeled: list[str]

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def readable_share(self) -> float:
        """Share of the recordings looked at that can be read."""
        return 1 - len(self.unreadable) / self.num_read


def read_headers(recordings: Sequence[ManifestEntry], sampling_rate: int, *, seed: int = 0) -> CorpusHeaders:
    """Read the headers of at most MOST_READ recordings, drawn at random, for at most MOST_SECONDS.

    Unreadable recordings get a length of 0.
    """
    rng = np.random.default_rng(seed)
    seconds = np.array([np.nan if each.duration is None else each.duration for each in recordings])
    unreadable: dict[str, str] = {}
    mislabeled = []
    began, num_read = time.monotonic(), 0
    for number in rng.permutation(len(recordings))[:MOST_READ].tolist():
        if num_read and time.monotonic() - began > MOST_SECONDS:
            break
        num_read += 1
        entry = recordings[number]
        try:
            found = entry.seconds()
        except AudioError as error:
            unreadable[entry.name] = str(error)
            seconds[number] = 0.0
            continue
        if abs(seconds[number] - found) > max(TOLERANCE * found, 0.05):
            mislabeled.append(entry.name)
        seconds[number] = found
    unknown = np.flatnonzero(np.isnan(seconds))
    known = seconds[~np.isnan(seconds)]
    seconds[unknown] = rng.choice(known, len(unknown)) if len(known) else 0.0
    samples = np.round(seconds * sampling_rate).astype(np.int64)
    return CorpusHeaders(samples, num_read, len(unknown), unreadable, mislabeled)
