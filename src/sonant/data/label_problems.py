"""Problems of the labels of a corpus, found before training."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from sonant.data.entries import ManifestEntry
from sonant.data.label_needs import LabelNeeds
from sonant.errors import AudioError, ManifestError, MissingExtra

EXAMPLES = 3  # of each problem
MOST_UNITS = 12  # in a message
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class LabelProblem:
    """One kind of problem in one part of a corpus.

    Attributes:
        part: "train" or "dev".
        rows: numbers of the rows that have it.
        total: number of rows of the part.
        message: description, with the cure.
        examples: the first rows, with details.
        severity: rows with an error cannot be trained on.
    """

    part: str
    rows: tuple[int, ...]
    total: int
    message: str
    examples: tuple[str, ...]
    severity: Severity = "error"

    def __str__(self) -> str:
        counted = f"{self.severity}: {len(self.rows)} of {self.total} rows of {self.part} {self.message}"
        more = len(self.rows) - len(self.examples)
        return f"{counted}. {'; '.join(self.examples)}{f'; and {more} more' if more > 0 else ''}"


@dataclass(frozen=True)
class CheckedLabels:
    """Rows that can be trained on, and the problems that were found.

    Attributes:
        train, dev: the rows without errors, with their durations.
        problems: errors first.
    """

    train: list[ManifestEntry]
    dev: list[ManifestEntry]
    problems: tuple[LabelProblem, ...]

    @property
    def report(self) -> str:
        """A line for each problem; empty if there are none."""
        return "\n".join(map(str, self.problems))


def check_labels(
    train: Sequence[ManifestEntry],
    dev: Sequence[ManifestEntry] = (),
    *,
    needs: LabelNeeds,
    on_error: Literal["raise", "skip"] = "raise",
) -> CheckedLabels:
    """Find the problems of a corpus with labels; nothing is decoded.

    Errors, whose rows cannot be used: no readable audio; listed twice; an `id` of two recordings; no or an invalid
    label; units outside of the vocabulary; more units than frames. Warnings: the same recordings or speakers in both
    parts.

    Args:
        on_error: "skip" leaves out the rows with errors; of rows that are double all but the first.

    Raises:
        ManifestError: errors, all of which are listed; or no rows are left.
    """
    with ThreadPoolExecutor() as pool:
        rows = {"train": list(pool.map(_look, train)), "dev": list(pool.map(_look, dev))}
    errors = [problem for part, of_part in rows.items() for problem in _errors(part, of_part, needs)]
    problems = (*errors, *_shared(rows["train"], rows["dev"], needs.speaker))

    def usable(part: str) -> list[ManifestEntry]:
        bad = {number for problem in errors if problem.part == part for number in problem.rows}
        return [row.entry for number, row in enumerate(rows[part]) if number not in bad]

    checked = CheckedLabels(usable("train"), usable("dev"), problems)
    if errors and on_error == "raise":
        raise ManifestError(
            "The labels have problems:\n" + checked.report + "\nCorrect the rows, or leave them out (on_error=skip)."
        )
    if not checked.train or (dev and not checked.dev):
        raise ManifestError(
            f"No row of {'dev' if checked.train else 'train'} can be used:\n{checked.report or 'there are none.'}"
        )
    return checked


class _Row(NamedTuple):
    """A row with its duration, its identity, and the reason for unreadable audio."""

    entry: ManifestEntry
    identity: str
    error: Exception | None = None


def shared_with(
    first: Sequence[ManifestEntry],
    other: Sequence[ManifestEntry],
    *,
    part: str,
    speaker: str = "speaker",
    first_part: str = "train",
) -> Iterator[LabelProblem]:
    """Yield warnings of recordings and speakers of a part of a corpus that are in the first one too.

    Args:
        part, first_part: names of the two.
        speaker: column of the speaker; "": speakers may be in both.
    """
    heard, rows = ([_Row(entry, entry.identity) for entry in entries] for entries in (first, other))
    return _shared(heard, rows, speaker, part=part, first_part=first_part)


def _look(entry: ManifestEntry) -> _Row:
    """Add the duration where the manifest has none; for a segment look whether it is there."""
    if entry.duration is not None and entry.segment is None and entry.has_files():
        return _Row(entry, entry.identity)
    try:
        seconds = entry.seconds()
    except (AudioError, MissingExtra) as error:
        return _Row(entry, entry.identity, error)
    return _Row(replace(entry, duration=seconds), entry.identity)


def _errors(part: str, rows: Sequence[_Row], needs: LabelNeeds) -> Iterator[LabelProblem]:
    """Yield the errors of one part; a row is counted for the first that it has."""
    found: dict[str, dict[int, str]] = defaultdict(dict)
    outside: Counter[str] = Counter()
    seen: set[str] = set()
    ids: set[object] = set()
    for number, (entry, identity, error) in enumerate(rows):
        label, name = needs.label(entry), entry.fields.get("id")
        unknown = list(dict.fromkeys(needs.outside(label))) if label and needs.outside is not None else []
        if error is not None:
            found["audio"][number] = str(error)
        elif identity in seen:
            found["twice"][number] = entry.name
        elif name not in (None, "") and name in ids:
            found["id"][number] = f"{name!r}: {entry.name}"
        elif reason := "" if label else needs.invalid(entry):
            found["invalid"][number] = f"{entry.name}: {reason}"
        elif not label:
            there = [
                f"{name!r} (no text, but {value!r:.60})" if isinstance(value, list | dict) else repr(name)
                for name, value in entry.fields.items()
                if value not in (None, "")
            ]
            found["empty"][number] = f"{entry.name} has {', '.join(there) or 'no column'}"
        elif unknown:
            outside.update(unknown)
            found["outside"][number] = f"{entry.name}: {' '.join(map(repr, unknown))}"
        elif lacking := _lacking(entry, label, needs):
            found["short"][number] = f"{entry.name}: {lacking}"
        seen.add(identity)
        ids.add(name)
    common = ", ".join(f"{unit!r} in {count}" for unit, count in outside.most_common(MOST_UNITS))
    named = needs.title
    if not named:
        named = repr(needs.column) if isinstance(needs.column, str) else " and ".join(map(repr, needs.column))
    messages = {
        "audio": "have no audio that can be read: correct their paths",
        "twice": "list a recording a second time: keep one row of each",
        "id": "have an id that another recording has too: ids must be unique",
        "empty": f"have no {named}: add it, name another column, or take them out",
        "invalid": f"have {named} that cannot be used: correct them"
        if needs.title
        else f"have a value of {named} that is no label: correct it",
        "outside": f"have {named} outside of the vocabulary, {common}: correct it, or use another vocabulary",
        "short": f"are too short for their {named}, which may be that of another recording",
    }
    for kind, message in messages.items():
        if kind in found:
            yield LabelProblem(part, tuple(found[kind]), len(rows), message, tuple(found[kind].values())[:EXAMPLES])


def _lacking(entry: ManifestEntry, label: str, needs: LabelNeeds) -> str:
    """Describe the lack of frames; "" if there are enough."""
    if needs.num_frames is None or entry.duration is None:
        return ""
    needed, frames = needs.min_frames(label), max(0, needs.num_frames(entry.duration))
    return f"{needed} frames needed, {frames} in {entry.duration:.2f} s" if needed > frames else ""


def _shared(
    train: Sequence[_Row], dev: Sequence[_Row], speaker: str, *, part: str = "dev", first_part: str = "train"
) -> Iterator[LabelProblem]:
    """Yield warnings of recordings and speakers of `dev` that are in `train` too, whatever the two are called."""
    recordings = {row.identity for row in train}
    again = [number for number, row in enumerate(dev) if row.identity in recordings]
    if again:
        yield LabelProblem(
            part,
            tuple(again),
            len(dev),
            f"are recordings of {first_part} too: what is measured on them says nothing about others",
            tuple(dev[number].entry.name for number in again[:EXAMPLES]),
            "warning",
        )
    if not speaker:
        return
    speakers = {row.entry.text_in(speaker) for row in train}
    heard = {
        number: name for number, row in enumerate(dev) if (name := row.entry.text_in(speaker)) and name in speakers
    }
    if heard:
        names = list(dict.fromkeys(heard.values()))
        yield LabelProblem(
            part,
            tuple(heard),
            len(dev),
            f"are of {len(names)} speaker{'s' * (len(names) > 1)} of {first_part}: new voices may be recognized less "
            "well than what is measured",
            tuple(names[:EXAMPLES]),
            "warning",
        )
