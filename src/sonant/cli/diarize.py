"""`sonant diarize`: recordings to the turns of speakers."""

from pathlib import Path
from typing import Literal


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
    json: bool = False,
) -> int:
    """Find out who speaks when.

    A model that was fine-tuned for it (wavlm-base-plus-sd) finds two speakers, even where they talk at once. The
    vectors of any other model are clustered: then say how many speakers there are. The source is a recording, a folder
    (searched through), a manifest (.jsonl, .csv ...), or - for standard input. What could not be used is named, and
    listed in errors.jsonl, in the folder or beside the file. Where each speaker has a channel, --channel all -n 1 keeps
    them apart.

    An interrupted run that writes a file or a folder is resumed when it is started again, and a finished folder is
    brought up to date.

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
        json: print the summary as JSON; needs an output.

    Examples:
        sonant diarize meeting.wav -n 4
        sonant diarize calls -m microsoft/wavlm-base-plus-sd -o turns
        sonant diarize calls -m microsoft/wavlm-base-plus-sv -n 2 -f json -o turns.jsonl
    """
    from sonant.api import load
    from sonant.cli.jobs import check_output, run_job
    from sonant.extraction.destination import TURNS

    path = check_output(TURNS, output, format, source, json=json)
    return run_job(
        load(model, device=device, precision=precision).write_turns,
        TURNS.what,
        source,
        path,
        json=json,
        num_speakers=num_speakers,
        threshold=threshold,
        format=format,
        channel=channel,
        batch_seconds=batch_seconds,
        window_seconds=window_seconds or None,
        overlap_seconds=overlap_seconds,
        on_error=on_error,
    )
