"""The padded twins: what the packed models give, whatever lies behind a clip."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sonant.errors import ConfigurationError
from sonant.export.check import compare
from sonant.export.program import facts_of
from sonant.inference.padded.clips import Padded, normalized
from sonant.inference.padded.positions import PaddedRelativePositions
from sonant.inference.padded_backbones import padded
from sonant.layers.packed import Packed
from sonant.layers.positions import RelativePositions
from sonant.models import (
    Backbone,
    BackboneConfig,
    SEWConfig,
    VQWav2Vec,
    Wav2Vec2ConformerConfig,
    build,
    normalize_waveform,
)
from sonant.models.discrete_bert import DiscreteBERT
from sonant.models.families import family_of
from tests.export.backbones import BACKBONES, backbone
from tests.inference.alterations import adapt, hook

TOLERANCE = 1e-4
families = pytest.mark.parametrize("name", BACKBONES)


def speech(lengths: list[int], filling: float = float("nan")) -> tuple[Tensor, list[Tensor]]:
    """Clips of noise as rows, and one by one."""
    generator = torch.Generator().manual_seed(sum(lengths))
    clips = [torch.randn(length, generator=generator) * 0.1 + 0.03 for length in lengths]
    rows = torch.full((len(clips), max(lengths)), filling)
    for row, clip in zip(rows, clips, strict=True):
        row[: len(clip)] = clip
    return rows, clips


def lengths_of(model: Backbone) -> list[list[int]]:
    shortest = model.receptive_field
    return [[shortest], [16_000], [5_003, 20_011, shortest], [shortest + model.stride - 1, shortest, 7_001]]


@families
@torch.inference_mode()
def test_every_state_equals_the_packed_model(name: str) -> None:
    model = backbone(name)
    transformers_model = padded(model, layers=None)
    for lengths in lengths_of(model):
        rows, clips = speech(lengths)
        outputs = transformers_model(rows, torch.tensor(lengths))
        assert tuple(outputs) == transformers_model.outputs
        packed = Packed.pack(clips)
        encoded = model(packed)
        assert outputs["frames"].tolist() == encoded.lengths.tolist()
        expected = {f"hidden_states.{number}": state for number, state in encoded.hidden_states.items()}
        for key, state in {**expected, "last": encoded.last}.items():
            ours = Packed.from_padded(outputs[key], encoded.lengths).values
            assert (ours - state).abs().max() < TOLERANCE * state.square().mean().sqrt(), (key, lengths)
        assert ("codes" in outputs) == isinstance(model, VQWav2Vec | DiscreteBERT)
        if isinstance(model, VQWav2Vec | DiscreteBERT):
            assert torch.equal(Packed.from_padded(outputs["codes"], encoded.lengths).values, model.codes(packed).values)


@families
@torch.inference_mode()
def test_a_clip_does_not_depend_on_its_batch_mates(name: str) -> None:
    model = backbone(name)
    transformers_model = padded(model)
    lengths = [9_000, 30_000, model.receptive_field - 1]
    rows, clips = speech(lengths)
    together = transformers_model(rows, torch.tensor(lengths))
    assert together["frames"][2] == 0
    alone = transformers_model(clips[0][None], torch.tensor([9_000]))
    frames = int(alone["frames"][0])
    assert together["frames"][0] == frames
    assert (together["last"][0, :frames] - alone["last"][0, :frames]).abs().max() < TOLERANCE


@torch.inference_mode()
def test_only_the_layers_asked_for() -> None:
    model = backbone("WavLM")
    rows, _ = speech([3_000])
    every = padded(model, layers=None)(rows, torch.tensor([3_000]))
    some = padded(model, layers=[1])
    assert some.outputs == ("hidden_states.1", "frames")
    some.encoder.layers[1].register_forward_hook(lambda *_: pytest.fail("a layer was run that nobody needs"))
    assert torch.equal(some(rows, torch.tensor([3_000]))["hidden_states.1"], every["hidden_states.1"])


@torch.inference_mode()
def test_the_model_stays_as_it_is() -> None:
    model = backbone("HuBERT").train()
    transformers_model = padded(model)
    assert model.training
    assert not transformers_model.training
    weights = {parameter.data_ptr() for parameter in model.parameters()}
    assert {parameter.data_ptr() for parameter in transformers_model.parameters()} <= weights


@pytest.mark.parametrize("alter", [adapt, hook])
def test_a_part_that_the_graph_would_leave_out_is_named(alter: Callable[[str], Callable[[Backbone], None]]) -> None:
    model = backbone("WavLM")
    alter("encoder.layers.0.feed_forward.inner")(model)
    with pytest.raises(ConfigurationError, match=r"encoder\.layers\.0\.feed_forward\.inner.*Merge"):
        padded(model)


@pytest.mark.parametrize(
    ("config", "block"),
    [(SEWConfig(num_layers=1), "SqueezedEncoder"), (Wav2Vec2ConformerConfig(num_layers=1), "Relative")],
)
def test_a_family_without_a_graph_says_which_block_keeps_it_from_one(config: BackboneConfig, block: str) -> None:
    with torch.device("meta"):
        model = build(config).eval()
    with pytest.raises(ConfigurationError, match=rf"A {family_of(config).title} has no graph: its {block}.*padded"):
        padded(model)


@torch.inference_mode()
def test_half_precision_is_taken_in_float32() -> None:
    model = backbone("HuBERT").bfloat16()
    rows, _ = speech([4_000])
    assert padded(model)(rows, torch.tensor([4_000]))["last"].dtype == torch.float32
    assert compare(padded(model), model, normalize=True).largest_difference < TOLERANCE
    assert next(model.parameters()).dtype == torch.bfloat16


@torch.inference_mode()
def test_normalizing_is_the_callers_where_wanted() -> None:
    model = backbone("WavLM-large")
    rows, (clip,) = speech([6_000])
    lengths = torch.tensor([6_000])
    by_graph = padded(model)(rows, lengths)["last"]
    by_caller = padded(model, normalize=False)(model.normalized(Packed.pack([clip])).values[None], lengths)["last"]
    assert (by_graph - by_caller)[:, :-1].abs().max() < TOLERANCE
    assert (by_graph - padded(model, normalize=False)(rows, lengths)["last"])[:, :-1].abs().max() > 0.01


@pytest.mark.parametrize("epsilon", [1e-5, 1e-7])
@pytest.mark.parametrize("level", [1.0, 1e-2, 1e-4])
def test_normalized_equals_each_clip_alone(level: float, epsilon: float) -> None:
    rows, clips = speech([500, 2_000, 1], filling=9.0)
    ours = normalized(Padded(rows * level, torch.tensor([500, 2_000, 1])), epsilon).values
    for row, clip in zip(ours, clips, strict=True):
        expected = normalize_waveform(clip * level, epsilon)
        assert (row[: len(clip)] - expected).abs().max() <= 1e-5 * expected.abs().max()


@torch.inference_mode()
def test_a_graph_has_the_floor_of_its_model() -> None:
    model = backbone("WavLM-large")
    rows, _ = speech([6_000])
    lengths = torch.tensor([6_000])
    before = padded(model)(rows * 1e-2, lengths)["last"]
    model.config = replace(model.config, normalize_epsilon=1e-7)
    graph = padded(model)
    expected = model(Packed.pack([rows[0] * 1e-2])).last
    assert expected is not None
    assert (graph(rows * 1e-2, lengths)["last"][0, : len(expected)] - expected).abs().max() < TOLERANCE
    assert (before[0, : len(expected)] - expected).abs().max() > 10 * TOLERANCE
    assert "1e-07" in facts_of(model, graph)["normalize"]


@pytest.mark.parametrize("time", [1, 2, 20, 21, 22, 100])
def test_the_position_bias_at_any_length(time: int) -> None:
    positions = RelativePositions(3, num_buckets=16, max_distance=20)
    table, bias = positions.table(time), PaddedRelativePositions(positions).table(time)
    for query in range(time):
        assert torch.equal(bias[:, query], table[:, time - 1 - query : 2 * time - 1 - query])


def test_the_comparison_sees_a_difference() -> None:
    model, other = backbone("HuBERT"), backbone("HuBERT")
    agreement = compare(padded(other), model, normalize=True)
    assert agreement.largest_difference < 1e-4
    with torch.no_grad():
        other.encoder.layers[1].feed_forward.outer.bias[3] += 1
    agreement = compare(padded(other), model, normalize=True)
    assert agreement.largest_difference > 0.01
    assert agreement.lowest_cosine < 0.9999
