"""Analyses that were made up, to try the page with: of any depth, with names that attack it or not."""

from collections.abc import Sequence

import numpy as np

from sonant.analysis.layer_report import Estimate
from sonant.analysis.results import (
    Analysis,
    AnalyzedClip,
    DataSummary,
    LayerCurve,
    ModelAnalysis,
    Projection,
    TaskWeights,
)
from sonant.models.families import Preset

SPEAKERS, WORDS, PHONES = 12, ("yes", "no", "left", "right", "stop"), ("AA", "IY", "S", "T", "N", "K", "M", "L")


def analysis(
    *depths: int, clips: int = 60, names: Sequence[str] = ("sonant/wavlm-tiny", "hubert"), text: str = ""
) -> Analysis:
    """Make up an analysis of a model for each depth, with `text` in every name."""
    random = np.random.default_rng(0)
    models = tuple(
        _model(f"{name}{text}", depth, clips, text, random) for name, depth in zip(names, depths, strict=False)
    )
    data = DataSummary(
        source=f"data/words{text}.jsonl",
        recordings=clips,
        seconds=1.5 * clips,
        labels={f"speaker{text}": SPEAKERS, "word": len(WORDS)},
        splits={"train": clips // 2, "dev": clips // 4, "test": clips - clips // 2 - clips // 4},
        split_by=f"No speaker is in two of them.{text}",
        clips=tuple(
            AnalyzedClip(name=f"{number:03d}{text}.wav", seconds=1.5, fields={"speaker": f"s{number % SPEAKERS}{text}"})
            for number in range(clips)
        ),
        failures={f"bad{text}.wav": f"not audio {text}"},
        not_measured=(f"Pitch: no voiced frames.{text}",),
    )
    command = f"sonant analyze sonant/wavlm-tiny --data words{text}.jsonl --output analysis"
    return Analysis(models=models, data=data, command=command, created="2026-11-29T07:00:00+00:00", seconds=61.5)


def _model(name: str, depth: int, clips: int, text: str, random: np.random.Generator) -> ModelAnalysis:
    layers = np.arange(depth)

    def curve(title: str, measure: str, peak: float, kind="probe", chance: float | None = 0.1, **more) -> LayerCurve:
        shape = (
            0.35
            + 0.5 * np.exp(-(((layers / max(depth - 1, 1)) - peak) ** 2) / 0.2)
            + 0.01 * random.standard_normal(depth)
        )
        best = int(shape.argmax() if more.get("higher_is_better", True) else shape.argmin())
        near = tuple(int(each) for each in layers if abs(shape[each] - shape[best]) < 0.02)
        values = tuple(Estimate(float(value), float(value) - 0.05, float(value) + 0.04) for value in shape)
        return LayerCurve(
            name=f"{title}{text}", measure=measure, kind=kind, chance=chance, values=values, best=best, as_good=near,
            baseline=Estimate(0.42), how=f"Ridge regression, its strength chosen on dev.{text}", **more,
        )  # fmt: skip

    centers = random.standard_normal((SPEAKERS, 2)) * 4
    speakers = np.arange(clips) % SPEAKERS
    projections = []
    for layer in range(depth):
        for method in ("pca", "tsne"):
            points = centers[speakers] * (1 - layer / depth) + random.standard_normal((clips, 2))
            projections.append(
                Projection(
                    layer=layer, method=method, of="recordings", points=tuple(map(tuple, points.tolist())),
                    labels={
                        f"speaker{text}": tuple(f"s{each}{text}" for each in speakers),
                        "word": tuple(WORDS[each % 5] if each % 7 else None for each in range(clips)),
                        "pitch": tuple(f"{100 + 2.5 * each:.1f}" for each in range(clips)),
                    },
                    clips=tuple(range(clips)), explained=(0.31, 0.12) if method == "pca" else None,
                )
            )  # fmt: skip
            of_speakers = tuple(f"s{each}{text}" for each in speakers.repeat(2))
            phones = [PHONES[each % 8] for each in range(2 * clips)]
            projections.append(
                Projection(
                    layer=layer, method=method, of="segments",
                    points=tuple(map(tuple, random.standard_normal((2 * clips, 2)).tolist())),
                    labels={"phone": tuple(phones), f"speaker{text}": of_speakers},
                    clips=tuple(each // 2 for each in range(2 * clips)),
                    times=tuple((0.3, 0.6) if each % 2 else (0.8, 1.0) for each in range(2 * clips)),
                )
            )  # fmt: skip
    weights = tuple((np.exp(-np.abs(layers - 2) / 4) / np.exp(-np.abs(layers - 2) / 4).sum()).tolist())
    similarity = np.exp(-np.abs(layers[:, None] - layers[None]) / 6)
    return ModelAnalysis(
        name=name,
        revision=f"sha256:f18226506f8b57c3{text}",
        layer_names=tuple(map(str, range(depth))),
        curves=(
            curve("speaker", "accuracy", 0.2),
            curve("word", "accuracy", 0.8),
            curve("phone", "accuracy", 0.7),
            curve("pitch", "R2", 0.1, chance=0.0, unit=""),
            curve("log-mel", "CKA", 0.0, kind="similarity", chance=None, unit=""),
            curve("phone", "PNMI", 0.75, kind="units"),
            curve("phone", "ABX error across speakers", 0.2, kind="abx", chance=0.5, higher_is_better=False),
        ),
        similarity=tuple(map(tuple, similarity.tolist())),
        projections=tuple(projections),
        task_weights=(TaskWeights(task=f"keywords{text}", source=f"runs/keywords{text}", weights=weights),),
        presets={
            "speaker": Preset(2, "mean+std", f"best of the layers for speaker, 78.3 [70.1, 85.2]{text}"),
            "content": Preset(6, None, "best of the layers for phone"),
        },
        summary=(f"Speakers peak at layer 2, words at layer 6.{text}", "The layers between differ little."),
    )  # fmt: skip
