"""`sonant self-train`: train on recordings with and without transcripts."""

import sys
from typing import TYPE_CHECKING, Any

from sonant.recipes import SELF_TRAINING

if TYPE_CHECKING:
    from sonant.training.self_training import SelfTrainingRun


def self_train(recipe: str, *overrides: str, dry_run: bool = False, sources: bool = False, json_: bool = False) -> int:
    """Train on recordings with transcripts and on more recordings without.

    A model that is trained on the transcripts (the teacher) labels the other recordings by a beam search with a
    language model, and final models learn from both: the pretrained model with a CTC head, and a sequence to sequence
    model with fresh weights. The run goes on where it left off when it is called again with the same settings.

    Args:
        recipe (RECIPE): self_training, for data of your own, or a published run: {recipes}.
        overrides (KEY=VALUE): settings to change. model=MODEL (hub id, folder, file), data=MANIFEST and
            unlabeled=MANIFEST (or a folder of recordings) are needed; dev=MANIFEST tunes the decoder and chooses the
            best weights, and test=MANIFEST is measured. stages=NAME,... carries out these stages alone.
        dry_run: print what would be done, and stop. Manifests are read and the recordings counted; nothing is written.
        sources: print where the value of every setting is from (paper, released code, our choice), and stop.
        json_: print the results as JSON; with --dry-run every setting and what was found; with --sources every setting
            and its source.

    Examples:
        sonant self-train self_training model=facebook/wav2vec2-base data=train.jsonl unlabeled=talks dev=dev.jsonl
        sonant self-train self_training teacher=runs/ctc/model data=train.jsonl unlabeled=more.jsonl final=seq2seq
        sonant self-train self_training_large_10min --sources
    """
    from sonant.cli.json_output import print_json
    from sonant.recipes.self_training import self_training_run
    from sonant.self_training import carry_out_self_training
    from sonant.self_training.plan import WHAT
    from sonant.training.ranks import on_first, process_group

    run = self_training_run(recipe, overrides)
    if sources:
        from sonant.cli.recipe_sources import print_sources

        print_sources(recipe, run, as_json=json_)
    elif dry_run:
        _print_plan(recipe, run, as_json=json_)
    else:
        with process_group(run.device):
            done = carry_out_self_training(
                run, on_stage=lambda stage: print(f"{stage}: {WHAT[stage](run)}", file=sys.stderr)
            )
            facts = {"folder": str(done.folder), "models": {name: str(path) for name, path in done.models.items()}}
            on_first(lambda: print_json({**facts, "stages": done.results}) if json_ else _print_results(done.results))
    return 0


self_train.__doc__ = (self_train.__doc__ or "").replace("{recipes}", ", ".join(list(SELF_TRAINING)[1:]))


def _print_results(results: Any) -> None:
    """Print what each stage did, the texts by confidence, and the models."""
    from sonant.cli.console import make_console, print_parts
    from sonant.cli.run_plan import run_table
    from sonant.self_training.pseudo_labels import histogram_text

    rows = [(stage, each["did"], each["found"], f"{each['seconds']:,.0f}") for stage, each in results.items()]
    parts: list[Any] = [run_table(("stage", "did", "result", "seconds"), rows, right=(3,))]
    if "selection" in results:
        parts += ["", "confidence        kept  left out", *histogram_text(results["selection"]["confidence"])]
    print_parts(make_console(), parts)


def _print_plan(recipe: str, run: "SelfTrainingRun", *, as_json: bool) -> None:
    """Print the stages of a run, and its recordings if they are named."""
    from sonant.cli.console import make_console, print_parts
    from sonant.cli.json_output import print_json
    from sonant.cli.run_plan import run_table
    from sonant.data.settings import json_values
    from sonant.self_training.plan import plan, recordings

    counts = recordings(run)
    steps = plan(run)
    if as_json:
        print_json(json_values(run) | {"planned": dict(steps), "recordings": counts}, indent=2)
        return
    given = [
        (f"{name}=", getattr(run, name) or "") for name in ("model", "teacher", "data", "unlabeled", "dev", "test")
    ]
    parts: list[Any] = [recipe, "", run_table(("it needs", ""), given), "", run_table(("stage", "does"), steps)]
    if counts:
        parts += [
            "",
            run_table(("recordings", ""), [(name, f"{count:,}") for name, count in counts.items()], right=(1,)),
        ]
    print_parts(make_console(), [*parts, "", "Nothing was written. Every setting: --json."])
