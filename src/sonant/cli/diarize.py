"""`sonant diarize`: recordings to the turns of speakers."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sonant.cli.options import JobFlags

if TYPE_CHECKING:
    from collections.abc import Callable

    from sonant.extraction.summary import Summary


def diarize(
    source: str,
    *,
    model: str = "sonant/wavlm-tiny",
    output: Path | None = None,
    num_speakers: int | None = None,
    threshold: float | None = None,
    voices: Path | None = None,
    format: Literal["rttm", "json"] | None = None,  # noqa: A002 - the option's name
    json: bool = False,
    options: JobFlags,
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
        voices (FILE): enrolled people, see sonant voices; speakers who are among them get their names, and it takes the
            model that they were enrolled with.
        format (-f FORMAT): rttm, or json: a line for each recording. Without it: by the ending of OUT, else rttm.
        json: print the summary as JSON; needs an output.

    Examples:
        sonant diarize meeting.wav -n 4
        sonant diarize calls -m microsoft/wavlm-base-plus-sd -o turns
        sonant diarize calls -m microsoft/wavlm-base-plus-sv -n 2 -f json -o turns.jsonl
        sonant diarize meeting.wav -n 4 --voices people.voices
    """
    from sonant.cli.jobs import run_job
    from sonant.extraction.destination import TURNS

    def load() -> "Callable[..., Summary]":
        encoder = options.load(model)
        if voices is None:
            return encoder.write_turns
        from sonant.api import Voices
        from sonant.extraction.voice_file import VoiceFile

        VoiceFile(voices)  # a name that is mistyped must not make an empty file
        return partial(encoder.write_turns, voices=Voices(voices, encoder))

    return run_job(
        TURNS,
        load,
        source,
        output,
        json=json,
        num_speakers=num_speakers,
        threshold=threshold,
        format=format,
        **options.keywords(),
    )
