"""`sonant models`, `sonant models show` and `sonant models compare`: the catalog of models."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonant.cli.json_output import print_json

if TYPE_CHECKING:
    from sonant.analysis import Analysis
    from sonant.models.catalog import Card


def list_models(*, family: str | None = None, json: bool = False) -> int:
    """List the models that sonant knows.

    Commands and `sonant.load` take any of these names; for the few models that are not on the hub, give the downloaded
    file (the card has its address). Other models of these families load too, by hub id, folder or file.

    Args:
        family (wavlm|hubert|wav2vec2|wav2vec2-conformer|data2vec|unispeech|unispeech-sat|sew|w2v-bert|vq-wav2vec|wav2vec):
            only this family; all of them unless given.
        json: print a JSON list, one object per model.

    Examples:
        sonant models
        sonant models --family wavlm
        sonant models --json | jq '.[].name'
    """  # noqa: E501  a list of choices is one word
    from sonant.errors import UnknownName
    from sonant.models.catalog import CATALOG
    from sonant.models.families import TITLES

    if family is not None and family.lower() not in TITLES:
        raise UnknownName("family", family, TITLES)
    cards = [card for card in CATALOG.values() if family is None or card.family == TITLES[family.lower()]]
    if json:
        print_json([summary(card) for card in cards], indent=2)
    else:
        from sonant.cli.model_card import print_list

        print_list(cards)
    return 0


def show_model(name: str, *, json: bool = False) -> int:
    """Print the card of one model: shape, data, license, published results, how to load it.

    Args:
        name (ID): id of a model, or its last part; or a folder, such as that of a model that sonant train made, of
            which is printed what it was trained on.
        json: print the card as a JSON object.

    Examples:
        sonant models show microsoft/wavlm-large
        sonant models show runs/utterance/model
        sonant models show wavlm-base-plus --json
    """
    from sonant.models.catalog import find
    from sonant.models.loading import loading

    if Path(name).expanduser().is_dir():
        _show_folder(name, json=json)
        return 0
    card = find(name)
    if json:
        print_json(details(card), indent=2)
    else:
        from sonant.cli.model_card import print_card

        print_card(card, loading(card), _measured(card))
    return 0


def _measured(card: "Card") -> "Analysis | None":
    """Return the measurements of the layers of a shipped model."""
    from sonant.analysis.card import read_card
    from sonant.checkpoints.location import shipped

    folder = shipped(card.name)
    return None if folder is None else read_card(folder)


def _show_folder(name: str, *, json: bool) -> None:
    """Print what is known of a model in a folder."""
    from sonant.analysis.card import read_card
    from sonant.checkpoints import load_checkpoint
    from sonant.checkpoints.training_facts import TrainingFacts
    from sonant.models.families import TITLES

    checkpoint = load_checkpoint(name)
    facts, config = TrainingFacts.of(checkpoint.heads), checkpoint.config
    measured = read_card(name)
    shape = {"family": TITLES[checkpoint.family], "layers": config.num_layers, "dim": config.dim}
    if json:
        about = {
            "training": None if facts is None else asdict(facts),
            "measured": None if measured is None else measured.to_json(),
        }
        print_json({"name": name, **shape, "heads": list(checkpoint.heads), **about}, indent=2)
        return
    heads = f"; heads: {', '.join(checkpoint.heads)}" if checkpoint.heads else ""
    print(f"{name}: {shape['family']}, {config.num_layers} layers of {config.dim}{heads}.")
    for sentence in facts.sentences() if facts else ():
        print(sentence)
    if measured is not None:
        from sonant.cli.model_card import print_measured

        print_measured(measured)


def compare_models(*names: str, json: bool = False) -> int:
    """Print models side by side: sizes, data, license, and the published results that at least one of them has.

    The best of each line's numbers is marked.

    Args:
        names (ID): two or more models, by id or its last part.
        json: print a JSON object: the models, and the results with a value for each model that has one.

    Examples:
        sonant models compare wavlm-base-plus hubert-base-ls960 wav2vec2-base
        sonant models compare wavlm-large hubert-large-ll60k --json | jq '.results[].values'
    """
    from sonant.errors import ConfigurationError
    from sonant.models.catalog import find

    cards = list(dict.fromkeys(map(find, names)))
    if len(cards) < 2:
        raise ConfigurationError(f"A comparison takes two models or more; {len(cards)} was given. Name another.")
    from sonant.cli.comparison import as_data, print_comparison

    if json:
        models = [summary(card) | {"presets": presets_of(card)} for card in cards]
        print_json({"models": models, "results": as_data(cards)}, indent=2)
    else:
        print_comparison(cards)
    return 0


def summary(card: "Card") -> dict[str, Any]:
    """Return a card's row in the list, as plain data."""
    return {
        "name": card.name,
        "title": card.title,
        "family": card.family,
        "parameters": card.parameters,
        "layers": card.config.num_layers,
        "dim": card.config.dim,
        "frame_rate": card.frame_rate,
        "sampling_rate": card.config.sampling_rate,
        "normalize": card.config.normalize,
        "data": card.data,
        "hours": card.hours,
        "languages": card.languages,
        "labels": card.labels,
        "pretrained": card.pretrained,
        "license": card.license,
        "address": card.address,
        "beside": card.beside,
    }


def details(card: "Card") -> dict[str, Any]:
    """Return a whole card, as plain data."""
    from sonant.models.loading import loading

    title, address = card.paper
    measured = _measured(card)
    return summary(card) | {
        "paper": {"title": title, "url": address},
        "config": asdict(card.config),
        "results": [asdict(result) for result in card.results],
        "presets": presets_of(card),
        "measured": None if measured is None else measured.to_json(),
        "load": loading(card),
        "notes": list(card.notes),
    }


def presets_of(card: "Card") -> dict[str, dict[str, Any]]:
    """Return layer and pooling by task, as plain data."""
    return {task: asdict(preset) for task, preset in card.presets.items()}
