"""The summary in plain words, and the presets that it suggests."""

from sonant.analysis import Estimate, LayerCurve
from sonant.analysis.summary import suggested_presets, summary_of
from sonant.models.families import Preset


def curve(name, measure, best, as_good, **how):
    values = tuple(Estimate(0.5 + layer / 100, 0.4, 0.6) for layer in range(6))
    return LayerCurve(name=name, measure=measure, kind=how.pop("kind", "probe"), values=values, best=best,
                      as_good=as_good, **how)  # fmt: skip


CURVES = (
    curve("speaker", "accuracy", 2, (2,), baseline=Estimate(0.3)),
    curve("label", "accuracy", 4, (1, 2, 3, 4)),
    curve("phone", "PNMI", 5, (3, 5), kind="units"),
    curve("log-mel", "CKA", 0, tuple(range(6)), kind="similarity", unit=""),
)


SPEAKER = (
    "Speaker, accuracy: layer 2 is best, 52.0 % [40.0, 60.0]; all other layers are worse, beyond the interval. "
    "Log-mel has 30.0 %."
)


def test_sentences_say_peaks_and_ties():
    assert summary_of(CURVES) == (
        "Speaker peaks at layer 2, label peaks at layer 4, phone peaks at layer 5.",
        SPEAKER,
        "Label, accuracy: layer 4 is best, 54.0 % [40.0, 60.0]; layers 1 to 3 are not told apart from it.",
        "Phone, PNMI: layer 5 is best, 55.0 % [40.0, 60.0]; layer 3 is not told apart from it.",
        "Log-mel, CKA: layer 0 is best, 0.500 [0.400, 0.600]; no layer differs from it beyond the interval.",
    )
    flat = curve("word", "accuracy", 3, tuple(range(6)))
    assert summary_of((CURVES[0], flat))[0] == "Speaker peaks at layer 2, word is alike in all layers."
    lucky = curve("gender", "accuracy", 1, (1,), chance=0.45)
    assert summary_of((lucky,)) == ("Gender, accuracy: no layer is better than chance, 45.0 %, beyond the interval.",)
    assert suggested_presets((lucky,), pool="mean", data="x", tasks={"emotion": "gender"}) == {}
    assert summary_of(()) == ("Nothing could be measured.",)


def test_presets_are_those_of_what_was_measured():
    found = suggested_presets(CURVES, pool="mean+std", data="x.jsonl", tasks={"emotion": "label"})
    assert list(found) == ["speaker", "content", "emotion"]
    assert found["speaker"] == Preset(2, "mean+std", "measured: speaker, accuracy 52.0 % [40.0, 60.0] on x.jsonl")
    assert (found["content"].layer, found["content"].pool) == (5, None)
    assert found["content"].why.endswith("; not told apart from layer 3")
    assert (found["emotion"].layer, found["emotion"].pool) == (4, "mean+std")
