"""Printing of what an inspection of a training on labels found."""

from dataclasses import asdict

from rich.console import RenderableType
from rich.text import Text

from sonant.cli.console import make_console, print_parts
from sonant.cli.json_output import print_json
from sonant.cli.run_plan import duration_text, run_table
from sonant.training.tasks.inspection import TaskInspection
from sonant.training.tasks.settings import TaskRun


def print_task_plan(task: str, run: TaskRun, seen: TaskInspection, *, as_json: bool) -> None:
    """Print the plan of a run, or every setting and what was found as JSON."""
    if as_json:
        print_json(asdict(run) | {"inspection": asdict(seen)}, indent=2)
        return
    step_hours = seen.step_seconds * run.training.steps / 3600
    adapters = f", LoRA of rank {run.lora.rank}" if run.lora.rank else f", frozen: {run.frozen}"
    rows = [
        ("model", f"{run.model}, {seen.parameters / 1e6:,.1f} M parameters with the head"),
        ("trained", f"{seen.trained / 1e6:,.2f} M parameters{adapters}; reads layer {run.layer}"),
        ("classes", f"{seen.classes:,}"),
        *((name, f"{seen.recordings[name]:,} recordings, {seen.hours[name]:,.2f} h") for name in seen.recordings),
        ("batches", f"{seen.batches:,} an epoch, {seen.epochs:,.1f} epochs"),
        ("a step", f"{seen.step_seconds:,.2f} s on {run.device}, as measured now"),
        ("all steps", f"{run.training.steps:,}, {duration_text(step_hours)}, without decoding and evaluation"),
    ]
    if run.uses_cache:
        rows.append(
            ("states", f"{duration_text(seen.state_hours)} before the first step, unless they are in {run.cache}")
        )
    disk = f"{sum(seen.disk.values()) / 1e9:,.2f} GB at most, with {seen.disk_free / 1e9:,.1f} GB free"
    rows += [("disk", disk), *((f"  {name}", f"{size / 1e9:,.2f} GB") for name, size in seen.disk.items() if size)]
    parts: list[RenderableType] = [Text(task, style="bold"), "", run_table(("", ""), rows), ""]
    parts += [Text(f"problem: {each}", style="red") for each in seen.problems]
    parts.append("Nothing was written." if seen.problems else "The run can start. Nothing was written.")
    print_parts(make_console(), parts)
