"""`sonant diarize`: recordings to the turns of speakers."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sonant.decoding.results import SpeakerTurn
    from sonant.extraction.inputs import Entry


def diarize(
    source: str,
    *,
    model: str = "sonant/wavlm-tiny",
    output: Path | None = None,
    num_speakers: int | None = None,
    threshold: float | None = None,
    format: Literal["rttm", "json"] | None = None,  # noqa: A002 - the option's name
    channel: int | Literal["mix", "all"] | None = None,
    batch_seconds: float | None = None,
    window_seconds: float = 60.0,
    overlap_seconds: float | None = None,
    device: list[str] | None = None,
    precision: Literal["float32", "bfloat16", "float16", "int8"] | None = None,
    on_error: Literal["skip", "raise"] = "skip",
) -> int:
    """Find out who speaks when.

    A model that was fine-tuned for it (wavlm-base-plus-sd) finds two speakers, even where they talk at once. The
    vectors of any other model are clustered: then say how many speakers there are. The source is a recording, a folder
    (searched through), a manifest (.jsonl, .csv ...), or - for standard input. What could not be used is told, and
    listed in errors.jsonl, in the folder or beside the file. Where each speaker has a channel, --channel all -n 1 keeps
    them apart.

    Args:
        source (FILE|FOLDER|MANIFEST|-): what to look through.
        model (-m ID): a hub id, a folder or a checkpoint file.
        output (-o OUT): a file (.rttm, .json, .jsonl), or a folder with a file for each recording. Without it, or
            for -: standard output.
        num_speakers (-n N): how many there are.
        threshold: for x-vectors, in place of N: the cosine below which two groups of them are two speakers.
        format (-f FORMAT): rttm, or json: a line for each recording. Without it: by the ending of OUT, else rttm.
        channel (mix|N|all): the mean of a recording's channels, one of them, counted from 0, or each by itself. Without
            it: mix.
        batch_seconds: audio that shares one forward pass. Without it: what suits the device.
        window_seconds: longer recordings are cut into windows; 0 never cuts.
        overlap_seconds: what neighboring windows share. Without it: 8, or a quarter of windows below 32.
        device: cpu, cuda, cuda:0,cuda:1 ... Without it: a GPU if there is one.
        precision: of the arithmetic. Without it: that of the weights, float32.
        on_error: skip a recording that cannot be used and go on (the exit code is then 1), or raise.

    Examples:
        sonant diarize meeting.wav -n 4
        sonant diarize calls -m microsoft/wavlm-base-plus-sd -o turns
        sonant diarize calls -m microsoft/wavlm-base-plus-sv -n 2 -f json -o turns.jsonl
    """
    from sonant.api import load
    from sonant.cli.answers import answering
    from sonant.decoding.speaker_turns import rttm
    from sonant.extraction.destination import TURNS

    place = TURNS.place(output, format, source)
    with answering(source, place, ending=place.kind, channel=channel) as answers:
        turns = load(model, device=device, precision=precision).diarize(
            answers.recordings,
            num_speakers=num_speakers,
            threshold=threshold,
            channel=channel,
            batch_seconds=batch_seconds,
            window_seconds=window_seconds or None,
            overlap_seconds=overlap_seconds,
            on_error=on_error,
            progress=None,
            on_failure=answers.complain,
        )
        assert isinstance(turns, list)
        if place.kind == "json":
            return answers.give(turns, _as_json)
        names = _rttm_names([entry.name for entry in answers.entries])
        return answers.give(turns, lambda entry, found: rttm(found, names[entry.name], channel=entry.channel or 0))


def _rttm_names(names: Sequence[str]) -> dict[str, str]:
    """Return the names of recordings in RTTM: without ending and blanks, unless two would have the same name."""
    from sonant.errors import one_line
    from sonant.extraction.names import without_ending

    plain = {name: "_".join(without_ending(name).split()) for name in names}
    times = Counter(plain.values())
    return {name: short if times[short] == 1 else one_line(name).replace(" ", "\\x20") for name, short in plain.items()}


def _as_json(entry: "Entry", turns: list["SpeakerTurn"]) -> str:
    import json
    from dataclasses import asdict

    return json.dumps({**entry.facts, "turns": [asdict(turn) for turn in turns]}, ensure_ascii=False) + "\n"
