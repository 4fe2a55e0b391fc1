"""Evaluation of speaker verification on trials: embeddings of a model, their scores, and measures with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from sonant.api.encoder import SpeechEncoder
from sonant.api.loading import encoder_of
from sonant.api.options import ComputingOptions
from sonant.data import ManifestEntry, read_manifest
from sonant.data.files import as_path
from sonant.data.trials import match_trials, read_trials
from sonant.decoding.voice_calibration import comparable
from sonant.errors import ManifestError
from sonant.evaluation import as_norm, score_trials, speaker_means, speaker_pairs

MOST_PAIRED = 3000  # recordings that are compared in all pairs


@dataclass(frozen=True, eq=False)
class VerificationEvaluation:
    """An evaluation of speaker verification.

    Attributes:
        measures: as `sonant.evaluation.score_trials` gives them, JSON values.
        scores: of the trials that could be scored, (trials,).
        trials: names of both recordings of each of them.
        skipped: number of trials with a recording that could not be used.
        failures: message for each row of the manifests that could not be used, by its name.
    """

    measures: Mapping[str, Any]
    scores: NDArray[np.float64]
    trials: Sequence[tuple[str, str]]
    skipped: int
    failures: Mapping[str, str]


def evaluate_asv(
    data: str | PathLike[str],
    model: str | PathLike[str] | SpeechEncoder,
    *,
    trials: str | PathLike[str] | None = None,
    cohort: str | PathLike[str] | None = None,
    top: int = 300,
    whole: bool = False,
    speaker: str = "speaker",
    **options: Unpack[ComputingOptions],
) -> VerificationEvaluation:
    """Measure automatic speaker verification (ASV) of a model on recordings of known speakers.

    Scores are the cosines of `verify`, by the normalization of the model's calibration if it has one.

    Args:
        data: a manifest, or a folder that is a corpus (see `sonant.data.read_manifest`).
        model: a loaded model, or an argument of `load`.
        trials: pairs to compare, see `sonant.data.trials.read_trials`; None: all pairs of the recordings.
        cohort: a manifest of other speakers, whose mean embeddings normalize the scores (AS-norm); None: none.
        top: number of the most similar speakers of the cohort.
        whole: embeddings of whole recordings, pauses included, as `speaker_vectors` gives them, which published figures
            are of; False: of their speech, as in `verify`.
        speaker: field of the manifests with the speaker, by which intervals are drawn. Without trials, and in a cohort,
            every row needs it.
        **options: see `ComputingOptions`.

    Raises:
        ManifestError: a file cannot be read, names of trials are of no recording, or speakers are missing.
        MeasurementError: trials of one kind only, or vectors that cannot be compared.
        ConfigurationError: `whole` with a model without a head for speakers.
    """
    encoder = encoder_of(model)
    entries = read_manifest(as_path(data, "the data"))
    names = [entry.text_in(speaker) for entry in entries]
    if trials is None:
        _require(entries, names, speaker)
        if len(entries) > MOST_PAIRED:
            raise ManifestError(
                f"{len(entries)} recordings were given without trials; all pairs of at most {MOST_PAIRED:,} are "
                "compared. Name a file of trials, or give fewer recordings."
            )
        pairs, same = speaker_pairs([str(name) for name in names])
    else:
        listed = read_trials(as_path(trials, "the trials"))
        pairs, same = np.array(match_trials(listed, entries)), np.array([trial.is_target for trial in listed])
    failures: dict[str, str] = {}
    used = np.unique(pairs)
    embedded = _embedded(encoder, [entries[row] for row in used], failures, options, whole=whole)
    vectors = {row: found for row, found in zip(used.tolist(), embedded, strict=True) if found is not None}
    place = {row: number for number, row in enumerate(vectors)}
    kept = np.array([one in place and other in place for one, other in pairs])
    if not kept.any():
        raise ManifestError(f"No trial can be scored. The first failure: {next(iter(failures.values()))}")
    calibration = encoder.voice_calibration
    units = comparable(np.stack(list(vectors.values())), calibration)
    scored = np.array([(place[one], place[other]) for one, other in pairs[kept]])
    if cohort is None:
        scores = np.einsum("td,td->t", units[scored[:, 0]], units[scored[:, 1]])
    else:
        others = read_manifest(as_path(cohort, "the cohort"))
        owners = [entry.text_in(speaker) for entry in others]
        _require(others, owners, speaker)
        found = _embedded(encoder, others, failures, options, whole=whole)
        known = [(each, owner) for each, owner in zip(found, owners, strict=True) if each is not None]
        directions = comparable(np.stack([each for each, _ in known]), calibration)
        scores = as_norm(units, scored, speaker_means(directions, [str(owner) for _, owner in known]), top=top)
    speakers = np.array([[str(names[row]) for row in pair] for pair in pairs[kept]])
    all_known = all(names[row] is not None for row in np.unique(pairs[kept]))
    return VerificationEvaluation(
        measures=score_trials(scores, same[kept], speakers if all_known else None),
        scores=scores,
        trials=[(entries[one].name, entries[other].name) for one, other in pairs[kept]],
        skipped=int((~kept).sum()),
        failures=failures,
    )


def _embedded(
    encoder: SpeechEncoder,
    entries: Sequence[ManifestEntry],
    failures: dict[str, str],
    options: ComputingOptions,
    *,
    whole: bool,
) -> list[NDArray[np.float32] | None]:
    """Return the embedding of each recording; None for one that cannot be used, which is added to `failures`."""

    def fail(number: int, error: Exception) -> None:
        failures[entries[number].name] = str(error)

    if whole:
        return list(encoder.speaker_vectors(list(entries), on_error="skip", on_failure=fail, **options))
    samples = encoder.voice_samples(list(entries), on_error="skip", on_failure=fail, **options)
    return [None if sample is None else sample.vector for sample in samples]


def _require(entries: Sequence[ManifestEntry], names: Sequence[str | None], field: str) -> None:
    """Raise ManifestError unless all speakers are known."""
    lacking = [entry.name for entry, name in zip(entries, names, strict=True) if name is None]
    if lacking:
        raise ManifestError(
            f"{len(lacking)} of {len(entries)} rows have no {field!r}, the first {lacking[0]}. Name the field of the "
            "speaker: speaker=FIELD."
        )
