"""The positional convolution, the buckets of distances, and the gate."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.layers.kernels import triton_convolution
from sonant.layers.packed import Packed
from sonant.layers.positions import BatchNormPositions, ConvPositions, PositionGate, RelativePositions, relative_buckets
from tests.triton_kernels import needs_triton

# Distances (key minus query) and their buckets in the released WavLM models, 320 buckets up to distance 800.
KNOWN = {
    0: 0, 1: 161, -1: 1, 79: 239, -79: 79, 80: 240, 81: 240, 83: 241, 100: 247, 160: 264, 400: 295, 777: 318, 778: 319,
    5000: 319, -777: 158, -778: 159, -5000: 159,
}  # fmt: skip


def conv_positions(dim: int = 12, kernel: int = 8, groups: int = 3) -> ConvPositions:
    torch.manual_seed(0)
    made = ConvPositions(dim, kernel=kernel, groups=groups)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


@pytest.mark.parametrize(("distance", "bucket"), KNOWN.items())
def test_known_buckets(distance: int, bucket: int) -> None:
    assert relative_buckets(torch.tensor(distance), num_buckets=320, max_distance=800) == bucket


def test_buckets_by_definition() -> None:
    """A bucket a frame up to 79, then logarithmic: computed here in float64 with Python's own numbers."""
    for distance in range(-2000, 2001):
        far = abs(distance)
        near = far if far < 80 else min(159, 80 + int(math.log(far / 80) / math.log(10) * 80))
        expected = near + 160 * (distance > 0)
        assert relative_buckets(torch.tensor(distance), num_buckets=320, max_distance=800) == expected, distance


def test_buckets_are_the_same_under_autocast() -> None:
    distances = torch.arange(-3000, 3000)
    expected = relative_buckets(distances, num_buckets=320, max_distance=800)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(relative_buckets(distances, num_buckets=320, max_distance=800), expected)


def test_one_bucket_is_never_used() -> None:
    used = relative_buckets(torch.arange(-3000, 3000), num_buckets=320, max_distance=800).unique().tolist()
    assert used == [bucket for bucket in range(320) if bucket != 160]


def test_table_holds_the_bias_of_each_distance() -> None:
    positions = RelativePositions(3)
    table = positions.table(500)
    assert table.shape == (3, 999)
    for distance in (-499, -100, -1, 0, 1, 80, 499):
        bucket = int(relative_buckets(torch.tensor(distance), num_buckets=320, max_distance=800))
        assert torch.equal(table[:, distance + 499], positions.weight[bucket])


def test_short_table_is_the_middle_of_a_long_one() -> None:
    positions = RelativePositions(2)
    assert torch.equal(positions.table(40), positions.table(1000)[:, 960:-960])


