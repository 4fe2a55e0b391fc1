"""`sonant transcribe`: recordings to text."""

from pathlib import Path
from typing import Literal


def transcribe(
    source: str,
    *,
    model: str,
    output: Path | None = None,
    format: Literal["text", "json", "srt", "vtt"] | None = None,  # noqa: A002 - the option's name
    channel: int | Literal["mix", "all"] | None = None,
    language: str | None = None,
    batch_seconds: float | None = None,
    window_seconds: float = 60.0,
    overlap_seconds: float | None = None,
    device: list[str] | None = None,
    precision: Literal["float32", "bfloat16", "float16", "int8"] | None = None,
    on_error: Literal["skip", "raise"] = "skip",
    json: bool = False,
) -> int:
    """Write down what is said, with a model that was fine-tuned for it.

    The source is a recording, a folder (searched through), a manifest (.jsonl, .csv ...), or - for standard input.
    Of several recordings, text lines begin with the name and a tab (with --channel, the channel and another); json is a
    line for each, with words and times.
    What could not be used is named, and listed in errors.jsonl, in the folder or beside the file.

    An interrupted run that writes a file or a folder is resumed when it is started again, and a finished folder is
    brought up to date.

    Args:
        source (FILE|FOLDER|MANIFEST|-): what to transcribe.
        model (-m ID): a hub id, a folder or a checkpoint file, with a CTC head.
        output (-o OUT): a file (.txt, .tsv, .json, .jsonl, .srt, .vtt), or a folder with a file for each recording.
            Without it, or for -: standard output.
        format (-f FORMAT): text, json, or the subtitles srt and vtt. Without it: by the ending of OUT, else text.
        channel (mix|N|all): the mean of a recording's channels, one of them, counted from 0, or each by itself. Without
            it: mix.
        language (LANG): of a model with adapters by language (MMS), such as fra. Without it: that of its weights.
        batch_seconds: audio that shares one forward pass. Without it: what suits the device.
        window_seconds: longer recordings are cut into windows; 0 never cuts.
        overlap_seconds: what neighboring windows share. Without it: 8, or a quarter of windows below 32.
        device: cpu, cuda, cuda:0,cuda:1 ... Without it: a GPU if there is one.
        precision: of the arithmetic. Without it: that of the weights, float32.
        on_error: skip a recording that cannot be used and go on (the exit code is then 1), or raise.
        json: print the summary as JSON; needs an output.

    Examples:
        sonant transcribe talk.flac -m facebook/wav2vec2-base-960h
        sonant transcribe talks -m facebook/hubert-large-ls960-ft -f srt -o subtitles
        sonant transcribe talk.flac -m facebook/mms-1b-all --language fra
        sonant transcribe corpus/manifest.jsonl -m facebook/wav2vec2-base-960h -f json -o transcripts.jsonl
    """
    from sonant.api import load
    from sonant.cli.jobs import check_output, run_job
    from sonant.extraction.destination import TRANSCRIPTS

    path = check_output(TRANSCRIPTS, output, format, source, json=json)
    return run_job(
        load(model, device=device, language=language, precision=precision).write_transcripts,
        TRANSCRIPTS.what,
        source,
        path,
        json=json,
        format=format,
        channel=channel,
        batch_seconds=batch_seconds,
        window_seconds=window_seconds or None,
        overlap_seconds=overlap_seconds,
        on_error=on_error,
    )
