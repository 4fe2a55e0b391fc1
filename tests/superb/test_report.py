"""Tables and page of an evaluation."""

import math
import re
from dataclasses import replace

import pytest

from sonant.models.published_results import SUPERB, SUPERB_FBANK, SUPERB_METRICS
from sonant.superb.measures import FoldResult, Measured, StateWeights, mean_of
from sonant.superb.page import superb_page
from sonant.superb.report import (
    PUBLISHED,
    SuperbRow,
    layers_table,
    markdown,
    published_values,
    results_table,
    to_json,
    weights_table,
)
from sonant.superb.tasks import SUPERB_TASKS

WEIGHTS = StateWeights((0.25, 0.75), (0.5, 0.5))


def fold(value: float, number: int = 0, metric: str = "accuracy") -> FoldResult:
    measured = {metric: Measured(value, value - 0.03, value + 0.04)}
    return FoldResult(number, 1e-3, None, value, measured, 200, WEIGHTS)


ROWS = (
    SuperbRow("ks", "mine", "weighted", (fold(0.9),)),
    SuperbRow("er", "mine", "weighted", (fold(0.5, 1), fold(0.7, 2))),
    SuperbRow("asr", "<b>", "fine_tuned", (fold(0.2, metric="wer"),)),
)


def test_the_mean_of_folds_has_the_interval_of_independent_values() -> None:
    mean = mean_of(ROWS[1].folds, "accuracy")
    assert mean.value == pytest.approx(0.6)
    assert mean.value - mean.low == pytest.approx(0.03 / math.sqrt(2))
    assert mean.high - mean.value == pytest.approx(0.04 / math.sqrt(2))


def test_a_line_for_each_model_and_way_is_above_the_published_ones() -> None:
    heads, lines = results_table(ROWS)
    assert heads == ["model", "learned by", "asr WER %", "ks accuracy %", "er accuracy %"]
    assert lines[0] == ["mine", "weighted", "", "90.0 [87.0, 94.0]", "60.0 [57.9, 62.8]"]
    assert lines[1] == ["<b>", "fine tuned", "20.0 [17.0, 24.0]", "", ""]
    published = {line[0]: line[1:] for line in lines[2:]}
    assert list(published) == list(PUBLISHED)
    assert published["wavlm-large"] == ["published", "3.51", "97.4", "70.03"]


def test_a_measure_that_a_fold_lacks_is_not_shown() -> None:
    enhanced = SuperbRow("se", "mine", "weighted", (fold(5.0, metric="si_sdr_improvement"),))
    assert results_table([enhanced]) == (
        ["model", "learned by", "se SI-SDRi dB", "se PESQ", "se STOI %"],
        [["mine", "weighted", "5.000 [4.970, 5.040]", "", ""]],
    )


def test_layers_that_are_said_to_be_best_are_beside_those_found() -> None:
    shares = StateWeights((0.2,) * 5, (0.1, 0.1, 0.2, 0.25, 0.35))
    weighted = replace(fold(0.9), weights=shares)
    rows = (
        SuperbRow("er", "mine", "weighted", (weighted,)),
        SuperbRow("er", "mine", "best_layer", (replace(weighted, state=4, weights=None),)),
        SuperbRow("ks", "mine", "weighted", (weighted,)),  # of which nothing is said
        SuperbRow("pr", "mine", "best_layer", (replace(fold(0.9, metric="per"), state=2, weights=None),)),
    )
    alone = SuperbRow("er", "mfcc", "weighted", (replace(weighted, weights=StateWeights((1.0,), (1.0,))),))
    of_it = replace(weighted, state=0, weights=None)
    assert layers_table([alone, SuperbRow("er", "mfcc", "best_layer", (of_it,))])[1] == []
    assert weights_table([alone])[1] == []
    lines = layers_table(rows)[1]
    assert lines == [
        ["er", "mine", "8 to 12", "3 to 4", "60.0 %", "40.0 %", "4"],
        ["pr", "mine", "4 to 6", "", "", "", "2"],
    ]
    assert "3 to 4" in superb_page(rows)
    assert "| er | mine | 8 to 12 |" in markdown(rows)


def test_published_values_are_those_of_the_catalog() -> None:
    of_tasks = [metric.published for task in SUPERB_TASKS.values() for metric in task.metrics if metric.published]
    assert sorted(of_tasks) == sorted(SUPERB_METRICS)
    for name, tasks in published_values().items():
        values = [value for metrics in tasks.values() for value in metrics.values()]
        assert sorted(values) == sorted(SUPERB_FBANK if name == "FBANK" else SUPERB[name])


def test_tables_and_page_say_the_same() -> None:
    text, page = markdown(ROWS), superb_page(ROWS)
    assert "| mine | weighted |  | 90.0 [87.0, 94.0] | 60.0 [57.9, 62.8] |" in text
    assert "| ks | mine | raw | 25.0 | 75.0 |" in text
    assert "&lt;b&gt;" in page
    assert "<b>" not in page.partition("</style>")[2]
    assert len(re.findall("<svg", page)) == len(ROWS)
    assert "not measured here" in text
    assert "not measured here" in page
    assert to_json(ROWS)["results"][1]["measures"]["accuracy"]["value"] == pytest.approx(0.6)
