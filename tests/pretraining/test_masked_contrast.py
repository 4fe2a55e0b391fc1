"""The objective of wav2vec 2.0, against an independent slow version and against its own promises."""

import math
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sonant.errors import CheckpointMismatch, ConfigurationError
from sonant.layers.gumbel_quantizer import Temperature
from sonant.layers.negatives import draw_negatives
from sonant.layers.packed import Packed
from sonant.models import Wav2Vec2Config, build
from sonant.pretraining import MaskedContrast, MaskedContrastConfig, SpeechBatch
from sonant.pretraining.quantized_contrast import contrastive_logits
from tests.shapes import TINY

MODEL = Wav2Vec2Config(**TINY, dropout=0.0, attention_dropout=0.0, input_dropout=0.0, layerdrop=0.0)
CONFIG = MaskedContrastConfig(
    num_codebooks=2,
    codebook_size=5,
    quantized_dim=6,
    projection_dim=7,
    num_negatives=4,
    extractor_gradient=1.0,
    feature_dropout=0.0,
)


def objective_for(config: MaskedContrastConfig = CONFIG) -> MaskedContrast:
    """In training, where the codes are drawn; nothing else is random."""
    torch.manual_seed(0)
    return MaskedContrast(build(MODEL), config).train()


def batch_for(samples: list[int], *, share: float = 0.5, seed: int = 1) -> SpeechBatch:
    generator = torch.Generator().manual_seed(seed)
    frames = sum((n - 80) // 320 for n in samples)
    return SpeechBatch(
        Packed.pack([0.1 * torch.randn(n, generator=generator) for n in samples]),
        torch.rand(frames, generator=generator) < share,
    )


def draws_for(batch: SpeechBatch, frames: list[int], config: MaskedContrastConfig = CONFIG) -> tuple[Tensor, Tensor]:
    """Gumbel noise and negatives of a batch whose clips have so many frames."""
    generator = torch.Generator().manual_seed(2)
    lengths = torch.tensor([int(clip.sum()) for clip in batch.mask.split(frames)])
    uniform = torch.rand(
        int(lengths.sum()) * config.num_codebooks, config.codebook_size, generator=generator, dtype=torch.float64
    )
    return -(-uniform.log()).log(), draw_negatives(lengths, config.num_negatives, generator=generator)


def slow_loss(
    objective: MaskedContrast,
    batch: SpeechBatch,
    noise: Tensor,
    negatives: Tensor,
    frozen: list[tuple[Tensor, Tensor]] | None = None,
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """The loss from the formulae of the paper, frame by frame, in float64.

    A code is chosen by a one-hot vector, whose gradient is that of the soft choice. `frozen` holds the hard and soft
    choice of every frame and group (as returned), and makes the function smooth: hard + soft(weights) - soft.
    """
    config, quantizer = objective.config, objective.contrast.quantizer
    features = objective.backbone.features(batch.speech)
    normed = objective.backbone.projection.norm(features.values)
    context = objective.backbone.encode(features, mask=batch.mask, layers=["last"]).last
    assert context is not None
    masked = batch.mask.nonzero().flatten().tolist()
    weight, bias = quantizer.projections[0].weight, quantizer.projections[0].bias
    choices, codes, targets, soft_codes = [], [], [], []
    for row, frame in enumerate(masked):
        vectors, chosen, plain = [], [], []
        for group in range(config.num_codebooks):
            scores = torch.stack(
                [
                    weight[group * config.codebook_size + code] @ normed[frame]
                    + bias[group * config.codebook_size + code]
                    for code in range(config.codebook_size)
                ]
            )
            plain.append(scores.exp() / scores.exp().sum())
            warm = ((scores + noise[row * config.num_codebooks + group]) / quantizer.temperature).exp()
            soft = warm / warm.sum()
            hard = torch.zeros_like(soft)
            hard[int(soft.argmax())] = 1
            if frozen is not None:
                fixed_hard, fixed_soft = frozen[row * config.num_codebooks + group]
                hard, choice = fixed_hard, fixed_hard + soft - fixed_soft
            else:
                choice = hard
            choices.append((hard.detach(), soft.detach()))
            chosen.append(int(hard.argmax()))
            vectors.append(
                sum(
                    choice[code] * quantizer.codebook[0, group * config.codebook_size + code]
                    for code in range(config.codebook_size)
                )
            )
        codes.append(chosen)
        soft_codes.append(torch.stack(plain))
        targets.append(objective.contrast.target_projection(torch.cat(vectors)))

    def similarity(first: Tensor, second: Tensor) -> Tensor:
        cosine = (first * second).sum() / ((first * first).sum().sqrt() * (second * second).sum().sqrt())
        return cosine / config.logit_temperature

    contrast = torch.zeros((), dtype=torch.float64)
    for row, frame in enumerate(masked):
        predicted = objective.contrast.projection(context[frame])
        positive = similarity(predicted, targets[row])
        others = [similarity(predicted, targets[i]) for i in negatives[row].tolist() if codes[i] != codes[row]]
        contrast = contrast - positive + torch.stack([positive, *others]).exp().sum().log()
    shares = torch.stack(soft_codes).mean(0)
    perplexities = (-(shares * shares.log()).sum(1)).exp()
    total_codes = config.num_codebooks * config.codebook_size
    idle = (total_codes - perplexities.sum()) / total_codes
    penalty = (features.values**2).mean()
    total = contrast + len(masked) * (config.diversity_weight * idle + config.feature_penalty * penalty)
    return total, choices


def in_double(objective: MaskedContrast, batch: SpeechBatch) -> tuple[MaskedContrast, SpeechBatch]:
    speech = batch.speech.with_values(batch.speech.values.double())
    return deepcopy(objective).double(), SpeechBatch(speech, batch.mask)


def test_the_loss_is_the_formula() -> None:
    objective, batch = objective_for(), batch_for([8_000, 5_000])
    noise, negatives = draws_for(batch, [24, 15])
    with torch.no_grad():
        loss = objective(batch, noise=noise.float(), negatives=negatives)
        expected, choices = slow_loss(*in_double(objective, batch), noise, negatives)
    assert loss.count == int(batch.mask.sum())
    assert loss.sum.item() == pytest.approx(expected.item(), rel=1e-5)
    codes = torch.stack([hard.argmax() for hard, _ in choices]).view(-1, CONFIG.num_codebooks)
    assert (codes[negatives] == codes[:, None]).all(-1).any()  # negatives that equal the target do occur


def test_codes_in_use_are_counted_without_noise() -> None:
    """The noise would hide that the quantizer itself has few codes left."""
    objective, batch = objective_for(), batch_for([8_000, 5_000])
    metrics = objective(batch).metrics
    with torch.no_grad():
        features = objective.backbone.features(batch.speech)
        normed = objective.backbone.projection.norm(features.values)[batch.mask]
        codes = objective.contrast.quantizer.logits(normed).argmax(-1)
    shares = torch.stack([torch.bincount(group, minlength=CONFIG.codebook_size) for group in codes.T]) / len(codes)
    in_use = (-torch.xlogy(shares, shares).sum(1)).exp().sum().item()
    assert metrics["code_perplexity"][0] == pytest.approx(in_use, rel=1e-5)


def test_gradients_agree_with_finite_differences() -> None:
    objective, batch = objective_for(), batch_for([2_500, 2_000])
    noise, negatives = draws_for(batch, [7, 6])
    objective(batch, noise=noise.float(), negatives=negatives).sum.backward()
    gradients = {name: parameter.grad for name, parameter in objective.named_parameters()}
    slow, batch = in_double(objective, batch)
    with torch.no_grad():
        _, frozen = slow_loss(slow, batch, noise, negatives)
    generator = torch.Generator().manual_seed(3)
    for name, parameter in slow.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        losses = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter.add_(direction, alpha=step)
                losses.append(slow_loss(slow, batch, noise, negatives, frozen)[0].item())
                parameter.sub_(direction, alpha=step)
        slope = (losses[0] - losses[1]) / 2e-6
        gradient = gradients[name]
        assert gradient is not None, name
        assert (gradient * direction).sum().item() == pytest.approx(slope, rel=1e-3, abs=1e-3), name


@settings(max_examples=50, deadline=None)
@given(rows=st.integers(2, 9), codes=st.integers(1, 3), count=st.integers(1, 6), seed=st.integers(0, 2**32))
def test_logits_are_cosines_but_for_equal_codes(rows: int, codes: int, count: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    context, targets = (torch.randn(rows, 5, generator=generator) for _ in range(2))
    drawn = torch.randint(codes, (rows, 2), generator=generator)
    negatives = draw_negatives(torch.tensor([rows]), count, generator=generator)
    logits = contrastive_logits(context, targets, negatives, codes=drawn, temperature=0.2)
    assert logits.shape == (rows, 1 + count)
    for row in range(rows):
        for column, other in enumerate([row, *negatives[row].tolist()]):
            if column and drawn[row].tolist() == drawn[other].tolist():
                assert logits[row, column] == -math.inf
            else:
                cosine = torch.cosine_similarity(context[row], targets[other], dim=0).item()
                assert logits[row, column].item() == pytest.approx(cosine / 0.2, abs=1e-5)


def test_logits_are_float32_in_a_bfloat16_run() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        logits = contrastive_logits(
            torch.randn(3, 4).bfloat16(), torch.randn(3, 4), torch.tensor([[1], [2], [0]]), codes=torch.eye(3).long()
        )
    assert logits.dtype == torch.float32


def test_clips_are_contrasted_each_for_itself() -> None:
    """Without the terms that are means over the batch, the loss of a batch is the sum of those of its clips."""
    objective = objective_for(replace(CONFIG, diversity_weight=0.0, feature_penalty=0.0))
    batch = batch_for([8_000, 5_000, 6_500])
    frames = [24, 15, 20]
    noise, negatives = draws_for(batch, frames)
    together = objective(batch, noise=noise.float(), negatives=negatives)
    alone, first = 0.0, 0
    for clip, mask in zip(batch.speech, batch.mask.split(frames), strict=True):
        rows = slice(first, first + int(mask.sum()))
        loss = objective(
            SpeechBatch(Packed.pack([clip]), mask),
            noise=noise.float().unflatten(0, (-1, CONFIG.num_codebooks))[rows].flatten(0, 1),
            negatives=negatives[rows] - first,
        )
        alone += loss.sum.item()
        first = rows.stop
    assert together.sum.item() == pytest.approx(alone, rel=1e-4)


def test_a_clip_with_one_masked_frame_is_not_scored() -> None:
    objective = objective_for(replace(CONFIG, diversity_weight=0.0, feature_penalty=0.0))
    batch = batch_for([8_000, 5_000])
    frames = torch.arange(len(batch.mask))
    batch = replace(batch, mask=batch.mask & (frames < 24))
    noise, negatives = draws_for(batch, [24, 15])
    expected = objective(batch, noise=noise.float(), negatives=negatives)
    batch = replace(batch, mask=batch.mask | (frames == 30))
    lonely = objective(batch, noise=noise.float(), negatives=negatives)
    assert lonely.count == expected.count == int(batch.mask.sum()) - 1
    assert lonely.sum.item() == pytest.approx(expected.sum.item(), rel=1e-5)


def test_a_batch_without_anything_to_contrast_is_refused() -> None:
    batch = batch_for([8_000])
    batch = replace(batch, mask=torch.arange(len(batch.mask)) == 3)
    with pytest.raises(ConfigurationError, match="two masked frames"):
        objective_for()(batch)


def test_what_is_not_given_is_drawn_by_the_global_generator() -> None:
    objective, batch = objective_for(), batch_for([8_000, 5_000])
    losses = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        losses.append(objective(batch).sum.item())
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("factor", [0.0, 0.1])
def test_the_gradient_of_the_extractor_is_scaled(factor: float) -> None:
    batch = batch_for([8_000])
    noise, negatives = draws_for(batch, [24])
    gradients = []
    for scale in (1.0, factor):
        objective = objective_for(replace(CONFIG, extractor_gradient=scale))
        objective(batch, noise=noise.float(), negatives=negatives).sum.backward()
        gradient = objective.backbone.extractor.layers[0].conv.weight.grad
        gradients.append(torch.zeros(8, 1, 10) if gradient is None else gradient)
    torch.testing.assert_close(gradients[1], factor * gradients[0], rtol=1e-4, atol=1e-6)


def test_the_temperature_falls_to_its_end() -> None:
    objective = objective_for(replace(CONFIG, temperature=Temperature(start=2.0, end=0.5, decay=0.9)))
    seen = []
    for step in (0, 1, 10, 100):
        objective.anneal(step)
        seen.append(objective.contrast.quantizer.temperature)
    assert seen == pytest.approx([2.0, 1.8, 2 * 0.9**10, 0.5])
    assert objective(batch_for([8_000])).metrics["temperature"] == (0.5, 1)


def test_published_temperatures_end_where_the_paper_says() -> None:
    temperature = MaskedContrastConfig().temperature
    assert temperature.at(0) == 2.0
    assert temperature.at(100_000) == pytest.approx(1.2131, abs=1e-4)
    assert temperature.at(400_000) == 0.5


HEALTHY = {"contrastive_accuracy": 0.6, "contrastive_loss": 2.0, "code_perplexity": 250.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"code_perplexity": 6.0}, "6.0 of 640 codes are in use"),
        ({"contrastive_accuracy": 0.999, "contrastive_loss": 0.01, "code_perplexity": 40.0}, "trivial: accuracy 0.999"),
        ({"contrastive_accuracy": 0.999}, None),
    ],
)
def test_a_collapse_is_named(changes: dict[str, float], message: str | None) -> None:
    warning = MaskedContrast(build(MODEL), MaskedContrastConfig()).warning(HEALTHY | changes)
    if message is None:
        assert warning is None
    else:
        assert warning is not None
        assert message in warning
        assert "lr" in warning


