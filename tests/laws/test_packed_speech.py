"""The law of the house: a clip's result does not depend on its batch mates."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor

from sonant.benchmark.deviation import relative_error
from sonant.benchmark.peers import peer_states, transformers_model
from sonant.benchmark.subjects import exaggerate
from sonant.inference import optimize
from sonant.layers.packed import Packed
from sonant.models import (
    Backbone,
    BackboneConfig,
    Data2VecConfig,
    Encoded,
    HuBERTConfig,
    MaskableBackbone,
    SEWConfig,
    VQWav2VecConfig,
    W2vBERT2Config,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    Wav2VecConfig,
    WaveformConvNet,
    WaveformTransformerConfig,
    WavLMConfig,
    build,
    hubert,
    vq_wav2vec,
    wav2vec,
    wav2vec2,
    wav2vec2_conformer,
    wavlm,
)
from sonant.models.wav2vec2_conformer import Positions
from tests.shapes import ODD, conformer, sew

TOLERANCE = 1e-5
RATE = 16_000
FAMILIES = (WavLMConfig, HuBERTConfig, Wav2Vec2Config)  # UniSpeech is built as wav2vec 2.0 is
SECONDS = (0.1, 20, 0.37, 1.001, 4.2, 9.7, 0.5, 0.5, 2.8, 13.3, 0.11, 6.66, 3.03, 7.5, 1.9, 5.4, 0.8)  # 17 clips
PUBLISHED = {
    "WavLM Base": WavLMConfig(),
    "HuBERT Base": HuBERTConfig(),
    "wav2vec 2.0 Base": Wav2Vec2Config(),
    "WavLM Large, a quarter": replace(wavlm.LARGE, num_layers=6),
    "HuBERT Large, a quarter": replace(hubert.LARGE, num_layers=6),
    "wav2vec 2.0 Large LV-60, a quarter": replace(wav2vec2.LARGE_LV60, num_layers=6),
    "wav2vec": Wav2VecConfig(),
    "wav2vec Large": wav2vec.LARGE,
    "wav2vec 2.0 Conformer, a sixth": replace(wav2vec2_conformer.RELATIVE_LARGE, num_layers=4),
    "SEW-tiny": SEWConfig(),
    "w2v-BERT 2.0, a sixth": replace(W2vBERT2Config(), num_layers=4),
}


def tiny(family: type[WaveformTransformerConfig], extractor_norm: str, *, pre_norm: bool) -> WaveformTransformerConfig:
    return family(
        conv_channels=(16,) * 7,
        extractor_norm=extractor_norm,
        **ODD,
        pre_norm=pre_norm,
        position_kernel=16,
        position_groups=4,
    )


def waveform_conformer(positions: Positions | None) -> Wav2Vec2ConformerConfig:
    return conformer(positions, **ODD, conv_channels=(16,) * 7, conv_kernel=7)


SQUEEZED = sew(**ODD, conv_channels=(16,) * 13, position_kernel=16, position_groups=4)
POSITIONS: tuple[Positions | None, ...] = ("relative", "rotary", None)
CONFORMER = W2vBERT2Config(**ODD)
CONVOLUTIONS = {"conv_channels": (16,) * 5, "context_kernels": (2, 3, 1, 6)}
TINY = [
    *(
        pytest.param(tiny(family, norm, pre_norm=pre), id=f"{family.__name__}-{norm}-{'pre' if pre else 'post'}")
        for family, norm, pre in product(FAMILIES, ("group", "layer"), (False, True))
    ),
    pytest.param(
        replace(tiny(Wav2Vec2Config, "layer", pre_norm=True), attention_adapter_dim=5), id="Wav2Vec2Config-adapters"
    ),
    *(
        pytest.param(replace(tiny(HuBERTConfig, norm, pre_norm=False), **setting), id=f"HuBERTConfig-{norm}-{setting}")
        for norm, setting in product(("group", "layer"), ({"projection_norm": False}, {"position_norm": "batch"}))
    ),
    pytest.param(replace(tiny(Data2VecConfig, "layer", pre_norm=False), position_depth=3), id="Data2VecConfig"),
    pytest.param(Wav2VecConfig(**CONVOLUTIONS), id="Wav2VecConfig"),
    pytest.param(
        Wav2VecConfig(**CONVOLUTIONS, skip_connections=True, zero_padding=True, activation="gelu"),
        id="Wav2VecConfig-skips-zeros",
    ),
    pytest.param(CONFORMER, id="W2vBERT2Config"),
    pytest.param(SQUEEZED, id="SEWConfig"),
    pytest.param(replace(SQUEEZED, dim=16, num_heads=2, squeeze_factor=3), id="SEWConfig-without-projection"),
    *(pytest.param(waveform_conformer(kind), id=f"Wav2Vec2ConformerConfig-{kind}") for kind in POSITIONS),
]
QUANTIZED = {
    "gumbel": VQWav2VecConfig(
        **CONVOLUTIONS,
        conv_kernels=(10, 8, 4, 4, 4),
        conv_strides=(5, 4, 2, 2, 2),
        codebook_size=20,
        shared_codebook=False,
    ),
    "kmeans": replace(vq_wav2vec.KMEANS, conv_channels=(16,) * 8, context_kernels=(2, 3), codebook_size=20),
}
every_tiny_model = pytest.mark.parametrize("config", TINY)
each_family = pytest.mark.parametrize("family", FAMILIES)


def model(config: BackboneConfig) -> Backbone:
    torch.manual_seed(0)
    made = build(config)
    if isinstance(made, MaskableBackbone):
        return exaggerate(made)
    assert isinstance(made, WaveformConvNet)
    with torch.no_grad():  # norms and biases that are not the identity; fresh convolutions have an effect as they are
        for name, parameter in made.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.2)
            elif "norm." in name:
                parameter.uniform_(0.5, 1.5)
            elif name.endswith("codebook"):
                parameter.normal_()
    return made.eval()


def clips(seconds: tuple[float, ...] = SECONDS, *, quietest: float = 0.01) -> list[Tensor]:
    """Noise, each clip of its own loudness and offset, as recordings are."""
    generator = torch.Generator().manual_seed(1)
    loudness = torch.logspace(0, float(torch.tensor(quietest).log10()), len(seconds))
    return [
        (torch.randn(round(length * RATE), generator=generator) + 0.3) * level
        for length, level in zip(seconds, loudness, strict=True)
    ]


def states_of_clips(encoded: Encoded) -> list[dict[int | str, Tensor]]:
    """For each clip its states by number, and "last"."""
    states = {**encoded.hidden_states, "last": encoded.last}
    split = {name: Packed(state, encoded.lengths).unpack() for name, state in states.items()}
    return [{name: parts[number] for name, parts in split.items()} for number in range(len(encoded.lengths))]


@torch.no_grad()
def encode(backbone: Backbone, waveforms: list[Tensor]) -> list[dict[int | str, Tensor]]:
    return states_of_clips(backbone(Packed.pack(waveforms)))


def assert_same(
    given: dict[int | str, Tensor], expected: dict[int | str, Tensor], tolerance: float = TOLERANCE
) -> None:
    assert given.keys() == expected.keys()
    for name, state in expected.items():
        assert given[name].shape == state.shape
        error = relative_error(given[name], state)
        assert error <= tolerance, f"state {name}, {len(state)} frames: {error:.1e}"


@every_tiny_model
def test_a_clip_alone_equals_the_clip_in_a_batch(config: BackboneConfig) -> None:
    backbone, waveforms = model(config), clips()
    together = encode(backbone, waveforms)
    for waveform, states in zip(waveforms, together, strict=True):
        assert_same(states, encode(backbone, [waveform])[0])


@every_tiny_model
def test_a_optimized_copy_gives_the_same_states(config: BackboneConfig) -> None:
    backbone, waveforms = model(config), clips((0.1, 4.2, 0.37, 0.5, 0.5, 2.8, 1.001))
    optimized = optimize(backbone)
    together = encode(optimized, waveforms)
    for waveform, states, expected in zip(waveforms, together, encode(backbone, waveforms), strict=True):
        assert_same(states, expected)
        assert_same(encode(optimized, [waveform])[0], expected)


@pytest.mark.parametrize("name", QUANTIZED)
def test_a_optimized_copy_gives_the_same_codes(name: str) -> None:
    """But where two codes are as good as alike, and whatever the precision."""
    backbone, speech = model(QUANTIZED[name]), Packed.pack(clips((0.5, 3, 1.2)))
    with torch.no_grad():
        expected = backbone.codes(speech).values
        for precision in ("float32", "bfloat16", "int8"):
            assert (optimize(backbone, precision).codes(speech).values == expected).float().mean() > 0.99


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_optimized_copy_gives_the_same_states_at_published_sizes(name: str) -> None:
    backbone, waveforms = model(PUBLISHED[name]), clips((0.1, 10, 3.3, 0.37))
    expected = encode(backbone, waveforms)
    for states, other in zip(encode(optimize(backbone), waveforms), expected, strict=True):
        assert_same(states, other)
    for precision, least in (("bfloat16", 0.999), ("int8", 0.99)):
        given = encode(optimize(backbone, precision), waveforms)
        for number, (states, other) in enumerate(zip(given, expected, strict=True)):
            for state, values in other.items():
                there = values.any(-1)  # SEW's last frame may be zeros
                cosine = float(torch.cosine_similarity(states[state].float()[there], values[there], dim=-1).min())
                assert cosine > least, f"{precision}, clip {number}, state {state}: {cosine:.5f}"


@pytest.mark.parametrize("name", QUANTIZED)
def test_codes_of_a_clip_alone_equal_those_in_a_batch(name: str) -> None:
    """In float64: where two codes are as good as alike, rounding may take the other one."""
    backbone, waveforms = model(QUANTIZED[name]).double(), [clip.double() for clip in clips()]
    together = encode(backbone, waveforms)
    with torch.no_grad():
        codes = backbone.codes(Packed.pack(waveforms))
    for waveform, states, own_codes in zip(waveforms, together, codes, strict=True):
        assert_same(states, encode(backbone, [waveform])[0])
        with torch.no_grad():
            assert torch.equal(backbone.codes(Packed.pack([waveform])).values, own_codes)
    assert len(codes.values.unique(dim=0)) > 3


@pytest.mark.parametrize("name", QUANTIZED)
def test_nan_stays_in_its_clip_where_codes_are_made(name: str) -> None:
    """There NaN is a code like any other: the frames of the broken clip are code vectors too."""
    backbone, waveforms = model(QUANTIZED[name]).double(), [clip.double() for clip in clips((0.5, 0.5, 1.2))]
    broken = [waveforms[0], torch.full_like(waveforms[1], float("nan")), waveforms[2]]
    given, expected = encode(backbone, broken), encode(backbone, waveforms)
    for number in (0, 2):
        assert_same(given[number], expected[number])


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_clip_alone_equals_the_clip_in_a_batch_at_published_sizes(name: str) -> None:
    """Four of the seventeen are run alone: the shortest, the longest, one of a pair of equal length, a middle one."""
    backbone, waveforms = model(PUBLISHED[name]), clips()
    together = encode(backbone, waveforms)
    for number in (0, 1, 7, 8):
        assert_same(together[number], encode(backbone, [waveforms[number]])[0])


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # transformers' own call
@each_family
def test_what_transformers_gives(family: type[WaveformTransformerConfig]) -> None:
    """Worth a law: where the extractor has a group norm, a padded batch breaks it, with a mask or without."""
    backbone = model(tiny(family, "group", pre_norm=False))
    peer = transformers_model(backbone)
    short, long = clips((1, 3))
    alone = peer_states(peer, short[None])["last"][0]
    padded, lengths = Packed.pack([short, long]).to_padded()
    real = torch.arange(padded.shape[1]) < lengths[:, None]
    for mask in (None, real.long()):
        in_batch = peer_states(peer, padded, mask)["last"][0, : len(alone)]
        assert relative_error(in_batch, alone) > 0.05
    assert_same({"last": encode(backbone, [short, long])[0]["last"]}, {"last": alone})


@every_tiny_model
def test_order_does_not_matter(config: BackboneConfig) -> None:
    backbone, waveforms = model(config), clips((0.1, 2, 0.5, 0.5, 1.3))
    forwards, backwards = encode(backbone, waveforms), encode(backbone, waveforms[::-1])
    for one, other in zip(forwards, backwards[::-1], strict=True):
        assert_same(one, other)


@pytest.mark.parametrize(
    "config",
    [
        *(tiny(family, "group", pre_norm=False) for family in FAMILIES),
        CONFORMER,
        waveform_conformer("relative"),
        SQUEEZED,
    ],
    ids=lambda c: type(c).__name__,
)
def test_masked_frames_do_not_reach_other_clips(config: BackboneConfig) -> None:
    backbone, waveforms = model(config), clips((0.5, 1, 0.7))
    assert isinstance(backbone, MaskableBackbone)
    with torch.no_grad():
        features = backbone.extractor(Packed.pack(waveforms))
        mask = torch.rand(len(features.values), generator=torch.Generator().manual_seed(0)) < 0.5
        together = states_of_clips(backbone.encode(features, mask=mask))
        masks = Packed(mask, features.lengths).unpack()
        for waveform, own_mask, states in zip(waveforms, masks, together, strict=True):
            alone = backbone.extractor(Packed.pack([waveform]))
            assert_same(states, states_of_clips(backbone.encode(alone, mask=own_mask))[0])
            assert (
                relative_error(states["last"], encode(backbone, [waveform])[0]["last"]) > 0.01
            )  # the mask did something


@every_tiny_model
def test_nan_stays_in_its_clip(config: BackboneConfig) -> None:
    backbone, waveforms = model(config), clips((0.5, 0.5, 1.2))
    broken = [waveforms[0], torch.full_like(waveforms[1], float("nan")), waveforms[2]]
    given, expected = encode(backbone, broken), encode(backbone, waveforms)
    for number in (0, 2):
        assert_same(given[number], expected[number])
    assert given[1]["last"].isnan().all()


@each_family
def test_stopping_early_gives_the_same_states(family: type[WaveformTransformerConfig]) -> None:
    backbone = model(tiny(family, "layer", pre_norm=True))
    speech = Packed.pack(clips((0.4, 1)))
    ran: list[int] = []
    for number, layer in enumerate(backbone.encoder.layers, start=1):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    with torch.no_grad():
        full = backbone(speech)
        for wanted, depth in (([0], 0), ([2], 2), ([3, 1], 3), (["last"], 3), ([0, "last"], 3), ([], 0)):
            ran.clear()
            part = backbone(speech, layers=wanted)
            assert ran == list(range(1, depth + 1))
            assert sorted(part.hidden_states) == sorted(layer for layer in wanted if layer != "last")
            for number, state in part.hidden_states.items():
                assert torch.equal(state, full.hidden_states[number])
            if "last" in wanted:
                assert torch.equal(part.last, full.last)
            else:
                assert part.last is None


@each_family
@pytest.mark.parametrize("pre_norm", [False, True])
def test_last_is_the_last_state_after_the_final_norm(family: type[WaveformTransformerConfig], pre_norm: bool) -> None:
    """Models whose blocks normalize first have one more norm at the end; the others have none."""
    backbone = model(tiny(family, "layer", pre_norm=pre_norm))
    (states,) = encode(backbone, clips((1,)))
    assert torch.equal(states["last"], backbone.encoder.norm(states[3]) if pre_norm else states[3])


@each_family
def test_dropping_layers_keeps_the_number_of_states(family: type[WaveformTransformerConfig]) -> None:
    """A dropped layer hands on its input, and the position bias outlives the drop of the first layer."""
    config = replace(tiny(family, "layer", pre_norm=False), dropout=0.0, attention_dropout=0.0, input_dropout=0.0)
    backbone = build(replace(config, layerdrop=0.5))
    speech = Packed.pack(clips((0.4,)))
    torch.manual_seed(0)
    drops = []
    for _ in range(20):
        backbone.train()
        states = backbone(speech).hidden_states
        assert list(states) == [0, 1, 2, 3]
        drops.append(tuple(states[number] is states[number - 1] for number in (1, 2, 3)))
        x = states[0]
        backbone.eval()  # no layer is dropped: run those that were not by hand
        table = (
            None if backbone.encoder.relative_positions is None else backbone.encoder.relative_positions.table(len(x))
        )
        for number, (layer, dropped) in enumerate(zip(backbone.encoder.layers, drops[-1], strict=True), start=1):
            x = x if dropped else layer(x, [len(x)], table)
            torch.testing.assert_close(states[number], x)
    assert len(set(drops)) > 4
    assert {drop[0] for drop in drops} == {False, True}
    backbone.train()
    dropping_all = build(replace(config, layerdrop=1.0)).train()
    states = dropping_all(speech).hidden_states
    assert torch.equal(states[3], states[0])


@every_tiny_model
def test_gradients_of_a_batch_are_the_sum_of_those_of_its_clips(config: BackboneConfig) -> None:
    backbone, waveforms = model(config).double(), [clip.double() for clip in clips((0.2, 1, 0.5, 0.5))]

    def gradients(batch: list[Tensor]) -> dict[str, Tensor]:
        backbone.zero_grad()
        encoded = backbone(Packed.pack(batch))
        loss = encoded.last.sin().sum() + sum(state.square().sum() for state in encoded.hidden_states.values())
        loss.backward()
        return {name: p.grad.clone() for name, p in backbone.named_parameters() if p.grad is not None}

    together = gradients(waveforms)
    alone = [gradients([waveform]) for waveform in waveforms]
    assert together.keys() == dict(backbone.named_parameters()).keys() - {"mask_embedding"}
    for name, gradient in together.items():
        expected = sum(part[name] for part in alone)
        torch.testing.assert_close(gradient, expected, rtol=1e-5, atol=1e-7 * float(expected.abs().max() + 1), msg=name)


@every_tiny_model
@pytest.mark.parametrize("how", ["weights", "autocast", "optimized"])
def test_half_precision_stays_near(config: BackboneConfig, how: str) -> None:
    """bfloat16 has 8 bits: errors of a few per cent after three layers of peaky attention, no more."""
    torch.manual_seed(0)
    backbone, waveforms = build(config).eval(), clips((0.4, 2, 1), quietest=0.1)
    expected = encode(backbone, waveforms)
    if how == "weights":
        given = encode(backbone.bfloat16(), [waveform.bfloat16() for waveform in waveforms])
    elif how == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            given = encode(backbone, waveforms)
    else:
        given = encode(optimize(backbone, "bfloat16"), waveforms)
    for one, other in zip(given, expected, strict=True):
        assert_same({name: state.float() for name, state in one.items()}, other, tolerance=0.03)
