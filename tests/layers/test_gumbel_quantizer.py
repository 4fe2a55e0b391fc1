"""The Gumbel quantizer: what it chooses, what it gives, and where its gradient goes."""

from math import exp, log

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.layers.gumbel_quantizer import (
    GumbelQuantizer,
    Temperature,
    code_perplexity,
    diversity,
    gumbel_noise,
    perplexity,
)

VARIANTS = [
    {"shared_codebook": False, "projection_depth": 1},
    {"shared_codebook": True, "projection_depth": 2, "activation": "relu"},
    {"shared_codebook": True, "projection_depth": 3},
]
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def quantizer(**settings: object) -> GumbelQuantizer:
    torch.manual_seed(0)
    return GumbelQuantizer(8, 6, num_codebooks=2, codebook_size=5, **settings)


def codebooks(made: GumbelQuantizer) -> Tensor:
    """(groups, codes, dim / groups), by the published layout."""
    return made.codebook.repeat(1, 2, 1).view(2, 5, 3) if made.shared_codebook else made.codebook.view(2, 5, 3)


@pytest.mark.parametrize(
    ("variant", "shapes"),
    [
        (VARIANTS[0], [(1, 10, 3), (10, 8), (10,)]),
        (VARIANTS[1], [(1, 5, 3), (16, 8), (16,), (10, 16), (10,)]),
        (VARIANTS[2], [(1, 5, 3), (16, 8), (16,), (16, 16), (16,), (10, 16), (10,)]),
    ],
)
def test_shapes_of_the_published_layout(variant: dict[str, object], shapes: list[tuple[int, ...]]) -> None:
    assert [tuple(parameter.shape) for parameter in quantizer(**variant).parameters()] == shapes


@every_variant
def test_the_likeliest_codes_outside_training(variant: dict[str, object]) -> None:
    made, frames = quantizer(**variant).eval(), torch.randn(30, 8)
    quantized = made(frames)
    logits = made.logits(frames)
    assert quantized.values.shape == (30, 6)
    assert torch.equal(quantized.codes, logits.argmax(-1))
    torch.testing.assert_close(quantized.probabilities, logits.softmax(-1))
    for row in range(30):
        for group in range(2):
            vector = codebooks(made)[group, quantized.codes[row, group]]
            assert torch.equal(quantized.values[row, 3 * group : 3 * group + 3], vector)
    assert torch.equal(made(frames).values, quantized.values)  # nothing is drawn


@every_variant
def test_noise_decides_in_training(variant: dict[str, object]) -> None:
    """Noise, rows by frame and then by group, is added to the logits; the probabilities know nothing of it."""
    made, frames = quantizer(**variant), torch.randn(30, 8)
    noise = gumbel_noise(torch.empty(60, 5))
    quantized = made(frames, noise=noise)
    logits = made.logits(frames)
    assert torch.equal(quantized.codes, (logits + noise.view(30, 2, 5)).argmax(-1))
    torch.testing.assert_close(quantized.values, made.vectors(quantized.codes))
    torch.testing.assert_close(quantized.probabilities, logits.softmax(-1))
    wanted = torch.randint(5, (60,))
    forced = made(frames, noise=1000 * F.one_hot(wanted, 5).float())
    assert torch.equal(forced.codes.flatten(), wanted)
    torch.manual_seed(1)
    assert not torch.equal(made(frames).codes, made(frames).codes)


def test_drawn_codes_follow_the_softmax() -> None:
    """Gumbel's trick: the arg-max of logits and noise is a draw from the softmax, at any temperature."""
    made = quantizer()
    made.temperature = 0.3
    frames = torch.randn(1, 8).mul_(0.2).repeat(20_000, 1)
    quantized = made(frames)
    shares = F.one_hot(quantized.codes, 5).float().mean(0)
    torch.testing.assert_close(shares, quantized.probabilities[0], rtol=0, atol=0.015)


