"""`sonant manifest`: a manifest of a folder of audio files."""

import sys
from pathlib import Path


def manifest(
    source: Path,
    *,
    output: Path | None = None,
    label: int | None = None,
    speaker: int | None = None,
    dev: float = 0.0,
    test: float = 0.0,
    by: str = "",
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Make a manifest, a list of recordings, of a folder of audio files.

    Each recording gets a row with its path, duration, sampling rate and number of channels, and where they are known
    its text, label and speaker. The text of a.wav is read from a.txt beside it, or from LibriSpeech's *.trans.txt.
    Where all files lie in several folders directly below the source, the names of these are the labels. Recordings that
    cannot be read are named and left out, and the exit code is then 1.

    A list in another format (Kaldi, NeMo, fairseq, Hugging Face, a table) is rewritten in the same way.

    With --dev or --test it is divided as well: train, dev and test lie beside the manifest, and no speaker is in two.

    Args:
        source (FOLDER|MANIFEST): what to list.
        output (-o FILE): the manifest: .jsonl, .csv, .tsv or .parquet. Without it: manifest.jsonl in the folder.
        label (LEVEL): the folder whose name is the label: 1 is the first below the source, -1 the one that holds the
            file.
        speaker (LEVEL): the folder whose name is the speaker, likewise.
        dev (SHARE): share of the audio for a development set, such as 0.1.
        test (SHARE): share of the audio for a test set.
        by (FIELD): what is not divided: a field of the rows, or path, a recording with all its segments. Without it:
            the speaker if every row has one, else path.
        overwrite: replace existing manifests.
        json: print the summary as JSON.

    Examples:
        sonant manifest recordings
        sonant manifest LibriSpeech/dev-clean --speaker 1 -o dev.jsonl
        sonant manifest keywords/train --label 1 -o train.csv
        sonant manifest interviews --speaker 1 --dev 0.1 --test 0.1
        sonant manifest kaldi/data/train -o train.jsonl
    """
    from dataclasses import asdict

    from sonant.cli.jobs import recordings_text, time_text
    from sonant.cli.json_output import print_json
    from sonant.data import make_manifest
    from sonant.extraction.names import complaint

    shares = {name: share for name, share in (("dev", dev), ("test", test)) if share}
    made = make_manifest(source, output, label=label, speaker=speaker, shares=shares, by=by, overwrite=overwrite)
    for name, why in made.skipped.items():
        print(complaint(name, why), file=sys.stderr)
    if json:
        print_json(asdict(made), default=str)
    else:
        left_out = f", {len(made.skipped)} left out" if made.skipped else ""
        print(f"{made.path}  {recordings_text(made.recordings)}, {time_text(made.seconds)}{left_out}")
        for part in made.parts.values():
            print(f"{part.path}  {recordings_text(part.recordings)}, {time_text(part.seconds)}, by {made.divided_by}")
    return 1 if made.skipped else 0
