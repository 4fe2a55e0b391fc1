"""Inputs of a stage of pretraining."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonant.audio.augment import Mixing, Waveforms
from sonant.data import WaveformStore
from sonant.models import Backbone
from sonant.pretraining.batches import Batching, SpeechBatches


@dataclass(frozen=True)
class StageInputs:
    """Inputs of a stage of training.

    Attributes:
        waveforms: the corpus.
        noises, impulse_responses: for mixing and reverberation.
        folder: of the stage; targets are written there.
        previous: model of the stage before, or the teacher.
        recordings: numbers of the recordings to use; None for all.
        device: on which targets are computed.
        seed: of batches, masks and clusters.
        rank, world: number of this process, and number of processes.
    """

    waveforms: WaveformStore
    noises: Waveforms
    impulse_responses: Waveforms
    batching: Batching
    mixing: Mixing
    folder: Path
    previous: Backbone | None
    recordings: Sequence[int] | None = None
    device: str = "cpu"
    seed: int = 0
    rank: int = 0
    world: int = 1

    def speech_batches(self, backbone: Backbone, **more: Any) -> SpeechBatches:
        """Make batches of speech for a model; `more` goes to `SpeechBatches`."""
        return SpeechBatches(
            self.waveforms,
            backbone,
            batching=self.batching,
            mixing=self.mixing,
            noises=self.noises,
            impulse_responses=self.impulse_responses,
            recordings=self.recordings,
            seed=self.seed,
            rank=self.rank,
            world=self.world,
            **more,
        )
