"""One row of the table of checkpoints: how to make such a checkpoint, and what is expected of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sonant.checkpoints import Checkpoint
from sonant.errors import CheckpointError

Reference = Callable[[Tensor], list[Tensor]]  # waveform (samples,) to every hidden state, then the last: (frames, dim)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A checkpoint that was just written.

    Attributes:
        source: what to load.
        reference: another implementation with the same weights; None where there is none to compare with.
        overrides: what must be given to load it.
        check: asserts whatever else holds of the loaded checkpoint, of its heads for instance.
    """

    source: Path
    reference: Reference | None = None
    overrides: Mapping[str, Any] | None = None
    check: Callable[[Checkpoint], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of the table.

    Attributes:
        layout: who writes such a checkpoint, and the container; a column.
        make: writes one with random weights into an empty folder.
        wrapper: what stands before or around the names of the tensors; a column, as are the next three.
        heads: the kinds of head that the loaded checkpoint has.
        parity: what every hidden state was compared with.
        aside: what stays in the file; the warning names each. No warning is expected where it is empty.
        refused: the error that is raised instead.
        says: pattern that the message of the error matches.
        slow: takes more than about two seconds.
    """

    layout: str
    make: Callable[[Path], Made]
    wrapper: str = ""
    heads: tuple[str, ...] = ()
    parity: str = ""
    aside: tuple[str, ...] = ()
    refused: type[CheckpointError] | None = None
    says: str = ""
    slow: bool = False
    name: str = field(init=False)

    def __post_init__(self) -> None:
        words = (self.layout, self.wrapper, *self.heads, *self.aside, self.refused.__name__ if self.refused else "")
        object.__setattr__(self, "name", ", ".join(word for word in words if word))


def states_of(model: nn.Module) -> Reference:
    """The hidden states of a model of transformers that takes waveforms, with a head or without."""
    body = getattr(model, model.base_model_prefix, model)

    def states(waveform: Tensor) -> list[Tensor]:
        with torch.no_grad():
            output = body(waveform[None], output_hidden_states=True)
        return [state[0] for state in (*output.hidden_states, output.last_hidden_state)]

    return states
