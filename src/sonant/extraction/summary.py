"""The estimate and the summary of a bulk run."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class WorkEstimate:
    """An estimate of a bulk run's work, before it starts.

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
    """A summary of a bulk run.

    Attributes:
        computed: recordings encoded by this run; kept: those that an earlier run had finished.
        failed: recordings that could not be used, listed in `errors`.
        changed: recordings that changed since an earlier run encoded them, and so were encoded again (or failed).
        gone: recordings that the source names no more, and whose results were dropped.
        seconds: audio encoded by this run; wall_seconds: its duration, decoding and writing included.
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
