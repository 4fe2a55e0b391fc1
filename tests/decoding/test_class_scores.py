"""Outputs of heads for whole recordings, by name."""

import pytest
import torch

from sonant.decoding.class_scores import ClassLabels
from sonant.errors import CheckpointError


def test_labels_exclude_each_other_unless_something_else_is_said() -> None:
    outputs = torch.tensor([0.0, 1000.0, 0.0])
    assert ClassLabels.of(3, ["a", "b", "c"], None).scores(outputs) == {"a": 0.0, "b": 1.0, "c": 0.0}
    assert ClassLabels.of(3, ["a", "b", "c"], "multi_label_classification").scores(outputs) == {
        "a": 0.5,
        "b": 1.0,
        "c": 0.5,
    }
    assert ClassLabels.of(3, ["a", "b", "c"], "regression").scores(outputs) == {"a": 0.0, "b": 1000.0, "c": 0.0}


def test_one_output_is_a_number() -> None:
    """The softmax of one output is always 1."""
    assert ClassLabels.of(1, None, None).scores(torch.tensor([-3.0])) == {"LABEL_0": -3.0}


@pytest.mark.parametrize("labels", [["a"], ["a", "a"], ["a", "b", "c"]])
def test_labels_are_one_for_each_output(labels: list[str]) -> None:
    with pytest.raises(CheckpointError, match="2 outputs and the labels a"):
        ClassLabels.of(2, labels, None)


def test_an_unknown_problem_is_named() -> None:
    with pytest.raises(CheckpointError, match="'ranking'; known are single_label"):
        ClassLabels.of(2, ["a", "b"], "ranking")


def test_age_comes_in_years() -> None:
    found = ClassLabels.of_age_and_gender(3, ["female", "male"]).scores(torch.tensor([0.25, 0.0, 0.0]))
    assert found == {"age_years": 25.0, "female": 0.5, "male": 0.5}


def test_each_group_of_labels_has_a_softmax_of_its_own() -> None:
    names = ["action: bring", "action: go", "place: none"]
    labels = ClassLabels.of(3, names, "multi_label_classification", groups={"action": 2, "place": 1})
    scores = labels.scores(torch.tensor([1000.0, 0.0, -5.0]))
    assert scores == {"action: bring": 1.0, "action: go": 0.0, "place: none": 1.0}
    assert labels.chosen(scores) == {"action": "bring", "place": "none"}
    with pytest.raises(CheckpointError, match="which has 3 outputs"):
        ClassLabels.of(3, names, None, groups={"action": 2})
