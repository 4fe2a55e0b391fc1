"""Measures by layer of phones and words with times: CCA with words, and ABX."""

from __future__ import annotations

from collections import Counter

import numpy as np

from sonant.analysis.abx import Mode, abx_error, cell_errors
from sonant.analysis.corpus import AnalyzedCorpus
from sonant.analysis.frame_curves import pwcca_curve
from sonant.analysis.intervals import as_good_as, deleted_groups, estimate
from sonant.analysis.label_curves import Tick
from sonant.analysis.results import LayerCurve
from sonant.analysis.samples import LayerSamples
from sonant.analysis.similarity import one_hot
from sonant.analysis.splits import MOST_LABELS
from sonant.analysis.timed_labels import Tier
from sonant.errors import MeasurementError

LEAST_OF_WORD = 5


def word_pwcca(corpus: AnalyzedCorpus, samples: LayerSamples, *, tick: Tick = lambda: None) -> LayerCurve:
    """Compare the means of words with which words they are. Raises MeasurementError: too few."""
    found = samples.segments_of("word")
    counts = Counter(segment.text for segment in found)
    frequent = {word for word, count in counts.most_common(MOST_LABELS) if count >= LEAST_OF_WORD}
    heard = ~np.isnan(samples.segments(0, "word")[:, 0])
    kept = np.array([is_heard and each.text in frequent for each, is_heard in zip(found, heard, strict=True)])
    if len(frequent) < 2:
        raise MeasurementError(f"{len(frequent)} of {len(counts)} words are said {LEAST_OF_WORD} times or more")
    chosen = [segment for segment, is_kept in zip(found, kept, strict=True) if is_kept]
    return pwcca_curve(
        "word",
        lambda layer: samples.segments(layer, "word")[kept],
        one_hot(np.array([segment.text for segment in chosen])),
        corpus,
        [segment.recording for segment in chosen],
        samples.num_layers,
        f"the identity of {len(frequent)} words, of the means of their frames",
        tick,
    )


def abx_curve(tier: Tier, mode: Mode, samples: LayerSamples, *, tick: Tick = lambda: None) -> LayerCurve:
    """Measure ABX errors of phones or words. Raises MeasurementError: no triples."""
    usable = samples.abx_segments(0, tier)
    cells = [
        cell
        for cell in samples.plan.cells.get((tier, mode), [])
        if all(number in usable for number in (*cell.a, *cell.b, *cell.x))
    ]
    if not cells:
        needs = "said twice by one speaker" if mode == "within" else "said by two speakers"
        raise MeasurementError(f"no {tier}s, in one context, are {needs} beside others")
    names = sorted({name for cell in cells for name in cell.speakers})
    left = []
    for remaining in deleted_groups(names):
        gone = {name for name, stays in zip(names, remaining, strict=True) if not stays}
        kept = np.array([not gone & set(cell.speakers) for cell in cells])
        left += [kept] if kept.any() else []
    values = []
    for layer in range(samples.num_layers):
        segments = samples.abx_segments(layer, tier)
        frames = [segments.get(number, np.zeros((1, 1))) for number in range(len(samples.plan.abx_order[tier]))]
        errors = cell_errors(cells, frames)
        values.append([abx_error(cells, errors), *(abx_error(cells, errors, kept) for kept in left)])
        tick()
    found = np.array(values)
    best = int(found[:, 0].argmin())
    triples = sum(len(cell.x) * len(cell.b) * (len(cell.a) - (mode == "within")) for cell in cells)
    context = "in the same context of neighbors" if tier == "phone" else "in any context"
    return LayerCurve(
        name=tier,
        measure=f"ABX error {mode} speakers",
        kind="abx",
        higher_is_better=False,
        chance=0.5,
        values=tuple(estimate(each) for each in found),
        best=best,
        as_good=as_good_as(best, found),
        how=f"{triples:,} triples of {tier}s {context}, of {len(names)} speakers; angles of frames, warped in time; "
        f"intervals by a jackknife over {len(left)} groups of speakers.",
    )
