"""The Conformer's attention over packed clips equals its formulae on each clip alone."""

import math

import pytest
import torch
from torch import Tensor, nn

from sonant.layers.attention import attend_reference
from sonant.layers.packed import Packed
from sonant.layers.relative_attention import RelativeAttention, RotaryAttention, Rotations, Sinusoids

DIM, HEADS = 12, 3


def clips(*lengths: int) -> Packed:
    generator = torch.Generator().manual_seed(0)
    return Packed.pack(torch.randn(length, DIM, generator=generator, dtype=torch.float64) for length in lengths)


def lively(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double().eval()


def projected(linear: nn.Linear, frames: Tensor) -> Tensor:
    return (frames @ linear.weight.T + linear.bias).unflatten(1, (HEADS, -1))


def relative_by_formula(part: RelativeAttention, clip: Tensor) -> Tensor:
    """Transformer-XL's four terms, each pair of frames on its own."""
    q, k, v = (projected(linear, clip) for linear in (part.query, part.key, part.value))
    logits = clip.new_empty(HEADS, len(clip), len(clip))
    for i in range(len(clip)):
        for j in range(len(clip)):
            angles = [(i - j) / 10_000 ** (2 * pair / DIM) for pair in range(DIM // 2)]
            sinusoid = torch.tensor([wave(angle) for angle in angles for wave in (math.sin, math.cos)]).double()
            position = (part.position.weight @ sinusoid).unflatten(0, (HEADS, -1))
            content = ((q[i] + part.content_bias) * k[j]).sum(-1)
            logits[:, i, j] = (content + ((q[i] + part.position_bias) * position).sum(-1)) / (DIM // HEADS) ** 0.5
    mixed = torch.einsum("hij,jhd->ihd", logits.softmax(-1), v)
    return part.output(mixed.flatten(1))


def rotary_by_formula(part: RotaryAttention, clip: Tensor, base: int) -> Tensor:
    """Each pair of channels as a complex number, multiplied by one of absolute value 1."""
    half = DIM // HEADS // 2
    turns = torch.tensor([base ** -(pair / half) for pair in range(half)]).double()
    angles = torch.arange(len(clip)).double()[:, None] * turns  # (frames, half)
    pairs = clip.unflatten(1, (HEADS, 2, half))
    turned = torch.complex(pairs[:, :, 0], pairs[:, :, 1]) * torch.polar(torch.ones_like(angles), angles)[:, None]
    rotated = torch.stack([turned.real, turned.imag], 2).flatten(1)
    q, k, v = projected(part.query, rotated), projected(part.key, rotated), projected(part.value, clip)
    return part.output(attend_reference(q, k, v, [len(clip)]).flatten(1))


@torch.no_grad()
def test_relative_attention_is_transformer_xls() -> None:
    part, frames = lively(RelativeAttention(DIM, HEADS)), clips(5, 1, 9, 9)
    expected = torch.cat([relative_by_formula(part, clip) for clip in frames])
    torch.testing.assert_close(part(frames.values, frames.sizes, Sinusoids(DIM)(frames)), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("base", [10_000, 7])
@torch.no_grad()
def test_rotary_attention_turns_pairs_of_channels(base: int) -> None:
    part, frames = lively(RotaryAttention(DIM, HEADS)), clips(5, 1, 9, 9)
    expected = torch.cat([rotary_by_formula(part, clip, base) for clip in frames])
    given = part(frames.values, frames.sizes, Rotations(DIM // HEADS, base=base)(frames))
    torch.testing.assert_close(given, expected, rtol=0, atol=1e-6)


def test_memory_grows_with_the_length_not_with_its_square(monkeypatch) -> None:
    """Without a gradient, no tensor of attention holds more logits than a block may."""
    largest, limit = 0, 1 << 12
    monkeypatch.setattr("sonant.layers.attention.BLOCK_LOGITS", {"cpu": limit, "cuda": limit})

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            made = function(*args, **kwargs or {})
            if isinstance(made, Tensor):
                largest = max(largest, made.untyped_storage().nbytes() // made.element_size())
            return made

    part, frames = lively(RelativeAttention(DIM, HEADS)).float(), clips(400)
    frames = frames.with_values(frames.values.float())
    table = Sinusoids(DIM)(frames)
    with torch.no_grad(), Watch():
        part(frames.values, frames.sizes, table)
    assert largest <= 5 * limit < 400 * 400


@pytest.mark.parametrize("make", [lambda: Sinusoids(8), lambda: Rotations(8)])
def test_angles_stay_exact_in_half_precision(make) -> None:
    """Far into a clip bfloat16 could not tell a frame from its neighbors."""
    frames = Packed.pack([torch.zeros(3000, 8)])
    half = make()(frames.with_values(frames.values.bfloat16()))
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), make()(frames), rtol=0, atol=0.01)
