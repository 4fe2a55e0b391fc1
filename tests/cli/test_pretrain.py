"""`sonant pretrain`: what it says before it trains."""

import json
import re

import pytest

from sonant.cli import main
from sonant.recipes import PRETRAINING, pretraining_recipe
from tests.training.corpus import write_corpus


def answer(capsys, *arguments: str) -> str:
    assert main(["pretrain", *arguments]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    return shown.out


@pytest.mark.parametrize("recipe", PRETRAINING)
def test_every_recipe_shows_its_plan(recipe: str, capsys):
    shown = answer(capsys, recipe, "--dry-run")
    run = pretraining_recipe(recipe)
    lines = shown.splitlines()
    assert lines[0].startswith(f"{recipe}  ")
    assert "M parameters" in lines[0]
    assert "data=" in shown
    for stage in run.stages:
        what, how_long = (line for line in lines if line.split()[:1] == [stage.name])
        assert f"{stage.batching.batch_seconds:g} s" in what
        assert f"{stage.training.steps:,}" in how_long
        assert f"{stage.training.lr:g}" in how_long
    assert "TFLOP/s" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("recipe", PRETRAINING)
def test_every_recipe_has_a_plan_as_json(recipe: str, capsys):
    plan = json.loads(answer(capsys, recipe, "--dry-run", "--json"))
    run = pretraining_recipe(recipe)
    assert plan["name"] == run.name
    assert plan["parameters"] > 1e6
    assert [stage["name"] for stage in plan["stages"]] == [stage.name for stage in run.stages]
    assert [stage["name"] for stage in plan["cost"]["stages"]] == [stage.name for stage in run.stages]
    assert plan["cost"]["total"]["flops"] > 0
    assert plan["cost"]["assumptions"]
    assert "data" in plan["needs"]
    assert plan["stages"][0]["training"]["steps"] == run.stages[0].training.steps


def test_a_recipe_shows_its_sources_and_what_was_changed(capsys):
    shown = answer(capsys, "wavlm_base", "stages.mfcc.training.steps=10", "--sources")
    lines = shown.splitlines()
    heading = lines.index("stages.layer6.training.grad_accumulation  32")
    assert "to follow it: stages.layer6.training.grad_accumulation=128" in lines[heading + 2]
    assert lines[lines.index("stages.mfcc.training.steps  10") + 1] == "  given: the recipe has 250,000"
    assert "recalled: attributed to" in shown


def test_sources_as_json_name_every_setting(capsys):
    shown = json.loads(answer(capsys, "hubert_xlarge", "--sources", "--json"))
    assert shown["stages.layer9.training.lr"]["value"] == 0.003
    assert shown["stages.layer9.training.lr"]["kind"] == "released"
    assert "hubert_xlarge_librivox.yaml" in shown["stages.layer9.training.lr"]["where"]
    assert "model.dim" in shown


@pytest.mark.parametrize("width", [100, 140])
def test_a_plan_fits_the_terminal(width: int, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))

    for recipe in ("wavlm_base_plus", "discrete_bert_base"):
        shown = re.sub(r"\x1b\[[0-9;]*m", "", answer(capsys, recipe, "--dry-run"))
        assert max(map(len, shown.splitlines())) <= width


def test_a_plan_tells_of_the_changes(capsys):
    shown = answer(capsys, "wavlm_base", "noise=noises", "stages.mfcc.training.steps=25000", "--dry-run")
    assert "to be given" in next(line for line in shown.splitlines() if line.startswith("data="))
    first, second, total = (
        next(line for line in shown.splitlines() if line.startswith(name) and "e+" in line)
        for name in ("mfcc", "layer6", "all")
    )
    assert "19,444 h" in first
    assert "311,111 h" in second
    assert "330,556 h" in total


FEW = ("stages.mfcc.training.steps=10", "stages.layer5.training.steps=10", "stages.mfcc.training.grad_accumulation=1")
SMALL = ("model.num_layers=1", "model.feed_forward_dim=32", "stages.layer5.objective.targets.layer=1")


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    monkeypatch.setattr("sonant.training.step_time.REPETITIONS", 1)
    return write_corpus(tmp_path / "speech", [160_000] * 12)


def test_a_dry_run_with_data_looks_at_it_and_measures_steps(corpus, tmp_path, capsys):
    arguments = ("wavlm_tiny", f"data={corpus}", f"output={tmp_path / 'runs'}", *FEW, *SMALL, "--dry-run")
    shown = answer(capsys, *arguments)
    assert "12, 0.0 h; 12 headers read" in shown
    assert "measured on " in shown
    assert shown.splitlines()[-1] == "The run can start. Nothing was written."
    said = json.loads(answer(capsys, *arguments, "--json"))["inspection"]
    assert said["problems"] == []
    assert said["stages"][0]["step"]["lowest"] > 0
    assert said["stages"][0]["hours"] > 0
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_of_a_run_with_problems_ends_with_1_and_of_a_wrong_one_with_2(corpus, capsys):
    (corpus / "3.wav").write_bytes(b"no audio")
    arguments = ["pretrain", "wavlm_tiny", f"data={corpus}", *FEW, *SMALL, "--dry-run"]
    assert main(arguments) == 1
    shown = capsys.readouterr().out
    assert "problem: " in shown
    assert shown.splitlines()[-1] == "Nothing was written."
    assert main([*arguments, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["inspection"]["problems"]
    assert main([*arguments, "stages.layer5.mixing.noise_probability=0.5"]) == 2
    assert "noise=PATH" in capsys.readouterr().err


def test_help_names_every_recipe(capsys):
    shown = answer(capsys, "--help").replace(",", " ").replace(".", " ").split()
    assert set(PRETRAINING) <= set(shown)


def test_an_unknown_recipe_suggests_near_ones(capsys):
    assert main(["pretrain", "wavlm_lagre", "--dry-run"]) == 2
    assert "'wavlm_large'" in capsys.readouterr().err.partition("Known:")[0]
