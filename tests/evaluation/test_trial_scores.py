"""Measures of verification trials against hand-worked and brute-force cases."""

import math

import numpy as np
import pytest

from sonant.errors import MeasurementError
from sonant.evaluation import cllr, cross_calibrated, eer, likelihood_ratio, min_dcf, score_trials, speaker_bootstrap

Drawn = tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]


def drawn(speakers: int = 12, each: int = 3) -> Drawn:
    """All pairs of recordings: scores around 1 of one speaker, and 0 of two."""
    rng = np.random.default_rng(0)
    owners = np.repeat(np.arange(speakers), each)
    first, second = np.triu_indices(len(owners), 1)
    same = owners[first] == owners[second]
    scores = same + rng.normal(0, 0.5, len(same))
    return scores, same, [(f"s{one}", f"s{other}") for one, other in zip(owners[first], owners[second], strict=True)]


def test_the_cost_of_ratios_by_hand() -> None:
    assert cllr([0, 0, 0], [1, 0, 0]) == pytest.approx(1)
    found = cllr([math.log(3), -math.log(2), 0.0], [1, 0, 0])
    assert found == pytest.approx((math.log2(4 / 3) + (math.log2(3 / 2) + 1) / 2) / 2)
    repeated = cllr([2.0, -1.0, -1.0, 0.5], [1, 0, 0, 0])
    assert cllr([2.0, -1.0, 0.5], [1, 0, 0], weights=[1, 2, 1]) == pytest.approx(repeated)
    assert cllr([-800.0, 900.0], [1, 0]) == pytest.approx(850 / math.log(2))
    with pytest.raises(MeasurementError, match="targets and non-targets"):
        cllr([1.0], [1])


def test_measures_and_intervals_are_those_of_each_alone() -> None:
    scores, same, speakers = drawn()
    found = score_trials(scores, same, speakers)
    assert (found["trials"], found["targets"]) == (len(same), same.sum())
    for name, measure in {
        "eer": eer,
        "min_dcf_0.01": lambda *given, **more: min_dcf(*given, **more, target_prior=0.01),
        "min_dcf_0.05": lambda *given, **more: min_dcf(*given, **more, target_prior=0.05),
    }.items():
        low, high = speaker_bootstrap(measure, scores, same, speakers)
        assert found[name] == pytest.approx({"value": measure(scores, same), "low": low, "high": high})
        assert low <= found[name]["value"] <= high
    ratios = cross_calibrated(scores, same, speakers)
    assert ratios is not None
    assert found["cllr"]["value"] == pytest.approx(cllr(ratios, same))
    assert 0 < found["cllr"]["value"] < 0.8
    unknown = score_trials(scores, same)
    assert unknown["eer"] == {"value": found["eer"]["value"], "low": None, "high": None}
    assert "cllr" not in unknown


def test_a_ratio_is_calibrated_without_its_speakers() -> None:
    scores, same, speakers = drawn()
    found = cross_calibrated(scores, same, speakers)
    assert found is not None
    names = sorted({name for pair in speakers for name in pair})
    for trial in (0, 100, len(same) - 1):
        folds = {names.index(name) % 5 for name in speakers[trial]}
        others = [
            number for number, pair in enumerate(speakers) if not folds & {names.index(name) % 5 for name in pair}
        ]
        ratio = likelihood_ratio(scores[others], same[others])
        assert found[trial] == pytest.approx(ratio.slope * scores[trial] + ratio.offset)
    assert cross_calibrated(scores[:3], same[:3], speakers[:3]) is None


def test_speakers_are_those_of_the_trials() -> None:
    with pytest.raises(MeasurementError, match="2 scores were given with 1 pairs"):
        score_trials([0.1, 0.2], [0, 1], [("a", "b")])
