"""`sonant evaluate maeb`: models by the protocols of MAEB, on data of one's own or on the published tasks."""

import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sonant.cli.options import InferenceFlags
from sonant.errors import ConfigurationError

if TYPE_CHECKING:
    from sonant.integrations.published_maeb import PublishedRow


def evaluate_maeb(
    *,
    model: list[str],
    data: list[str] | None = None,
    layer: list[str] | None = None,
    pool: list[Literal["mean", "mean+std"]] | None = None,
    standardize: list[Literal["no", "yes"]] | None = None,
    kinds: list[Literal["classification", "clustering", "pairs"]] | None = None,
    label: str = "label",
    speaker: str = "speaker",
    output: Path = Path("maeb"),
    published: bool = False,
    tasks: list[str] | None = None,
    json: bool = False,
    options: InferenceFlags,
) -> int:
    """Measure models by the protocols of MAEB, the benchmark of sound of mteb.

    Classification learns a logistic regression from 8 clips of each label, in 10 draws, as mteb does, and equal vectors
    get equal scores. Needed are labeled recordings, neither mteb nor a network. Every layer, pooling and label is
    measured on the same states, which are computed once and kept; a stopped evaluation goes on when the command is
    given again. Intervals of 95 % are over the test recordings, by speaker where they are known.

    With --published mteb fetches and scores the 19 audio-only tasks of MAEB itself, with whole recordings instead of
    its own cut ones.

    Args:
        model (-m ID,...): hub ids, folders or files.
        data (NAME=PATH,...): labeled recordings by name: a folder with manifests called train, dev and test, what their
            names begin with before _train, or one manifest, which is divided into five folds. NAME=PATH:FIELD names the
            field of the label; a dot leads into an object.
        layer (LAYER,...): last; a number; several behind one another, 4+6; all; average; speaker, content, emotion,
            semantic, the model's presets; each, every one; best, the one that is best on dev. Without it: last.
        pool (POOL,...): mean, mean+std. Without it: mean.
        standardize (no|yes,...): scale each dimension by the clips that are learned from; no: as MAEB has it.
        kinds (KIND,...): classification; clustering (V-measure); pairs (average precision). Without it: classification.
        label (FIELD): field of the manifests with the label.
        speaker (FIELD): field with the speaker.
        output (-o FOLDER): folder of the states, results.json and results.md.
        published: measure the published tasks, by mteb.
        tasks (TASK,...): of mteb, for --published. Without it: all 19.
        json: print the results as JSON.

    Examples:
        sonant evaluate maeb -m sonant/wavlm-tiny --data emotion=emodb --layer last,best --pool mean,mean+std
        sonant evaluate maeb -m microsoft/wavlm-base,microsoft/wavlm-base-plus --data words=speech_commands --layer each
        sonant evaluate maeb -m microsoft/wavlm-base-plus --published --layer last,average -o maeb
    """
    if published == bool(data):
        raise ConfigurationError("Name data of your own, --data NAME=PATH, or give --published; not both.")
    if tasks and not published:
        raise ConfigurationError(f"--tasks {','.join(tasks)} was given; tasks of mteb are measured with --published.")
    if published:
        return _published(model, layer or ["last"], pool or ["mean"], tasks or [], output, options, json=json)
    from sonant.cli.console import make_console, plain_table, print_parts
    from sonant.cli.json_output import print_json
    from sonant.extraction.names import complaint
    from sonant.integrations import evaluate_maeb
    from sonant.integrations.maeb_report import NOTE, results_table, to_json

    done = evaluate_maeb(
        [options.load(name) for name in model],
        _named(data or []),
        layer=layer or ("last",),
        pool=pool or ("mean",),
        standardize=[each == "yes" for each in standardize or ("no",)],
        kinds=kinds or ("classification",),
        label=label,
        speaker=speaker,
        output=output,
        progress=None,
        **options.keywords(),
    )
    if json:
        print_json({"folder": str(done.folder), **to_json(done.rows, done.failures)}, indent=2)
    else:
        heads, lines = results_table(done.rows)
        table = plain_table(*heads)
        for line in lines:
            table.add_row(*line)
        print_parts(make_console(), [table, "", NOTE, str(done.folder)])
    if done.failures:
        print(f"{len(done.failures)} recordings could not be used", file=sys.stderr)
        for name, message in islice(done.failures.items(), 3):
            print("  " + complaint(name, message), file=sys.stderr)
    return 1 if done.failures else 0


def _published(
    models: Sequence[str],
    layer: Sequence[str],
    pool: Sequence[Literal["mean", "mean+std"]],
    tasks: Sequence[str],
    output: Path,
    options: InferenceFlags,
    *,
    json: bool,
) -> int:
    """Run the published tasks, and print a line for each model, layer and pooling."""
    from sonant.cli.json_output import print_json
    from sonant.integrations.published_maeb import rerun_maeb

    device = None if options.device is None else options.device[0]
    rows = rerun_maeb(models, layer=layer, pool=pool, tasks=tasks, output=output, device=device)
    if json:
        print_json({"rows": [vars(row) for row in rows]}, indent=2)
    else:
        _print_published(rows)
    failures = [(row.model, task, message) for row in rows for task, message in row.failures.items()]
    for name, task, message in failures[:3]:
        print(f"  {name}, {task}: {message.splitlines()[-1] if message else 'failed'}", file=sys.stderr)
    return 1 if failures else 0


def _print_published(rows: "Sequence[PublishedRow]") -> None:
    from sonant.cli.console import make_console, plain_table, print_parts

    tasks = list(dict.fromkeys(task for row in rows for task in row.scores))
    table = plain_table("task", *(f"{row.model} {row.layer} {row.pool}" for row in rows))
    for task in tasks:
        table.add_row(task, *(f"{row.scores[task]:.3f}" if task in row.scores else "-" for row in rows))
    table.add_row("mean", *(f"{row.mean:.3f}" for row in rows))
    print_parts(make_console(), [table])


def _named(data: Sequence[str]) -> dict[str, str]:
    """Return paths by name. Raises ConfigurationError."""
    pairs = [each.partition("=") for each in data]
    names = [name for name, _, _ in pairs]
    if len(set(names)) < len(names) or not all(name and path for name, _, path in pairs):
        raise ConfigurationError(f"--data {','.join(data)} was given; expected a path for each name, NAME=PATH.")
    return {name: path for name, _, path in pairs}
