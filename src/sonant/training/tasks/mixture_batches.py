"""Batches of mixtures with their sources."""

from typing import Any

import torch

from sonant.layers.packed import Packed
from sonant.training.tasks.batches import LabeledBatch, LabeledBatches
from sonant.training.tasks.mixer import Mixer


class MixtureBatches(LabeledBatches):
    """Batches of mixtures, whose targets are their sources (total_samples, sources); see `LabeledBatches`."""

    def __init__(self, *given: Any, mixer: Mixer, **more: Any) -> None:
        super().__init__(*given, **more)
        self.mixer = mixer

    def __getitem__(self, step: int) -> LabeledBatch:
        layout, rng = self.drawn(step)
        made = [self.mixer.mix(self.waveforms, member, length, rng) for member, length in layout]
        states = None
        if self.states is not None:
            states = Packed.pack(torch.from_numpy(self.states[member]) for member, _ in layout)
        speech = Packed.pack(torch.from_numpy(mixture) for mixture, _ in made)
        targets = Packed.pack(torch.from_numpy(sources) for _, sources in made)
        return LabeledBatch(speech, targets, len(speech.values), states=states)
