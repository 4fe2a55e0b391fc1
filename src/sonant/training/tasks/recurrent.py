"""Tasks whose heads may have LSTM layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from sonant.layers.lstm import PackedLSTM
from sonant.tasks import LayerMix
from sonant.tasks.frame_head import FrameHead
from sonant.training.tasks.task import Task

AnyFrameHead = TypeVar("AnyFrameHead", bound=FrameHead)


@dataclass(frozen=True, kw_only=True)
class RecurrentTask(Task):
    """Base of tasks whose head scores each frame, by a linear layer or by one over an LSTM.

    Attributes:
        lstm_dim: width of each direction of the LSTM over the states; 0: a linear layer alone, which transformers has
            a class for.
        lstm_layers: layers of it.
        lstm_dropout: rate of dropout between them.
        bidirectional: it reads in both directions.
    """

    lstm_dim: int = 0
    lstm_layers: int = 1
    lstm_dropout: float = 0.0
    bidirectional: bool = True

    @property
    def is_for_transformers(self) -> bool:
        return not self.lstm_dim

    def fresh(self, make: type[AnyFrameHead], dim: int, classes: Sequence[str], mix: LayerMix) -> AnyFrameHead:
        """Make a head with random weights; arguments as of `head`."""
        lstm = None
        if self.lstm_dim:
            lstm = PackedLSTM(
                dim,
                self.lstm_dim,
                num_layers=self.lstm_layers,
                bidirectional=self.bidirectional,
                dropout=self.lstm_dropout,
            )
            dim = lstm.dim
        return make(nn.Linear(dim, len(classes)), mix, lstm)
