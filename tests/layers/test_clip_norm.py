"""Group norm of packed clips: what torch gives for each of them alone."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.layers.clip_norm import ClipGroupNorm
from sonant.layers.packed import Packed


def norm(groups: int) -> ClipGroupNorm:
    made = ClipGroupNorm(12, groups=groups)
    torch.nn.init.normal_(made.weight, 1.0, 0.5)
    torch.nn.init.normal_(made.bias)
    return made


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 20), min_size=1, max_size=5), st.sampled_from([1, 2, 4]))
def test_each_clip_as_torch_has_it_alone(lengths: list[int], groups: int) -> None:
    made = norm(groups)
    clips = [torch.randn(length, 12) * 10.0**level - level for level, length in enumerate(lengths)]
    normed = Packed.pack(clips).with_values(made(Packed.pack(clips)))
    for clip, given_clip in zip(clips, normed, strict=True):
        expected = F.group_norm(clip.T[None], groups, made.weight, made.bias)[0].T
        torch.testing.assert_close(given_clip, expected, rtol=1e-4, atol=1e-4)


def test_loud_and_far_from_zero() -> None:
    """The squares are of what is left when the mean is taken: nothing cancels."""
    clip = torch.randn(500, 12) + 1000
    normed = norm(1)(Packed.pack([clip]))
    made = norm(1)
    with torch.no_grad():
        made.weight.fill_(1)
        made.bias.fill_(0)
        normed = made(Packed.pack([clip]))
    exact = (clip.double() - clip.double().mean()) / clip.double().std(correction=0)
    torch.testing.assert_close(normed.double(), exact, rtol=1e-3, atol=1e-3)


def test_statistics_in_float32() -> None:
    """Half precision goes in and out; between, the sums are exact enough for thousands of frames."""
    made, clip = norm(1), (torch.randn(3000, 12) * 3 + 8).bfloat16()
    normed = made(Packed.pack([clip]))
    assert normed.dtype == torch.bfloat16
    expected = F.group_norm(clip.double().T[None], 1, made.weight.double(), made.bias.double())[0].T
    torch.testing.assert_close(normed.double(), expected, rtol=0.01, atol=0.02)


@pytest.mark.parametrize("groups", [1, 3])
def test_gradient(groups: int) -> None:
    made = norm(groups).double()
    lengths = torch.tensor([3, 1, 2])
    values = torch.randn(6, 12, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: made(Packed(x, lengths)), values)
