"""Weights of the states that trained heads have learned, from their folders and from results of SUPERB."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sonant.analysis.results import TaskWeights
from sonant.checkpoints import load_checkpoint
from sonant.errors import ConfigurationError


def learned_weights(places: Sequence[str | Path], num_layers: int) -> tuple[TaskWeights, ...]:
    """Read the weights of heads over a sum of states.

    Args:
        places: folders of models with heads, as `sonant.train` saves them; or results.json of `sonant evaluate superb`.
        num_layers: blocks of the analyzed model: a sum has as many states, 0 to L - 1 and the output.

    Raises ConfigurationError: there are no such weights, or of other states.
    """
    found: list[TaskWeights] = []
    for place in map(Path, places):
        here = _of_superb(place) if place.suffix == ".json" else _of_folder(place)
        fitting = [each for each in here if len(each.weights) == num_layers + 1]
        if not fitting:
            counts = sorted({len(each.weights) for each in here})
            raise ConfigurationError(
                f"{place} has {f'weights of {counts} states' if here else 'no head with a learned sum of states'}; "
                f"expected one of {num_layers + 1}: states 0 to {num_layers - 1} and the output."
            )
        found += fitting
    return tuple(found)


def _of_folder(folder: Path) -> list[TaskWeights]:
    return [
        TaskWeights(
            task=str(folder.parent.name if folder.name == "model" else folder.name),
            source=str(folder),
            weights=tuple(head.tensors["layer_weights"].float().softmax(0).tolist()),
        )
        for head in load_checkpoint(folder).heads.values()
        if "layer_weights" in head.tensors
    ]


def _of_superb(file: Path) -> list[TaskWeights]:
    try:
        rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["results"]
        return [
            TaskWeights(task=f"{row['task']} ({row['model']})", source=str(file), weights=tuple(row["weights"]["raw"]))
            for row in rows
            if row["weights"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{file} cannot be read ({error!r}); expected results.json of `sonant evaluate superb`."
        ) from error