@every_variant
@pytest.mark.parametrize("temperature", [2.0, 0.5])
def test_gradient_is_that_of_the_soft_choice(variant: dict[str, object], temperature: float) -> None:
    """Straight through: hard values forwards; for the logits, the derivative of the softmax times the codebook."""
    made = quantizer(**variant).double()
    made.temperature = temperature
    frames = torch.randn(7, 8, dtype=torch.float64, requires_grad=True)
    noise, towards = gumbel_noise(torch.empty(14, 5)).double(), torch.randn(7, 6, dtype=torch.float64)
    made.logits = lambda x: F.linear(x, made_weight).unflatten(-1, (2, 5))  # type: ignore[method-assign]
    made_weight = torch.randn(10, 8, dtype=torch.float64)

    given = torch.autograd.grad((made(frames, noise=noise).values * towards).sum(), [frames, made.codebook])
    soft = ((made.logits(frames) + noise.view(7, 2, 5)) / temperature).softmax(-1)
    mixed = torch.einsum("tgv,gvd->tgd", soft, codebooks(made)).flatten(1)
    (expected,) = torch.autograd.grad((mixed * towards).sum(), [frames])
    torch.testing.assert_close(given[0], expected)
    hard = F.one_hot(soft.argmax(-1), 5).double()
    chosen = torch.einsum("tgv,gvd->tgd", hard, codebooks(made)).flatten(1)
    (expected,) = torch.autograd.grad((chosen * towards).sum(), [made.codebook])
    torch.testing.assert_close(given[1], expected)  # a code vector learns from the frames that chose it


def test_every_parameter_learns() -> None:
    made = quantizer(**VARIANTS[1])
    made(torch.randn(50, 8)).values.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in made.parameters())


def test_init() -> None:
    one = GumbelQuantizer(64, 32, num_codebooks=2, codebook_size=100)
    assert one.codebook.min() >= 0
    assert one.codebook.max() < 1
    assert abs(one.codebook.mean().item() - 0.5) < 0.02
    (only,) = one.projections
    assert abs(only.weight.std().item() - 1) < 0.03
    assert not only.bias.any()
    last = GumbelQuantizer(64, 32, num_codebooks=2, codebook_size=100, projection_depth=2).projections[-1]
    assert last.weight.abs().max() <= 1 / 128**0.5  # torch's own


def test_widths_that_do_not_divide() -> None:
    with pytest.raises(ConfigurationError, match="7.*2 codebooks"):
        GumbelQuantizer(8, 7, num_codebooks=2, codebook_size=5)


def test_temperature_falls_to_its_floor() -> None:
    """wav2vec 2.0 reaches 0.5 after 277,258 updates."""
    temperature = Temperature()
    assert temperature.at(0) == 2.0
    assert temperature.at(1) == 2.0 * 0.999995
    assert temperature.at(277_000) > 0.5
    assert temperature.at(277_260) == temperature.at(400_000) == 0.5
    for wrong in ({"start": 0.1}, {"end": 0.0}, {"decay": 1.1}, {"decay": 0.0}):
        with pytest.raises(ConfigurationError):
            Temperature(**wrong)


def test_perplexities_worked_out_by_hand() -> None:
    probabilities = torch.tensor([[[1.0, 0, 0, 0], [0.5, 0.5, 0, 0]], [[0.0, 1, 0, 0], [0.0, 0.5, 0.5, 0]]])
    expected = [2.0, exp(0.5 * log(2) + 0.5 * log(4))]  # means: halves of two codes; a quarter, a half, a quarter
    torch.testing.assert_close(perplexity(probabilities), torch.tensor(expected), rtol=1e-4, atol=0)
    torch.testing.assert_close(diversity(probabilities).item(), 1 - sum(expected) / 8, rtol=1e-4, atol=0)
    codes = torch.tensor([[0, 3], [0, 1], [1, 2], [1, 0]])
    torch.testing.assert_close(code_perplexity(codes, 4), torch.tensor([2.0, 4.0]), rtol=1e-4, atol=0)
    assert diversity(torch.full((3, 2, 5), 0.2)).abs() < 1e-5
