"""MAEB's protocols beside mteb's own code, on the same vectors."""

from typing import Any

import numpy as np
import pytest

from sonant.evaluation.maeb import (
    clustering,
    cross_validated_classification,
    drawn_pairs,
    few_shot_classification,
    pair_classification,
)
from tests.integrations.vectors_of_labels import labeled_vectors

mteb = pytest.importorskip("mteb")
datasets = pytest.importorskip("datasets")


def scores_of_mteb(task: Any, parts: dict[str, dict[str, Any]], vectors: np.ndarray, split: str) -> dict[str, Any]:
    """Run a task of mteb whose recordings are the numbers of vectors."""
    from mteb.models.abs_encoder import AbsEncoder

    class Given(AbsEncoder):
        def __init__(self) -> None:
            pass

        def encode(self, inputs: Any, **_: Any) -> np.ndarray:
            return vectors[[int(row["audio"]["array"][0]) for row in inputs.dataset]]

    task.dataset = datasets.DatasetDict({name: datasets.Dataset.from_dict(rows) for name, rows in parts.items()})
    task.data_loaded = True
    found: dict[str, Any] = task.evaluate(Given(), split, encode_kwargs={"batch_size": 8})["default"]
    return found


def sounds(numbers: Any) -> list[dict[str, Any]]:
    return [{"array": [float(number)], "sampling_rate": 16000} for number in numbers]


def test_few_shot_classification() -> None:
    from mteb.mocks.mock_tasks.classification import MockAudioClassification

    train, test = labeled_vectors(60, seed=0), labeled_vectors(45, seed=1)
    parts = {
        "train": {"audio": sounds(range(60)), "label": list(train.labels)},
        "test": {"audio": sounds(range(60, 105)), "label": list(test.labels)},
    }
    theirs = scores_of_mteb(MockAudioClassification(), parts, np.concatenate([train.vectors, test.vectors]), "test")
    ours = few_shot_classification(train, test)
    print("few shot", theirs["accuracy"], theirs["f1"])
    assert ours.experiments == pytest.approx([each["accuracy"] for each in theirs["scores_per_experiment"]])
    assert ours.value == pytest.approx(theirs["accuracy"])
    assert ours.measures["f1"]["value"] == pytest.approx(theirs["f1"])


def test_cross_validation() -> None:
    from mteb.mocks.mock_tasks.classification import MockAudioClassificationCrossVal

    data = labeled_vectors(62, seed=2)
    parts = {"train": {"audio": sounds(range(62)), "label": list(data.labels)}}
    theirs = scores_of_mteb(MockAudioClassificationCrossVal(), parts, data.vectors, "train")
    ours = cross_validated_classification(data)
    print("folds", theirs["accuracy"], theirs["f1"])
    assert ours.experiments == pytest.approx([each["accuracy"] for each in theirs["scores_per_experiment"]])
    assert ours.measures["f1"]["value"] == pytest.approx(theirs["f1"])


def test_clustering() -> None:
    from mteb.mocks.mock_tasks.clustering import MockAudioClusteringTask

    data = labeled_vectors(50, seed=3)
    task = MockAudioClusteringTask()
    task.max_document_to_embed = None
    parts = {"test": {"audio": sounds(range(50)), task.label_column_name: list(data.labels)}}
    theirs = scores_of_mteb(task, parts, data.vectors, "test")
    print("clustering", theirs["v_measure"])
    assert clustering(data).value == pytest.approx(theirs["v_measure"])


def test_pairs() -> None:
    from mteb.mocks.mock_tasks.pair_classification import MockAudioPairClassification

    data = labeled_vectors(40, seed=4)
    pairs, same = drawn_pairs(data.labels)
    task = MockAudioPairClassification()
    task.input1_column_name, task.input2_column_name = "first", "second"
    rows = {
        task.input1_column_name: sounds(pairs[:, 0]),
        task.input2_column_name: sounds(pairs[:, 1]),
        task.label_column_name: same.astype(int).tolist(),
    }
    theirs = scores_of_mteb(task, {"test": rows}, data.vectors, "test")
    ours = pair_classification(data.vectors[pairs[:, 0]], data.vectors[pairs[:, 1]], same)
    print("pairs", theirs["max_ap"])
    assert ours.value == pytest.approx(theirs["max_ap"])
    assert ours.measures["cosine_ap"]["value"] == pytest.approx(theirs["cosine_ap"])
