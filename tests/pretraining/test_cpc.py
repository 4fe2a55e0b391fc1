"""CPC: against a slow version from the formulae, and what it promises of offsets, negatives and codes."""

from dataclasses import replace
from math import log

import pytest
import torch
from torch import Tensor

from sonant.errors import CheckpointMismatch, ConfigurationError
from sonant.layers.gumbel_quantizer import Temperature, gumbel_noise
from sonant.layers.packed import Packed
from sonant.models import VQWav2VecConfig, Wav2VecConfig, WaveformConvNet, build
from sonant.pretraining import CPC, CPCConfig, SpeechBatch

SHAPE = {"conv_channels": (8,) * 5, "conv_kernels": (10, 8, 4, 4, 4), "conv_strides": (5, 4, 2, 2, 2)}
SMALL = {"context_kernels": (2, 3), "skip_connections": True}
MODELS = {
    "wav2vec": Wav2VecConfig(**SHAPE, **SMALL),
    "gumbel": VQWav2VecConfig(**SHAPE, **SMALL, codebook_size=5),
    "kmeans": VQWav2VecConfig(**SHAPE, **SMALL, codebook_size=5, quantizer="kmeans"),
}
every_model = pytest.mark.parametrize("name", MODELS)
FRAMES = (17, 1, 30, 4, 5, 3)  # with an offset of 3: 14, none, 27, 1, 2 and no times that predict something
FEW = CPCConfig(steps=4, num_negatives=3)


def samples(frames: int) -> int:
    return 465 + 160 * (frames - 1)


def objective(name: str, config: CPCConfig = FEW) -> CPC:
    torch.manual_seed(0)
    backbone = build(MODELS[name])
    assert isinstance(backbone, WaveformConvNet)
    made = CPC(backbone, config).double().train()
    for key, parameter in made.named_parameters():
        if key == "heads.weight":
            torch.nn.init.normal_(parameter, 0, 0.5)
        elif key.endswith("codebook"):
            torch.nn.init.normal_(parameter)
    return made


def clips(*frames: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(samples(count), generator=generator, dtype=torch.float64) for count in frames]


