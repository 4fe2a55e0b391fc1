"""Slot filling: transcripts whose named parts are marked, by connectionist temporal classification (CTC)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from torch import Tensor

from sonant.data import plain_label
from sonant.data.slots import checked_marks, is_mark, marked_text
from sonant.data.text_normalization import normalize_text
from sonant.decoding.ctc import best_path, path_transcript, spelled
from sonant.decoding.results import Transcript
from sonant.decoding.slot_marks import with_slots
from sonant.errors import ConfigurationError, ManifestError
from sonant.evaluation.edits import edit_distance
from sonant.evaluation.slots import slot_counts
from sonant.extraction.slot_units import MarkedCharacters
from sonant.training.tasks.ctc import CTCTask
from sonant.training.tasks.task import settings_of
from sonant.training.validation import Criterion


@dataclass(frozen=True, kw_only=True)
class SlotTask(CTCTask):
    """Transcripts with slots: characters, and a token before and behind each slot; the CTC loss.

    A label is a marked text (see `sonant.data.slots`), or a text and its slots in two fields. Metrics are slot-type F1
    and slot-value CER, as in SUPERB, and the error rates of the texts without marks.

    Source: SUPERB (arXiv 2105.01051), slot filling.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vocabulary != "characters":
            raise ConfigurationError(
                f"task.vocabulary={self.vocabulary} was given; texts with slots are of characters. Leave it out."
            )

    @property
    def criterion(self) -> Criterion:  # type: ignore[override]
        return Criterion("slot_type_f1", higher_is_better=True)

    @cached_property
    def spelling(self) -> MarkedCharacters:
        return MarkedCharacters()

    def with_columns(self, columns: tuple[str, ...]) -> "SlotTask":
        if len(columns) != 2:
            raise ConfigurationError(
                f"label=[{','.join(columns)}] was given; expected the fields of the text and of its slots, such as "
                "label=[text,slots], or that of a marked text: label=text."
            )
        return _TwoFieldSlotTask(**settings_of(self), columns=columns)

    def marked(self, value: Any) -> str:
        """Return the value of a row as a marked text. Raises ManifestError."""
        return checked_marks(plain_label(value))

    def normalized(self, value: Any) -> str:
        marked = self.marked(value)
        parts = (list(words) for _, words in groupby(marked.split(), key=is_mark))
        return " ".join(
            filter(None, (" ".join(part) if is_mark(part[0]) else self._normal(" ".join(part)) for part in parts))
        )

    def _normal(self, text: str) -> str:
        return normalize_text(text, self.normalize)

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        if not any(is_mark(word) for label in labels for word in label.split()):
            raise ManifestError(
                f"None of the {len(labels)} texts has a slot. Name the fields of both, label=[text,slots], or "
                "mark the slots: 'fly to B-city new york E-city'."
            )
        return super().classes(labels)

    def counts(
        self, recordings: Iterable[tuple[Tensor, Tensor]], classes: Sequence[str]
    ) -> dict[str, list[tuple[float, float]]]:
        vocabulary = self.text_vocabulary(classes)
        found: dict[str, list[tuple[float, float]]] = {
            name: [] for name in ("slot_type_f1", "slot_value_cer", "wer", "cer")
        }
        for output, units in recordings:
            path = path_transcript(best_path(output), vocabulary, frame_rate=1.0, duration_seconds=0.0)
            said, wanted = with_slots(path, vocabulary), with_slots(spelled(units.tolist(), vocabulary), vocabulary)
            slots = slot_counts(_slots(wanted), _slots(said))
            found["slot_type_f1"].append((slots.type_f1, 1))
            found["slot_value_cer"].append((slots.value_errors, slots.value_characters))
            words = wanted.text.split()
            found["wer"].append((edit_distance(words, said.text.split()), len(words)))
            found["cer"].append((edit_distance(wanted.text, said.text), len(wanted.text)))
        if not sum(size for _, size in found["slot_value_cer"]):
            del found["slot_value_cer"]
        return found


@dataclass(frozen=True, kw_only=True)
class _TwoFieldSlotTask(SlotTask):
    """Transcripts with slots, from a text without marks and its slots.

    Attributes:
        columns: names of the fields of text and slots.
    """

    columns: tuple[str, ...]

    def marked(self, value: Any) -> str:
        text, slots = (value[name] for name in self.columns)
        return marked_text("" if text is None else plain_label(text), slots)


def _slots(transcript: Transcript) -> list[tuple[str, str]]:
    return [(slot.name, slot.text) for slot in transcript.slots]
