"""What is optimized for a GPU gives the states of the plain model; here on a CPU, the arithmetic as a GPU has it."""

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from sonant.benchmark.subjects import exaggerate
from sonant.inference.adapters import copy_adapters
from sonant.inference.cuda import encoder, extractor
from sonant.inference.cuda import graphs as cuda_graphs
from sonant.inference.cuda_copy import optimize_for_cuda
from sonant.layers import attention
from sonant.layers.conv_extractor import ConvExtractor
from sonant.layers.kernels import triton_attention, triton_convolution, triton_norm
from sonant.layers.kernels.triton_blocks import ENTRY
from sonant.layers.packed import Packed
from sonant.models import (
    Backbone,
    HuBERTConfig,
    SEWConfig,
    W2vBERT2Config,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    Wav2VecConfig,
    WavLMConfig,
    build,
)
from tests.inference.cuda.test_graphs import Rehearsal
from tests.shapes import SMALL
from tests.triton_kernels import needs_triton

LAYER_NORM = {**SMALL, "extractor_norm": "layer", "pre_norm": True, "conv_bias": True}
CONFORMER = {"dim": 32, "num_layers": 3, "num_heads": 4, "feed_forward_dim": 64}
CONFIGS: dict[str, Any] = {
    "wavlm": WavLMConfig(**SMALL),
    "wavlm, layer norm": WavLMConfig(**LAYER_NORM),
    "hubert": HuBERTConfig(**SMALL),
    "wav2vec2, layer norm": Wav2Vec2Config(**LAYER_NORM),
    "wav2vec2, adapters": Wav2Vec2Config(**LAYER_NORM, attention_adapter_dim=8),
    "w2v_bert2": W2vBERT2Config(**CONFORMER),
    "sew": SEWConfig(**CONFORMER, conv_channels=(16,) * 13, position_kernel=5, position_groups=4),
    **{
        f"wav2vec2_conformer, {kind}": Wav2Vec2ConformerConfig(
            **CONFORMER, conv_channels=(16,) * 7, conv_kernel=7, positions=kind
        )
        for kind in ("relative", "rotary", None)
    },
}
LENGTHS = (16_000, 400, 7_777, 16_000, 32_123)


def model(config: Any) -> Backbone:
    torch.manual_seed(0)
    return exaggerate(build(config)).eval()


def speech_of(lengths: Sequence[int], minimum: int = 0) -> Packed:
    generator = torch.Generator().manual_seed(1)
    return Packed.pack(0.3 + torch.randn(max(length, minimum), generator=generator) for length in lengths)


def assert_same(given: Tensor, expected: Tensor, tolerance: float) -> None:
    assert given.shape == expected.shape
    assert (given.double() - expected.double()).norm() <= tolerance * expected.double().norm()


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("few_frames", [4096, 0], ids=["filled up", "as it is"])
def test_float32_gives_the_states_of_the_plain_model(name: str, few_frames: int, monkeypatch) -> None:
    monkeypatch.setattr(encoder, "FEW_FRAMES", few_frames)
    monkeypatch.setattr(extractor, "TILE_FRAMES", 37)
    plain = model(CONFIGS[name])
    speech = speech_of(LENGTHS, plain.receptive_field)
    with torch.no_grad():
        expected, given = plain(speech), optimize_for_cuda(plain, "float32")(speech)
    assert given.hidden_states.keys() == expected.hidden_states.keys()
    for number, state in expected.hidden_states.items():
        assert_same(given.hidden_states[number], state, 2e-5)
    assert_same(given.last, expected.last, 2e-5)
    assert torch.equal(given.lengths, expected.lengths)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", CONFIGS)
def test_half_precision_stays_close_and_adds_up_in_float32(name: str, precision: str) -> None:
    plain = model(CONFIGS[name])
    speech = speech_of(LENGTHS, plain.receptive_field)
    with torch.no_grad():
        expected = plain(speech)
        given = optimize_for_cuda(plain, precision)(speech)
    for number, state in expected.hidden_states.items():
        assert given.hidden_states[number].dtype == torch.float32
        assert torch.cosine_similarity(given.hidden_states[number], state, dim=1).min() > 0.99
    assert_same(given.last, expected.last, 0.05)


@pytest.mark.parametrize("layers", [[0], [2], [1, "last"], ["last"]], ids=str)
def test_only_what_is_asked_for(layers: list[int | str]) -> None:
    plain = model(CONFIGS["wavlm"])
    speech = speech_of(LENGTHS)
    with torch.no_grad():
        whole, given = plain(speech), optimize_for_cuda(plain, "float32")(speech, layers=layers)
    assert list(given.hidden_states) == [layer for layer in layers if layer != "last"]
    for number, state in given.hidden_states.items():
        assert_same(state, whole.hidden_states[number], 2e-5)
    assert (given.last is None) == ("last" not in layers)
    if given.last is not None:
        assert_same(given.last, whole.last, 2e-5)


def test_a_clip_does_not_depend_on_its_batch_mates() -> None:
    optimized = optimize_for_cuda(model(CONFIGS["wavlm"]), "float32")
    speech = speech_of(LENGTHS)
    with torch.no_grad():
        together = optimized(speech).last.split(optimized(speech).lengths.tolist())
        for clip, expected in zip(speech, together, strict=True):
            assert_same(optimized(Packed.pack([clip])).last, expected, 2e-5)


