"""The objective of wav2vec 2.0 equals that of transformers on the same masks, negatives and Gumbel noise.

Clips are of equal length: transformers lets the padding of a batch into its group norm, and ours has none. It has no
feature penalty either.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import Wav2Vec2ForPreTraining

from sonant.benchmark.subjects import exaggerate
from sonant.checkpoints import Head, save_pretrained
from sonant.checkpoints.name_maps.hf import HF, HF_CONTRAST
from sonant.checkpoints.parameter_names import write
from sonant.layers.negatives import draw_negatives
from sonant.layers.packed import Packed
from sonant.models import Wav2Vec2Config, build
from sonant.pretraining import MaskedContrast, MaskedContrastConfig, SpeechBatch

TOLERANCE = 1e-5
CLIPS, SAMPLES, FRAMES = 3, 9_000, 27
UNDROPPED = {"dropout": 0.0, "attention_dropout": 0.0, "input_dropout": 0.0, "layerdrop": 0.0}
POST_NORM = Wav2Vec2Config(
    **UNDROPPED,
    conv_channels=(16,) * 7,
    dim=32,
    num_layers=3,
    num_heads=4,
    feed_forward_dim=48,
    position_kernel=16,
    position_groups=4,
)
PRE_NORM = Wav2Vec2Config(
    **UNDROPPED,
    conv_channels=(12,) * 7,
    conv_bias=True,
    extractor_norm="layer",
    dim=24,
    num_layers=2,
    num_heads=3,
    feed_forward_dim=40,
    pre_norm=True,
    position_kernel=9,
    position_groups=2,
    normalize=True,
)


@dataclass(frozen=True)
class Draws:
    """What is random in a step, for every frame of the batch: masks, Gumbel noise, negatives."""

    mask: Tensor  # bool (frames,)
    noise: Tensor  # (frames, groups, codes)
    negatives: Tensor  # int64 (masked, negatives), numbers of masked frames

    @classmethod
    def of(cls, config: MaskedContrastConfig, seed: int) -> "Draws":
        generator = torch.Generator().manual_seed(seed)
        mask = torch.rand(CLIPS, FRAMES, generator=generator) < 0.5
        mask[:, 3:5] = True
        uniform = torch.rand(CLIPS * FRAMES, config.num_codebooks, config.codebook_size, generator=generator).clamp(
            1e-6, 1 - 1e-6
        )
        negatives = draw_negatives(mask.sum(1), config.num_negatives, generator=generator)
        return cls(mask.flatten(), -(-uniform.log()).log(), negatives)

    def of_every_frame(self) -> Tensor:
        """The negatives as transformers takes them: (clips, frames, negatives), numbers of frames."""
        every = torch.zeros(len(self.mask), self.negatives.shape[1], dtype=torch.int64)
        every[self.mask] = self.mask.nonzero().flatten()[self.negatives]
        return every.view(CLIPS, FRAMES, -1)


def objectives(
    model: Wav2Vec2Config, config: MaskedContrastConfig, folder: Path, seed: int = 0
) -> tuple[MaskedContrast, Wav2Vec2ForPreTraining]:
    """Ours with random weights, and transformers' from the folder that ours was saved to."""
    torch.manual_seed(seed)
    ours = MaskedContrast(build(model), config).train()
    exaggerate(ours.backbone, seed)
    head = Head(ours.head_tensors(), {"num_codebooks": config.num_codebooks})
    save_pretrained(ours.backbone, folder, heads={"pretraining": head})
    peer, report = Wav2Vec2ForPreTraining.from_pretrained(folder, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    peer.project_q = RowByRow(peer.project_q)
    return ours, peer.train()


class RowByRow(nn.Module):
    """A linear map whose equal rows have equal results, bit for bit.

    transformers finds negatives that equal the target by comparing projected vectors, and a product of matrices may
    round the same row differently at another place in memory. We compare the codes.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, rows: Tensor) -> Tensor:
        flat = [F.linear(row.clone(), self.weight, self.bias) for row in rows.flatten(0, -2)]
        return torch.stack(flat).view(*rows.shape[:-1], -1)


def their_noise(noise: Tensor) -> object:
    """In place of torch's own Gumbel softmax, with the noise given. The hard choice is exactly one-hot, as in half
    precision; in float32 its rounding errors would let negatives that equal the target differ from it.
    """

    def softmax(logits: Tensor, tau: float = 1.0, hard: bool = False) -> Tensor:
        assert hard
        soft = ((logits + noise.reshape(logits.shape)) / tau).softmax(-1)
        one_hot = F.one_hot(soft.argmax(-1), logits.shape[-1]).to(soft.dtype)
        return one_hot + (soft - soft.detach())

    return softmax


def speech(seed: int) -> Tensor:
    return 0.1 * torch.randn(CLIPS, SAMPLES, generator=torch.Generator().manual_seed(seed))


def assert_parity(model: Wav2Vec2Config, config: MaskedContrastConfig, folder: Path, seed: int = 0) -> None:
    """Losses and every gradient of a step."""
    ours, peer = objectives(model, config, folder, seed)
    draws, waveforms = Draws.of(config, seed), speech(seed)
    peer.set_gumbel_temperature(ours.contrast.quantizer.temperature)
    peer.config.diversity_loss_weight = config.diversity_weight
    peer.config.contrastive_logits_temperature = config.logit_temperature
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(F, "gumbel_softmax", their_noise(draws.noise))
        expected = peer(
            F.layer_norm(waveforms, (SAMPLES,)) if model.normalize else waveforms,
            mask_time_indices=draws.mask.view(CLIPS, FRAMES),
            sampled_negative_indices=draws.of_every_frame(),
        )
    expected.loss.backward()
    batch = SpeechBatch(Packed.pack(waveforms), draws.mask)
    loss = ours(batch, noise=draws.noise[draws.mask].flatten(0, 1), negatives=draws.negatives)
    loss.sum.backward()

    assert loss.count == int(draws.mask.sum())
    contrast, diversity = (float(loss.metrics[name][0]) for name in ("contrastive_loss", "diversity"))
    assert contrast == pytest.approx(expected.contrastive_loss.item(), rel=TOLERANCE)
    # One less a share that may be next to one: what is left has the rounding of the one.
    assert diversity == pytest.approx(expected.diversity_loss.item() / int(loss.count), rel=TOLERANCE, abs=1e-6)
    assert float(loss.metrics["probability_perplexity"][0]) == pytest.approx(
        expected.codevector_perplexity.item(), rel=1e-5
    )
    assert loss.sum.item() == pytest.approx(expected.loss.item(), rel=TOLERANCE)
    assert_gradients(ours, peer)


def assert_gradients(ours: MaskedContrast, peer: Wav2Vec2ForPreTraining) -> None:
    backbone = {name: parameter.grad for name, parameter in ours.backbone.named_parameters()}
    head = ours.head_tensors()
    places = {parameter.data_ptr(): parameter.grad for parameter in ours.parameters()}
    named, homeless = write({name: grad for name, grad in backbone.items() if grad is not None}, HF)
    given = {f"wav2vec2.{name}": grad for name, grad in named.items()}
    given |= write({name: places[tensor.data_ptr()] for name, tensor in head.items()}, HF_CONTRAST.rows)[0]
    assert not homeless
    theirs = {name: parameter.grad for name, parameter in peer.named_parameters()}
    assert given.keys() == {name for name, grad in theirs.items() if grad is not None}
    total = torch.cat([grad.flatten() for grad in given.values()]).norm()
    for name, grad in given.items():
        difference = (grad - theirs[name]).norm()
        # The key's bias changes no attention; its gradient is rounding alone.
        assert difference <= 1e-4 * theirs[name].norm() + 1e-6 * total, name


@pytest.mark.parametrize("model", [POST_NORM, PRE_NORM], ids=["group, post-norm", "layer, pre-norm"])
@pytest.mark.parametrize("codes", [4, 40])
def test_losses_and_gradients(model: Wav2Vec2Config, codes: int, tmp_path: Path) -> None:
    """With four codes many negatives equal their target; with forty hardly any."""
    config = MaskedContrastConfig(
        codebook_size=codes,
        quantized_dim=12,
        projection_dim=10,
        num_negatives=20,
        feature_penalty=0.0,
        extractor_gradient=1.0,
        feature_dropout=0.0,
    )
    assert_parity(model, config, tmp_path)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    model=st.sampled_from([POST_NORM, PRE_NORM]),
    groups=st.integers(1, 3),
    codes=st.integers(2, 60),
    width=st.integers(1, 8),
    projection=st.integers(2, 20),
    count=st.integers(1, 30),
    weight=st.sampled_from([0.0, 0.1, 2.0]),
    seed=st.integers(0, 1_000),
)
def test_any_sizes(
    model: Wav2Vec2Config,
    groups: int,
    codes: int,
    width: int,
    projection: int,
    count: int,
    weight: float,
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    config = MaskedContrastConfig(
        num_codebooks=groups,
        codebook_size=codes,
        quantized_dim=groups * width,
        projection_dim=projection,
        num_negatives=count,
        diversity_weight=weight,
        feature_penalty=0.0,
        extractor_gradient=1.0,
        feature_dropout=0.0,
    )
    assert_parity(model, config, tmp_path_factory.mktemp("model"), seed)
