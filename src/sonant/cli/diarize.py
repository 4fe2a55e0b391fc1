"""`sonant diarize`: who speaks when."""

from pathlib import Path, PurePath
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
    format: Literal["rttm", "json"] = "rttm",  # noqa: A002 - the option's name
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
    (searched through), a manifest (.jsonl, .csv ...), or - for standard input.

    Args:
        source (FILE|FOLDER|MANIFEST|-): what to look through.
        model (-m ID): a hub id, a folder or a checkpoint file.
        output (-o OUT): a file, or a folder with a file for each recording. Without it: standard output.
        num_speakers (-n N): how many there are.
        threshold: for x-vectors, in place of N: the cosine below which two groups of them are two speakers.
        format (-f FORMAT): rttm, or json: a line for each recording.
        batch_seconds: audio that shares one forward pass. Without it: what suits the device.
        window_seconds: longer recordings are cut into windows; 0 never cuts.
        overlap_seconds: what neighbouring windows share. Without it: 8, or a quarter of windows below 32.
        device: cpu, cuda, cuda:0,cuda:1 ... Without it: a GPU if there is one.
        precision: of the arithmetic. Without it: that of the weights, float32.
        on_error: skip a recording that cannot be used and go on (the exit code is then 1), or raise.

    Examples:
        sonant diarize meeting.wav -n 4
        sonant diarize calls -m microsoft/wavlm-base-plus-sd -o turns
        sonant diarize calls -m microsoft/wavlm-base-plus-sv -n 2 -f json -o turns.jsonl
    """
    from sonant.api import load
    from sonant.cli.answers import Answers

    answers = Answers(source, output, ending=format, joinable=True)
    turns = load(model, device=device).diarize(
        answers.recordings,
        num_speakers=num_speakers,
        threshold=threshold,
        batch_seconds=batch_seconds,
        window_seconds=window_seconds or None,
        overlap_seconds=overlap_seconds,
        precision=precision,
        on_error=on_error,
        progress=None,
        on_failure=answers.complain,
    )
    return answers.give(turns, _as_rttm if format == "rttm" else _as_json)


def _as_rttm(entry: "Entry", turns: list["SpeakerTurn"]) -> str:
    from sonant.decoding.turns import rttm

    return rttm(turns, PurePath(entry.name).with_suffix("").as_posix())


def _as_json(entry: "Entry", turns: list["SpeakerTurn"]) -> str:
    import json
    from dataclasses import asdict

    return json.dumps({"path": entry.name, "turns": [asdict(turn) for turn in turns]}, ensure_ascii=False) + "\n"
