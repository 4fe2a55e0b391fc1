"""A graph is compared with the model it was made of."""

import pytest
import torch

from sonant.errors import NonFiniteStates
from sonant.export.check import compare
from tests.export.backbones import backbone


def test_weights_that_are_not_finite_are_told_from_a_bad_graph():
    model = backbone("HuBERT")
    next(model.encoder.parameters()).data.fill_(float("nan"))

    def graph(_waveforms, lengths):
        frames = torch.tensor([model.num_frames(length) for length in lengths.tolist()])
        return {"frames": frames, "last": torch.zeros(len(frames), int(frames.max()), model.dim)}

    with pytest.raises(NonFiniteStates, match="No graph was kept"):
        compare(graph, model, normalize=False)
