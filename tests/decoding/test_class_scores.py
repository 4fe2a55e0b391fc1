"""Outputs of heads for whole recordings, by name."""

import pytest
import torch

from sonant.decoding.class_scores import age_and_gender, class_scores
from sonant.errors import CheckpointError


def test_labels_exclude_each_other_unless_something_else_is_said() -> None:
    outputs = torch.tensor([0.0, 1000.0, 0.0])
    assert class_scores(outputs, ["a", "b", "c"], None) == {"a": 0.0, "b": 1.0, "c": 0.0}
    assert class_scores(outputs, ["a", "b", "c"], "multi_label_classification") == {"a": 0.5, "b": 1.0, "c": 0.5}
    assert class_scores(outputs, ["a", "b", "c"], "regression") == {"a": 0.0, "b": 1000.0, "c": 0.0}


def test_one_output_is_a_number() -> None:
    """The softmax of one output is always 1."""
    assert class_scores(torch.tensor([-3.0]), None, None) == {"LABEL_0": -3.0}


@pytest.mark.parametrize("labels", [["a"], ["a", "a"], ["a", "b", "c"]])
def test_labels_are_one_for_each_output(labels: list[str]) -> None:
    with pytest.raises(CheckpointError, match="2 outputs and the labels a"):
        class_scores(torch.zeros(2), labels, None)


def test_an_unknown_problem_is_named() -> None:
    with pytest.raises(CheckpointError, match="'ranking'; known are single_label"):
        class_scores(torch.zeros(2), ["a", "b"], "ranking")


def test_age_comes_in_years() -> None:
    found = age_and_gender(torch.tensor([0.25, 0.0, 0.0]), ["female", "male"])
    assert found == {"age_years": 25.0, "female": 0.5, "male": 0.5}
