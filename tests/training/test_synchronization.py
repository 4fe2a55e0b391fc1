"""Nothing in a training step asks the device for a value, which would make the computer wait for a GPU.

Tensors on torch's device "meta" have no values, so that whatever depends on one is an error: `.item()`, `nonzero`,
boolean indices, `bincount`, copies to the CPU. The update itself is torch's fused one, which "meta" lacks.
"""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from sonant.training.log import LossSums
from sonant.training.loop import divide_gradients
from tests.pretraining.cases import CASES, batch_of, objective_of


@pytest.mark.parametrize("case", CASES)
def test_a_step_waits_for_no_value(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # torch has none for this device
    backbone, objective = objective_of(case)
    batch = batch_of(case, backbone, clips=2).to("meta")
    objective.to("meta").train()
    sums = LossSums()
    for step in range(2):
        objective.anneal(step)
        loss = objective(batch)
        loss.sum.backward()
        sums.add(loss)
        divide_gradients(objective, loss.count)
        assert nn.utils.clip_grad_norm_(objective.parameters(), 1.0).isfinite().is_meta
    with pytest.raises((NotImplementedError, RuntimeError), match="meta"):  # as a report does
        sums.averages()
