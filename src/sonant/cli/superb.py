"""`sonant evaluate superb`: light heads over models on the tasks of SUPERB."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sonant.superb import SuperbRun


def evaluate_superb(
    *overrides: str,
    model: list[str],
    data: list[str],
    tasks: list[str] | None = None,
    ways: list[Literal["weighted", "best_layer", "last", "fine_tuned"]] | None = None,
    lr: list[float] | None = None,
    steps: int = 0,
    output: Path = Path("superb"),
    device: str = "cpu",
    seed: int = 0,
    on_error: Literal["raise", "skip"] = "raise",
    dry_run: bool = False,
    json_: bool = False,
) -> int:
    """Measure models on the tasks of SUPERB, beside the published results of wav2vec 2.0, HuBERT and WavLM.

    For each task and model a light head is trained over a learned sum of the frozen model's states, with the published
    settings, and measured on the test set with intervals of 95 %. States are computed once for all tasks that share
    recordings. An evaluation that was stopped, even killed, goes on when the command is given again; more models,
    tasks, ways and rates are added to it. The tasks are pr, asr, ks, qbe, ic, sf, er, sid, asv, sd, se, ss and st.

    Args:
        overrides (TASK.KEY=VALUE): settings of a task's training to change, such as ks.label=word.
        model (-m ID,...): hub ids, folders or files; random:ID has the shape of ID with random weights;
            mfcc, log_mel and fbank are features without weights.
        data (NAME=FOLDER,...): for each task (ks=FOLDER) a folder with manifests called train, dev and test, or for a
            corpus in its official layout (speech_commands=FOLDER) its folder; or one folder that holds such folders.
        tasks (TASK,...): tasks to train; without it all with data.
        ways (WAY,...): weighted, as in SUPERB; best_layer, each state alone; last, the output; fine_tuned, the model
            trained too. Without it: weighted.
        lr (RATE,...): learning rates to try; the best on the development set counts. Without it: that of the recipe.
        steps (N): of each training, for small data; 0: as many as published.
        output (-o FOLDER): folder of the trainings, results.md, results.json and index.html.
        device: where to train.
        seed (N): of heads, batches and random weights.
        on_error: raise lists the rows with errors and trains nothing, skip leaves them out.
        dry_run: print the trainings, check the data, and stop.
        json_: print the results as JSON.

    Examples:
        sonant evaluate superb -m sonant/wavlm-tiny --data ks=words --steps 1000 -o superb
        sonant evaluate superb -m microsoft/wavlm-base-plus,facebook/hubert-base-ls960 --data corpora --device cuda
        sonant evaluate superb -m sonant/wavlm-tiny,random:sonant/wavlm-tiny --data voxceleb1=VoxCeleb1 --tasks sid
    """
    from sonant.cli.console import make_console, plain_table, print_parts
    from sonant.cli.json_output import print_json
    from sonant.superb import SuperbRun, carry_out_superb
    from sonant.superb.report import NOTE, results_table, to_json

    run = SuperbRun(
        models=tuple(model),
        data=_named(data),
        tasks=tuple(tasks or ()),
        ways=tuple(ways or ("weighted",)),
        lr=tuple(lr or ()),
        steps=steps,
        on_error=on_error,
        changes=_by_task(overrides),
        output=str(output),
        device=device,
        seed=seed,
    )
    if dry_run:
        _print_plan(run, as_json=json_)
        return 0
    done = carry_out_superb(run)
    if json_:
        print_json({"folder": str(done.folder), **to_json(done.rows)})
        return 0
    heads, lines = results_table(done.rows)
    table = plain_table(*heads)
    for line in lines:
        table.add_row(*line)
    print_parts(make_console(), [table, "", NOTE, str(done.folder / "index.html")])
    return 0


def _named(data: list[str]) -> dict[str, str]:
    """Return folders by name; "" for one without a name. Raises ConfigurationError."""
    from sonant.errors import ConfigurationError

    pairs = [
        (name, folder) if equals else ("", name) for name, equals, folder in (each.partition("=") for each in data)
    ]
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names) or not all(folder for _, folder in pairs):
        raise ConfigurationError(f"--data {','.join(data)} was given; expected a folder for each name, NAME=FOLDER.")
    return dict(pairs)


def _by_task(overrides: tuple[str, ...]) -> dict[str, list[str]]:
    """Divide changes by the task before the first dot. Raises ConfigurationError."""
    from sonant.errors import ConfigurationError

    changes: dict[str, list[str]] = {}
    for change in overrides:
        task, dot, rest = change.partition(".")
        if not dot or "=" not in rest or "=" in task:
            raise ConfigurationError(f"{change!r} was given; expected TASK.KEY=VALUE, such as ks.label=word.")
        changes.setdefault(task, []).append(rest)
    return changes


def _print_plan(run: "SuperbRun", *, as_json: bool) -> None:
    """Check the data of a run, and print its trainings."""
    from sonant.cli.console import make_console, print_parts
    from sonant.cli.json_output import print_json
    from sonant.cli.run_plan import run_table
    from sonant.superb.run import checked_trials

    trials = [trial for of_question in checked_trials(run).values() for trial in of_question]
    rows = [(trial.name, f"{trial.run.training.steps:,}", f"{trial.run.training.lr:g}") for trial in trials]
    if as_json:
        print_json([{"training": name, "steps": steps, "lr": lr} for name, steps, lr in rows], indent=2)
        return
    print_parts(
        make_console(), [run_table(("training", "steps", "lr"), rows, right=(1, 2)), "", "Nothing was trained."]
    )
