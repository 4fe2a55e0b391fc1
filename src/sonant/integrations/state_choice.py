"""The choice of hidden states from which the vectors of recordings are made."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonant.errors import UnknownName
from sonant.extraction.request import Layer, resolve_layers
from sonant.models import Backbone
from sonant.models.families import presets

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class StateChoice:
    """Hidden states, and how the vectors of several become one.

    Attributes:
        layers: numbers of the states, or "last".
        averaged: the mean of their vectors; otherwise these stand one behind another.
    """

    layers: tuple[Layer, ...]
    averaged: bool = False

    def width(self, dim: int) -> int:
        """Return the width of the vectors of a model of width `dim`."""
        return dim if self.averaged else dim * len(self.layers)

    def combined(self, vectors: Array) -> Array:
        """Make (layers, ..., dim) into (..., width)."""
        return vectors.mean(0) if self.averaged else np.concatenate(list(vectors), axis=-1)


def chosen_states(layer: int | str, model: Backbone) -> StateChoice:
    """Return the states that a text or number chooses.

    Args:
        layer: a number or "last"; several, "4+6"; "all", states 0 to L one behind another; "average", their mean; or a
            preset of the model: "speaker", "content", "emotion" or "semantic".

    Raises UnknownName.
    """
    known = presets(model.config)
    words = str(layer).strip().lower()
    if words in known:
        return StateChoice((known[words].layer,))
    if words in ("all", "average"):
        return StateChoice(tuple(range(model.num_layers + 1)), averaged=words == "average")
    parts = words.split("+")
    if not all(part == "last" or part.isdigit() for part in parts):
        raise UnknownName("choice of layers", layer, ["last", "0", "4+6", "all", "average", *known])
    wanted: list[Layer] = ["last" if part == "last" else int(part) for part in parts]
    return StateChoice(resolve_layers(wanted, model.num_layers)[0])
