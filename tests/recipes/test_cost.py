"""What a run costs: the same numbers by hand, for the published base and for what is special."""

from dataclasses import replace

import pytest

from sonant.errors import ConfigurationError
from sonant.models.families import family_of
from sonant.pretraining import MaskedTokensConfig
from sonant.pretraining.flops import masked_share
from sonant.recipes import PRETRAINING, pretraining_recipe
from sonant.recipes.cost import CPU_FLOPS, GPU_FLOPS, UTILIZATION, StageCost, estimate, needs
from sonant.recipes.overrides import override


@pytest.mark.parametrize("name", PRETRAINING)
def test_every_recipe_has_a_cost(name: str):
    run = pretraining_recipe(name)
    cost = estimate(run)
    assert [stage.name for stage in cost.stages] == [stage.name for stage in run.stages]
    for stage in (*cost.stages, cost.total):
        assert stage.flops > 0
        assert stage.audio_hours > 0
        assert stage.gpu_hours < stage.cpu_core_hours
    assert cost.total.flops == pytest.approx(sum(stage.flops for stage in cost.stages))


def test_the_first_stage_of_wavlm_base_by_hand():
    """Thirty-two batches of 87.5 s, 250,000 times, in clips of 15.625 s; a base model costs 14 GFLOP a second or so."""
    run = pretraining_recipe("wavlm_base")
    cost = estimate(run)
    assert cost.parameters == 94_381_936
    seconds = 250_000 * 32 * 87.5
    assert cost.stages[0].audio_hours == pytest.approx(seconds / 3600)
    forward = family_of(run.model).shape.flops(run.model, 250_000).total / 15.625
    assert 14e9 < forward < 17e9
    objective = 2 * 50 * (768 * 256 + 256 * 100)  # every frame projected and compared with a hundred labels
    flops = 3 * (forward + objective) * seconds
    assert cost.stages[0].flops == pytest.approx(flops, rel=1e-6)
    assert cost.stages[0].gpu_hours == pytest.approx(flops / 160e12 / 3600, rel=1e-6)


def test_hours_follow_from_operations():
    cost = StageCost("", 0.0, 3600e12)
    assert cost.gpu_hours == pytest.approx(1e12 / (GPU_FLOPS * UTILIZATION))
    assert cost.cpu_core_hours == pytest.approx(1e12 / CPU_FLOPS)


def test_a_start_of_the_extractor_costs_the_extractor_alone():
    run = pretraining_recipe("wavlm_tiny")
    without = override(run, ["stages.0.extractor_steps=0"])
    extractor = family_of(run.model).shape.flops(run.model, 6 * 16_000).extractor / 6
    more = estimate(run).stages[0].flops - estimate(without).stages[0].flops
    assert more == pytest.approx(3 * 600 * 16 * extractor)
    later = replace(run, stages=(replace(run.stages[0], start="previous"),))  # which makes no start
    assert estimate(later).stages[0].flops == estimate(without).stages[0].flops


def test_codes_are_made_before_training_not_in_it():
    run = pretraining_recipe("discrete_bert_base")
    (stage,) = run.stages
    seconds = stage.batching.max_seconds
    context = family_of(run.model).shape.flops(run.model, round(seconds * 16_000)).context / seconds
    masked = 100 * masked_share(stage.objective.masking)
    head = 2 * masked * (768 * 768 + 768 * run.model.vocabulary_size)
    flops = estimate(run).stages[0].flops
    expected = 3 * (context + head) * stage.training.steps * 128 * stage.batching.batch_seconds
    assert flops == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", [name for name in PRETRAINING if not name.endswith("_tiny")])
def test_the_objective_is_a_small_part_of_a_published_run(name: str):
    """If not, something is counted wrongly: the heaviest is CPC, which has a map for every step."""
    run = pretraining_recipe(name)
    for stage, cost in zip(run.stages, estimate(run).stages, strict=True):
        frames = round(stage.batching.batch_seconds * run.model.sampling_rate / run.model.stride)
        masked = round(frames * masked_share(getattr(stage.objective, "masking", None)))
        objective = stage.setup.flops(stage.objective, run.model, frames, masked)
        assert 3 * objective * stage.training.steps * stage.training.grad_accumulation < 0.1 * cost.flops


def test_a_run_says_what_must_be_given():
    assert list(dict(needs(pretraining_recipe("wavlm_base")))) == ["data"]
    assert list(dict(needs(pretraining_recipe("wavlm_base_plus")))) == ["data", "noise"]
    assert list(dict(needs(pretraining_recipe("wavlm_large")))) == ["data", "noise", "teacher"]
    assert "vq-wav2vec" in dict(needs(pretraining_recipe("discrete_bert_base")))["teacher"]
    reverberant = override(pretraining_recipe("wavlm_base"), ["stages.layer6.batching.reverb_probability=0.1"])
    assert list(dict(needs(reverberant))) == ["data", "impulse_responses"]


def test_an_objective_for_another_model_is_refused():
    run = pretraining_recipe("wavlm_tiny")
    stage = replace(run.stages[0], objective=MaskedTokensConfig())
    with pytest.raises(ConfigurationError, match="masked tokens works on a discrete BERT"):
        estimate(replace(run, stages=(stage,)))
