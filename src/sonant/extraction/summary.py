"""What a bulk run is about to do, and what it did."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a bulk run is about to do.

    Attributes:
        recordings: to encode; kept: finished by an earlier run; unreadable: known to fail already.
        changed: of those to encode, with results of what they were before; gone: with results that will be dropped.
        seconds: of audio to encode, from headers.
        num_bytes: about how large their features will be on disk.
    """

    recordings: int
    kept: int
    unreadable: int
    changed: int
    gone: int
    seconds: float
    num_bytes: int


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a bulk run did.

    Attributes:
        computed: recordings encoded by this run; kept: those that an earlier run had finished.
        failed: recordings that could not be used, listed in `errors`.
        changed: recordings that are not what an earlier run encoded, and so were encoded again (or failed).
        gone: recordings that the source names no more, and whose results were dropped.
        seconds: audio encoded by this run; wall_seconds: what it took, decoding and writing included.
        num_bytes: size of the features, this run's and earlier ones.
    """

    output: Path
    computed: int
    kept: int
    failed: int
    seconds: float
    wall_seconds: float
    num_bytes: int
    changed: int = 0
    gone: int = 0
    errors: Path | None = None