@pytest.mark.parametrize("kernel", [1, 2, 3, 7, 8, 128])
def test_convolution_sees_zeros_outside_a_clip(kernel: int) -> None:
    """Each clip equals a padded convolution of it alone, whatever lies beside it."""
    positions = conv_positions(kernel=kernel)

    @settings(max_examples=10, deadline=None, derandomize=True)
    @given(st.lists(st.integers(1, 2 * kernel + 3), min_size=1, max_size=5))
    def holds(lengths: list[int]) -> None:
        clips = [torch.randn(length, 12) for length in lengths]
        with torch.no_grad():
            for clip, moved in zip(clips, Packed.pack(clips).with_values(positions(Packed.pack(clips))), strict=True):
                padded = F.pad(clip.T, (kernel // 2, (kernel - 1) // 2))
                expected = F.gelu(F.conv1d(padded, positions.weight, positions.bias, groups=3)).T
                torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-5)

    holds()


@pytest.mark.parametrize("lengths", [[1], [64, 65, 66], [200, 3]])
@pytest.mark.parametrize("kernel", [64, 65])
def test_gradients_of_a_long_kernel(kernel: int, lengths: list[int]) -> None:
    """By Fourier transforms, in blocks of kernel + 1 frames: those of the padded convolution of each clip."""
    positions = conv_positions(kernel=kernel).double()
    clips = [torch.randn(length, 12).double().requires_grad_() for length in lengths]
    ours = positions(Packed.pack(clips))
    expected = []
    for clip in clips:
        padded = F.pad(clip.T, (kernel // 2, (kernel - 1) // 2))
        expected.append(F.gelu(F.conv1d(padded, positions.weight, positions.bias, groups=3)).T)
    plain = torch.cat(expected)
    torch.testing.assert_close(ours, plain)
    given = [*clips, *positions.parameters()]
    slope = torch.randn_like(plain)
    for one, other in zip(*(torch.autograd.grad(made, given, slope) for made in (ours, plain)), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kernel", [8, 64])
def test_convolution_keeps_nan_in_its_clip(kernel: int) -> None:
    clips = Packed.pack([torch.randn(5, 12), torch.full((3, 12), float("nan")), torch.randn(5, 12)])
    before, broken, after = clips.with_values(conv_positions(kernel=kernel)(clips))
    assert broken.isnan().all()
    assert before.isfinite().all()
    assert after.isfinite().all()


def test_weight_norm_for_each_tap() -> None:
    """The weight is the direction of weight_v with the length of weight_g, over all channels of a tap."""
    positions = conv_positions(kernel=5)
    lengths = positions.weight.flatten(0, 1).norm(dim=0)
    torch.testing.assert_close(lengths, positions.weight_g.flatten().abs())
    scaled = conv_positions(kernel=5)
    with torch.no_grad():
        scaled.weight_v.mul_(7)
    torch.testing.assert_close(scaled.weight, positions.weight)


def test_fresh_weight_is_its_direction() -> None:
    fresh = ConvPositions(12, kernel=8, groups=3)
    torch.testing.assert_close(fresh.weight, fresh.weight_v)


def test_gate_by_the_formula() -> None:
    """1 + u + (1 - u) * s * r, with u and r from the frame's part of each head: the paper's words."""
    gate = PositionGate(12, 3)
    torch.nn.init.normal_(gate.scale)
    frames = torch.randn(5, 12)
    with torch.no_grad():
        given_gate = gate(frames)
        assert given_gate.shape == (5, 3)
        for head in range(3):
            eight = frames[:, 4 * head : 4 * head + 4] @ gate.linear.weight.T + gate.linear.bias
            first, second = eight[:, :4].sum(1).sigmoid(), eight[:, 4:].sum(1).sigmoid()
            u = 1 - first
            torch.testing.assert_close(given_gate[:, head], 1 + u + (1 - u) * gate.scale[head] * second)


def test_a_kernel_for_gpus_gives_the_same_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same sum, and the same gradients to direction and gain of the weights."""
    needs_triton()
    torch.manual_seed(0)
    positions, frames = ConvPositions(32, kernel=8, groups=2), Packed.pack([torch.randn(5, 32), torch.randn(20, 32)])
    plain = positions(frames)
    monkeypatch.setattr(triton_convolution, "available", lambda *_: True)
    ours = positions(frames)
    torch.testing.assert_close(ours, plain)
    gradients = (torch.autograd.grad(made.square().sum(), list(positions.parameters())) for made in (ours, plain))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_batch_norm_takes_its_running_statistics_so_that_a_clip_is_its_own() -> None:
    torch.manual_seed(0)
    positions = BatchNormPositions(12, kernel=8, groups=3)
    clips = [torch.randn(length, 12) + 3 for length in (5, 30, 17)]
    positions(Packed.pack(clips))  # in training mode: the statistics become those of all frames
    frames = torch.cat(clips)
    torch.testing.assert_close(positions.norm.running_mean, 0.1 * frames.mean(0))
    torch.testing.assert_close(positions.norm.running_var, 0.9 + 0.1 * frames.var(0))
    positions.eval()
    together = Packed.pack(clips).with_values(positions(Packed.pack(clips))).unpack()
    for clip, expected in zip(clips, together, strict=True):
        torch.testing.assert_close(positions(Packed.pack([clip])), expected)
        normed = F.pad(positions.norm(clip).T[None], (4, 3))
        by_hand = F.gelu(F.conv1d(normed, positions.weight, positions.bias, groups=3)[0].T)
        torch.testing.assert_close(by_hand, expected)
