"""Trials of speaker verification: pairs of recordings of one speaker or of two, in a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sonant.data.entries import ManifestEntry
from sonant.data.name_index import NameIndex
from sonant.errors import ManifestError, some_of

LABELS = {"1": True, "0": False, "target": True, "nontarget": False}


class SpeakerTrial(NamedTuple):
    """One trial: the names of both recordings, and whether they are of one speaker."""

    enrolled: str
    test: str
    is_target: bool


def read_trials(path: str | Path) -> list[SpeakerTrial]:
    """Read a trials file: "1 ENROLLED TEST" (VoxCeleb), or "ENROLLED TEST target" (Kaldi), 0 or nontarget for others.

    Tabs may separate the three, so that names may have blanks.

    Raises ManifestError: no such file, or a line of another form.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ManifestError(f"The trials {path} cannot be read: {error}.") from error
    trials = []
    for number, line in enumerate(lines, start=1):
        parts = line.strip().split("\t")
        parts = parts if len(parts) == 3 else line.split()
        if len(parts) == 3 and parts[0] in LABELS:
            trials.append(SpeakerTrial(parts[1], parts[2], LABELS[parts[0]]))
        elif len(parts) == 3 and parts[2] in LABELS:
            trials.append(SpeakerTrial(parts[0], parts[1], LABELS[parts[2]]))
        elif parts:
            raise ManifestError(
                f"{path}, line {number}: {line[:80]!r} is no trial; expected 1 or 0 and two names of recordings, such "
                "as '1 a.wav b.wav', or two names and target or nontarget."
            )
    if not trials:
        raise ManifestError(f"There are no trials in {path}.")
    return trials


def match_trials(trials: Sequence[SpeakerTrial], entries: Sequence[ManifestEntry]) -> list[tuple[int, int]]:
    """Return the rows of both recordings of each trial.

    A name is an id, or a path, of which the end counts (see `NameIndex`); all of it, unless it is absolute, since the
    recordings of many speakers have one name in folders of their own.

    Raises ManifestError: names of no recording, or of several.
    """
    names = list(dict.fromkeys(name for trial in trials for name in (trial.enrolled, trial.test)))
    index, rows = NameIndex(names), dict[str, list[int]]()
    for row, entry in enumerate(entries):
        identity = entry.fields.get("id")
        for number in index.find(entry.path, None if identity is None else str(identity), whole=True):
            rows.setdefault(names[number], []).append(row)
    for what, wrong in (
        ("of no recording", [name for name in names if name not in rows]),
        ("of several recordings", [name for name, found in rows.items() if len(found) > 1]),
    ):
        if wrong:
            raise ManifestError(
                f"{len(wrong)} of the {len(names)} names in the trials are {what} of the manifest: {some_of(wrong, 3)}."
            )
    return [(rows[trial.enrolled][0], rows[trial.test][0]) for trial in trials]
