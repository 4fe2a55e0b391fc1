"""Detection measures against their definitions, and the laws they obey."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sonant.errors import ConfigurationError, MeasurementError
from sonant.evaluation import cllr, detection_curve, eer, min_dcf, speaker_bootstrap


@st.composite
def trials(draw, *, max_size=40):
    """Scores on a coarse grid, so that ties are frequent, with at least one target and one non-target."""
    labels = draw(st.lists(st.booleans(), min_size=2, max_size=max_size))
    assume(any(labels) and not all(labels))
    scores = draw(st.lists(st.integers(-8, 8), min_size=len(labels), max_size=len(labels)))
    return np.array(scores) / 4, np.array(labels)


def error_rates(scores, labels, threshold):
    """False accepts and false rejects at one threshold, counted one by one."""
    targets = [score for score, label in zip(scores, labels, strict=True) if label]
    others = [score for score, label in zip(scores, labels, strict=True) if not label]
    return (
        sum(score >= threshold for score in others) / len(others),
        sum(score < threshold for score in targets) / len(targets),
    )


def thresholds(scores):
    return [*sorted(set(scores)), math.inf]


def brute_eer(scores, labels):
    """Walk along the straight pieces of the curve until one meets false accepts = false rejects."""
    points = [error_rates(scores, labels, threshold) for threshold in thresholds(scores)]
    for (accept, reject), (next_accept, next_reject) in pairwise(points):
        if reject <= accept and next_reject >= next_accept:
            along = (accept - reject) / ((accept - reject) + (next_reject - next_accept))
            return accept + along * (next_accept - accept)
    raise AssertionError("the curve starts at (1, 0) and ends at (0, 1): it must cross")


def brute_min_dcf(scores, labels, prior, miss, accept):
    costs = []
    for threshold in thresholds(scores):
        false_accept, false_reject = error_rates(scores, labels, threshold)
        costs.append(miss * prior * false_reject + accept * (1 - prior) * false_accept)
    return min(costs) / min(miss * prior, accept * (1 - prior))


@given(trials())
@settings(deadline=None)
def test_eer_is_the_crossing_by_definition(drawn):
    scores, labels = drawn
    assert eer(scores, labels) == pytest.approx(brute_eer(scores, labels), abs=1e-12)


@given(trials(), st.floats(0.01, 0.99), st.floats(0.1, 10), st.floats(0.1, 10))
@settings(deadline=None)
def test_min_dcf_is_the_least_cost_by_definition(drawn, prior, miss, accept):
    scores, labels = drawn
    ours = min_dcf(scores, labels, target_prior=prior, miss_cost=miss, false_accept_cost=accept)
    assert ours == pytest.approx(brute_min_dcf(scores, labels, prior, miss, accept), abs=1e-12)
    assert 0 <= ours <= 1 + 1e-12


@given(trials())
@settings(deadline=None)
def test_the_curve_holds_the_counts_at_every_threshold(drawn):
    scores, labels = drawn
    curve = detection_curve(scores, labels)
    expected = [error_rates(scores, labels, threshold) for threshold in curve.thresholds]
    np.testing.assert_allclose(np.stack([curve.false_accept, curve.false_reject], 1), expected, atol=1e-12)
    assert (np.diff(curve.thresholds) > 0).all()


@given(trials(), st.sampled_from([np.exp, np.arctan, lambda x: 3 * x - 7, lambda x: x**3]))
@settings(deadline=None)
def test_monotone_maps_of_the_scores_change_nothing(drawn, rising):
    scores, labels = drawn
    assert eer(rising(scores), labels) == pytest.approx(eer(scores, labels), abs=1e-12)
    assert min_dcf(rising(scores), labels) == pytest.approx(min_dcf(scores, labels), abs=1e-12)


@given(trials())
@settings(deadline=None)
def test_negated_scores_with_exchanged_labels_change_nothing(drawn):
    scores, labels = drawn
    assert eer(-scores, ~labels) == pytest.approx(eer(scores, labels), abs=1e-12)


@given(trials())
@settings(deadline=None)
def test_negated_scores_mirror_the_rate(drawn):
    scores, labels = drawn
    assert eer(-scores, labels) == pytest.approx(1 - eer(scores, labels), abs=1e-12)


@given(trials(), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_trials_changes_nothing(drawn, random):
    scores, labels = drawn
    order = list(range(len(scores)))
    random.shuffle(order)
    assert eer(scores[order], labels[order]) == eer(scores, labels)


@given(trials(max_size=12), st.data())
@settings(deadline=None)
def test_a_weight_is_a_repetition(drawn, data):
    scores, labels = drawn
    counts = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(scores), max_size=len(scores))))
    assume(counts[labels].any() and counts[~labels].any())
    repeated = np.repeat(scores, counts), np.repeat(labels, counts)
    assert eer(scores, labels, weights=counts) == pytest.approx(eer(*repeated), abs=1e-12)
    assert min_dcf(scores, labels, weights=counts) == pytest.approx(min_dcf(*repeated), abs=1e-12)


def test_perfect_and_perfectly_wrong_separation():
    scores, labels = [0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]
    assert eer(scores, labels) == 0
    assert min_dcf(scores, labels) == 0
    assert eer(scores, [1, 1, 0, 0]) == 1
    assert min_dcf(scores, [1, 1, 0, 0]) == 1, "refusing everything costs 1"


def test_scores_that_say_nothing_are_at_chance():
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=20_000)
    assert eer(generator.normal(size=20_000), labels) == pytest.approx(0.5, abs=0.02)
    assert eer(np.zeros(20_000), labels) == pytest.approx(0.5, abs=1e-12)


def test_two_gaussians_meet_their_closed_form():
    generator = np.random.default_rng(1)
    scores = np.concatenate([generator.normal(2, 1, 50_000), generator.normal(0, 1, 50_000)])
    expected = 0.5 * math.erfc(1 / math.sqrt(2))  # both errors equal at the threshold 1
    assert eer(scores, np.arange(100_000) < 50_000) == pytest.approx(expected, abs=0.003)


def test_speaker_interval_holds_the_value_and_is_wider_than_a_draw_of_trials():
    generator = np.random.default_rng(2)
    quality = generator.normal(size=12)  # some speakers are easy, some hard
    pairs = [(first, second) for first in range(12) for second in range(first, 12) for _ in range(8)]
    labels = np.array([first == second for first, second in pairs])
    scores = np.array([2 * (a == b) + quality[a] + quality[b] + generator.normal() for a, b in pairs])
    value = eer(scores, labels)
    names = [(f"s{first}", f"s{second}") for first, second in pairs]
    low, high = speaker_bootstrap(eer, scores, labels, names)
    assert low <= value <= high
    assert speaker_bootstrap(eer, scores, labels, names) == (low, high), "the same seed, the same interval"
    each_its_own = [(f"t{n}", f"t{n}" if label else f"u{n}") for n, label in enumerate(labels)]
    free_low, free_high = speaker_bootstrap(eer, scores, labels, each_its_own)
    assert high - low > free_high - free_low


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.1, 0.2], [1, 1], "non-targets"),
        ([], [], "non-targets"),
        ([0.1, 0.2, 0.3], [1, 0], "one length"),
        ([0.1, math.nan], [1, 0], "NaN"),
        ([1, 0], [0.3, 0.2], "exchanged"),
    ],
)
def test_what_cannot_be_measured_says_so(scores, labels, message):
    for measure in (eer, min_dcf):
        with pytest.raises(MeasurementError, match=message):
            measure(scores, labels)


@pytest.mark.parametrize("weights", [[1, -1, 2], [1, 1], [1, math.nan, 1]])
def test_weights_are_checked(weights):
    for measure in (eer, min_dcf, cllr):
        with pytest.raises(MeasurementError, match="finite and not negative"):
            measure([0.3, 0.2, 0.1], [1, 0, 0], weights=weights)


def test_costs_and_priors_are_checked():
    with pytest.raises(ConfigurationError, match="target_prior"):
        min_dcf([0, 1], [0, 1], target_prior=1)
    with pytest.raises(ConfigurationError, match="Costs"):
        min_dcf([0, 1], [0, 1], miss_cost=0)
    with pytest.raises(MeasurementError, match="pair"):
        speaker_bootstrap(eer, [0, 1], [0, 1], [("a", "b")])
    with pytest.raises(MeasurementError, match="more speakers"):
        speaker_bootstrap(eer, [0], [1], [("a", "a")])
