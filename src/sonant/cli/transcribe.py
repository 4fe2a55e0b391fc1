"""`sonant transcribe`: recordings to text."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sonant.decoding.results import Transcript
    from sonant.extraction.inputs import Entry

TextFormat = Literal["text", "json", "srt", "vtt"]


def transcribe(
    source: str,
    *,
    model: str,
    output: Path | None = None,
    format: TextFormat = "text",  # noqa: A002 - the option's name
    batch_seconds: float | None = None,
    window_seconds: float = 60.0,
    overlap_seconds: float | None = None,
    device: list[str] | None = None,
    precision: Literal["float32", "bfloat16", "float16", "int8"] | None = None,
    on_error: Literal["skip", "raise"] = "skip",
) -> int:
    """Write down what is said, with a model that was fine-tuned for it.

    The source is a recording, a folder (searched through), a manifest (.jsonl, .csv ...), or - for standard input.
    Of several recordings, text lines begin with the name and a tab; json is a line for each, with words and times.

    Args:
        source (FILE|FOLDER|MANIFEST|-): what to transcribe.
        model (-m ID): a hub id, a folder or a checkpoint file, with a CTC head.
        output (-o OUT): a file, or a folder with a file for each recording. Without it: standard output.
        format (-f FORMAT): text, json, or the subtitles srt and vtt.
        batch_seconds: audio that shares one forward pass. Without it: what suits the device.
        window_seconds: longer recordings are cut into windows; 0 never cuts.
        overlap_seconds: what neighbouring windows share. Without it: 8, or a quarter of windows below 32.
        device: cpu, cuda, cuda:0,cuda:1 ... Without it: a GPU if there is one.
        precision: of the arithmetic. Without it: that of the weights, float32.
        on_error: skip a recording that cannot be used and go on (the exit code is then 1), or raise.

    Examples:
        sonant transcribe talk.flac -m facebook/wav2vec2-base-960h
        sonant transcribe talks -m facebook/hubert-large-ls960-ft -f srt -o subtitles
        sonant transcribe corpus/manifest.jsonl -m facebook/wav2vec2-base-960h -f json -o transcripts.jsonl
    """
    from sonant.api import load
    from sonant.cli.answers import Answers

    ending = {"text": "txt", "json": "json"}.get(format, format)
    answers = Answers(source, output, ending=ending, joinable=format in ("text", "json"))
    transcripts = load(model, device=device).transcribe(
        answers.recordings,
        batch_seconds=batch_seconds,
        window_seconds=window_seconds or None,
        overlap_seconds=overlap_seconds,
        precision=precision,
        on_error=on_error,
        progress=None,
        on_failure=answers.complain,
    )
    named = len(answers.entries) > 1 and not answers.is_folder
    return answers.give(transcripts, lambda entry, transcript: _text(entry, transcript, format, named=named))


def _text(entry: "Entry", transcript: "Transcript", kind: TextFormat, *, named: bool) -> str:
    import json
    from dataclasses import asdict

    from sonant.decoding.subtitles import segments, srt, vtt
    from sonant.extraction.names import one_line

    match kind:
        case "json":
            return json.dumps({"path": entry.name, **asdict(transcript)}, ensure_ascii=False) + "\n"
        case "srt":
            return srt(segments(transcript.words))
        case "vtt":
            return vtt(segments(transcript.words))
    return f"{one_line(entry.name)}\t{transcript.text}\n" if named else f"{transcript.text}\n"
