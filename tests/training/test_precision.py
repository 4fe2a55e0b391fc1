"""Precision of the forward pass in training."""

import pytest
import torch

from sonant.training import precision


@pytest.mark.parametrize("has_instructions", [False, True])
def test_bfloat16_is_used_where_the_device_computes_in_it(
    monkeypatch: pytest.MonkeyPatch, has_instructions: bool
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has_instructions)
    used = {}
    for name in ("float32", "bfloat16"):
        with precision.autocast(torch.device("cpu"), name):
            used[name] = (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    assert used == {"float32": torch.float32, "bfloat16": torch.bfloat16 if has_instructions else torch.float32}
    assert precision.computes_bfloat16(torch.device("cuda"))


def test_a_torch_without_onednn_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: pytest.fail("there is no such function"))
    assert not precision.computes_bfloat16(torch.device("cpu"))
