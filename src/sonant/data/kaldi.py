"""Kaldi's wav.scp, with a name and a path in each line; commands in it are not executed."""

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

from sonant.data.rows import ManifestRow, lines_of
from sonant.errors import AudioWarning, ManifestError

SEGMENTS = "segments"
# Kaldi's other lists in the same folder, and the field that each gives.
BESIDE = {"text": "text", "utt2spk": "speaker", "utt2lang": "language", "utt2dur": "duration"}
_ARCHIVE = re.compile(r".+:\d+(\[[\d:,]*\])?")


def read_scp(path: Path) -> Iterator[ManifestRow]:
    """Read a wav.scp; fields are the name (`id`) and the values in the lists of `BESIDE`.

    With a `segments` file, the other lists are by utterance instead of recording, and are not used.

    Raises:
        ManifestError: a line with a command, or an offset in an archive.
    """
    if (path.parent / SEGMENTS).is_file():
        warnings.warn(
            f"{path.parent / SEGMENTS} cuts the recordings of {path.name} into utterances. They are read whole: it "
            "is not used.",
            AudioWarning,
            stacklevel=2,
        )
        beside = {}
    else:
        beside = {field: _by_name(path.parent / name) for name, field in BESIDE.items()}
    names = set()
    for where, line in lines_of(path):
        name, audio = [*re.split("[ \t]+", line.strip(), maxsplit=1), ""][:2]
        if not audio:
            raise ManifestError(f"{where}: expected a name and the path of a recording, got {line[:80]!r}.")
        if audio.endswith("|") or audio.startswith("|"):
            raise ManifestError(
                f"{where}: {name!r} is what a command writes ({audio[:80]!r}). Commands in lists are not executed: "
                "write the recordings into files (Kaldi's wav-copy does), and list these."
            )
        if audio == "-" or (_ARCHIVE.fullmatch(audio) and not (path.parent / audio).exists()):
            raise ManifestError(
                f"{where}: {name!r} is {audio[:80]!r}, a place in an archive or a stream; expected the path of a "
                "file. Write the recordings into files (Kaldi's wav-copy does), and list these."
            )
        if name in names:
            raise ManifestError(f"{where}: {name!r} stands here a second time. Names are unique in Kaldi's lists.")
        names.add(name)
        said = {field: values[name] for field, values in beside.items() if name in values}
        yield ManifestRow(where, {"path": audio, "id": name, **said})


def _by_name(path: Path) -> dict[str, str]:
    """Read the value of each name in one of Kaldi's lists; empty if there is no such file."""
    if not path.is_file():
        return {}
    lines = (re.split("[ \t]+", line.strip(), maxsplit=1) for _, line in lines_of(path))
    return {line[0]: line[1] if len(line) > 1 else "" for line in lines}


def refuse_segments(path: Path) -> Iterator[ManifestRow]:
    """Raise ManifestError, since parts of recordings are not supported."""
    raise ManifestError(
        f"{path} is Kaldi's list of parts of recordings, and recordings are read whole. Give the wav.scp beside it for "
        "the whole ones, or cut the parts into files first (Kaldi's extract-segments does)."
    )
