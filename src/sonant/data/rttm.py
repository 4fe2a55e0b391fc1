"""Files of segments in NIST's RTTM, and of the regions to score in UEM."""

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import NamedTuple, TypeVar

from sonant.errors import ManifestError

Line = TypeVar("Line")


class LabeledSpan(NamedTuple):
    """Segment of a recording, in seconds, with its label, such as the speaker."""

    start: float
    end: float
    label: str


def read_rttm(path: Path) -> dict[str, list[LabeledSpan]]:
    """Read the turns of a file in RTTM, by recording; lines of other types than SPEAKER are left out.

    Raises:
        ManifestError: the file is missing or no text, or a line has too few fields, or times that are none.
    """

    def turn(fields: list[str]) -> LabeledSpan | None:
        if fields[0] != "SPEAKER":
            return None
        start, seconds = _seconds(fields[3]), _seconds(fields[4])
        return LabeledSpan(start, round(start + seconds, 6), fields[7])

    wanted = "SPEAKER, recording, channel, start, duration, <NA>, <NA>, speaker"
    return _by_recording(path, turn, "RTTM", wanted, name=1)


def read_uem(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Read the starts and ends of regions of a file in UEM, by recording. Raises ManifestError as `read_rttm` does."""

    def region(fields: list[str]) -> tuple[float, float] | None:
        return None if fields[0].startswith(";;") else (_seconds(fields[2]), _seconds(fields[3]))

    return _by_recording(path, region, "UEM", "recording, channel, start, end", name=0)


def _by_recording(
    path: Path, read: Callable[[list[str]], Line | None], kind: str, wanted: str, *, name: int
) -> dict[str, list[Line]]:
    found: dict[str, list[Line]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read as {kind}: {error}.") from error
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        try:
            item = read(fields) if fields else None
        except (IndexError, ValueError) as error:
            raise ManifestError(
                f"{path}:{number}: {line[:80]!r} is no line of {kind} ({error}); expected {wanted}."
            ) from error
        if item is not None:
            found.setdefault(fields[name], []).append(item)
    return found


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < inf:
        raise ValueError("times are seconds, 0 or more")
    return seconds
