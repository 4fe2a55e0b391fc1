"""`sonant transcribe`: recordings to text."""

from pathlib import Path
from typing import Literal

from sonant.cli.options import JobFlags
from sonant.extraction.decoder_options import DecoderOptions


def transcribe(
    source: str,
    *,
    model: str,
    output: Path | None = None,
    format: Literal["text", "json", "srt", "vtt"] | None = None,  # noqa: A002 - the option's name
    json: bool = False,
    decoding: DecoderOptions,
    options: JobFlags,
) -> int:
    """Write down what is said, with a model that was fine-tuned for it.

    The source is a recording, a folder (searched through), a manifest (.jsonl, .csv ...), or - for standard input.
    Of several recordings, text lines begin with the name and a tab (with --channel, the channel and another); json is a
    line for each, with words and times.
    What could not be used is named, and listed in errors.jsonl, in the folder or beside the file.

    Decoding is greedy, or a beam search if there is a language model, a lexicon, hot words or another option of it.

    An interrupted run that writes a file or a folder is resumed when it is started again, and a finished folder is
    brought up to date.

    Args:
        source (FILE|FOLDER|MANIFEST|-): what to transcribe.
        model (-m ID): a hub id, a folder or a checkpoint file, with a CTC head.
        output (-o OUT): a file (.txt, .tsv, .json, .jsonl, .srt, .vtt), or a folder with a file for each recording.
            Without it, or for -: standard output.
        format (-f FORMAT): text, json, or the subtitles srt and vtt. Without it: by the ending of OUT, else text.
        json: print the summary as JSON; needs an output.

    Examples:
        sonant transcribe talk.flac -m facebook/wav2vec2-base-960h
        sonant transcribe talks -m facebook/hubert-large-ls960-ft -f srt -o subtitles
        sonant transcribe talk.flac -m facebook/mms-1b-all --language fra
        sonant transcribe talk.flac -m facebook/wav2vec2-base-960h --lm 4-gram.arpa.gz --hot-words NASA,HOUSTON
        sonant transcribe corpus/manifest.jsonl -m facebook/wav2vec2-base-960h -f json -o transcripts.jsonl
    """
    from sonant.cli.jobs import run_job
    from sonant.extraction.destination import TRANSCRIPTS

    return run_job(
        TRANSCRIPTS,
        lambda: options.load(model).write_transcripts,
        source,
        output,
        json=json,
        format=format,
        **decoding.given,
        **options.keywords(),
    )
