"""Frames squeezed and stretched again are, clip by clip, those of the formulae."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonant.layers.packed import Packed
from sonant.layers.squeezed import SqueezedEncoder
from sonant.layers.transformer import TransformerEncoder

DIM, GROUPS = 4, 2
LENGTHS = [7, 1, 12, 2, 3, 3]


def encoder(factor: int, kernel: int) -> SqueezedEncoder:
    """One without layers: what it squeezes goes through a norm, and is stretched."""
    torch.manual_seed(0)
    inner = TransformerEncoder(DIM, 0, nn.Identity, None, pre_norm=False)  # type: ignore[arg-type]
    made = SqueezedEncoder(DIM, inner, factor=factor, kernel=kernel, groups=GROUPS)
    for parameter in made.parameters():
        nn.init.normal_(parameter)
    return made.double().eval()


def frames() -> Packed:
    generator = torch.Generator().manual_seed(0)
    return Packed.pack(torch.randn(length, DIM, generator=generator, dtype=torch.float64) for length in LENGTHS)


def squeezed_by_formula(made: SqueezedEncoder, clip: Tensor) -> Tensor:
    factor, kernel = made.factor, made.positions.kernel
    count = max(1, len(clip) // factor)
    rows = []
    for number in range(count):
        window = torch.zeros(kernel, DIM, dtype=clip.dtype)
        for tap in range(kernel):
            frame = number * factor - kernel // 2 + tap
            if 0 <= frame < len(clip):
                window[tap] = clip[frame]
        position = F.conv1d(window.T[None], made.positions.weight, made.positions.bias, groups=GROUPS)[0, :, 0]
        rows.append(clip[number * factor : (number + 1) * factor].mean(0) + F.gelu(position))
    return torch.stack(rows)


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 4, 5])
@torch.no_grad()
def test_states_and_output_are_those_of_the_formulae(factor: int, kernel: int) -> None:
    made, packed = encoder(factor, kernel), frames()
    states, output = made(packed, {0}, last=True)
    assert output is not None
    for clip, state, stretched in zip(packed, packed.with_values(states[0]), packed.with_values(output), strict=True):
        short = made.inner.norm(squeezed_by_formula(made, clip))
        place = (torch.arange(len(clip)) // factor).clamp(max=len(short) - 1)
        torch.testing.assert_close(state, short[place])
        wide = F.gelu(short @ made.upsample.weight.T + made.upsample.bias).reshape(-1, DIM)[: len(clip)]
        torch.testing.assert_close(stretched[: len(wide)], wide)
        assert not stretched[len(wide) :].any()
        assert len(clip) - len(wide) == (len(clip) % factor if len(clip) > factor else 0)


def test_what_is_not_wanted_is_not_computed() -> None:
    made, packed = encoder(2, 3), frames()
    made.upsample.register_forward_hook(lambda *_: pytest.fail("the output was computed"))
    states, output = made(packed, set(), last=False)
    assert (states, output) == ({}, None)
