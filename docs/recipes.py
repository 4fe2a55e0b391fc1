"""Writes recipes.md, recipes with the sources of their settings.  `python docs/recipes.py`; a test holds it current."""

from pathlib import Path

from sonant.models.families import family_of
from sonant.recipes import PRETRAINING, pretraining_recipe
from sonant.recipes.sources import KINDS, SettingSource, SourcedSetting, grouped, sourced
from sonant.training.runs import Stage

PAGE = Path(__file__).parent / "recipes.md"

INTRODUCTION = """\
# Recipes and their sources

Every setting of every recipe, and where its value is from, as `sonant pretrain RECIPE --sources` prints it. In the tables `*` stands for every stage, and a longer name counts before a shorter one: `stages.*.training.lr` is not of the source of `stages.*`.

{kinds}

*Otherwise* is what another source says, with the settings that make the recipe follow it, to be appended to the command:

```console
$ sonant pretrain wavlm_base data=recordings stages.layer6.training.grad_accumulation=128
```

What no setting can change, and differs from the originals in all recipes:

- Label embeddings and code vectors start from a normal distribution; fairseq draws them from 0 to 1, where all lie close together.
- There are as many classes as clusters; fairseq's dictionaries add four symbols, so that the published heads have 504 rows for 500 clusters.
- Models that want normalized waveforms normalize each clip as they get it, after cropping and mixing; fairseq normalizes whole recordings before, and mixed clips again.

None of the published runs has been repeated here.

## Overview

{overview}

The small recipes (`*_tiny`) are ours in every setting: for a short run on a CPU.
"""  # noqa: E501


def page() -> str:
    """Write the page."""
    published = [name for name in PRETRAINING if not name.endswith("_tiny")]
    kinds = "\n".join(f"- **{kind}**: {means}" for kind, means in KINDS.items() if kind != "given")
    parts = [INTRODUCTION.format(kinds=kinds, overview=overview(published))]
    for name in published:
        run = pretraining_recipe(name)
        rows = grouped(sourced(name, run))
        parts.append(f"## `{name}`\n\n{table(rows)}\n")
    return "\n".join(parts)


def overview(names: list[str]) -> str:
    """Write a table of the recipes: stages, batches, and how many settings are of each kind of source."""
    kinds = [kind for kind in KINDS if kind != "given"]
    rows = [
        f"| recipe | model | updates | speech an update | {' | '.join(kinds)} |",
        f"|---|---|--:|--:|{'--:|' * len(kinds)}",
    ]
    for name in names:
        run = pretraining_recipe(name)
        counts = [sum(row.source.kind == kind for row in stage_rows(sourced(name, run))) for kind in kinds]
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


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
