"""Texts of recordings without transcripts: which recordings, the texts of a bulk job, and what is learned from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sonant.data import ManifestEntry
from sonant.data.rows import read_json_lines
from sonant.errors import ManifestError
from sonant.extraction.inputs import gather
from sonant.extraction.names import key_of
from sonant.training.self_training import Selection

MARK, CONFIDENCE, SOURCE = "pseudo_labeled", "confidence", "label_source"  # fields of the manifest of both
BINS = 10


def without_known(
    unlabeled: Sequence[ManifestEntry], known: Mapping[str, Sequence[ManifestEntry]]
) -> tuple[list[ManifestEntry], dict[str, int]]:
    """Return the recordings that are not known and not listed before, and the number of others by where they are.

    Recordings are the same by path, segment and channel.

    Raises ManifestError: none is left, or some are inside a table.
    """
    where = {entry.identity: name for name, entries in known.items() for entry in entries}
    counts: Counter[str] = Counter(dict.fromkeys([*known, "unlabeled"], 0))
    kept = []
    for entry in unlabeled:
        identity = entry.identity
        if identity in where:
            counts[where[identity]] += 1
        else:
            kept.append(entry)
            where[identity] = "unlabeled"
    if not kept:
        found = ", ".join(f"{count} are in {name}" for name, count in counts.items() if count)
        raise ManifestError(
            f"None of the {len(unlabeled)} recordings to label is left: {found}. Name recordings without transcripts "
            "as unlabeled."
        )
    if embedded := [entry.name for entry in kept if entry.data is not None]:
        raise ManifestError(
            f"{len(embedded)} of the recordings to label are inside a table, such as {embedded[0]}; expected audio "
            "files, which the manifest of the labeled recordings can name. Write them to files."
        )
    return kept, dict(counts)


class Labeled(NamedTuple):
    """Text of a recording.

    Attributes:
        row: number of the recording in its manifest.
        confidence: from 0 to 1.
    """

    row: int
    text: str
    confidence: float
    seconds: float

    @property
    def characters_per_second(self) -> float:
        """Characters of the text, without spaces, to the duration."""
        return len(self.text.replace(" ", "")) / self.seconds if self.seconds else 0.0


def labels_of(manifest: Path, transcripts: Path) -> Iterator[Labeled]:
    """Yield the text of each recording of a manifest that a bulk job has transcribed as JSON."""
    rows = {entry.key: number for number, entry in enumerate(gather(manifest, sampling_rate=16_000))}
    for found in (row.fields for row in read_json_lines(transcripts)):
        yield Labeled(rows[key_of(found)], found["text"], found["confidence"], found["duration_seconds"])


class Selected(NamedTuple):
    """Recordings with texts to learn from, and what became of all.

    Attributes:
        entries: with the text under the label's name, and the fields `MARK`, `CONFIDENCE` and `SOURCE`.
        facts: numbers of recordings, and histograms of confidences and of characters per second.
    """

    entries: list[ManifestEntry]
    facts: dict[str, Any]


def select(
    entries: Sequence[ManifestEntry], labels: Sequence[Labeled], selection: Selection, *, label: str, source: str
) -> Selected:
    """Choose the recordings whose texts are within the limits and not empty.

    Args:
        entries: the manifest of the labels.
        label: field for the text.
        source: name of the model that labeled.
    """
    spoken = [each for each in labels if each.text.strip()]
    accepted = [selection.accepts(each.confidence, each.characters_per_second) for each in spoken]
    kept = [
        replace(
            entries[each.row],
            duration=each.seconds if entries[each.row].duration is None else entries[each.row].duration,
            fields={
                **entries[each.row].fields,
                label: each.text,
                MARK: True,
                CONFIDENCE: round(each.confidence, 4),
                SOURCE: source,
            },
        )
        for each, fits in zip(spoken, accepted, strict=True)
        if fits
    ]
    facts = {
        "recordings": len(entries),
        "without_result": len(entries) - len(labels),
        "empty": len(labels) - len(spoken),
        "filtered": accepted.count(False),
        "kept": len(kept),
        "hours": sum(each.seconds for each, fits in zip(spoken, accepted, strict=True) if fits) / 3600,
        "confidence": _histogram([each.confidence for each in spoken], accepted, top=1.0),
        "characters_per_second": _histogram([each.characters_per_second for each in spoken], accepted),
    }
    return Selected(kept, facts)


def _histogram(values: Sequence[float], accepted: Sequence[bool], *, top: float | None = None) -> dict[str, Any]:
    """Count values, from 0 to the highest, in bins: those of texts that were kept, and of those that were not."""
    highest = top or max(values, default=0.0) or 1.0
    edges = np.linspace(0.0, highest, BINS + 1)
    chosen = np.array(accepted, dtype=bool)
    given = np.array(values, dtype=np.float64)
    kept, left = (np.histogram(given[rows], edges)[0].tolist() for rows in (chosen, ~chosen))
    return {"edges": [round(edge, 3) for edge in edges.tolist()], "kept": kept, "left_out": left}


def check_spelling(texts: Sequence[str], transcripts: Sequence[str]) -> None:
    """Raise ManifestError if most letters of texts are in no transcript, as of another case or script."""
    found, known = Counter("".join(texts)), set().union(*transcripts)
    strange = {letter: count for letter, count in found.items() if letter not in known}
    if 2 * sum(strange.values()) > found.total():
        raise ManifestError(
            f"Most letters of the texts are in no transcript: a text is {texts[0][:60]!r}, a transcript "
            f"{transcripts[0][:60]!r}. The teacher writes another case or script. Rewrite the transcripts, or name a "
            "teacher that writes as they do."
        )


def none_left(facts: Mapping[str, Any]) -> str:
    """Return the message of a selection in which no text is left, and what may help."""
    cures = {
        "without_result": "recordings could not be used: see labeling/transcripts.errors.jsonl",
        "empty": "texts are empty: train the teacher for longer, or give another one",
        "filtered": "texts are outside the limits of the selection: widen these",
    }
    found = "; ".join(f"{facts[name]:,} {cure}" for name, cure in cures.items() if facts[name])
    return f"None of the {facts['recordings']:,} recordings has a text to learn from. {found}."


def marked(entries: Sequence[ManifestEntry]) -> list[ManifestEntry]:
    """Return recordings with transcripts, marked as such."""
    return [replace(entry, fields={**entry.fields, MARK: False}) for entry in entries]


def histogram_text(found: Mapping[str, Any]) -> list[str]:
    """Return the lines of a histogram of `Selected.facts`: the bin, the numbers kept and left out, and a bar."""
    most = max(*map(sum, zip(found["kept"], found["left_out"], strict=True)), 1)
    lines = []
    for low, high, kept, left in zip(
        found["edges"], found["edges"][1:], found["kept"], found["left_out"], strict=False
    ):
        bar = "#" * round(40 * kept / most) + "." * round(40 * left / most)
        lines.append(f"{low:8.3g} to {high:<8.3g} {kept:8,} {left:8,}  {bar}")
    return lines


def write_labels(path: Path, labels: Sequence[Labeled]) -> None:
    """Write texts, one JSON object on each line."""
    path.write_text("".join(json.dumps(each._asdict(), ensure_ascii=False) + "\n" for each in labels), encoding="utf-8")


def read_labels(path: Path) -> list[Labeled]:
    """Read what `write_labels` wrote."""
    return [Labeled(**row.fields) for row in read_json_lines(path)]
