"""Runs put together on the command line: stages chosen, left out and taken from other recipes; a checkpoint's model."""

from dataclasses import replace
from pathlib import Path

import pytest

from sonant.checkpoints import save_pretrained
from sonant.errors import ConfigurationError, UnknownName
from sonant.models import HuBERTConfig, build
from sonant.pretraining import MaskedPredictionConfig, MFCCTargets
from sonant.recipes import pretraining_recipe
from sonant.recipes.composition import compose
from sonant.training.checks import check
from sonant.training.schedules import Cosine
from tests.shapes import TINY

PLUS = pretraining_recipe("wavlm_base_plus")
TINY_RUN = pretraining_recipe("wavlm_tiny")


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("stages=layer6,layer9", PLUS.stages[1:]),
        ("stages=2", PLUS.stages[2:]),
        ("stages=[mfcc, 2]", (PLUS.stages[0], PLUS.stages[2])),
        ("stages=wavlm_tiny.mfcc,layer9", (TINY_RUN.stages[0], PLUS.stages[2])),
    ],
)
def test_stages_are_chosen_left_out_and_replaced(chosen: str, expected: tuple) -> None:
    assert compose("wavlm_base_plus", [chosen]) == replace(PLUS, stages=expected)


def test_chosen_stages_are_changed_by_name_and_by_their_new_number(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("stages: {layer9: {training: {steps: 7}}}")
    words = ["stages.0.training.lr=1e-5", str(tmp_path / "run.yaml"), "stages=layer9"]
    (stage,) = compose("wavlm_base_plus", words).stages
    assert (stage.name, stage.training.steps, stage.training.lr) == ("layer9", 7, 1e-5)


@pytest.mark.parametrize(
    ("chosen", "error", "message"),
    [
        ("stages=layer7", UnknownName, "'layer6'"),
        ("stages=7", UnknownName, "'7'"),
        ("stages=wavlm_huge.mfcc", UnknownName, "pretraining recipe"),
        ("stages=", ConfigurationError, "names of the stages"),
        ("stages=mfcc,", ConfigurationError, "names of the stages"),
        ("stages=mfcc,mfcc", ConfigurationError, "folder of its own"),
    ],
)
def test_stages_that_are_not_there_are_refused(chosen: str, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        compose("wavlm_base_plus", [chosen])


def test_a_type_chooses_among_settings_with_its_defaults() -> None:
    first, second = compose(
        "wavlm_tiny",
        [
            "stages.mfcc.training.schedule.type=Cosine",
            "stages.mfcc.training.schedule.warmup=0.2",
            "stages.layer5.objective.targets.type=MFCCTargets",
            "stages.layer5.objective.targets.num_clusters=9",
        ],
    ).stages
    assert first.training.schedule == Cosine(warmup=0.2)
    assert second.objective == replace(TINY_RUN.stages[1].objective, targets=MFCCTargets(num_clusters=9))
    same = compose("wavlm_tiny", ["stages.mfcc.objective.targets.type=MFCCTargets"])
    assert same == TINY_RUN  # the type that it has already keeps its settings
    with pytest.raises(ConfigurationError, match=r"LayerTargets, MFCCTargets, RandomProjectionTargets"):
        compose("wavlm_tiny", ["stages.mfcc.objective.targets.type=Layer"])
    with pytest.raises(ConfigurationError, match="Known here: Batching"):
        compose("wavlm_tiny", ["stages.mfcc.batching.type=Mixing"])


def test_a_checkpoint_gives_its_configuration(tmp_path: Path) -> None:
    config = HuBERTConfig(**TINY, layer_norm_eps=1e-4)
    save_pretrained(build(config), tmp_path)
    run = compose("adapt", [f"model={tmp_path}", "model.layerdrop=0.25"])
    assert run.model == replace(config, layerdrop=0.25)
    assert run.initial_model == str(tmp_path)
    assert isinstance(run.stages[0].objective, MaskedPredictionConfig)


def refused(*changes: str, recipe: str = "wavlm_tiny") -> str:
    with pytest.raises(ConfigurationError) as caught:
        check(compose(recipe, ["data=here", *changes]))
    return str(caught.value)


def test_a_model_before_the_first_stage_that_is_missing_or_not_used_is_refused() -> None:
    shipped = "model=sonant/wavlm-tiny"
    assert "teacher=MODEL gives targets; model=MODEL" in refused("stages=layer5")
    assert "model=MODEL is trained further" in refused(recipe="adapt")
    assert "would not be used" in refused("teacher=sonant/wavlm-tiny")
    assert "stages=layer5" in refused("teacher=sonant/wavlm-tiny")
    assert "stages.mfcc.start=previous" in refused(shipped)
    assert "would not be used" in refused(
        shipped, "stages.mfcc.start=previous", "teacher=sonant/wavlm-tiny", "stages.mfcc.extractor_steps=0"
    )
    check(compose("wavlm_tiny", ["data=here", "stages=layer5", "teacher=sonant/wavlm-tiny"]))
    check(compose("wavlm_tiny", ["data=here", "stages=layer5", shipped]))
    check(compose("wavlm_tiny", ["data=here", "stages=layer5", shipped, "teacher=sonant/wavlm-tiny"]))
