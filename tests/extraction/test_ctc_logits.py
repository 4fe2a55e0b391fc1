"""Logits of CTC heads over windows of long recordings."""

import pytest
import torch
from torch import nn

from sonant.audio import Window
from sonant.extraction.ctc_logits import CTCLogits
from sonant.layers.lstm import PackedLSTM
from sonant.tasks import CTCHead


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_window_gives_the_logits_of_the_frames_that_it_keeps(*, recurrent: bool) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = CTCHead(nn.Linear(4, 3), lstm=PackedLSTM(4, 2) if recurrent else None)
    logits, states = CTCLogits(lambda _: head), torch.randn(1, 10, 4, generator=torch.Generator().manual_seed(1))
    window = Window(start_sample=0, end_sample=3200, skip_frames=3, keep_frames=5, first_frame=3)
    found, whole = logits.of(states, window), logits.of(states)
    torch.testing.assert_close(found, whole[3:8])
    alone = logits.of(states[:, 3:8])
    assert torch.allclose(found, alone) is not recurrent
