"""`sonant align`: a known text to the times of its lines, words and characters."""

from pathlib import Path
from typing import Literal

from sonant.cli.options import JobFlags


def align(
    source: str,
    text: str | None = None,
    *,
    model: str,
    output: Path | None = None,
    format: Literal["textgrid", "ctm", "json", "srt", "vtt"] | None = None,  # noqa: A002 - the option's name
    level: Literal["segments", "words", "characters"] | None = None,
    star: bool = False,
    normalize: Literal["none", "cased", "lower", "upper"] | None = None,
    lexicon: Path | None = None,
    subwords: Path | None = None,
    json: bool = False,
    options: JobFlags,
) -> int:
    """Find when each word of a text is said in a recording, with a model that was fine-tuned for transcription.

    The text is given as it is written: capitals and punctuation do not matter, and numbers or letters that the model
    lacks are aligned as a whole, and named. Lines of a file are segments with times of their own. For many recordings,
    the source is a manifest (.jsonl, .csv ...) with a column text. What could not be aligned is named, and listed in
    errors.jsonl, in the folder or beside the file.

    An interrupted run that writes a file or a folder is resumed when it is started again, and a finished folder is
    brought up to date.

    Args:
        source (FILE|MANIFEST|-): the recording, or a list of recordings with their texts.
        text (TEXT|TEXT.txt): what is said, or a UTF-8 file of it; not with a manifest.
        model (-m ID): a hub id, a folder or a checkpoint file, with a CTC head.
        output (-o OUT): a file (.TextGrid, .ctm, .json, .jsonl, .srt, .vtt), or a folder with a file for each
            recording. Without it, or for -: standard output.
        format (-f FORMAT): textgrid, ctm, json, or the subtitles srt and vtt. Without it: by the ending of OUT, else
            textgrid in a folder, and ctm on standard output.
        level: what has times. Without it: all levels in textgrid and json, words in ctm, and in subtitles lines, cut to
            what fits on a screen.
        star: also fit what is said before, between and after the lines, and is not in the text.
        normalize: form in which words are spelled. Without it: as the vocabulary of the model calls for.
        lexicon: words and their phones, for a model of phones. Without it: that of the model's folder, else the text is
            phones.
        subwords: sentencepiece model of the units. Without it: that of the model's folder.
        json: print the summary as JSON; needs an output.

    Examples:
        sonant align talk.flac talk.txt -m facebook/wav2vec2-base-960h -o talk.TextGrid
        sonant align talk.flac "Good morning, and welcome." -m facebook/wav2vec2-base-960h
        sonant align corpus/manifest.jsonl -m facebook/wav2vec2-base-960h -o aligned
    """
    from sonant.cli.jobs import run_job
    from sonant.extraction.destination import ALIGNMENTS

    given = None if text is None else _text(text)
    return run_job(
        ALIGNMENTS,
        lambda: options.load(model).write_alignments,
        source,
        output,
        json=json,
        format=format,
        text=given,
        level=level,
        star=star,
        normalize=normalize,
        lexicon=lexicon,
        subwords=subwords,
        **options.keywords(),
    )


def _text(given: str) -> str:
    """Return a text, or that of the file that it names."""
    from sonant.errors import ConfigurationError

    if not given.lower().endswith(".txt"):
        if "\n" not in given and len(given) < 256 and Path(given).is_file():
            raise ConfigurationError(
                f"The text {given!r} is the name of a file, which does not end in .txt. Rename it, or "
                "give the text itself."
            )
        return given
    try:
        return Path(given).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The text {given!r} ends in .txt, and cannot be read as a UTF-8 file: {error}. Name a file of text, or "
            "give the text itself in quotes."
        ) from error
