"""Two models to extract with: one whose frames can be written down by hand, and a real one with random weights."""

from collections.abc import Collection
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.models import WavLMConfig, build
from sonant.models.backbone import Backbone
from sonant.models.normalization import RecordingStatistics, WaveformStatistics
from tests.shapes import SMALL


@dataclass(frozen=True)
class Encoded:
    hidden_states: dict[int, Tensor]
    last: Tensor | None
    lengths: Tensor


@dataclass(frozen=True)
class AveragerConfig:
    normalize: bool
    normalize_epsilon: float = 1e-7
    dim: int = 2
    num_layers: int = 2
    sampling_rate: int = 16_000
    stride: int = 320
    receptive_field: int = 400


class Averager(Backbone):
    """State i of a frame: the mean of its 400 samples times i + 1, and the last sample; `last` is state 2."""

    def __init__(
        self,
        *,
        normalize: bool = False,
        room_samples: float = float("inf"),
        error: Exception | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.config = AveragerConfig(normalize)
        self.room_samples = room_samples
        self.error = torch.OutOfMemoryError("not that much") if error is None else error
        self.passes: list[list[int]] = []  # samples of the clips of each forward pass

    def clip_statistics(self) -> RecordingStatistics | None:
        return RecordingStatistics(WaveformStatistics(), None) if self.normalize else None

    def forward(
        self,
        speech: Packed,
        *,
        layers: Collection[int | str] | None = None,
        statistics: list[RecordingStatistics | None] | None = None,
    ) -> Encoded:
        speech = self.normalized(speech, statistics)
        self.passes.append(speech.sizes)
        if sum(speech.sizes) > self.room_samples:
            raise self.error
        frames = [clip.unfold(0, 400, 320) for clip in speech]
        mean = torch.cat([frame.mean(1) for frame in frames])
        last = torch.cat([frame[:, -1] for frame in frames])
        states = {i: torch.stack([(i + 1) * mean, last], dim=1) for i in range(3) if layers is None or i in layers}
        output = torch.stack([3 * mean, last], dim=1) if layers is None or "last" in layers else None
        return Encoded(states, output, torch.tensor([len(frame) for frame in frames]))


@pytest.fixture(name="Averager", scope="session")
def averager() -> type[Averager]:
    """Test modules cannot import from one another, so the class comes as a fixture."""
    return Averager


TINY = WavLMConfig(**SMALL | {"num_layers": 3})


@pytest.fixture(scope="session")
def tiny_wavlm() -> nn.Module:
    torch.manual_seed(0)
    return build(TINY).eval()
