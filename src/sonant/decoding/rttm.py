"""Speaker turns in NIST's RTTM."""

from collections.abc import Iterable
from pathlib import Path

from sonant.data.rttm import read_rttm
from sonant.decoding.results import SpeakerTurn


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


def read_turns(path: Path) -> dict[str, list[SpeakerTurn]]:
    """Read the turns of a file in RTTM, by recording. Raises ManifestError as `sonant.data.rttm.read_rttm` does."""
    return {
        name: [SpeakerTurn(span.label, span.start, span.end) for span in spans]
        for name, spans in read_rttm(path).items()
    }
