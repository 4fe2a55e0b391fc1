"""Logits of a CTC head over recordings and over windows of long ones."""

from collections.abc import Callable

import torch
from torch import Tensor

from sonant.audio import Window, keep
from sonant.extraction.finiteness import require_finite
from sonant.extraction.heads import one_clip
from sonant.tasks import CTCHead


class CTCLogits:
    """A CTC head on the device of the states that it is given.

    Args:
        head_on: returns the head on a device.
    """

    def __init__(self, head_on: Callable[[torch.device], CTCHead]) -> None:
        self._head_on = head_on

    @torch.no_grad()
    def of(self, states: Tensor, window: Window | None = None) -> Tensor:
        """Compute logits (frames, tokens) of states (layers, frames, dim), or of the frames that a window keeps.

        An LSTM reads all frames of a window. Raises NonFiniteStates.
        """
        head = self._head_on(states.device)
        if window is not None and head.lstm is None:
            states = keep(states, window, axis=1)
        logits = head(one_clip(states)).values
        if window is not None and head.lstm is not None:
            logits = keep(logits, window)
        return require_finite(logits, "CTC")

    def emission(self, states: Tensor, window: Window | None = None) -> Tensor:
        """Compute the natural logarithms of the probabilities of tokens, float32 (frames, tokens)."""
        return self.of(states, window).float().log_softmax(-1)
