"""MAEB's protocols: figures that mteb itself gives for the same vectors, and laws.

The figures are from mteb 2.26.24 on this data; `tests/integrations/test_mteb_protocols.py` asks it again where it is
installed.
"""

import numpy as np
import pytest

from sonant.errors import MeasurementError
from sonant.evaluation.maeb import (
    LabeledVectors,
    clustering,
    cross_validated_classification,
    drawn_pairs,
    few_shot_classification,
    pair_classification,
)
from tests.integrations.vectors_of_labels import labeled_vectors


def test_few_shot_classification_is_that_of_mteb() -> None:
    found = few_shot_classification(labeled_vectors(60, seed=0), labeled_vectors(45, seed=1))
    assert found.main == "accuracy"
    assert found.value == pytest.approx(0.48)
    assert found.measures["f1"]["value"] == pytest.approx(0.4722362631)
    assert len(found.experiments) == 10
    assert found.value == pytest.approx(np.mean(found.experiments))
    low, high = found.measures["accuracy"]["low"], found.measures["accuracy"]["high"]
    assert low is not None
    assert high is not None
    assert low < found.value < high


def test_cross_validation_is_that_of_mteb() -> None:
    found = cross_validated_classification(labeled_vectors(62, seed=2))
    assert found.value == pytest.approx(0.4038461538)
    assert found.measures["f1"]["value"] == pytest.approx(0.3701058202)
    assert len(found.experiments) == 5


def test_clustering_is_that_of_mteb() -> None:
    found = clustering(labeled_vectors(50, seed=3))
    assert found.value == pytest.approx(0.1147375750)
    assert found.measures["v_measure"]["low"] is None


def test_pairs_are_told_apart_as_by_mteb() -> None:
    data = labeled_vectors(40, seed=4)
    pairs, same = drawn_pairs(data.labels)
    assert len(pairs) == 80
    assert same.mean() == 0.5
    assert all((data.labels[a] == data.labels[b]) == alike for (a, b), alike in zip(pairs, same, strict=True))
    found = pair_classification(data.vectors[pairs[:, 0]], data.vectors[pairs[:, 1]], same)
    assert found.value == pytest.approx(0.6129050185)
    assert found.measures["cosine_ap"]["value"] == pytest.approx(0.5778575983)
    assert found.value == max(each["value"] or 0 for each in found.measures.values())


def test_standardized_scores_do_not_depend_on_the_scale_of_dimensions() -> None:
    train, test = labeled_vectors(60, seed=0), labeled_vectors(45, seed=1)
    scale = np.array([1e-3, 1, 50, 1, 1, 7], np.float32)
    wide = [each._replace(vectors=each.vectors * scale + 3) for each in (train, test)]
    plain = few_shot_classification(train, test, standardize=True)
    assert few_shot_classification(*wide, standardize=True).value == pytest.approx(plain.value, abs=0.005)
    assert few_shot_classification(*wide).value != pytest.approx(plain.value, abs=0.005)


def test_intervals_by_speaker_are_wider() -> None:
    train, test = labeled_vectors(60, seed=0), labeled_vectors(300, seed=1)
    clustered = test._replace(groups=test.labels)  # three speakers, who say one label each
    alone, by_speaker = (few_shot_classification(train, each).measures["accuracy"] for each in (test, clustered))
    widths = [float(each["high"] or 0) - float(each["low"] or 0) for each in (alone, by_speaker)]
    assert alone["value"] == by_speaker["value"]
    assert widths[1] > 1.2 * widths[0]


def test_what_cannot_be_measured_is_refused() -> None:
    one = LabeledVectors(np.zeros((3, 2), np.float32), ["a", "a", "a"])
    with pytest.raises(MeasurementError, match="two labels"):
        few_shot_classification(one, one)
    with pytest.raises(MeasurementError, match="two or more"):
        clustering(LabeledVectors(one.vectors[:1], ["a"]))
    with pytest.raises(MeasurementError, match="both kinds"):
        pair_classification(one.vectors, one.vectors, [True, True, True])
    with pytest.raises(MeasurementError, match="5 folds"):
        cross_validated_classification(one)
