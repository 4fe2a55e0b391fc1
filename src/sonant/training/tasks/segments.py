"""Labels of segments of recordings, from manifests, RTTM files and mixtures."""

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, isfinite
from pathlib import Path
from typing import Any, ClassVar

from sonant.audio import Segment
from sonant.data import ManifestEntry, read_manifest
from sonant.data.manifest import MANIFEST
from sonant.data.rttm import LabeledSpan, read_rttm
from sonant.errors import AudioError, ManifestError, MissingExtra
from sonant.tasks import FrameClassificationHead, LayerMix
from sonant.training.tasks.recurrent import RecurrentTask
from sonant.training.tasks.task import Columns

NAMES = ("label", "speaker")  # of the label of a segment that is an object


@dataclass(frozen=True, kw_only=True)
class SegmentTask(RecurrentTask):
    """Base of tasks that classify frames.

    Labels are lists of segments: `[[start, end, "label"], ...]`, or objects with these. Rows without such a list get
    the turns of an RTTM file that lies beside the manifest under its name (train.rttm for train.jsonl), or the parts of
    their mixture with their speakers. An empty list says that nothing is labeled. Recordings longer than
    `batching.max_seconds` are divided into pieces of equal length.
    """

    kind: ClassVar[str] = "frame_classification"

    def recordings(self, manifest: str, column: Columns) -> list[ManifestEntry]:
        assert isinstance(column, str)  # `with_columns` refuses several
        turns = _turns_beside(Path(manifest).expanduser())
        return [_with_segments(entry, column, turns) for entry in read_manifest(manifest)]

    def normalized(self, value: Any) -> str:
        return json.dumps(sorted(_spans(value)))

    def units(self, label: str) -> list[str]:
        return list(dict.fromkeys(span.label for span in spans_of(label)))

    def pieces(self, entry: ManifestEntry, column: Columns, max_seconds: float) -> list[ManifestEntry]:
        assert isinstance(column, str)  # `with_columns` refuses several
        seconds = entry.duration or 0.0
        count = ceil(seconds / max_seconds - 1e-6)
        if count < 2:
            return [replace(entry, fields={"speaker": _name(entry), **entry.fields})]
        spans, length = spans_of(self.normalized(entry.fields[column])), seconds / count
        return [
            replace(
                entry,
                duration=length,
                fields=_fields_of_piece(entry, column, _cut(spans, number * length, length), number),
                **_place(entry, number * length, length),
            )
            for number in range(count)
        ]

    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> FrameClassificationHead:
        return self.fresh(FrameClassificationHead, dim, classes, mix)

    @abstractmethod
    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        """Return the labels of the outputs, and `frames`: "speakers", "powerset", "classes" or "one_class"."""


def spans_of(label: str) -> list[LabeledSpan]:
    """Return the segments of a normalized label."""
    return [LabeledSpan(*each) for each in json.loads(label)]


def _spans(value: Any) -> list[LabeledSpan]:
    """Read the segments of a row. Raises ManifestError."""
    if not isinstance(value, list | tuple):
        raise ManifestError(f'{value!r:.80} is no list of segments, such as [[0.5, 1.8, "ann"]]')
    return [_span(each) for each in value]


def _span(value: Any) -> LabeledSpan:
    try:
        if isinstance(value, Mapping):
            label = next(value[name] for name in NAMES if name in value)
            start = float(value["start"])
            end = float(value["end"]) if "end" in value else start + float(value["duration"])
        else:
            start, end, label = float(value[0]), float(value[1]), value[2]
    except (StopIteration, LookupError, TypeError, ValueError):
        raise ManifestError(
            f'{value!r:.80} is no segment; expected [start, end, "label"] or an object with start, end and label or '
            "speaker, in seconds"
        ) from None
    if not (0 <= start <= end and isfinite(end)) or label is None or not str(label).strip():
        raise ManifestError(f"{value!r:.80} is no segment: it ends before it begins, or has no label")
    return LabeledSpan(round(start, 6), round(end, 6), str(label).strip())


def _cut(spans: Sequence[LabeledSpan], start: float, length: float) -> list[LabeledSpan]:
    """Return the segments within a piece, from its beginning."""
    cut = [(max(0.0, span.start - start), min(length, span.end - start), span.label) for span in spans]
    return [LabeledSpan(*each) for each in cut if each[0] < each[1]]


def _place(entry: ManifestEntry, start: float, length: float) -> dict[str, Any]:
    """Return the attribute of a piece that says where it is; only what is in it is read of a mixture."""
    if entry.mixture is not None and entry.segment is None:
        return {"mixture": entry.mixture.cut(start, length)}
    first = start + (0.0 if entry.segment is None else entry.segment.start)
    return {"segment": Segment(first, first + length)}


def _fields_of_piece(entry: ManifestEntry, column: str, spans: Sequence[LabeledSpan], number: int) -> Mapping[str, Any]:
    """Return the fields of a piece; those of one recording share a speaker, by which intervals are drawn."""
    segments = [list(span) for span in spans]
    return {"speaker": _name(entry), **entry.fields, column: segments, "id": f"{_name(entry)}#{number}"}


def _name(entry: ManifestEntry) -> str:
    return str(entry.fields.get("id") or entry.name)


def _turns_beside(manifest: Path) -> dict[str, list[LabeledSpan]]:
    """Read the RTTM file beside a manifest, by recording; empty if there is none."""
    listed = manifest / MANIFEST if manifest.is_dir() else manifest
    rttm = listed.with_suffix(".rttm")
    return read_rttm(rttm) if rttm.is_file() else {}


def _with_segments(entry: ManifestEntry, column: str, turns: Mapping[str, list[LabeledSpan]]) -> ManifestEntry:
    """Return a row with its segments: its own, those of its RTTM file, or those of its mixture."""
    if entry.fields.get(column) is not None:
        return entry
    spans = turns.get(str(entry.fields.get("id") or entry.path.stem))
    if spans is None and entry.mixture is not None and all("speaker" in part.fields for part in entry.mixture.parts):
        try:
            spans = [
                LabeledSpan(part.start, part.start + part.seconds(), str(part.fields["speaker"]))
                for part in entry.mixture.parts
            ]
        except (AudioError, MissingExtra):  # found again, and listed, with the problems of all rows
            spans = None
    return entry if spans is None else replace(entry, fields={**entry.fields, column: [list(each) for each in spans]})
