"""The objective of w2v-BERT, against its formulae spelled out and against its own promises."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.layers.masking import SpanMasking
from sonant.layers.packed import Packed
from sonant.models import W2vBERT2, W2vBERT2Config, build
from sonant.pretraining import SpeechBatch, W2vBERTObjective, W2vBERTObjectiveConfig

MODEL = W2vBERT2Config(
    dim=16, num_layers=3, num_heads=2, feed_forward_dim=20, conv_kernel=5, conv_dropout=0.0, layerdrop=0.0
)
CONFIG = W2vBERTObjectiveConfig(
    contrast_layer=1,
    num_codebooks=2,
    codebook_size=6,
    quantized_dim=10,
    projection_dim=8,
    num_negatives=7,
    contrast_weight=0.7,
    code_weight=1.3,
    label_weight=0.9,
    diversity_weight=0.4,
    num_label_codebooks=3,
    label_codebook_size=11,
    label_dim=4,
)


def objective_for(config: W2vBERTObjectiveConfig = CONFIG) -> W2vBERTObjective:
    torch.manual_seed(0)
    backbone = build(MODEL)
    assert isinstance(backbone, W2vBERT2)
    return W2vBERTObjective(backbone, config)


def batch_for(samples: list[int], share: float = 0.5) -> SpeechBatch:
    generator = torch.Generator().manual_seed(1)
    frames = sum((n - 240) // 320 for n in samples)
    clips = [0.1 * torch.randn(n, generator=generator) for n in samples]
    return SpeechBatch(Packed.pack(clips), torch.rand(frames, generator=generator) < share)


def drawn(batch: SpeechBatch, config: W2vBERTObjectiveConfig = CONFIG) -> tuple[Tensor, Tensor, list[int]]:
    """Gumbel noise, negatives of the same clip, and how many frames of each clip are masked."""
    generator = torch.Generator().manual_seed(2)
    sizes = [(n - 240) // 320 for n in batch.speech.sizes]
    counts = [int(part.sum()) for part in batch.mask.split(sizes)]
    uniform = torch.rand(sum(counts) * config.num_codebooks, config.codebook_size, generator=generator)
    rows: list[list[int]] = []
    for start, count in zip([sum(counts[:i]) for i in range(len(counts))], counts, strict=True):
        for own in range(start, start + count):
            others = [row for row in range(start, start + count) if row != own]
            picks = torch.randint(len(others), (config.num_negatives,), generator=generator).tolist()
            rows.append([others[pick] for pick in picks])
    return -(-uniform.log()).log(), torch.tensor(rows), counts


@torch.no_grad()
def spelled_out(objective: W2vBERTObjective, batch: SpeechBatch, noise: Tensor, negatives: Tensor) -> dict[str, float]:
    """Every term, frame by frame, from the formulae."""
    config, backbone = objective.config, objective.backbone
    features = backbone.features(batch.speech)
    encoded = backbone.encode(features, mask=batch.mask)
    inner, last = encoded.hidden_states[config.contrast_layer][batch.mask], encoded.hidden_states[3][batch.mask]
    raw = features.values[batch.mask]
    normed = backbone.projection.norm(raw)
    scores = objective.contrast.quantizer.projections[0](normed).unflatten(
        1, (config.num_codebooks, config.codebook_size)
    )
    shares = scores.softmax(-1)
    noisy = scores + noise.view_as(scores)
    vectors = objective.contrast.quantizer.codebook[0].view(config.num_codebooks, config.codebook_size, -1)
    targets, codes = [], []
    for row in range(len(raw)):
        picks = [int(noisy[row, group].argmax()) for group in range(config.num_codebooks)]
        codes.append(picks)
        targets.append(torch.cat([vectors[group, pick] for group, pick in enumerate(picks)]))
    terms = {"contrast": 0.0, "code": 0.0, "label": 0.0}
    for row in range(len(raw)):
        context = objective.contrast.projection(inner[row])

        def similar(other: int, context: Tensor = context) -> float:
            target = objective.contrast.target_projection(targets[other])
            return float(context @ target / context.norm() / target.norm() / config.logit_temperature)

        others = [similar(other) for other in negatives[row].tolist() if codes[other] != codes[row]]
        terms["contrast"] += math.log(sum(map(math.exp, [similar(row), *others]))) - similar(row)
        predicted = objective.code_head(last[row]).view(config.num_codebooks, config.codebook_size).log_softmax(-1)
        likeliest = scores[row].argmax(-1)
        terms["code"] -= (
            sum(float(predicted[g, likeliest[g]]) for g in range(config.num_codebooks)) / config.num_codebooks
        )
        guessed = objective.label_head(last[row]).view(config.num_label_codebooks, -1).log_softmax(-1)
        for book in range(config.num_label_codebooks):
            projected = raw[row] @ objective.label_quantizer.projection[book]
            distances = (projected / projected.norm() - objective.label_quantizer.codebook[book]).norm(dim=1)
            terms["label"] -= float(guessed[book, distances.argmin()]) / config.num_label_codebooks
    used = sum(math.exp(-sum(p * math.log(p + 1e-7) for p in shares[:, g].mean(0).tolist())) for g in range(2))
    return terms | {"idle": 1 - used / (config.num_codebooks * config.codebook_size)}


def test_the_loss_is_the_formula() -> None:
    objective, batch = objective_for().train(), batch_for([9_000, 6_000])
    noise, negatives, _ = drawn(batch)
    objective.anneal(100_000)
    expected = spelled_out(objective, batch, noise, negatives)
    loss = objective(batch, noise=noise, negatives=negatives)
    count = int(batch.mask.sum())
    assert loss.count == count
    assert loss.metrics["contrastive_loss"] == pytest.approx((expected["contrast"], count), rel=1e-4)
    assert loss.metrics["code_loss"] == pytest.approx((expected["code"], count), rel=1e-4)
    assert loss.metrics["label_loss"] == pytest.approx((expected["label"], count), rel=1e-4)
    total = 0.7 * expected["contrast"] + 1.3 * expected["code"] + 0.9 * expected["label"]
    assert loss.sum.item() == pytest.approx(total + 0.4 * count * expected["idle"], rel=1e-4)
    assert objective.contrast.quantizer.temperature == pytest.approx(2.0 * 0.999995**100_000)


def test_a_batch_is_the_sum_of_its_clips() -> None:
    """But for the diversity, which is of the batch."""
    objective, batch = objective_for(replace(CONFIG, diversity_weight=0.0)).train(), batch_for([9_000, 6_000, 7_000])
    noise, negatives, counts = drawn(batch)
    together = objective(batch, noise=noise, negatives=negatives)
    masks = batch.mask.split([(n - 240) // 320 for n in batch.speech.sizes])
    start, total = 0, 0.0
    for clip, mask, count in zip(batch.speech, masks, counts, strict=True):
        own = slice(start, start + count)
        alone = SpeechBatch(Packed.pack([clip]), mask)
        loss = objective(alone, noise=noise[2 * own.start : 2 * own.stop], negatives=negatives[own] - start)
        total, start = total + loss.sum.item(), start + count
    assert together.sum.item() == pytest.approx(total, rel=1e-4)


def test_gradients_agree_with_finite_differences() -> None:
    """With the likeliest codes: a straight-through gradient is not that of the loss, by design."""
    objective, batch = objective_for().double().eval(), batch_for([3_000, 2_500])
    batch = replace(batch, speech=batch.speech.with_values(batch.speech.values.double()))
    _, negatives, _ = drawn(batch)
    objective(batch, negatives=negatives).sum.backward()
    generator = torch.Generator().manual_seed(3)
    for name, parameter in objective.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        losses = []
        for step in (1e-5, -1e-5):
            with torch.no_grad():
                parameter.add_(direction, alpha=step)
                losses.append(objective(batch, negatives=negatives).sum.item())
                parameter.sub_(direction, alpha=step)
        assert parameter.grad is not None, name
        slope = (losses[0] - losses[1]) / 2e-5
        # The quantizer's probabilities are float32, whatever the weights are.
        assert slope == pytest.approx((parameter.grad * direction).sum().item(), rel=0.02, abs=0.1), name


def test_everything_that_is_trained_gets_a_gradient_and_the_labels_do_not() -> None:
    objective, batch = objective_for().train(), batch_for([9_000, 6_000])
    objective(batch).sum.backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert not any(name.startswith("label_quantizer") for name, _ in objective.named_parameters())


def test_masked_frames_are_not_seen() -> None:
    """What stands behind the mask reaches the targets, never the context."""
    objective = objective_for().eval()
    features = objective.backbone.features(batch_for([9_000]).speech)
    mask = torch.zeros(len(features.values), dtype=torch.bool)
    mask[5:15] = True
    changed = features.values.clone()
    changed[mask] += 1
    first, second = (
        objective.backbone.encode(features.with_values(values), mask=mask).last for values in (features.values, changed)
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize(("part", "metric"), [("code_weight", "code_loss"), ("label_weight", "label_loss")])
def test_a_weight_of_0_leaves_a_part_out(part: str, metric: str) -> None:
    objective = objective_for(replace(CONFIG, **{part: 0.0})).train()
    assert metric not in objective(batch_for([9_000])).metrics
    assert len(objective.head_tensors()) < len(objective_for().head_tensors())


def test_a_collapse_is_told() -> None:
    objective = objective_for(replace(CONFIG, codebook_size=320))
    healthy = {"contrastive_loss": 2.0, "contrastive_accuracy": 0.5, "code_perplexity": 200.0}
    assert objective.warning(healthy) is None
    assert "trivial" in (objective.warning(healthy | {"contrastive_loss": 0.01, "contrastive_accuracy": 1.0}) or "")
    assert "3.0 of 640" in (objective.warning(healthy | {"code_perplexity": 3.0}) or "")


def test_the_head_has_the_names_of_the_parts() -> None:
    head = objective_for().head_tensors()
    assert head["quantizer.codebook"].shape == (1, 12, 5)
    assert head["quantizer.projections.0.weight"].shape == (12, 160)
    assert head["code_head.weight"].shape == (12, 16)
    assert {name.partition(".")[0] for name in head} == {
        "quantizer",
        "target_projection",
        "projection",
        "code_head",
        "label_head",
        "label_quantizer",
    }


@pytest.mark.parametrize("layer", [0, 4])
def test_the_contrast_needs_a_block(layer: int) -> None:
    with pytest.raises(ConfigurationError, match=f"contrast_layer={layer}"):
        objective_for(replace(CONFIG, contrast_layer=layer))


def test_the_published_settings_fit_the_published_model() -> None:
    config = W2vBERTObjectiveConfig()
    assert config.masking == SpanMasking(fraction=0.65)
    with torch.device("meta"):
        backbone = W2vBERT2(W2vBERT2Config())
        assert sum(parameter.numel() for parameter in backbone.parameters()) == 580_493_120
    assert config.contrast_layer < backbone.num_layers
