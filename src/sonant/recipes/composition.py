"""Pretraining runs put together from a recipe, a checkpoint, stages of recipes and changed settings."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sonant.checkpoints import load_checkpoint
from sonant.errors import ConfigurationError, UnknownName
from sonant.recipes import adapt, pretraining_recipe
from sonant.recipes.overrides import override, read_change
from sonant.training.runs import PretrainingRun, Stage, completed


def compose(recipe: str, changes: Iterable[str]) -> PretrainingRun:
    """Make the run of a recipe with changes, each `dotted.key=value` or the path of a YAML file.

    Two keys are more than settings, and are applied before all others:

        model=SOURCE        a checkpoint, whose configuration becomes the run's and whose weights are its start
        stages=NAME,...     the stages to carry out, in this order, by name or number; RECIPE.NAME is one of another
                            recipe

    Raises:
        ConfigurationError: an unknown key, or an invalid value.
        UnknownName: an unknown recipe or stage.
        CheckpointError: the checkpoint cannot be read.
        ManifestError: label files cannot be read.
    """
    nested, chosen, source = [], list[Any](), ""
    for change in map(read_change, changes):
        rest = dict(change)
        if "stages" in rest and not isinstance(rest["stages"], Mapping):
            chosen = [rest.pop("stages")]
        if isinstance(rest.get("model"), str):
            source = rest.pop("model")
        nested.append(rest)
    run = pretraining_recipe(recipe)
    if source:
        checkpoint = load_checkpoint(source)
        if recipe == "adapt":
            run = adapt.recipe(checkpoint.config, checkpoint.heads.get("pretraining"))
        run = replace(run, model=checkpoint.config, initial_model=source)
    for names in chosen:  # those of the last change, if any
        run = replace(run, stages=tuple(_stage(run, name) for name in _names(names)))
    return completed(override(run, nested))


def _names(chosen: Any) -> list[str]:
    """Return the names in a value of `stages`: a list of names or numbers, or one of them."""
    names = [str(name) for name in (chosen if isinstance(chosen, list) else [chosen])]
    if chosen is None or not all(names) or not names:
        raise ConfigurationError(
            f"stages={chosen!r} was given; expected the names of the stages to carry out, such as stages=layer6 or "
            "stages=mfcc,layer6."
        )
    return names


def _stage(run: PretrainingRun, name: str) -> Stage:
    """Return a stage by its name or number, or by RECIPE.NAME."""
    recipe, dot, inside = name.partition(".")
    if dot:
        return _stage(pretraining_recipe(recipe), inside)
    known = {stage.name: stage for stage in run.stages}
    if name.isdigit() and int(name) < len(run.stages):
        return run.stages[int(name)]
    if name not in known:
        raise UnknownName(f"stage of {run.name}", name, known)
    return known[name]
