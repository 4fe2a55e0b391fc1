"""A step of training by the kernels of a GPU learns what one by PyTorch's operations does, here in the interpreter."""

import pytest
import torch

from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.kernels import triton_attention, triton_clip_norm, triton_convolution
from sonant.layers.packed import Packed
from sonant.models import HuBERTConfig, W2vBERT2Config, WavLMConfig, build
from sonant.pretraining import MaskedPrediction, MaskedPredictionConfig, MFCCTargets, SpeechBatch
from tests.shapes import SMALL
from tests.triton_kernels import needs_triton

STILL = {"dropout": 0.0, "attention_dropout": 0.0, "input_dropout": 0.0, "layerdrop": 0.0}
CONFIGS = {
    "wavlm": WavLMConfig(**SMALL, **STILL),
    "hubert": HuBERTConfig(**SMALL, **STILL),
    "w2v_bert2": W2vBERT2Config(
        dim=32, num_layers=2, num_heads=2, feed_forward_dim=64, **STILL, conv_dropout=0.0, adapter_layers=0
    ),
}


def batch_for(lengths: list[int], num_frames: list[int]) -> SpeechBatch:
    generator = torch.Generator().manual_seed(1)
    total = sum(num_frames)
    return SpeechBatch(
        Packed.pack([torch.randn(length, generator=generator) for length in lengths]),
        torch.rand(total, generator=generator) < 0.5,
        torch.randint(20, (total,), generator=generator),
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_every_gradient_is_that_of_the_plain_operations(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_triton()
    torch.manual_seed(0)
    backbone = build(CONFIGS[name])
    objective = MaskedPrediction(backbone, MaskedPredictionConfig(targets=MFCCTargets(num_clusters=20))).train()
    lengths = [9_000, 16_000, 4_000]
    batch = batch_for(lengths, [backbone.num_frames(length) for length in lengths])

    def gradients() -> dict[str, torch.Tensor]:
        objective.zero_grad()
        objective(batch).sum.backward()
        return {name: p.grad.clone() for name, p in objective.named_parameters() if p.grad is not None}

    expected = gradients()
    for module in (triton_attention, triton_convolution, triton_clip_norm):
        monkeypatch.setattr(module, "available", lambda *_: True)
    monkeypatch.setattr(ConvExtractor, "_takes_rows", lambda *_: False)  # as on a GPU
    monkeypatch.setattr(triton_attention, "FULL", triton_attention.HALF)  # larger tiles: a shorter test
    given = gradients()
    assert given.keys() == expected.keys()
    largest = max(gradient.norm() for gradient in expected.values())
    for part, gradient in expected.items():
        assert (given[part] - gradient).norm() <= 1e-4 * gradient.norm() + 1e-6 * largest, part
