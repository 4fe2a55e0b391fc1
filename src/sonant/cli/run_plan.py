"""The plan of a pretraining run before it starts: its objectives, duration and cost."""

import inspect
import re
from collections.abc import Sequence
from importlib import import_module

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from sonant.audio.augment import Mixing
from sonant.cli.console import make_console, plain_table, print_parts
from sonant.models.families import family_of
from sonant.pretraining import LayerTargets, MaskedPredictionConfig, ResidualLayerTargets
from sonant.pretraining.objectives import ObjectiveConfig
from sonant.recipes import PRETRAINING
from sonant.recipes.cost import ASSUMPTIONS, StageCost, estimate, needs
from sonant.training.runs import PretrainingRun, Stage
from sonant.training.schedules import Schedule, TriStage


def print_plan(recipe: str, run: PretrainingRun) -> None:
    """Print the plan of a run."""
    cost = estimate(run)
    shape = f"{run.model.num_layers} layers of {run.model.dim}, {cost.parameters / 1e6:,.1f} M parameters"
    parts: list[RenderableType] = [Text.assemble((recipe, "bold"), f"  {family_of(run.model).title}, {shape}"), ""]
    parts += [Text(inspect.getdoc(import_module(PRETRAINING[recipe])) or ""), ""]
    given = [(name, _given(run, name) or f"to be given: {wanted}") for name, wanted in needs(run)]
    parts += [run_table(("it needs", ""), [(f"{name}=", value) for name, value in given]), ""]
    learned = ("stage", "learns", "starts", "masking", "mixing", "crops", "batch")
    parts += [run_table(learned, [_what(stage) for stage in run.stages]), ""]
    costs = [(stage, each) for stage, each in zip(run.stages, cost.stages, strict=True)]
    rows = [_how_long(stage, each) for stage, each in costs]
    if len(rows) > 1:
        rows.append(("all", "", "", "", *_amounts(cost.total)))
    columns = ("stage", "steps", "peak rate", "schedule", "audio", "operations", "one GPU", "one CPU core")
    parts += [run_table(columns, rows, right=(1, 2, 4, 5, 6, 7)), ""]
    parts += [Text("Estimated:", style="dim"), *(Text(f"  {assumption}", style="dim") for assumption in ASSUMPTIONS)]
    parts += [Text("Every setting: --json.", style="dim")]
    print_parts(make_console(), parts)


def _given(run: PretrainingRun, name: str) -> str:
    value: str = getattr(run, "initial_model" if name == "model" else name)
    return value


def _what(stage: Stage) -> tuple[str, ...]:
    batching, count = stage.batching, stage.training.grad_accumulation
    batch = f"{batching.batch_seconds:g} s" if count == 1 else f"{count} x {batching.batch_seconds:g} s"
    extractor = f", extractor {stage.extractor_steps:,} steps" if stage.extractor_steps else ""
    masking = stage.objective.masking
    return (
        stage.name,
        describe(stage.objective),
        stage.start + extractor,
        "none" if masking is None else f"{masking.fraction:g}, spans of {masking.length}",
        _mixing(stage.mixing),
        f"{batching.min_seconds:g} to {batching.max_seconds:g} s",
        batch,
    )


def _how_long(stage: Stage, cost: StageCost) -> tuple[str, ...]:
    training = stage.training
    steps, rate = f"{training.steps:,}", f"{training.lr:g}"
    return stage.name, steps, rate, _schedule(training.schedule), *_amounts(cost)


def _amounts(cost: StageCost) -> tuple[str, ...]:
    return (
        f"{cost.audio_hours:,.0f} h",
        f"{cost.flops:.1e}",
        duration_text(cost.gpu_hours),
        duration_text(cost.cpu_core_hours),
    )


def describe(objective: ObjectiveConfig) -> str:
    """Describe an objective: its name, and its targets if it has any."""
    words = _in_words(type(objective).__name__.removesuffix("Config").removesuffix("Objective"))
    match objective:
        case MaskedPredictionConfig(targets=ResidualLayerTargets() as targets):
            return f"{words}: {targets.num_codebooks} x {targets.num_clusters:,} codes of layer {targets.layer}"
        case MaskedPredictionConfig(targets=LayerTargets() as targets):
            return f"{words}: {targets.num_clusters:,} clusters of layer {targets.layer}"
        case MaskedPredictionConfig(targets=targets):
            kind = _in_words(type(targets).__name__.removesuffix("Targets"))
            return f"{words}: {targets.num_clusters:,} {kind} targets"
    return words


def _in_words(name: str) -> str:
    """Split a name in camel case into words; abbreviations stay upper case."""
    words = re.findall(r"[A-Z]+(?=[A-Z][a-z]|$)|[A-Z][a-z0-9]*", name)
    return " ".join(word if len(word) > 1 and word.isupper() else word.lower() for word in words)


def _mixing(mixing: Mixing) -> str:
    if mixing.probability == 0:
        return "none"
    noise = f", {mixing.noise_probability:.0%} of it noise" if mixing.noise_probability else ""
    return f"{mixing.probability:.0%}{noise}"


def _schedule(schedule: Schedule) -> str:
    if isinstance(schedule, TriStage):
        return f"{schedule.warmup:.0%} up, {schedule.hold:.0%} hold, {schedule.decay:.0%} down"
    return f"{type(schedule).__name__.lower()}, {100 * schedule.warmup:.3g}% warm-up"


def duration_text(hours: float) -> str:
    """Format a time in the largest unit of years, h, min and s that gives at least 2."""
    for unit, length in (("years", 365 * 24.0), ("h", 1.0), ("min", 1 / 60)):
        if hours >= 2 * length:
            return f"{hours / length:,.0f} {unit}"
    return f"{hours * 3600:,.0f} s"


def run_table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: tuple[int, ...] = ()) -> Table:
    """Return a table; `right` are the numbers of the columns that are aligned to the right."""
    table = plain_table()
    for i, title in enumerate(titles):
        table.add_column(title, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
