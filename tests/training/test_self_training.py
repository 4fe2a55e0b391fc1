"""Settings of self-training: which stages they plan, and what is refused."""

from typing import Any

import pytest

from sonant.errors import ConfigurationError
from sonant.recipes.self_training import self_training_run
from sonant.training.self_training import STAGES, check

GIVEN = {"model": "m", "data": "d", "unlabeled": "u"}


@pytest.mark.parametrize(
    ("settings", "planned"),
    [
        ({}, "teacher ngram labeling selection ctc seq2seq"),
        ({"teacher": "t", "lm": "lm", "final": "ctc"}, "labeling selection ctc"),
        ({"dev": "d", "train_transformer_lm": True}, " ".join(STAGES)),
        ({"dev": "d", "trials": 0, "final": "seq2seq"}, "teacher ngram labeling selection seq2seq evaluation"),
        ({"test": "t", "stages": ["evaluation", "labeling", "tuning"]}, "labeling evaluation"),
    ],
)
def test_stages_are_those_with_something_to_do(settings: dict[str, Any], planned: str) -> None:
    run = self_training_run("self_training", [GIVEN, settings])
    assert run.planned == tuple(planned.split())
    check(run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["ctc.model=m"], "the run gives each of its trainings"),
        (["fine_tuning.data=d"], "the run gives each of its trainings"),
        (["stages=labeling,labeling"], "one of each"),
        (["stages=labelling"], "does not fit"),
        (["data="], "no data"),
        (["model="], "no pretrained model"),
        (["teacher=t", "stages=teacher"], "nothing to do"),
        (["trials=-1"], "expected 0 trials"),
        (["decoder.beam=4"], "n_best=20 hypotheses were asked for of a beam of 4"),
        (["seq2seq.training.steps=0"], "expected 1 or more"),
        (["selection.min_confidence=-0.5"], "min_confidence"),
        (["decoder.lm=x"], "lm=FILE"),
        (["transformer_lm=x", "train_transformer_lm=true"], "Leave one of them out"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        check(self_training_run("self_training", [GIVEN, *changes]))
