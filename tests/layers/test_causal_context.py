"""One causal convolution over all clips, and the frames of each are those it would have alone."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from sonant.layers.causal_context import CausalContext
from sonant.layers.packed import Packed

KERNELS = (2, 1, 3, 5)
SIZES = st.lists(st.integers(1, 12), min_size=1, max_size=5)


def context(**settings: object) -> CausalContext:
    torch.manual_seed(0)
    made = CausalContext(6, KERNELS, **settings)
    for name, parameter in made.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, 0.5, 0.5)
    return made


def plain(made: CausalContext, clip: torch.Tensor, *, zero_padding: bool = False) -> list[torch.Tensor]:
    """By definition: one clip, one layer after another; every state, (frames, dim)."""
    states = [clip]
    for layer, kernel in zip(made.layers, KERNELS, strict=True):
        x = states[-1].T[None]
        padded = F.pad(x, (kernel - 1, 0)) if zero_padding else F.pad(x, (kernel - 1, 0), mode="replicate")
        y = F.conv1d(padded, layer.conv.weight, layer.conv.bias)
        y = F.relu(F.group_norm(y, 1, layer.norm.weight, layer.norm.bias))
        states.append(((y + x) / 2**0.5 if made.skip_connections else y)[0].T)
    return states


@pytest.mark.parametrize("zero_padding", [False, True])
@pytest.mark.parametrize("skip_connections", [False, True])
def test_each_clip_as_if_alone(skip_connections: bool, zero_padding: bool) -> None:
    """Clips shorter than the kernels included."""
    made = context(skip_connections=skip_connections, zero_padding=zero_padding)

    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(SIZES)
    def holds(sizes: list[int]) -> None:
        clips = [torch.randn(size, 6) * 2 + 1 for size in sizes]
        speech = Packed.pack(clips)
        with torch.no_grad():
            states, last = made(speech, range(5), last=True)
            assert torch.equal(last, states[4])
            for number, state in states.items():
                for clip, given_frames in zip(clips, speech.with_values(state), strict=True):
                    expected = plain(made, clip, zero_padding=zero_padding)[number]
                    torch.testing.assert_close(given_frames, expected, rtol=1e-4, atol=1e-4)

    holds()


@pytest.mark.parametrize("zero_padding", [False, True])
def test_a_convolution_sees_no_later_frame(zero_padding: bool) -> None:
    """Nor a frame beyond its reach, nor another clip; only the norm averages over the whole clip."""
    (layer,) = CausalContext(6, (4,), zero_padding=zero_padding).layers
    frames = torch.randn(20, 6, requires_grad=True)
    speech = Packed(frames, torch.tensor([7, 13]))
    with torch.no_grad():
        layer.conv.weight.abs_().add_(0.1)
    for row, (first, end) in ((0, (0, 1)), (6, (3, 7)), (7, (7, 8)), (9, (7, 10)), (15, (12, 16))):
        (gradient,) = torch.autograd.grad(layer.convolve(speech)[row].sum(), frames)
        seen = gradient.abs().sum(1).nonzero().flatten().tolist()
        assert seen == list(range(first, end))


def test_the_norm_sees_the_whole_clip_and_no_other() -> None:
    made = context()
    frames = torch.randn(20, 6, requires_grad=True)
    _, last = made(Packed(frames, torch.tensor([7, 13])), [], last=True)
    (gradient,) = torch.autograd.grad(last[2].square().sum(), frames)
    assert gradient.abs().sum(1).nonzero().flatten().tolist() == list(range(7))


def test_nan_stays_in_its_clip() -> None:
    made = context()
    clips = [torch.randn(5, 6), torch.full((8, 6), float("nan")), torch.randn(3, 6)]
    speech = Packed.pack(clips)
    with torch.no_grad():
        _, last = made(speech, [], last=True)
        before, broken, after = speech.with_values(last)
    assert broken.isnan().all()
    assert before.isfinite().all()
    assert after.isfinite().all()


def test_stops_where_nothing_more_is_asked() -> None:
    made = context()
    ran: list[int] = []
    for number, layer in enumerate(made.layers, start=1):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    states, last = made(Packed.pack([torch.randn(4, 6)]), [0, 2], last=False)
    assert list(states) == [0, 2]
    assert last is None
    assert ran == [1, 2]


def test_gradient() -> None:
    made = context(skip_connections=True).double()
    values = torch.randn(9, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: made(Packed(x, torch.tensor([2, 1, 6])), [], last=True)[1], values)


def test_dropout_only_in_training() -> None:
    made, speech = context(dropout=0.5), Packed.pack([torch.randn(30, 6)])
    runs = [made(speech, [], last=True)[1] for _ in range(2)]
    assert not torch.equal(*runs)
    made.eval()
    runs = [made(speech, [], last=True)[1] for _ in range(2)]
    assert torch.equal(*runs)
