"""The probe against scikit-learn, and what it must and must not be able to learn."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from sonant.errors import ConfigurationError, MeasurementError
from sonant.evaluation import (
    ProbeResult,
    Split,
    Standardizer,
    chosen_layer,
    cosine_scores,
    cross_validate,
    fit_probe,
    folds_of,
    linear_probe,
    probe_layers,
    speaker_eer,
)

CLASSES = ("down", "left", "right")


def clips(seed, num_clips=90, dim=6, *, distance=8.0):
    """Gaussian clouds around one center a class; the centers are the same for every seed."""
    centers = np.random.default_rng(99).normal(size=(len(CLASSES), dim))
    generator = np.random.default_rng(seed)
    labels = np.arange(num_clips) % len(CLASSES)
    features = distance * centers[labels] + generator.normal(size=(num_clips, dim))
    return Split(features.astype(np.float32), [CLASSES[label] for label in labels])


def test_separable_classes_are_told_apart():
    result = linear_probe(clips(0), clips(1), clips(2))
    assert result.accuracy == 1
    assert (result.low, result.high) == (1, 1)
    assert result.chance == pytest.approx(1 / 3)
    assert result.correct == (True,) * 90


def test_shuffled_labels_leave_chance():
    generator = np.random.default_rng(3)
    shuffled = [replace(clips(seed, 600), labels=generator.choice(CLASSES, 600).tolist()) for seed in (0, 1, 2)]
    result = linear_probe(*shuffled)
    assert result.accuracy == pytest.approx(1 / 3, abs=0.08)
    assert result.low < 1 / 3 + 0.03


def test_the_choice_never_looks_at_test():
    train, dev, test = clips(0, distance=0.4), clips(1, distance=0.4), clips(2, distance=0.4)
    honest = linear_probe(train, dev, test)
    generator = np.random.default_rng(4)
    lies = replace(test, features=generator.normal(size=test.features.shape), labels=list(reversed(test.labels)))
    misled = linear_probe(train, dev, lies)
    assert (misled.l2, misled.dev_accuracy, misled.dev_loss) == (honest.l2, honest.dev_accuracy, honest.dev_loss)
    assert misled.accuracy != honest.accuracy, "the two test sets differ enough to see"


def test_dev_chooses_the_strength():
    train, dev = clips(0, 30, 40, distance=0.3), clips(1, 300, 40, distance=0.3)
    strengths = (10.0, 0.3, 0.01, 0.0001)
    alone = [fit_probe(train, dev, l2_strengths=[l2]) for l2 in strengths]
    together = fit_probe(train, dev, l2_strengths=strengths)
    assert together.dev_accuracy == max(probe.dev_accuracy for probe in alone)
    assert len({probe.dev_accuracy for probe in alone}) > 1, "the strengths must differ for the choice to matter"


@pytest.mark.parametrize("l2", [1.0, 0.03, 0.001])
def test_the_fit_is_scikit_learns(l2):
    train, dev = clips(0, 120, 10, distance=0.7), clips(1, distance=0.7, dim=10)
    probe = fit_probe(train, dev, l2_strengths=[l2])
    scaled = probe.standardizer(train.features)
    reference = LogisticRegression(C=1 / (l2 * len(scaled)), tol=1e-8, max_iter=5000).fit(scaled, train.labels)
    assert probe.classes == tuple(reference.classes_)
    np.testing.assert_allclose(probe.weight, reference.coef_, atol=2e-3 * np.abs(reference.coef_).max())
    assert probe.predict(dev.features) == reference.predict(probe.standardizer(dev.features)).tolist()


def test_a_path_of_strengths_ends_where_a_single_fit_does():
    train, dev = clips(0, distance=0.5), clips(1, distance=0.5)
    alone = fit_probe(train, dev, l2_strengths=[0.01])
    agreeing = replace(dev, labels=alone.predict(dev.features))  # so that the weakest strength is the one chosen
    along = fit_probe(train, agreeing, l2_strengths=[10.0, 1.0, 0.1, 0.01])
    assert along.l2 == 0.01
    np.testing.assert_allclose(along.weight, alone.weight, atol=2e-3)


def test_the_same_arrays_give_the_same_probe():
    first, second = (linear_probe(clips(0), clips(1), clips(2, distance=1.0)) for _ in range(2))
    assert first == second


@cache
def near_clips():
    return [clips(seed, distance=0.5) for seed in (0, 1, 2)]


@cache
def probe_of_near_clips():
    return linear_probe(*near_clips())


@given(st.floats(-50, 50), st.floats(0.05, 20))
@settings(max_examples=3, deadline=None)
def test_units_and_offsets_of_the_features_do_not_matter(offset, scale):
    splits = near_clips()
    moved = [replace(split, features=split.features.astype(np.float64) * scale + offset) for split in splits]
    before, after = probe_of_near_clips(), linear_probe(*moved)
    assert after.l2 == before.l2
    assert after.accuracy == pytest.approx(before.accuracy, abs=0.02)


def test_a_constant_dimension_is_ignored():
    splits = [clips(seed, distance=0.6) for seed in (0, 1, 2)]
    wider = [
        replace(split, features=np.concatenate([split.features, np.full((90, 1), value, np.float32)], 1))
        for split, value in zip(splits, (0.1, 0.1, 5e6), strict=True)
    ]
    assert linear_probe(*wider).accuracy == linear_probe(*splits).accuracy


def test_layers_are_probed_one_by_one():
    good = [clips(seed) for seed in (0, 1, 2)]
    noise = np.random.default_rng(5)
    stacked = [
        replace(split, features=np.stack([noise.normal(size=split.features.shape), split.features], 1))
        for split in good
    ]
    results = probe_layers(*stacked)
    assert len(results) == 2
    assert results[1] == linear_probe(*good)
    assert results[0].accuracy < 0.6
    assert chosen_layer(results) == 1


def test_the_layer_is_chosen_on_dev():
    base = ProbeResult(0.9, 0.8, 1.0, dev_accuracy=0.5, dev_loss=1.0, l2=0.1, chance=0.1, correct=(True,))
    better_on_dev = replace(base, accuracy=0.1, dev_accuracy=0.6)
    tied_but_surer = replace(base, accuracy=0.2, dev_accuracy=0.6, dev_loss=0.9)
    assert chosen_layer([base, better_on_dev]) == 1
    assert chosen_layer([better_on_dev, tied_but_surer, base]) == 1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_cosine_is_symmetric_bounded_and_blind_to_length(seed):
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(7, 5))
    pairs = generator.integers(7, size=(20, 2))
    scores = cosine_scores(features, pairs)
    assert (np.abs(scores) <= 1 + 1e-12).all()
    np.testing.assert_allclose(cosine_scores(features, pairs[:, ::-1]), scores, atol=1e-12)
    np.testing.assert_allclose(cosine_scores(features * generator.uniform(0.1, 9, (7, 1)), pairs), scores, atol=1e-12)
    np.testing.assert_allclose(cosine_scores(features, [[3, 3]]), [1], atol=1e-12)
    first, second = features[pairs[0]]
    assert scores[0] == pytest.approx(first @ second / np.sqrt(first @ first * (second @ second)))


def test_centering_takes_a_common_offset_out():
    features = np.array([[101.0, 100.0], [99.0, 100.0], [101.0, 100.1]])
    centered = Standardizer(mean=np.array([100.0, 100.0]), scale=np.ones(2))
    pairs = [[0, 1], [0, 2]]
    assert cosine_scores(features, pairs).min() > 0.99
    np.testing.assert_allclose(cosine_scores(features, pairs, standardizer=centered), [-1, 1], atol=0.01)


def test_centering_alone_keeps_the_scale():
    features = np.random.default_rng(8).normal(3, 5, size=(50, 4))
    centered, standard = Standardizer.fit(features, scale=False)(features), Standardizer.fit(features)(features)
    np.testing.assert_allclose(centered, features - features.mean(0), atol=1e-5)
    np.testing.assert_allclose(standard.std(0), 1, atol=1e-5)
    np.testing.assert_allclose(standard.mean(0), 0, atol=1e-5)


def test_what_cannot_be_probed_says_so():
    train, dev = clips(0), clips(1)
    with pytest.raises(MeasurementError, match="one label"):
        Split(train.features, train.labels[:-1])
    with pytest.raises(MeasurementError, match="NaN"):
        Split(np.full((2, 3), np.nan), ["a", "b"])
    with pytest.raises(MeasurementError, match="two classes"):
        fit_probe(replace(train, labels=["down"] * 90), dev)
    with pytest.raises(MeasurementError, match="unseen"):
        fit_probe(train, replace(dev, labels=["up"] * 90))
    with pytest.raises(ConfigurationError, match="l2_strengths"):
        fit_probe(train, dev, l2_strengths=[])
    with pytest.raises(MeasurementError, match="zero"):
        cosine_scores(np.zeros((2, 3)), [[0, 1]])
    with pytest.raises(MeasurementError, match="there are 2"):
        cosine_scores(np.ones((2, 3)), [[0, 2]])


def test_folds_keep_speakers_together_and_labels_apart():
    """Ten speakers with one to five of the labels each; every fold's labels are found in another one."""
    generator = np.random.default_rng(0)
    speakers = [f"speaker{number}" for number in generator.integers(10, size=200)]
    labels = [CLASSES[number] for number in generator.integers(len(CLASSES), size=200)]
    folds = folds_of(labels, speakers)
    assert set(folds) == {0, 1, 2, 3}
    assert all(len(set(folds[np.array(speakers) == name])) == 1 for name in set(speakers))
    assert (folds == folds_of(labels, speakers)).all()
    rare = ["a"] * 6 + ["b", "b"]
    assert len(set(folds_of(rare)[-2:])) == 2


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        (["a"] * 5 + ["b"], None, "6 were given, and there is one alone for b; expected 4"),
        (["a", "b"] * 4, ["x", "y"] * 4, "2 were given, and there is one alone for a, b;"),
        (["a", "b", "a"], None, "3 were given, and there is one alone for b"),
        ([""] * 2, ["x", "x"], "1 were given; expected 4"),
    ],
)
def test_too_few_to_learn_from_and_be_tested_on(labels, groups, message):
    with pytest.raises(MeasurementError, match=message):
        folds_of(labels, groups)


def test_cross_validation_tests_on_other_folds():
    """Separable classes are learned; shuffled labels are not, though a probe could learn them by heart."""
    split = clips(0, 120, 60)
    folds = folds_of(split.labels)
    assert cross_validate(split.features, split.labels, folds) == 1
    shuffled = np.random.default_rng(1).permutation(split.labels).tolist()
    assert cross_validate(split.features, shuffled, folds_of(shuffled)) < 0.5
    result = cross_validate(split.features, split.labels, np.array([0] * 60 + [1] * 60))
    assert result == 1


def test_the_error_rate_of_voices_takes_all_pairs():
    vectors = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    assert speaker_eer(vectors, ["a", "a", "b", "b"]) == 0
    assert speaker_eer(vectors, ["a", "b", "a", "b"]) == 0.5