def batch(waveforms: list[Tensor]) -> SpeechBatch:
    speech = Packed.pack(waveforms)
    return SpeechBatch(speech, torch.zeros(int(sum((len(clip) - 465) // 160 + 1 for clip in waveforms)), dtype=bool))


def others(frames: tuple[int, ...], count: int) -> Tensor:
    """Any rows of the same clip will do as negatives: (total, count)."""
    generator = torch.Generator().manual_seed(4)
    starts = [sum(frames[:number]) for number in range(len(frames))]
    rows = [
        start + torch.randint(length, (length, count), generator=generator)
        for start, length in zip(starts, frames, strict=True)
    ]
    return torch.cat(rows)


def slow_loss(made: CPC, waveforms: list[Tensor], negatives: Tensor, noise: Tensor | None) -> tuple[Tensor, int]:
    """Clip by clip, step by step, time by time: the sum over predictions and their number.

    -sum_k sum_t [log s(z_{t+k} . h_k(c_t)) + sum over negatives of log s(-z~ . h_k(c_t))]; the quantizer sees the clips
    one by one too, and its losses are of all frames together.
    """
    config, model = made.config, made.backbone
    total, count, start = torch.zeros((), dtype=torch.float64), 0, 0
    latent_losses, commitment_losses = [], []
    for clip in waveforms:
        features = model.extractor(Packed.pack([clip]))
        length = len(features.values)
        own_noise = None if noise is None else noise[2 * start : 2 * (start + length)]
        latents = features.values
        if "quantizer" in dict(model.named_children()):
            quantized = model.quantize(features, noise=own_noise)
            latents = quantized.values
            if hasattr(quantized, "codebook_loss"):
                latent_losses += [quantized.codebook_loss] * length
                commitment_losses += [quantized.commitment_loss] * length
        context = model.encode(features.with_values(latents)).last
        own = negatives[start : start + length] - start
        for step in range(config.steps):
            for time in range(length - made.offset - step):
                target = time + made.offset + step
                predicted = made.heads.weight[:, :, 0, step].T @ context[time] + made.heads.bias
                positive = latents[target] @ predicted
                drawn = torch.stack([latents[other] @ predicted for other in own[target]])
                if config.contrast == "infonce":
                    total = total - torch.cat([positive[None], drawn]).log_softmax(0)[0]
                else:
                    weight = 1 / config.num_negatives if config.balanced else 1
                    total = total - torch.sigmoid(positive).log() - weight * torch.sigmoid(-drawn).log().sum()
                count += 1
        start += length
    if latent_losses:
        mean = (torch.stack(latent_losses) + config.commitment * torch.stack(commitment_losses)).mean()
        total = total + count * mean
    return total, count


@every_model
@pytest.mark.parametrize(
    "settings", [{}, {"contrast": "infonce"}, {"balanced": True}, {"offset": 1, "steps": 12, "commitment": 2.0}]
)
def test_against_the_slow_version(name: str, settings: dict[str, object]) -> None:
    """Value and every gradient; clips too short for some steps, or for any, included."""
    made = objective(name, replace(FEW, **settings))
    waveforms, negatives = clips(*FRAMES), others(FRAMES, 3)
    noise = gumbel_noise(torch.empty(2 * sum(FRAMES), 5, dtype=torch.float64)) if name == "gumbel" else None
    loss = made(batch(waveforms), noise=noise, negatives=negatives)
    expected, count = slow_loss(made, waveforms, negatives, noise)
    assert loss.count == count
    torch.testing.assert_close(loss.sum, expected)
    parameters = dict(made.named_parameters())
    for key, given_gradient, wanted in zip(
        parameters,
        torch.autograd.grad(loss.sum, list(parameters.values()), allow_unused=True),
        torch.autograd.grad(expected, list(parameters.values()), allow_unused=True),
        strict=True,
    ):
        assert (given_gradient is None) == (wanted is None), key
        torch.testing.assert_close(given_gradient, wanted, rtol=1e-5, atol=1e-8, msg=key)


def test_the_published_offset() -> None:
    """465 samples at steps of 160: the third frame from now is the first to have heard nothing that this one heard."""
    assert objective("wav2vec").offset == objective("gumbel").offset == 3
    assert objective("wav2vec", replace(FEW, offset=7)).offset == 7
    config = Wav2VecConfig()
    assert (config.receptive_field, config.stride) == (465, 160)
    assert CPC(build(MODELS["wav2vec"]), CPCConfig()).heads.weight.shape == (8, 8, 1, 12)


def test_how_many_predictions() -> None:
    """Step k of time t, where t + offset + k lies in the clip: 10 frames and an offset of 3 leave 7 + 6 + 5 + 4."""
    made = objective("wav2vec")
    assert made(batch(clips(10))).count == 22
    assert made(batch(clips(10, 5, 3, 1))).count == 22 + 3


def test_clips_too_short_for_any_step_lose_nothing() -> None:
    made = objective("wav2vec")
    loss = made(batch(clips(3, 1)))
    assert loss.count == 0
    assert loss.sum.item() == 0
    loss.sum.backward()
    assert all(not parameter.grad.any() for parameter in made.parameters() if parameter.grad is not None)


def test_negatives_are_other_frames_of_the_clip() -> None:
    made = objective("wav2vec", replace(FEW, num_negatives=40))
    frames = torch.tensor(FRAMES)
    drawn = made._draw(frames, torch.device("cpu"))
    assert drawn.shape == (sum(FRAMES), 40)
    clip = torch.arange(len(FRAMES)).repeat_interleave(frames)
    own = torch.arange(sum(FRAMES))
    assert torch.equal(clip[drawn], clip[:, None].expand(-1, 40))
    company = frames.repeat_interleave(frames) > 1
    assert (drawn != own[:, None])[company].all()
    assert {int(row) for row in drawn[own[clip == 4][2]]} == set(own[clip == 4].tolist()) - {int(own[clip == 4][2])}


@every_model
def test_a_batch_costs_what_its_clips_cost(name: str) -> None:
    """k-means averages its own losses over all frames, so that there clips of one length are needed."""
    frames = (12, 12, 12) if name == "kmeans" else (17, 9, 30)
    made, waveforms, negatives = objective(name), clips(*frames), others(frames, 3)
    noise = gumbel_noise(torch.empty(2 * sum(frames), 5, dtype=torch.float64)) if name == "gumbel" else None
    together = made(batch(waveforms), noise=noise, negatives=negatives)
    total, count, start = 0.0, 0, 0
    for clip, length in zip(waveforms, frames, strict=True):
        loss = made(
            batch([clip]),
            noise=None if noise is None else noise[2 * start : 2 * (start + length)],
            negatives=negatives[start : start + length] - start,
        )
        total, count, start = total + loss.sum.item(), count + loss.count, start + length
    assert together.count == count
    assert together.sum.item() == pytest.approx(total)


def test_finite_differences() -> None:
    """Of the whole objective, by the waveform; wav2vec alone is smooth."""
    config = replace(
        MODELS["wav2vec"], activation="gelu", conv_kernels=(3, 2), conv_strides=(2, 2), conv_channels=(4, 4)
    )
    torch.manual_seed(0)
    made = CPC(build(config), CPCConfig(steps=2, num_negatives=2, offset=1)).double()
    lengths = torch.tensor([23, 17])
    frames = tuple(((lengths - 5) // 4 + 1).tolist())
    negatives = others(frames, 2)

    def loss(values: Tensor) -> Tensor:
        return made(SpeechBatch(Packed(values, lengths), torch.zeros(0, dtype=bool)), negatives=negatives).sum

    assert torch.autograd.gradcheck(loss, torch.randn(40, dtype=torch.float64, requires_grad=True))


@pytest.mark.parametrize("contrast", ["binary", "infonce"])
def test_known_values(contrast: str) -> None:
    """Heads that predict nothing score every pair zero: log 2 each, or a choice among four."""
    made = objective("wav2vec", replace(FEW, contrast=contrast))
    for parameter in made.heads.parameters():
        torch.nn.init.zeros_(parameter)
    loss = made(batch(clips(20)))
    each = 4 * log(2) if contrast == "binary" else log(4)
    assert loss.sum.item() / loss.count == pytest.approx(each)
    assert loss.metrics["accuracy"] == (0.0, loss.count)  # a tie is no success
    assert loss.metrics["contrast_loss"][0] == pytest.approx(loss.sum.item())


def test_accuracy_counts_positives_that_no_negative_beats() -> None:
    made = objective("wav2vec")
    waveforms, negatives = clips(25), others((25,), 3)
    seen: list[Tensor] = []
    contrast = made._contrast
    made._contrast = lambda logits: (seen.append(logits), contrast(logits))[1]  # type: ignore[method-assign]
    loss = made(batch(waveforms), negatives=negatives)
    (logits,) = seen
    right = sum(
        bool((scores[0] >= scores[1:]).all() and (scores[0] > scores[1:]).any())
        for step in range(4)
        for scores in logits[3 + step :, step]
    )
    assert loss.metrics["accuracy"] == (right, loss.count)
    assert 0 < right < loss.count


def test_the_gumbel_temperature_follows_the_steps() -> None:
    made = objective("gumbel", replace(FEW, temperature=Temperature(start=2.0, end=0.5, decay=0.9)))
    assert made.backbone.quantizer.temperature == 2.0
    made.anneal(3)
    assert made.backbone.quantizer.temperature == pytest.approx(2 * 0.9**3)
    made.anneal(1000)
    assert made(batch(clips(20))).metrics["temperature"] == (0.5, 1)
    for name in ("wav2vec", "kmeans"):
        objective(name).anneal(3)  # nothing to set


def test_diversity_is_off_as_published_and_works_when_asked_for() -> None:
    """Weight times the idle codes, G V - perplexity, for each prediction."""
    waveforms, negatives = clips(20), others((20,), 3)
    noise = gumbel_noise(torch.empty(40, 5, dtype=torch.float64))
    plain, diverse = (
        objective("gumbel", replace(FEW, diversity_weight=weight))(batch(waveforms), noise=noise, negatives=negatives)
        for weight in (0.0, 0.3)
    )
    idle = 10 - plain.metrics["probability_perplexity"][0]
    assert 0 < idle < 9
    assert (diverse.sum - plain.sum).item() == pytest.approx(0.3 * idle * plain.count)


@pytest.mark.parametrize("name", ["gumbel", "kmeans"])
def test_without_the_quantizer_it_is_wav2vec(name: str) -> None:
    """What stands before and behind the quantizer learns as in the plain model of the same weights."""
    made, waveforms, negatives = objective(name, replace(FEW, quantized=False)), clips(20, 9), others((20, 9), 3)
    loss = made(batch(waveforms), negatives=negatives)
    shape = {key: getattr(MODELS[name], key) for key in ("activation", "log_compression", *SHAPE, *SMALL)}
    plain = CPC(build(Wav2VecConfig(**shape)), FEW).double()
    plain.load_state_dict({key: value for key, value in made.state_dict().items() if "quantizer" not in key})
    assert loss.sum.item() == pytest.approx(plain(batch(waveforms), negatives=negatives).sum.item())
    loss.sum.backward()
    untouched = {key for key, parameter in made.named_parameters() if parameter.grad is None}
    assert untouched == {key for key in dict(made.named_parameters()) if "quantizer" in key}
    assert untouched == {key for key, parameter in made.named_parameters() if not parameter.requires_grad}
    assert made.warning({"contrast_loss": 3.0}) is None


def test_codes_that_start_from_frames() -> None:
    """Every code vector is a frame, projected and normalized, so that none lies idle at first."""
    made, speech = objective("kmeans", replace(FEW, codes_from_frames=True)), batch(clips(60, 50))
    quantizer = made.backbone.quantizer
    made.start(speech)
    frames = quantizer._frames(made.backbone.extractor(speech.speech)).view(
        -1, 3 + 1
    )  # (frames * groups, dim / groups)
    for vector in quantizer.codebook[:, 0]:
        assert (frames - vector).abs().sum(1).min() < 1e-9
    with torch.no_grad():
        codes = made.backbone.quantize(made.backbone.extractor(speech.speech)).codes
    assert len(codes.unique()) == 5
    before = objective("kmeans")
    untouched = before.backbone.quantizer.codebook.clone()
    before.start(speech)
    assert torch.equal(before.backbone.quantizer.codebook, untouched)  # as published, unless asked for
    for name in ("wav2vec", "gumbel"):
        objective(name, replace(FEW, codes_from_frames=True)).start(speech)


@pytest.mark.parametrize("name", ["gumbel", "kmeans"])
def test_a_collapse_is_reported(name: str) -> None:
    made = objective(name)

    def averaged() -> dict[str, float]:
        return {key: total / count for key, (total, count) in made(batch(clips(40, 50))).metrics.items()}

    healthy = averaged() | {"code_perplexity": 4.1}
    assert made.warning(healthy) is None
    with torch.no_grad():
        if name == "gumbel":
            made.backbone.quantizer.projections[-1].weight.zero_()
            made.backbone.quantizer.projections[-1].bias.copy_(torch.tensor([5.0, 0, 0, 0, 0] * 2))
        else:
            made.backbone.quantizer.codebook[1:] += 100
    assert averaged()["code_perplexity"] == pytest.approx(2, abs=0.01)
    message = made.warning(averaged())
    assert message is not None
    assert "2.0 of 10 codes" in message
    assert objective("wav2vec").warning({"accuracy": 0.1}) is None


@every_model
def test_random_numbers_come_from_torch(name: str) -> None:
    """So that a run that was interrupted goes on as if it had not been."""
    made, speech = objective(name), batch(clips(30))

    def draw() -> float:
        torch.manual_seed(5)
        return made(speech).sum.item()

    assert draw() == draw()


@every_model
def test_every_parameter_learns(name: str) -> None:
    made = objective(name)
    made(batch(clips(40, 50))).sum.backward()
    for key, parameter in made.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.any(), key


@every_model
def test_half_precision_stays_near(name: str) -> None:
    made = objective(name).float()
    speech = Packed.pack([clip.float() for clip in clips(40, 50)])
    noise = gumbel_noise(torch.empty(180, 5)) if name == "gumbel" else None
    arguments = {"noise": noise, "negatives": others((40, 50), 3)}
    exact = made(SpeechBatch(speech, torch.zeros(90, dtype=bool)), **arguments)
    with torch.autocast("cpu", torch.bfloat16):
        near = made(SpeechBatch(speech, torch.zeros(90, dtype=bool)), **arguments)
    assert near.sum.dtype == torch.float32
    assert near.sum.item() == pytest.approx(exact.sum.item(), rel=0.05)


def test_settings_that_make_no_sense() -> None:
    for wrong in ({"steps": 0}, {"num_negatives": 0}, {"offset": 0}):
        with pytest.raises(ConfigurationError, match="at least 1"):
            CPCConfig(**wrong)


def test_what_is_kept_of_it() -> None:
    assert {name: tuple(tensor.shape) for name, tensor in objective("kmeans").head_tensors().items()} == {
        "steps.weight": (8, 8, 1, 4),
        "steps.bias": (8,),
    }


def test_the_step_heads_of_a_trained_model_go_on() -> None:
    trained, further = objective("wav2vec"), objective("wav2vec")
    with torch.no_grad():
        trained.heads.weight.add_(1)
    further.load_head({name: tensor.clone() for name, tensor in trained.head_tensors().items()}, {})
    assert torch.equal(further.heads.weight, trained.heads.weight)
    with pytest.raises(CheckpointMismatch, match=r"Set objective\.steps"):
        CPC(further.backbone, replace(FEW, steps=FEW.steps + 1)).load_head(trained.head_tensors(), {})
