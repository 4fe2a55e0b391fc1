"""Kaldi's data folders: wav.scp, segments and the lists beside them; commands in them are not executed."""

import re
from collections.abc import Iterator
from pathlib import Path

from sonant.data.rows import ManifestRow, lines_of
from sonant.errors import ManifestError

SCP, SEGMENTS = "wav.scp", "segments"
# Kaldi's other lists in the same folder, by utterance, and the field that each gives.
BESIDE = {"text": "text", "utt2spk": "speaker", "utt2lang": "language", "utt2dur": "duration"}
_ARCHIVE = re.compile(r".+:\d+(\[[\d:,]*\])?")


def read_scp(path: Path) -> Iterator[ManifestRow]:
    """Read a wav.scp, and `segments` beside it, if there is one, which cuts the recordings into utterances.

    Fields are the name (`id`), the values in the lists of `BESIDE`, and of segments also `start`, `end`, `channel` if
    there is one, and the name of the `recording`.

    Raises:
        ManifestError: a line with a command or an offset in an archive, or a segment of a recording not listed.
    """
    if (path.parent / SEGMENTS).is_file():
        yield from _read_segments(path)
        return
    beside = {field: _by_name(path.parent / name) for name, field in BESIDE.items()}
    for name, (where, audio) in scp_recordings(path).items():
        said = {field: values[name] for field, values in beside.items() if name in values}
        yield ManifestRow(where, {"path": audio, "id": name, **said})


def read_segments(path: Path) -> Iterator[ManifestRow]:
    """Read the wav.scp beside a `segments` file, by its segments."""
    if not (path.parent / SCP).is_file():
        raise ManifestError(f"{path} cuts the recordings of a {SCP} into utterances, and there is none beside it.")
    yield from read_scp(path.parent / SCP)


def _read_segments(path: Path) -> Iterator[ManifestRow]:
    recordings = scp_recordings(path)
    beside = {field: _by_name(path.parent / name) for name, field in BESIDE.items() if field != "duration"}
    names = set()
    for where, line in lines_of(path.parent / SEGMENTS):
        parts = line.split()
        if len(parts) not in (4, 5):
            raise ManifestError(
                f"{where}: expected the names of an utterance and of its recording, start and end in seconds (and "
                f"perhaps a channel), got {line[:80]!r}."
            )
        name, recording, start, end = parts[:4]
        if recording not in recordings:
            raise ManifestError(f"{where}: there is no recording {recording!r} in {path}.")
        if name in names:
            raise ManifestError(f"{where}: {name!r} stands here a second time. Names are unique in Kaldi's lists.")
        names.add(name)
        fields = {"path": recordings[recording][1], "id": name, "recording": recording, "start": start}
        if not re.fullmatch(r"-1(\.0*)?", end):  # which stands for the end of the recording
            fields["end"] = end
        if len(parts) > 4 and parts[4] != "-1":
            fields["channel"] = parts[4]
        said = {field: values[name] for field, values in beside.items() if name in values}
        yield ManifestRow(where, {**fields, **said})


def scp_recordings(path: Path) -> dict[str, tuple[str, str]]:
    """Read file and line, and path, of each recording by name. Raises ManifestError."""
    recordings: dict[str, tuple[str, str]] = {}
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
        if name in recordings:
            raise ManifestError(f"{where}: {name!r} stands here a second time. Names are unique in Kaldi's lists.")
        recordings[name] = where, audio
    return recordings


def _by_name(path: Path) -> dict[str, str]:
    """Read the value of each name in one of Kaldi's lists; empty if there is no such file."""
    if not path.is_file():
        return {}
    lines = (re.split("[ \t]+", line.strip(), maxsplit=1) for _, line in lines_of(path))
    return {line[0]: line[1] if len(line) > 1 else "" for line in lines}
