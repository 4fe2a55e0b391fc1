"""Every setting of every recipe has a source, and no source is of a setting that is not there."""

from dataclasses import replace

import pytest

from sonant.errors import UnknownName
from sonant.recipes import LANGUAGE_MODELS, PRETRAINING, SELF_TRAINING, TASKS, pretraining_recipe
from sonant.recipes.overrides import override
from sonant.recipes.sources import KINDS, SettingSource, grouped, recipe_of, settings, source_key, sourced, sources_of
from sonant.training.checks import check
from sonant.training.runs import PretrainingRun

RECIPES = [*PRETRAINING, *TASKS, *LANGUAGE_MODELS, *SELF_TRAINING]
TINY = [name for name in PRETRAINING if name.endswith("_tiny")]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_setting_has_a_source_and_every_source_a_setting(recipe: str) -> None:
    sources = sources_of(recipe)
    keys = {name: source_key(name, sources) for name in settings(recipe_of(recipe))}
    assert [name for name, key in keys.items() if key is None] == []
    assert set(sources) - set(keys.values()) == set(), "of no setting, or all of its settings have a closer source"
    assert {source.kind for source in sources.values()} <= set(KINDS) - {"given"}
    assert all(source.where for source in sources.values())


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_alternative_can_be_had_and_changes_what_it_stands_beside(recipe: str) -> None:
    run = recipe_of(recipe)
    if isinstance(run, PretrainingRun):
        run = replace(run, data="corpus", noise="noises", teacher="model" if run.stages[0].needs_previous else "")
    for key, source in sources_of(recipe).items():
        assert bool(source.changes) <= bool(source.otherwise), key
        if source.changes:
            other = override(run, source.changes)
            if isinstance(other, PretrainingRun):
                check(other)
            given = [row.name for row in sourced(recipe, other) if row.source.kind == "given"]
            assert sorted(given) == sorted(change.partition("=")[0] for change in source.changes)
            assert any(source_key(name, {key: source}) for name in given), key


def test_the_longest_name_counts_and_a_stage_before_all() -> None:
    sources = {
        name: SettingSource("ours", name) for name in ("stages.*", "stages.*.training.lr", "stages.a.training", "x")
    }
    expected = {
        "stages.a.training.steps": "stages.a.training",
        "stages.a.training.lr": "stages.*.training.lr",
        "stages.b.training.steps": "stages.*",
        "stages.ab.training.steps": "stages.*",
        "model.dim": None,
    }
    assert {name: source_key(name, sources) for name in expected} == expected
    assert source_key("stages.a.lr", {"stages.*.lr": sources["x"], "stages.a.lr": sources["x"]}) == "stages.a.lr"


def test_a_changed_setting_is_given_and_not_the_recipes() -> None:
    changes = ["stages.layer6.training.grad_accumulation=8", "model.dim=384"]
    rows = {row.name: row for row in sourced("wavlm_base", override(pretraining_recipe("wavlm_base"), changes))}
    given = {name: row.source.where for name, row in rows.items() if row.source.kind == "given"}
    assert given == {
        "model.dim": "the recipe has 768",
        "stages.layer6.training.grad_accumulation": "the recipe has 32",
    }
    assert rows["stages.mfcc.training.grad_accumulation"].source.kind == "released"


def test_settings_of_several_stages_are_said_once() -> None:
    values = {key: said for key, said, _ in grouped(sourced("hubert_base", pretraining_recipe("hubert_base")))}
    assert values["stages.*.training.grad_accumulation"] == "32"
    assert values["stages.mfcc.training.steps"] == "250,000"
    values = {key: said for key, said, _ in grouped(sourced("wavlm_tiny", pretraining_recipe("wavlm_tiny")))}
    assert set(values) == {"model", "stages"}


@pytest.mark.parametrize("recipe", TINY)
def test_small_recipes_are_ours(recipe: str) -> None:
    assert {source.kind for source in sources_of(recipe).values()} == {"ours"}


def test_an_unknown_recipe_has_no_sources() -> None:
    with pytest.raises(UnknownName, match="wavlm_lagre"):
        sources_of("wavlm_lagre")
