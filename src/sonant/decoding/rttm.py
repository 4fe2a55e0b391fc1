"""Files of speaker turns in NIST's RTTM, and of the regions to score in UEM."""

from collections.abc import Callable, Iterable
from math import inf
from pathlib import Path
from typing import TypeVar

from sonant.decoding.results import SpeakerTurn
from sonant.errors import ManifestError

Line = TypeVar("Line")


def rttm(turns: Iterable[SpeakerTurn], recording: str, *, channel: int = 0) -> str:
    """Lines of NIST's Rich Transcription Time Marked, one a turn; spaces in names become "_".

    Channels are counted from 0 here, and from 1 in the lines.
    """
    name = "_".join(recording.split()) or "recording"
    return "".join(
        f"SPEAKER {name} {channel + 1} {turn.start_seconds:.3f} {turn.end_seconds - turn.start_seconds:.3f} <NA> <NA> "
        f"{'_'.join(turn.speaker.split())} <NA> <NA>\n"
        for turn in turns
    )


def read_rttm(path: Path) -> dict[str, list[SpeakerTurn]]:
    """Read the turns of a file in RTTM, by recording; lines of other types than SPEAKER are left out.

    Raises:
        ManifestError: the file is missing or no text, or a line has too few fields, or times that are none.
    """

    def turn(fields: list[str]) -> SpeakerTurn | None:
        if fields[0] != "SPEAKER":
            return None
        start, seconds = _seconds(fields[3]), _seconds(fields[4])
        return SpeakerTurn(fields[7], start, start + seconds)

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
