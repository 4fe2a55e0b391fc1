"""The phone feature error rate, by hand and against PanPhon."""

import sys

import numpy as np
import pytest

from sonant.errors import MissingExtra, SonantWarning
from sonant.evaluation import phone_feature_errors
from sonant.evaluation.phone_features import _feature_table, feature_distance

K, G, A = np.array([[-1, 0, 1, 1], [1, 0, 1, 1], [1, 1, -1, 0]])


def test_alike_phones_cost_less() -> None:
    assert feature_distance(np.array([K, A]), np.array([G, A])) == 0.25
    assert feature_distance(np.array([K, A]), np.array([A])) == 1
    assert feature_distance(np.array([K, A, K]), np.array([G, K])) == 1.25
    assert feature_distance(np.array([K]), np.zeros((0, 4))) == 1
    assert feature_distance(np.zeros((0, 4)), np.array([K, A])) == 2


def test_without_panphon_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "panphon", None)
    _feature_table.cache_clear()
    with pytest.raises(MissingExtra, match="'phones'"):
        phone_feature_errors(["a"], ["a"])


def test_distances_are_those_of_panphon() -> None:
    distance = pytest.importorskip("panphon.distance").Distance()
    references, hypotheses = ["k æ t", "t͡ʃaɪ", "ɡ ʊ d"], ["k a d", "ʃaɪ", ""]
    found = phone_feature_errors(references, hypotheses)
    assert [errors for errors, _ in found] == pytest.approx(
        [distance.hamming_feature_edit_distance(*pair) for pair in zip(references, hypotheses, strict=True)]
    )
    assert [length for _, length in found] == [3, 3, 3]
    with pytest.warns(SonantWarning, match="no features of '5'; they"):
        assert phone_feature_errors(["k 5 t"], ["k t"]) == [(0, 2)]