def test_one_code_for_everything_is_a_collapse() -> None:
    """What a dead quantizer does to the metrics is what the warning looks for."""
    objective = objective_for()
    with torch.no_grad():
        objective.contrast.quantizer.projections[0].bias[[0, CONFIG.codebook_size]] = 1e4
        loss = objective(batch_for([8_000, 5_000]))
    metrics = {name: total / count for name, (total, count) in loss.metrics.items()}
    assert metrics["contrastive_accuracy"] == 1.0
    assert metrics["contrastive_loss"] == 0.0
    assert metrics["code_perplexity"] == pytest.approx(CONFIG.num_codebooks, rel=1e-4)
    assert "trivial" in (objective.warning(metrics) or "")


def test_a_head_makes_the_round() -> None:
    trained, fresh = objective_for(), MaskedContrast(build(MODEL), CONFIG)
    fresh.backbone.load_state_dict(trained.backbone.state_dict())
    head = trained.head_tensors()
    assert head["quantizer.codebook"].shape == (1, 10, 3)
    assert sum(tensor.numel() for tensor in head.values()) == sum(
        parameter.numel() for name, parameter in trained.named_parameters() if not name.startswith("backbone.")
    )
    fresh.load_head({name: tensor.clone() for name, tensor in head.items()}, {})
    batch = batch_for([8_000])
    noise, negatives = draws_for(batch, [24])
    losses = [objective(batch, noise=noise.float(), negatives=negatives).sum for objective in (trained, fresh)]
    assert torch.equal(*losses)


@pytest.mark.parametrize("fault", ["missing", "strange", "narrow"])
def test_a_head_of_another_shape_is_refused(fault: str) -> None:
    objective = objective_for()
    head = {name: tensor.clone() for name, tensor in objective.head_tensors().items()}
    match fault:
        case "missing":
            del head["target_projection.bias"]
        case "strange":
            head["label_embeddings"] = torch.zeros(3)
        case "narrow":
            head["quantizer.codebook"] = torch.zeros(1, 10, 2)
    with pytest.raises(CheckpointMismatch, match="other tensors than its settings"):
        objective.load_head(head, {})
