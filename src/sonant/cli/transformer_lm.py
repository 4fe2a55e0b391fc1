"""Training of Transformer language models from the command line."""

from collections.abc import Sequence
from dataclasses import replace

from sonant.training.text.settings import LanguageModelRun


def train_transformer(recipe: str, overrides: Sequence[str], *, dry_run: bool, sources: bool, as_json: bool) -> int:
    """Train a language model by a recipe with changed settings, or print its plan or the sources of its settings."""
    from sonant.cli.trained_model import print_model
    from sonant.recipes.tasks import language_model_run
    from sonant.training.ranks import on_first, process_group
    from sonant.training.text.run import train_language_model

    run = language_model_run(recipe, overrides)
    if sources:
        from sonant.cli.recipe_sources import print_sources

        print_sources(recipe, run, as_json=as_json)
    elif dry_run:
        _print_plan(recipe, run, as_json=as_json)
    else:
        with process_group(run.device):
            was_trained = run.is_trained
            folder = train_language_model(run)
            on_first(lambda: print_model(folder, "trained", was_finished=was_trained, as_json=as_json))
    return 0


def _print_plan(recipe: str, run: LanguageModelRun, *, as_json: bool) -> None:
    """Print the size of the model and of its texts."""
    from dataclasses import asdict

    import torch

    from sonant.cli.console import make_console, print_parts
    from sonant.cli.json_output import print_json
    from sonant.cli.run_plan import run_table
    from sonant.data.texts import Texts
    from sonant.models.transformer_lm import TransformerLM
    from sonant.training.text.settings import check

    check(run)
    with torch.device("meta"):
        model = TransformerLM(replace(run.model, vocabulary_size=run.vocabulary_size))
    parameters = sum(each.numel() for each in model.parameters())
    sizes = {}
    for name in ("data", "dev"):
        if getattr(run, name):
            texts = [len(text.split()) for text in Texts(getattr(run, name), run.normalization, run.column)]
            sizes[name] = {"texts": len(texts), "words": sum(texts)}
    if as_json:
        print_json(asdict(run) | {"parameters": parameters, "texts": sizes}, indent=2)
        return
    tokens = run.training.steps * run.training.grad_accumulation * run.batch_tokens
    rows = [
        ("model", f"{parameters / 1e6:,.1f} M parameters with {run.vocabulary_size:,} {run.units}"),
        *((name, f"{size['texts']:,} texts, {size['words']:,} words") for name, size in sizes.items()),
        ("all steps", f"{run.training.steps:,}, about {tokens / 1e6:,.1f} M tokens in all"),
    ]
    print_parts(make_console(), [recipe, "", run_table(("", ""), rows), "", "Nothing was written."])
