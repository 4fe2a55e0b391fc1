"""Writes the tables of recipes.md, the sources of every setting, at every build: none can be out of date."""

from pathlib import Path

from sonant.models.families import family_of
from sonant.recipes import (
    PRETRAINING,
    TASKS,
    language_model_recipe,
    pretraining_recipe,
    self_training_recipe,
    task_recipe,
)
from sonant.recipes.sources import KINDS, SettingSource, SourcedSetting, grouped, sourced
from sonant.training.runs import Stage


def write_tables(path: Path) -> None:
    """Write the kinds of sources, an overview, and a table of sources for each recipe, for recipes.md to include."""
    path.write_text(tables(), encoding="utf-8")


def tables() -> str:
    """Return what `write_tables` writes."""
    published = [name for name in PRETRAINING if not name.endswith("_tiny")]
    parts = ["## Overview", overview(published), "The small recipes (`*_tiny`) are ours in every setting."]
    for name in published:
        parts += [f"## `{name}`", table(grouped(sourced(name, pretraining_recipe(name))))]
    large_lm = language_model_recipe("transformer_lm_large")
    published = [name for name in TASKS if "_" in name]
    parts += ["## Training on labels", task_overview(published)]
    for name in published:
        parts += [f"## `{name}`", table(grouped(sourced(name, task_recipe(name))))]
    parts += ["## Language models", "The recipe `transformer_lm` is ours in every setting."]
    parts += ["## `transformer_lm_large`", table(grouped(sourced("transformer_lm_large", large_lm)))]
    name = "self_training_large_10min"
    others = (
        "The runs for other amounts differ in `fine_tuning`, the weights of the decoder and the number of subwords."
    )
    parts += ["## Self-training", f"The recipe `self_training` is ours in every setting. {others}"]
    parts += [f"## `{name}`", table(grouped(sourced(name, self_training_recipe(name))))]
    return "\n\n".join(["## Kinds of sources", kinds(), *parts]) + "\n"


def task_overview(names: list[str]) -> str:
    """Write a table of the published runs of training on labels."""
    rows = ["| recipe | updates | head alone | speech an update | lr |", "|---|--:|--:|--:|--:|"]
    for name in names:
        run = task_recipe(name)
        training = run.training
        alone = max((part.frozen_steps for part in training.parts), default=0)
        minutes = run.batching.batch_seconds * training.grad_accumulation / 60
        rows.append(f"| [`{name}`](#{name}) | {training.steps:,} | {alone:,} | {minutes:.1f} min | {training.lr:g} |")
    ours = ", ".join(f"`{name}`" for name in TASKS if name not in names)
    return "\n".join(
        [
            *rows,
            "",
            f"{ours} are ours, but for what `--sources` tells.",
        ]
    )


def kinds() -> str:
    """List the kinds of sources."""
    return "\n".join(f"- **{kind}**: {means}" for kind, means in KINDS.items() if kind != "given")


def overview(names: list[str]) -> str:
    """Write a table of the recipes: stages, batches, and how many settings are of each kind of source."""
    names_of_kinds = [kind for kind in KINDS if kind != "given"]
    rows = [
        f"| recipe | model | updates | speech an update | {' | '.join(names_of_kinds)} |",
        f"|---|---|--:|--:|{'--:|' * len(names_of_kinds)}",
    ]
    for name in names:
        run = pretraining_recipe(name)
        counts = [sum(row.source.kind == kind for row in stage_rows(sourced(name, run))) for kind in names_of_kinds]
        cells = [
            f"[`{name}`](#{name})",
            family_of(run.model).title,
            " + ".join(f"{stage.training.steps:,}" for stage in run.stages),
            " + ".join(dict.fromkeys(map(speech, run.stages))),
            *map(str, counts),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, "", "The last columns count the settings of the stages, without those of the model."])


def stage_rows(rows: list[SourcedSetting]) -> list[SourcedSetting]:
    """Leave out the rows of the model."""
    return [row for row in rows if row.name.startswith("stages.")]


def speech(stage: Stage) -> str:
    """Write the speech of an update."""
    return f"{stage.batching.batch_seconds * stage.training.grad_accumulation / 60:.1f} min"


def table(rows: list[tuple[str, str, SettingSource]]) -> str:
    """Write the settings of a recipe with their sources."""
    lines = ["| setting | value | source | where |", "|---|---|---|---|"]
    for key, values, source in rows:
        lines.append(f"| `{key}` | {values} | {source.kind} | {where(source)} |")
    return "\n".join(lines)


def where(source: SettingSource) -> str:
    """Write what a source says, and what another one says."""
    text = source.where
    if source.otherwise:
        text += f". *Otherwise*: {source.otherwise}"
    if source.changes:
        text += f" (`{' '.join(source.changes)}`)"
    return text