def test_windows_are_normalized_with_the_statistics_of_the_whole() -> None:
    torch.manual_seed(0)
    plain = ConvExtractor((8,) * 3, (10, 3, 2), (5, 2, 2))
    optimized = extractor.CudaExtractor(plain, torch.float32)
    speech = speech_of([3000, 2000, 1000, 2000])
    one, other = optimized.clip_statistics(), optimized.clip_statistics()
    one.update(speech_of([9000]).values.numpy())
    other.update(3 * speech_of([8000]).values.numpy() + 1)
    for statistics in ([one, other, None, one], [one] * 4):
        with torch.no_grad():
            given, expected = (part(speech, statistics=statistics).values for part in (optimized, plain))
        assert_same(given, expected, 1e-5)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 2), (1, 1), (5, 3), (2, 3), (7, 2)])
def test_a_product_of_rows_is_a_convolution(kernel: int, stride: int) -> None:
    torch.manual_seed(0)
    plain = ConvExtractor((4, 6), (5, kernel), (5, stride), bias=True, norm="layer").layers[1]
    for steps in (kernel, kernel + 1, 50):
        rows = torch.randn(steps, 4)
        product = extractor.StridedProduct(plain, stride, "gelu", torch.float32)
        with torch.no_grad():
            assert_same(product(rows), plain(rows.T[None], [0], [steps])[0].T, 1e-5)


def test_other_families_are_converted() -> None:
    plain = build(Wav2VecConfig(conv_channels=(16,) * 5, context_kernels=(2, 3)))
    optimized = optimize_for_cuda(plain, "bfloat16")
    assert {parameter.dtype for parameter in optimized.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in plain.parameters()} == {torch.float32}


def test_a_table_reaches_as_far_as_kernels_read() -> None:
    heads = model(CONFIGS["wavlm"]).encoder.layers[0].attention.num_heads
    optimized = optimize_for_cuda(model(CONFIGS["wavlm"]), "float32").encoder
    for keep in (True, False):
        (table,) = optimized._table(50, keep=keep)
        assert table.shape == (heads, 2 * (50 + ENTRY) - 1)


@pytest.mark.slow
def test_a_recording_serves_whatever_clips_fill_its_size(monkeypatch) -> None:
    """What was recorded for one set of clips gives the states of others: nothing of the first is left in it."""
    needs_triton()
    made = []
    monkeypatch.setattr(encoder, "can_capture", lambda *_: True)
    monkeypatch.setattr(encoder, "BUCKET", 64)
    monkeypatch.setattr(triton_attention, "FULL", triton_attention.HALF)  # fewer and larger tiles: a shorter test
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    monkeypatch.setattr(cuda_graphs, "CapturedGraph", lambda *given: made.append(Rehearsal(*given)) or made[-1])
    plain = model(CONFIGS["wavlm"])
    optimized = optimize_for_cuda(plain, "float32")
    for lengths in ([16_000], [4_000, 400, 9_000], [15_000, 720], [400] * 9):
        speech = speech_of(lengths)
        with torch.no_grad():
            assert_same(optimized(speech, layers=["last"]).last, plain(speech).last, 2e-5)
    assert len(made) == 1
    many = speech_of([400] * 60)  # more clips than the recording has room for
    with torch.no_grad():
        assert_same(optimized(many, layers=["last"]).last, plain(many).last, 2e-5)
    assert len(made) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wavlm", "wavlm, layer norm", "w2v_bert2"])
def test_the_whole_model_by_the_kernels_of_a_gpu(name: str, monkeypatch) -> None:
    """Attention, positions and norms all at once, as a GPU runs them, in Triton's interpreter."""
    needs_triton()
    used = []

    def of_gpu(module: ModuleType, kernel: str) -> None:
        function = getattr(module, kernel)
        monkeypatch.setattr(module, kernel, lambda *given, **more: used.append(kernel) or function(*given, **more))

    of_gpu(attention, "attend_triton")
    of_gpu(triton_convolution, "convolve")
    of_gpu(triton_norm, "norm_triton")
    for module in (triton_attention, triton_convolution):
        monkeypatch.setattr(module, "available", lambda *_: True)
    monkeypatch.setattr(triton_norm, "serves", lambda _: True)
    plain = model(CONFIGS[name])
    speech = speech_of([9_000, 720, 4_000])
    with torch.no_grad():
        given = optimize_for_cuda(plain, "float16")(speech)
    assert set(used) == {"attend_triton"} | (set() if name == "w2v_bert2" else {"convolve", "norm_triton"})
    monkeypatch.undo()
    with torch.no_grad():
        expected = plain(speech)
    for number, state in expected.hidden_states.items():
        assert torch.cosine_similarity(given.hidden_states[number], state, dim=1).min() > 0.99
    assert_same(given.last, expected.last, 0.02)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_copy_follows_the_adapters_of_its_model(precision: str) -> None:
    plain = model(CONFIGS["wav2vec2, adapters"])
    optimized, speech = optimize_for_cuda(plain, precision), speech_of(LENGTHS)
    with torch.no_grad():
        for layer in plain.encoder.layers:  # type: ignore[union-attr, operator]
            layer.adapter.inner.weight.normal_()
        assert copy_adapters(optimized, plain)
        assert torch.equal(optimized(speech).last, optimize_for_cuda(plain, precision)(speech).last)
