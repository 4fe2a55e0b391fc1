"""Evaluation of speech recognition on a manifest: texts of models or files, scores, a page, and results as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Unpack
from unicodedata import is_normalized

from sonant.api.encoder import SpeechEncoder
from sonant.api.evaluated_texts import Failures, System, SystemTexts, is_file, texts_of
from sonant.api.option_values import without_decoding
from sonant.api.options import EvaluationOptions
from sonant.data import ManifestEntry, read_manifest
from sonant.data.entries import part_name
from sonant.data.files import as_path, atomic
from sonant.data.text_normalization import Normalization, normalize_text
from sonant.errors import (
    AudioError,
    ConfigurationError,
    ManifestError,
    MissingExtra,
    SonantWarning,
    UnknownName,
    warn,
)
from sonant.evaluation.recognition import Metric, RecognitionReport, Utterance, evaluate_recognition, recognition_page
from sonant.extraction.names import as_json, readable_name
from sonant.pages.clips import audio_clips

PAGE, RESULTS, ERRORS = "index.html", "results.json", "errors.jsonl"
TRANSCRIPTS = ("transcripts.jsonl", "transcripts_against.jsonl")


@dataclass(frozen=True, kw_only=True)
class RecognitionEvaluation:
    """An evaluation, and its files.

    Attributes:
        report: scores of all recordings that could be used.
        failures: message for each row of the manifest that could not be used, by its name.
        page: the page, if an output was named.
    """

    report: RecognitionReport
    failures: Mapping[str, str]
    page: Path | None = None


def evaluate_asr(
    data: str | PathLike[str],
    model: System,
    *,
    against: System | None = None,
    output: str | PathLike[str] | None = None,
    label: str = "text",
    speaker: str = "speaker",
    by: Sequence[str] = (),
    metrics: Sequence[Metric] = ("wer", "cer"),
    normalize: Normalization = "none",
    worst: int = 20,
    embed_audio: bool = True,
    resamples: int = 1000,
    **options: Unpack[EvaluationOptions],
) -> RecognitionEvaluation:
    """Measure the recognition of a model on recordings with transcripts, or compare two models.

    Args:
        data: a manifest, or a folder that is a corpus (see `sonant.data.read_manifest`).
        model: a loaded model, an argument of `load`, or a file of hypotheses (see `sonant.data.hypotheses`).
        against: a second one, which is compared with the first on the same recordings.
        output: a folder for the page (index.html), results.json, the transcripts of models, and errors.jsonl.
        label: field of the manifest with the transcript; an empty one stands for a recording without words.
        speaker: field with the speaker, by which intervals are resampled if all rows have one.
        by: further fields, by whose values error rates are listed.
        metrics: "wer", "cer", "per" and "pfer"; the first counts for confusions and the order of recordings.
        normalize: of both texts, see `sonant.data.text_normalization.normalize_text`.
        worst: number of recordings with most errors on the page.
        embed_audio: whether these are in the page, to be listened to.
        resamples: of the bootstrap.
        **options: see `ComputingOptions`, and `DecoderOptions` for how models decode, both of them; the page then has
            the `n_best` alternatives of the worst recordings, and transcripts.jsonl those of all.

    Raises:
        ManifestError: no row has a transcript and a text of each system, or a file cannot be read.
        UnknownName: no such field, metric or normalization.
        ConfigurationError: a model without a CTC head, a model of phones and transcripts of something else, an output
            that is read as well, or numbers out of range.
        CheckpointError: a model that cannot be read.
    """
    normalize_text("", normalize)
    decoder, _ = without_decoding(options)
    if worst < 0 or resamples < 1:
        raise ConfigurationError(
            f"worst={worst} and resamples={resamples} were given; expected 0 recordings, and 1 resample, or more."
        )
    folder = None if output is None else as_path(output, "the output")
    systems = [model] if against is None else [model, against]
    if folder is not None:
        _check_output(folder, data, systems)
    entries = read_manifest(as_path(data, "the data"))
    _check_fields(entries, label, by)
    references = [normalize_text(_text(entry.fields.get(label)) or "", normalize) for entry in entries]
    failures: Failures = {
        row: ManifestError(f"{entry.name} has no {label!r}.")
        for row, entry in enumerate(entries)
        if _text(entry.fields.get(label)) is None
    }
    found: list[SystemTexts] = []
    for number, system in enumerate(systems):
        texts = texts_of(system, entries, references, failures, **options)
        found.append(texts._replace(name=f"{texts.name} (2)") if number and texts.name == found[0].name else texts)
        if folder is not None and not is_file(system):
            _write(folder / TRANSCRIPTS[number], texts.as_hypotheses(entries))
    usable = [row for row in range(len(entries)) if row not in failures]
    if not usable:
        raise ManifestError(f"None of the {len(entries)} recordings can be used. The first: {failures[0]}")

    def normalized(text: str | None) -> str:
        return normalize_text(text or "", normalize)

    for each in found:
        _warn_of_forms([references[row] for row in usable], [normalized(each.texts[row]) for row in usable], each.name)
    report = evaluate_recognition(
        [_utterance(entries[row], references[row], Path(data), speaker, by) for row in usable],
        {each.name: [normalized(each.texts[row]) for row in usable] for each in found},
        metrics=metrics,
        resamples=resamples,
        settings={"data": str(data), "label": label, "normalize": normalize, "resamples": resamples}
        | ({"decoder": decoder.settings()} if decoder.given else {}),
    )
    messages = {entries[row].name: str(error) for row, error in sorted(failures.items())}
    if folder is None:
        return RecognitionEvaluation(report=report, failures=messages)
    clips = _clips(report.worst(worst), [entries[row] for row in usable]) if embed_audio else {}
    shown = {each.name: [each.alternatives[row] for row in usable] for each in found}
    page = recognition_page(report, worst=worst, clips=clips, alternatives=shown, normalize=normalized)
    _write(folder / PAGE, page)
    _write(folder / RESULTS, json.dumps(report.to_json() | {"failures": messages}, indent=1) + "\n")
    _write_errors(folder / ERRORS, entries, failures)
    return RecognitionEvaluation(report=report, failures=messages, page=folder / PAGE)


def _warn_of_forms(references: Sequence[str], texts: Sequence[str], system: str) -> None:
    """Warn where two sets of texts are written in different ways, by which each word counts as an error."""
    said, written = "".join(references), "".join(texts)
    if not written:
        return
    found = "capital" if any(map(str.isupper, written)) else "small" if any(map(str.islower, written)) else ""
    other = str.islower if found == "capital" else str.isupper
    if found and any(map(other, said)) and not any(map(other, written)):
        missing = "capital" if found == "small" else "small"
        warn(
            f"The references have {missing} letters, and {system} wrote {found} ones alone: words that differ so count "
            "as errors. normalize=lower (--normalize lower) converts both texts.",
            SonantWarning,
        )
    if is_normalized("NFC", said) != is_normalized("NFC", written):
        warn(
            f"Letters with marks, such as é, are one character in some texts and two in others (Unicode NFC), and "
            f"count as errors: those of the references or those of {system}. normalize=cased (--normalize cased), "
            "lower or upper composes them in both texts.",
            SonantWarning,
        )


def _utterance(entry: ManifestEntry, reference: str, data: Path, speaker: str, by: Sequence[str]) -> Utterance:
    return Utterance(
        name=_name(entry, data),
        reference=reference,
        seconds=_seconds(entry),
        speaker=_text(entry.fields.get(speaker)) or None,
        fields={name: value for name in by if (value := _text(entry.fields.get(name)))},
    )


def _clips(numbers: Sequence[int], entries: Sequence[ManifestEntry]) -> dict[int, str]:
    """Encode the audio of recordings for the page, by number; those for which there is no room are left out."""
    made = zip(numbers, audio_clips([entries[number] for number in numbers]), strict=True)
    return {number: clip for number, clip in made if clip is not None}


def _write_errors(path: Path, entries: Sequence[ManifestEntry], failures: Failures) -> None:
    """Write a line for each recording that could not be used; no file if there is none."""
    path.unlink(missing_ok=True)
    errors = [
        {"path": entries[row].name, "error": type(error).__name__, "message": str(error)}
        for row, error in sorted(failures.items())
    ]
    if errors:
        _write(path, "".join(as_json(row) + "\n" for row in errors))


def _check_output(folder: Path, data: str | PathLike[str], systems: Sequence[System]) -> None:
    """Raise ConfigurationError if the output is no folder, or a file in it that is read would be written."""
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"The output {str(folder)!r} is a file; expected a folder.")
    written = [PAGE, RESULTS, ERRORS]
    written += [name for name, system in zip(TRANSCRIPTS, systems, strict=False) if not is_file(system)]
    read = [Path(data), *(Path(each) for each in systems if not isinstance(each, SpeechEncoder) and is_file(each))]
    for path in (folder / name for name in written):
        if path.exists() and any(each.exists() and each.samefile(path) for each in read):
            raise ConfigurationError(f"{path} is read, and would be written too. Name another output.")


def _check_fields(entries: Sequence[ManifestEntry], label: str, by: Sequence[str]) -> None:
    fields = list(dict.fromkeys(name for entry in entries for name in entry.fields))
    for name in (label, *by):
        if name not in fields:
            raise UnknownName("field of the manifest", name, fields)


def _text(value: Any) -> str | None:
    """Return the value of a field as text; lists of phones are joined by spaces."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return None if value is None else str(value)


def _name(entry: ManifestEntry, data: Path) -> str:
    """Return the `id` of a row, or its name in the folder of the manifest."""
    folder = data if data.is_dir() else data.parent
    if entry.fields.get("id") is not None:
        return str(entry.fields["id"])
    path = entry.path.relative_to(folder) if entry.path.is_relative_to(folder) else entry.path
    return part_name(readable_name(path.as_posix()), entry.segment, entry.channel)


def _seconds(entry: ManifestEntry) -> float | None:
    if entry.duration is not None:
        return entry.duration
    try:
        return entry.seconds()
    except (AudioError, MissingExtra):  # texts can be compared without the recordings
        return None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as draft:
        draft.write_text(text, encoding="utf-8")
