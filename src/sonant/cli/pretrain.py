"""`sonant pretrain`: train a model on raw speech, without labels."""

from typing import TYPE_CHECKING, Any

from sonant.recipes import PRETRAINING

if TYPE_CHECKING:
    from sonant.training.runs import PretrainingRun


def pretrain(recipe: str, *overrides: str, dry_run: bool = False, sources: bool = False, json_: bool = False) -> int:
    """Train a model on raw speech, without labels.

    The run makes its own targets, trains stage after stage, and goes on where it left off when it is called again with
    the same settings. Settings of the recipe are changed by dotted key=value pairs or a YAML file of them. Several
    processes, such as one for each GPU, are started by torchrun --nproc-per-node N -m sonant pretrain ...

    Args:
        recipe (RECIPE): name of the run: {recipes}. adapt goes on with the model that model=MODEL names.
        overrides (KEY=VALUE): settings to change, such as data=PATH, device=cuda or stages.0.training.steps=1000.
            stages=NAME,... carries out these stages alone; model=MODEL takes over a checkpoint (hub id, folder, file).
        dry_run: print what would be trained, for how long and at what cost, and stop. With data= the recordings are
            looked at, batches planned, and some steps measured, in about a minute; nothing is written. The exit code is
            1 if the run would fail, or lose recordings.
        sources: print where the value of every setting is from (paper, released code, our choice), and stop.
        json_: print the folder of the pretrained model as JSON; with --dry-run every setting, and the cost; with
            --sources every setting and its source.

    Examples:
        sonant pretrain wavlm_tiny data=corpus
        sonant pretrain wavlm_base data=corpus device=cuda output=runs/base stages.0.training.grad_accumulation=8
        sonant pretrain adapt model=microsoft/wavlm-base-plus data=recordings device=cuda
        sonant pretrain wavlm_base stages=layer6 teacher=facebook/hubert-base-ls960 data=corpus
        sonant pretrain wavlm_large --dry-run
        sonant pretrain wavlm_base --sources
    """
    from sonant.cli.trained_model import print_model
    from sonant.recipes.composition import compose
    from sonant.training.pretrain import is_finished
    from sonant.training.pretrain import pretrain as carry_out
    from sonant.training.ranks import on_first, process_group

    run = compose(recipe, overrides)
    if sources:
        from sonant.cli.recipe_sources import print_sources

        print_sources(recipe, run, as_json=json_)
    elif dry_run:
        return _dry_run(recipe, run, as_json=json_)
    else:
        with process_group(run.device):
            was_finished = is_finished(run)
            folder = carry_out(run)
            on_first(lambda: print_model(folder, "pretrained", was_finished=was_finished, as_json=json_))
    return 0


pretrain.__doc__ = (pretrain.__doc__ or "").replace("{recipes}", ", ".join(PRETRAINING))


def _dry_run(recipe: str, run: "PretrainingRun", *, as_json: bool) -> int:
    """Print the plan of a run, and if it has data what an inspection finds; return the exit code."""
    from sonant.cli.dry_run import as_data, print_inspection
    from sonant.cli.json_output import print_json
    from sonant.cli.run_plan import print_plan
    from sonant.training.inspection import inspect

    if not as_json:
        print_plan(recipe, run)
    inspection = inspect(run) if run.data else None
    if as_json:
        found = {} if inspection is None else {"inspection": as_data(inspection)}
        print_json(plan(run) | found, indent=2)
    elif inspection is not None:
        print_inspection(inspection, run.device)
    return 1 if inspection is not None and inspection.problems else 0


def plan(run: "PretrainingRun") -> dict[str, Any]:
    """Return a run's settings and cost, as plain data."""
    from dataclasses import asdict

    from sonant.recipes.cost import ASSUMPTIONS, estimate, needs

    cost = estimate(run)
    return {
        "parameters": cost.parameters,
        "needs": dict(needs(run)),
        "cost": {
            "stages": [_as_data(stage) for stage in cost.stages],
            "total": _as_data(cost.total),
            "assumptions": list(ASSUMPTIONS),
        },
        **asdict(run),
    }


def _as_data(cost: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(cost) | {"gpu_hours": cost.gpu_hours, "cpu_core_hours": cost.cpu_core_hours}
