"""Text formats of results: transcripts, speaker turns, labels."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict

from sonant.decoding.results import SpeakerTurn
from sonant.decoding.rttm import rttm
from sonant.decoding.speaker_turns import on_channel
from sonant.decoding.subtitles import segments, srt, vtt
from sonant.errors import one_line
from sonant.extraction.destination import TranscriptFormat
from sonant.extraction.inputs import Entry
from sonant.extraction.names import as_json, without_ending
from sonant.extraction.result_stores import Result

Render = Callable[[Result], str]

# Approximate: a second of speech has 15 characters and 2.5 words, each with times in JSON.
BYTES_A_SECOND = {"text": 15, "json": 350, "srt": 30, "vtt": 30, "rttm": 25, "ctm": 120, "textgrid": 2_500}


def transcript_text(kind: TranscriptFormat, *, named: bool) -> Render:
    """Return a function from a result to its transcript; `named`: text lines begin with the recording's name."""

    def render(result: Result) -> str:
        entry, outcome = result
        match kind:
            case "json":
                return as_json({**entry.facts, **outcome.value.as_json()}) + "\n"
            case "srt":
                return srt(segments(outcome.value.words))
            case "vtt":
                return vtt(segments(outcome.value.words))
        return line_of(entry, outcome.value.text) if named else f"{outcome.value.text}\n"

    return render


def turns_as_json(result: Result) -> str:
    """Return a JSON line with the turns of a recording."""
    return as_json({**result[0].facts, "turns": [asdict(turn) for turn in _turns(result)]}) + "\n"


def turns_as_rttm(entries: Sequence[Entry]) -> Render:
    """Return a function from the result of one of these recordings to RTTM."""
    names = rttm_names([entry.segment_name for entry in entries])

    def render(result: Result) -> str:
        return rttm(_turns(result), names[result[0].segment_name], channel=int(result[0].channel or 0))

    return render


def _turns(result: Result) -> list[SpeakerTurn]:
    """Return the turns of a result; speakers are named after the channel if channels are separate results."""
    entry, outcome = result
    return outcome.value if entry.number is None else on_channel(outcome.value, int(entry.channel or 0))


def rttm_names(names: Sequence[str]) -> dict[str, str]:
    """Return the names of recordings in RTTM: without ending and blanks, unless these would collide."""
    plain = {name: "_".join(without_ending(name).split()) for name in names}
    times = Counter(plain.values())
    return {name: short if times[short] == 1 else one_line(name).replace(" ", "\\x20") for name, short in plain.items()}


def labels_as_json(result: Result) -> str:
    """Return a JSON line with the score of each label of a recording."""
    entry, outcome = result
    return as_json({**entry.facts, "labels": outcome.value}) + "\n"


def line_of(entry: Entry, text: str) -> str:
    """Return a line: name of a recording, channel if one was chosen, and text, separated by tabs."""
    of_channel = "" if entry.channel is None else f"\t{entry.channel}"
    return f"{one_line(entry.segment_name)}{of_channel}\t{text}\n"
