"""Printing of what an inspection of a pretraining run found."""

from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from sonant.cli.console import make_console, print_parts
from sonant.cli.run_plan import duration_text, run_table
from sonant.training.inspection import Inspection
from sonant.training.stage_forecast import StageForecast


def print_inspection(inspection: Inspection, device: str) -> None:
    """Print the data, the batches, the disk space and the duration of a run, and its problems."""
    headers = inspection.headers
    hours = f"{'about ' if headers.num_unknown else ''}{inspection.hours:,.1f} h"
    data = [
        ("recordings", f"{inspection.recordings:,}, {hours}; {headers.num_read:,} headers read"),
        ("decoding", f"{duration_text(inspection.decoding_hours)} on one core, by some of them"),
        ("disk", f"{sum(inspection.disk.values()) / 1e9:,.1f} GB, with {inspection.disk_free / 1e9:,.1f} GB free"),
        *((f"  {purpose}", f"{size / 1e9:,.1f} GB") for purpose, size in inspection.disk.items() if size),
    ]
    parts: list[RenderableType] = ["", run_table(("the data", ""), data), ""]
    titles = ("stage", "an epoch", "filled", "audio used", "epochs", "a step", "range", f"the stage on {device}")
    parts += [run_table(titles, [_row(stage) for stage in inspection.stages], right=(1, 2, 3, 4, 5, 6, 7)), ""]
    for stage in inspection.stages:
        parts.append(Text(f"  {stage.name}: {_how(stage)}", style="dim"))
    parts.append(Text(f"  {NOT_COUNTED}", style="dim"))
    parts += [Text(f"warning: {each}", style="yellow") for each in inspection.warnings]
    parts += [Text(f"problem: {each}", style="red") for each in inspection.problems]
    parts.append("Nothing was written." if inspection.problems else "The run can start. Nothing was written.")
    print_parts(make_console(), parts)


NOT_COUNTED = (
    "Not counted: the fitting of clusters, the initial training of the extractor, waiting for data, and evaluation. A "
    "longer batch than measured is scaled by operations; a machine that is busy now, or busier then, changes the times."
)


def as_data(inspection: Inspection) -> dict[str, Any]:
    """Return an inspection as plain data."""
    headers = inspection.headers
    return {
        "recordings": inspection.recordings,
        "hours": inspection.hours,
        "headers_read": headers.num_read,
        "lengths_unknown": headers.num_unknown,
        "unreadable": headers.unreadable,
        "decoding_hours": inspection.decoding_hours,
        "disk": inspection.disk,
        "disk_free": inspection.disk_free,
        "stages": [
            asdict(stage) | {"hours": stage.hours(stage.step.expected) if stage.step else None}
            for stage in inspection.stages
        ],
        "problems": list(inspection.problems),
        "warnings": list(inspection.warnings),
    }


def _row(stage: StageForecast) -> tuple[str, ...]:
    if not stage.batches:
        return (stage.name, *[""] * 7)
    batches = (f"{stage.batches:,} batches", f"{stage.filled:.0%}", f"{stage.used:.0%}", f"{stage.epochs:,.1f}")
    if stage.step is None:
        return (stage.name, *batches, "", "", "")
    step = stage.step
    low, high = (duration_text(stage.hours(each)) for each in (step.lowest, step.highest))
    return (
        stage.name,
        *batches,
        f"{step.expected:,.2f} s",
        f"{step.lowest:,.2f} to {step.highest:,.2f} s",
        f"{low} to {high}",
    )


def _how(stage: StageForecast) -> str:
    if stage.step is None:
        return f"not measured: {stage.not_measured}."
    step = stage.step
    targets = f"; {duration_text(stage.target_hours)} of it for labels" if stage.target_hours else ""
    return f"measured on {step.measured_audio:.1f} of {step.batch_audio:.1f} s of audio, as noise{targets}."
