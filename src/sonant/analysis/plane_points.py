"""Recordings and segments of each layer in the plane."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sonant.analysis.corpus import AnalyzedCorpus, recurring_fields
from sonant.analysis.label_curves import Floats, Tick
from sonant.analysis.projections import LEAST_POINTS, pca, tsne
from sonant.analysis.results import Method, Projection, Shown
from sonant.analysis.samples import LayerSamples
from sonant.analysis.timed_labels import Tier

MOST_POINTS = 500
MOST_LAYERS = 13  # more are thinned out


def shown_layers(num_layers: int) -> list[int]:
    """Return the layers that are projected: all, or evenly spaced ones with the first and the last."""
    count = min(num_layers, MOST_LAYERS)
    return sorted({round(place) for place in np.linspace(0, num_layers - 1, count).tolist()})


def plane_points(
    corpus: AnalyzedCorpus,
    samples: LayerSamples,
    fields: list[str],
    places: Mapping[int, int],
    *,
    with_tsne: bool,
    tick: Tick = lambda: None,
) -> tuple[Projection, ...]:
    """Project the means of recordings, and of segments if there are any, by PCA and t-SNE.

    Args:
        fields: whose values label the points, besides those of all other fields that recur, such as speakers of whom
            there are too few recordings to be probed.
        places: number of the clip of each usable recording.
    """
    found: list[Projection] = []
    columns = {name: corpus.labels(name) for name in dict.fromkeys([*fields, *recurring_fields(corpus.entries)])}
    generator = np.random.default_rng(0)
    used = np.array(samples.recordings)
    rows = np.sort(generator.choice(len(used), min(MOST_POINTS, len(used)), replace=False))
    chosen = used[rows].tolist()
    labels = {name: tuple(values[number] for number in chosen) for name, values in columns.items()}
    tier: Tier | None = None if corpus.has_whole_words else next(
        (each for each in ("phone", "word") if samples.segments_of(each)), None
    )  # fmt: skip
    for layer in shown_layers(samples.num_layers):
        pooled = samples.pooled(layer)
        vectors = pooled[rows, : pooled.shape[1] // 2]
        clips = tuple(places[number] for number in chosen)
        found += _both(layer, "recordings", vectors, labels, clips, (), with_tsne=with_tsne)
        if tier is not None:
            found += _segments(samples, tier, layer, columns, places, with_tsne=with_tsne)
        tick()
    return tuple(found)


def _segments(
    samples: LayerSamples,
    tier: Tier,
    layer: int,
    columns: dict[str, list[str | None]],
    places: Mapping[int, int],
    *,
    with_tsne: bool,
) -> list[Projection]:
    segments, means = samples.segments_of(tier), samples.segments(layer, tier)
    heard = np.flatnonzero(~np.isnan(means[:, 0]))
    rows = np.sort(np.random.default_rng(0).choice(heard, min(MOST_POINTS, len(heard)), replace=False)).tolist()
    chosen = [segments[row] for row in rows]
    labels: dict[str, tuple[str | None, ...]] = {tier: tuple(each.text for each in chosen)}
    labels |= {name: tuple(values[each.recording] for each in chosen) for name, values in columns.items()}
    return _both(
        layer,
        "segments",
        means[rows],
        labels,
        tuple(places[each.recording] for each in chosen),
        tuple((round(each.start, 3), round(each.end, 3)) for each in chosen),
        with_tsne=with_tsne,
    )


def _both(
    layer: int,
    of: Shown,
    vectors: Floats,
    labels: dict[str, tuple[str | None, ...]],
    clips: tuple[int, ...],
    times: tuple[tuple[float, float], ...],
    *,
    with_tsne: bool,
) -> list[Projection]:
    if len(vectors) < 3:
        return []
    principal = pca(vectors)
    points = {"pca": principal.points}
    if with_tsne and len(vectors) >= LEAST_POINTS:
        points["tsne"] = tsne(vectors)
    methods: tuple[Method, ...] = ("pca", "tsne")
    return [
        Projection(
            layer=layer,
            method=method,
            of=of,
            points=tuple((round(x, 4), round(y, 4)) for x, y in points[method].tolist()),
            labels=labels,
            clips=clips,
            times=times,
            explained=(float(principal.explained[0]), float(principal.explained[1])) if method == "pca" else None,
        )
        for method in methods
        if method in points
    ]
