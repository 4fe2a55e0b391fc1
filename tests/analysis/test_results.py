"""Results of an analysis go to JSON and back."""

import json

import pytest

from sonant.analysis import (
    Analysis,
    AnalyzedClip,
    DataSummary,
    Estimate,
    LayerCurve,
    ModelAnalysis,
    Projection,
    TaskWeights,
    layer_table,
)
from sonant.errors import ConfigurationError
from sonant.models.families import Preset


def curve(name="speaker", measure="accuracy", **how):
    values = (Estimate(0.5, 0.4, 0.6), Estimate(0.8), Estimate(0.7))
    return LayerCurve(name=name, measure=measure, kind="probe", values=values, best=1, **how)


def model(name="tiny", **how):
    return ModelAnalysis(
        name=name, revision="sha256:00", layer_names=("0", "1", "2"), curves=(curve(), *how.pop("curves", ())), **how
    )


def analysis(*models):
    clips = (
        AnalyzedClip(name="a.wav", seconds=1.5, fields={"speaker": "ann"}),
        AnalyzedClip(name="b.wav", seconds=2.0),
    )
    return Analysis(
        models=models,
        data=DataSummary(source="x.jsonl", recordings=2, seconds=3.5, labels={"speaker": 1}, clips=clips,
                         splits={"train": 1, "test": 1}, failures={"c.wav": "empty"}, not_measured=("No phones.",)),
        command="sonant analyze tiny --data x.jsonl", created="2026-11-29T07:30:00", seconds=3.0,
    )  # fmt: skip


FULL = analysis(
    model(
        curves=(curve("phone", "PNMI", chance=0.1, as_good=(1, 2), baseline=Estimate(0.3), how="By k-means."),),
        similarity=((1.0, 0.5, 0.2), (0.5, 1.0, 0.4), (0.2, 0.4, 1.0)),
        projections=(
            Projection(
                layer=1,
                method="pca",
                of="segments",
                points=((0.0, 1.0), (2.0, 3.0)),
                explained=(0.6, 0.2),
                labels={"speaker": ("ann", None)},
                clips=(0, 1),
                times=((0.0, 0.1), (0.2, 0.3)),
            ),
        ),
        task_weights=(TaskWeights(task="keywords", source="runs/k", weights=(0.25, 0.75)),),
        presets={"speaker": Preset(1, "mean", "measured")},
        summary=("speaker peaks at layer 1",),
    ),
    model("other"),
)


def test_what_is_written_is_read_again():
    assert Analysis.from_json(json.loads(json.dumps(FULL.to_json()))) == FULL


def test_another_format_is_refused():
    with pytest.raises(ConfigurationError, match="format 99"):
        Analysis.from_json({**FULL.to_json(), "format": 99})
    with pytest.raises(ConfigurationError, match="incomplete"):
        Analysis.from_json({"format": 1, "models": []})


def test_two_models_stand_side_by_side_in_the_table():
    header, _, first, second, *_ = layer_table(FULL.measures()).splitlines()
    assert header == "| layer | speaker, accuracy, tiny | speaker, accuracy, other | phone, PNMI, tiny |"
    assert first == "| 0 | 50.0 [40.0, 60.0] | 50.0 [40.0, 60.0] | 50.0 [40.0, 60.0] |"
    assert second == "| 1 | **80.0** | **80.0** | **80.0** |"


def test_values_that_do_not_fit_are_refused():
    with pytest.raises(ConfigurationError, match="a value for each layer"):
        ModelAnalysis(name="m", revision="r", layer_names=("0",), curves=(curve(),))
    with pytest.raises(ConfigurationError, match="best=7"):
        LayerCurve(name="x", measure="accuracy", kind="probe", values=(Estimate(0.5),), best=7)
    with pytest.raises(ConfigurationError, match="as many of each"):
        Projection(layer=0, method="pca", of="recordings", points=((0.0, 0.0),), labels={}, clips=())
