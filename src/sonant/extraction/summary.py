"""Estimate and summary of a bulk run."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class WorkEstimate:
    """Estimate of a bulk run's work, before it starts.

    Attributes:
        recordings: number of recordings to process; kept: finished in an earlier run; unreadable: known to fail.
        changed: number of `recordings` with outdated results; gone: recordings whose results will be removed.
        seconds: audio to process, from headers.
        num_bytes: approximate size of the results on disk.
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
    """Summary of a bulk run.

    Attributes:
        computed: recordings processed by this run; kept: finished in an earlier run.
        failed: unusable recordings, listed in `errors`.
        changed: recordings that changed since an earlier run, and were processed again (or failed).
        gone: recordings that are no longer in the source, whose results were removed.
        seconds: audio processed by this run; wall_seconds: duration, decoding and writing included.
        num_bytes: size of all results, earlier runs included.
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
