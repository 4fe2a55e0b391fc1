"""Texts of the systems whose recognition is measured: of models, or of files of hypotheses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, Unpack

from sonant.api.encoder import SpeechEncoder
from sonant.api.loading import load
from sonant.api.options import EvaluationOptions
from sonant.data import ManifestEntry
from sonant.data.files import as_path
from sonant.data.hypotheses import is_hypotheses, match_hypotheses, read_hypotheses
from sonant.decoding.hypotheses import Hypothesis
from sonant.errors import ConfigurationError, ManifestError, SonantWarning, some_of, warn
from sonant.extraction.names import as_json

System: TypeAlias = str | PathLike[str] | SpeechEncoder
Failures = dict[int, Exception]  # by row of the manifest


class SystemTexts(NamedTuple):
    """Texts of a system.

    Attributes:
        name: of the model or file.
        texts: of each row of the manifest; None for one that could not be used.
        alternatives: that a beam search found for each row.
    """

    name: str
    texts: Sequence[str | None]
    alternatives: Sequence[Sequence[Hypothesis]]

    def as_hypotheses(self, entries: Sequence[ManifestEntry]) -> str:
        """Return the content of a file of hypotheses, with the alternatives of a beam search."""
        lines = []
        for entry, text, others in zip(entries, self.texts, self.alternatives, strict=True):
            if text is not None:
                row: dict[str, Any] = {} if entry.fields.get("id") is None else {"id": str(entry.fields["id"])}
                row["path"] = str(entry.path)
                row |= {} if entry.segment is None else {"offset": entry.segment.start}
                row |= {} if entry.channel is None else {"channel": entry.channel}
                scored = [{"text": each.text} | each.scores for each in others]
                lines.append(as_json({**row, "text": text} | ({"alternatives": scored} if scored else {})) + "\n")
        return "".join(lines)


def is_file(system: System) -> bool:
    """Return True for a file of hypotheses."""
    return not isinstance(system, SpeechEncoder) and is_hypotheses(as_path(system, "the model"))


def _check_phones(encoder: SpeechEncoder, references: Sequence[str]) -> None:
    """Raise ConfigurationError if a model writes phones, and less than half of the references are phones of it."""
    given = [symbol for reference in references for symbol in reference.split()]
    strange = [symbol for symbol in given if symbol not in encoder.phones]
    if encoder.phones and 2 * len(strange) > len(given):
        raise ConfigurationError(
            f"{encoder.name} writes phones ({some_of(sorted(encoder.phones), 8)}), and {len(strange)} of the "
            f"{len(given)} symbols of the references are none of them ({some_of(list(dict.fromkeys(strange)), 4)}). "
            "Error rates of such a comparison mean nothing. Name a field with the phones, spaces between them: "
            "label=FIELD."
        )


def texts_of(
    system: System,
    entries: Sequence[ManifestEntry],
    references: Sequence[str],
    failures: Failures,
    **options: Unpack[EvaluationOptions],
) -> SystemTexts:
    """Return the texts of a system for the rows of a manifest; add rows without one to `failures`."""
    if not isinstance(system, SpeechEncoder) and is_file(system):
        path = Path(system)
        hypotheses = read_hypotheses(path)
        matched = match_hypotheses(entries, hypotheses)
        if unused := len(hypotheses) - sum(each is not None for each in matched):
            warn(f"{unused} of the {len(hypotheses)} texts in {path} are of no row of the manifest.", SonantWarning)
        for row, found in enumerate(matched):
            if found is None:
                failures.setdefault(row, ManifestError(f"{entries[row].name} has no text in {path}."))
        name = path.name if path.suffix else f"{path.parent.name}/{path.name}"  # every file of Kaldi is called text
        return SystemTexts(name, [None if found is None else found.text for found in matched], [()] * len(entries))
    encoder = system if isinstance(system, SpeechEncoder) else load(system)
    _check_phones(encoder, references)
    fail: Callable[[int, Exception], Any] = failures.setdefault
    transcripts = encoder.transcribe(list(entries), on_error="skip", on_failure=fail, **options)
    texts = [None if each is None else each.text for each in transcripts]
    return SystemTexts(encoder.name, texts, [() if each is None else each.alternatives for each in transcripts])
