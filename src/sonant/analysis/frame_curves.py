"""Measures by layer of the drawn frames: pitch, loudness, similarity to log-mel, and units."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import torch

from sonant.analysis.corpus import AnalyzedCorpus
from sonant.analysis.intervals import (
    Rows,
    as_good_as,
    as_good_by_folds,
    deleted_groups,
    estimate,
    fold_estimate,
    with_and_without,
)
from sonant.analysis.label_curves import Floats, Tick, number_curve
from sonant.analysis.pitch import HIGHEST_HZ, LOWEST_HZ
from sonant.analysis.results import LayerCurve, Matrix
from sonant.analysis.samples import LayerSamples
from sonant.analysis.similarity import fit_cca, linear_cka
from sonant.analysis.splits import FOLDS, plain_parts
from sonant.analysis.units_quality import joint_counts, unit_quality
from sonant.errors import MeasurementError
from sonant.evaluation.probes import folds_of
from sonant.pretraining.kmeans import fit_kmeans

CKA_FRAMES = 4_000
NUM_UNITS = 100
FRAMES_A_UNIT = 20
YIN = f"Pitch by YIN ({LOWEST_HZ:g} to {HIGHEST_HZ:g} Hz), in octaves, of voiced frames"


class Frames:
    """The drawn frames of the usable recordings, with what is known of them.

    Attributes:
        recordings: number of the recording of each frame.
        groups: its speaker, or recording.
    """

    def __init__(self, samples: LayerSamples, corpus: AnalyzedCorpus) -> None:
        self.samples, self.corpus = samples, corpus
        self.recordings = samples.recording_of_frames()
        self.groups = np.array(corpus.groups(self.recordings.tolist()), dtype=object).astype(str)

    def regression(self, name: str, tick: Tick = lambda: None) -> LayerCurve:
        """Regress "pitch" or "log-energy". Raises MeasurementError: too few recordings, or voiced frames."""
        used = self.samples.recordings
        parts = plain_parts(
            [self.corpus.speakers[number] for number in used], [self.corpus.given[number] for number in used]
        )
        if name == "pitch":
            hertz = self.samples.of_frames("pitch").astype(np.float64)
            target = np.log2(hertz, out=np.full_like(hertz, np.nan), where=hertz > 0)
            what = YIN
        else:
            target = self.samples.of_frames("level").astype(np.float64)
            what = "Energy of 25 ms in dB over the mean power of the recording"
        place = {number: index for index, number in enumerate(used)}
        of_frame = np.array([place[number] for number in self.recordings.tolist()])
        rows = parts.mapped(of_frame)
        return number_curve(
            name,
            target,
            rows,
            self.groups.tolist(),
            self.samples.frames,
            self.samples.of_frames("mel"),
            self.samples.num_layers,
            f"single frames of them. {what}",
            tick,
        )

    def mel_cka(self, tick: Tick = lambda: None) -> LayerCurve:
        """Compare each layer with log-mel by debiased linear CKA."""
        rows = self._drawn(CKA_FRAMES)
        mel = self.samples.of_frames("mel")[rows]
        left = deleted_groups(self.groups[rows])
        values = []
        for layer in range(self.samples.num_layers):
            frames = self.samples.frames(layer)[rows]
            values.append(with_and_without(partial(_cka_of_rows, frames, mel), len(rows), left))
            tick()
        found = np.stack(values)
        best = int(found[:, 0].argmax())
        return LayerCurve(
            name="log-mel",
            measure="CKA",
            kind="similarity",
            unit="",
            values=tuple(estimate(each) for each in found),
            best=best,
            as_good=as_good_as(best, found),
            how=f"Linear CKA, debiased, with 80 log-mel energies of 25 ms in the middle of each of {len(rows):,} "
            f"frames; intervals by a jackknife over {len(left)} groups of {self.corpus.grouped_by}.",
        )

    def mel_pwcca(self, tick: Tick = lambda: None) -> LayerCurve:
        """Compare each layer with log-mel by PWCCA on held-out recordings. Raises MeasurementError: too few frames."""
        mel = self.samples.of_frames("mel")
        return pwcca_curve(
            "log-mel",
            self.samples.frames,
            mel,
            self.corpus,
            self.recordings.tolist(),
            self.samples.num_layers,
            "80 log-mel energies of 25 ms in the middle of each frame",
            tick,
        )

    def layer_similarity(self) -> Matrix:
        """Compute debiased linear CKA of all pairs of layers."""
        rows = self._drawn(CKA_FRAMES)
        states = [self.samples.frames(layer)[rows] for layer in range(self.samples.num_layers)]
        values = np.eye(len(states))
        for one in range(len(states)):
            for other in range(one + 1, len(states)):
                values[one, other] = values[other, one] = linear_cka(states[one], states[other])
        return tuple(tuple(row) for row in values.round(4).tolist())

    def units(self, tick: Tick = lambda: None) -> tuple[LayerCurve, ...]:
        """Cluster the frames of each layer, and compare the clusters with phones.

        Raises MeasurementError: phones of too few frames are known.
        """
        phones = self.samples.phone_of_frames()
        known = np.flatnonzero(phones != "")
        names, numbers = np.unique(phones[known], return_inverse=True)
        count = min(NUM_UNITS, len(phones) // FRAMES_A_UNIT)
        if len(names) < 2 or count < 2:
            raise MeasurementError(f"the phones of {len(known)} frames are known, of {len(names)} kinds")
        left = deleted_groups(self.groups[known])
        values = []
        for layer in range(self.samples.num_layers):
            frames = torch.from_numpy(self.samples.frames(layer))
            units = fit_kmeans(partial(list, [frames]), count)(frames[torch.from_numpy(known)]).numpy()
            kept = [np.ones(len(known), dtype=bool), *left]
            counts = [joint_counts(numbers[rows], units[rows], (len(names), count)) for rows in kept]
            values.append(np.stack(unit_quality(np.stack(counts))))  # (3, 1 + groups)
            tick()
        found = np.stack(values, axis=1)  # (3, layers, 1 + groups)
        how = (
            f"k-means with {count} clusters of {len(phones):,} frames, {len(known):,} of them with one of {len(names)} "
            f"phones; intervals by a jackknife over {len(left)} groups of {self.corpus.grouped_by}."
        )
        curves = []
        for measure, of_measure in zip(("phone purity", "cluster purity", "PNMI"), found, strict=True):
            best = int(of_measure[:, 0].argmax())
            curves.append(
                LayerCurve(
                    name="phone",
                    measure=measure,
                    kind="units",
                    values=tuple(estimate(each) for each in of_measure),
                    chance=float(np.bincount(numbers).max() / len(numbers)) if measure == "phone purity" else None,
                    best=best,
                    as_good=as_good_as(best, of_measure),
                    how=how,
                )
            )
        return tuple(curves)

    def _drawn(self, most: int) -> npt.NDArray[np.int64]:
        count = len(self.recordings)
        return np.sort(np.random.default_rng(0).choice(count, min(most, count), replace=False))


def _cka_of_rows(x: Floats, y: Floats, kept: Rows) -> float:
    return linear_cka(x[kept], y[kept])


def pwcca_curve(
    name: str,
    features: Callable[[int], Floats],
    targets: Floats,
    corpus: AnalyzedCorpus,
    recordings: list[int],
    num_layers: int,
    what: str,
    tick: Tick,
) -> LayerCurve:
    """Compare each layer with targets (rows, columns) by PWCCA, on folds of speakers, or recordings if these are few.

    Raises MeasurementError: fewer recordings than folds, or fewer rows than columns.
    """
    groups, by = corpus.groups(recordings), corpus.grouped_by
    if len(set(groups)) < FOLDS:
        groups, by = [str(number) for number in recordings], "recordings"
    if len(set(groups)) < FOLDS:
        raise MeasurementError(f"directions are found on some recordings and tried on others; expected {FOLDS} or more")
    folds = folds_of([""] * len(groups), groups, folds=FOLDS)
    values = []
    for layer in range(num_layers):
        rows = features(layer)
        values.append(
            [
                fit_cca(rows[folds != fold], targets[folds != fold]).weighted_correlation(
                    rows[folds == fold], targets[folds == fold]
                )
                for fold in range(FOLDS)
            ]
        )
        tick()
    found = np.array(values)
    best = int(found.mean(1).argmax())
    return LayerCurve(
        name=name,
        measure="PWCCA",
        kind="similarity",
        unit="",
        values=tuple(fold_estimate(each) for each in found),
        best=best,
        as_good=as_good_by_folds(best, found),
        how=f"Projection-weighted CCA with {what}, {len(groups):,} rows; directions from four fifths of the "
        f"{by}, correlations on the fifth, five times; intervals from the five.",
    )
