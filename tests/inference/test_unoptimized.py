"""What was changed in a model is what runs, in whatever way it was changed."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sonant.benchmark.subjects import exaggerate
from sonant.errors import ModelWarning
from sonant.inference import OptimizedCopies
from sonant.inference.cuda_copy import optimize_for_cuda
from sonant.layers.packed import Packed
from sonant.layers.transformer import FeedForward
from sonant.models import (
    Backbone,
    VQWav2VecConfig,
    W2vBERT2Config,
    Wav2Vec2ConformerConfig,
    Wav2VecConfig,
    WavLMConfig,
    build,
)
from tests.inference.alterations import (
    BLOCK,
    OF_CONFORMERS,
    OF_CONVOLUTIONS,
    OF_TRANSFORMERS,
    OF_WAVEFORM_CONFORMERS,
    Adapted,
    adapt,
    hook,
    keep_layers,
)
from tests.shapes import SMALL

CPU = torch.device("cpu")
CONVOLUTIONS: dict[str, Any] = {"conv_channels": (16,) * 5, "context_kernels": (2, 3)}
CONFORMER = W2vBERT2Config(dim=32, num_layers=2, num_heads=4, feed_forward_dim=64)
WAVEFORM_CONFORMER = Wav2Vec2ConformerConfig(
    dim=32, num_layers=2, num_heads=4, feed_forward_dim=64, conv_channels=(16,) * 7, conv_kernel=7
)
CASES = (
    [(WavLMConfig(**SMALL), name, alter) for name, alter in OF_TRANSFORMERS.items()]
    + [(CONFORMER, name, alter) for name, alter in OF_CONFORMERS.items()]
    + [(WAVEFORM_CONFORMER, name, alter) for name, alter in OF_WAVEFORM_CONFORMERS.items()]
    + [(Wav2VecConfig(**CONVOLUTIONS), name, alter) for name, alter in OF_CONVOLUTIONS.items()]
)


def model(config: Any) -> Backbone:
    torch.manual_seed(0)
    return exaggerate(build(config)).eval()


@pytest.fixture(scope="module")
def speech() -> Packed:
    generator = torch.Generator().manual_seed(1)
    return Packed.pack(torch.randn(length, generator=generator) for length in (8_000, 3_000))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Which warnings come has a test of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def states(backbone: Backbone, speech: Packed) -> Tensor:
    """All hidden states and the last one: (states, total_frames, dim)."""
    with torch.no_grad():
        encoded = backbone(speech)
    return torch.stack([*encoded.hidden_states.values(), encoded.last]).float()


def assert_same(given: Tensor, expected: Tensor, tolerance: float = 2e-5) -> None:
    assert given.shape == expected.shape
    assert (given - expected).norm() <= tolerance * expected.norm()


@pytest.mark.parametrize(("config", "name", "alter"), CASES, ids=[name for _, name, _ in CASES])
def test_what_was_changed_is_what_runs(config: Any, name: str, alter: Callable[[Backbone], object], speech) -> None:
    backbone, copies = model(config), OptimizedCopies()
    before = states(copies.get(backbone, None, CPU), speech)
    alter(backbone)
    expected = states(backbone.eval(), speech)
    assert expected.shape != before.shape or (expected - before).norm() > 1e-3 * before.norm()
    backbone.train()
    assert_same(states(copies.get(backbone, None, CPU), speech), expected)
    assert_same(states(optimize_for_cuda(backbone, "float32"), speech), expected)
    assert all(module.training for module in backbone.modules())


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_on_a_gpu_the_rest_keeps_its_precision(precision: str, speech) -> None:
    for alter in (OF_TRANSFORMERS["adapter in key"], hook(BLOCK), hook("projection.linear"), keep_layers(0, 1, 1, 0)):
        backbone = model(WavLMConfig(**SMALL))
        alter(backbone)
        assert_same(states(optimize_for_cuda(backbone, precision), speech), states(backbone.eval(), speech), 0.05)


def test_lesser_weights_run_in_their_own_type(speech) -> None:
    backbone = model(WavLMConfig(**SMALL))
    adapt(f"{BLOCK}.attention.query")(backbone)
    expected = states(backbone.eval(), speech)
    assert_same(states(OptimizedCopies().get(backbone.bfloat16(), None, CPU), speech), expected, 0.05)


def test_codes_of_an_altered_quantizer(speech) -> None:
    backbone, copies = model(VQWav2VecConfig(**CONVOLUTIONS | {"conv_channels": (16,) * 8})), OptimizedCopies()
    linear = next(name for name, module in backbone.named_modules() if type(module) is nn.Linear)
    adapt(linear)(backbone)
    optimized = copies.get(backbone.train(), None, CPU)
    assert torch.equal(optimized.codes(speech).values, backbone.eval().codes(speech).values)
    assert_same(states(optimized, speech), states(backbone, speech))


def test_a_class_whose_forward_was_replaced(speech, monkeypatch) -> None:
    backbone = model(WavLMConfig(**SMALL))
    monkeypatch.setattr(FeedForward, "forward", lambda _self, frames: -frames)
    assert_same(states(OptimizedCopies().get(backbone, None, CPU), speech), states(backbone, speech))


def test_hooks_on_all_modules_see_the_modules_of_the_model(speech) -> None:
    backbone, copies = model(WavLMConfig(**SMALL)), OptimizedCopies()
    copies.get(backbone, None, CPU)
    seen = []
    handle = nn.modules.module.register_module_forward_hook(lambda module, _given, _made: seen.append(module))
    try:
        states(copies.get(backbone, None, CPU), speech)
    finally:
        handle.remove()
    assert set(backbone.encoder.layers) <= set(seen)


def test_a_hook_is_called_with_the_module_it_was_put_on(speech) -> None:
    backbone, seen = model(WavLMConfig(**SMALL)), []
    attention = backbone.encoder.layers[1].attention
    handle = attention.register_forward_hook(lambda module, _given, _made: seen.append(module))
    copies = OptimizedCopies()
    states(copies.get(backbone, None, CPU), speech)
    assert seen == [attention]
    handle.remove()
    states(copies.get(backbone, None, CPU), speech)
    assert seen == [attention]


def test_an_adapter_goes_on_learning(speech) -> None:
    backbone, copies = model(WavLMConfig(**SMALL)), OptimizedCopies()
    adapt(f"{BLOCK}.attention.query")(backbone)
    optimized = copies.get(backbone, None, CPU)
    adapted = backbone.get_submodule(f"{BLOCK}.attention.query")
    assert isinstance(adapted, Adapted)
    adapted.lora_B.weight.data.mul_(3.0)
    assert copies.get(backbone, None, CPU) is optimized  # which calls the very module
    assert_same(states(optimized, speech), states(backbone.eval(), speech))
    backbone(speech).last.sum().backward()
    assert adapted.lora_A.weight.grad is not None


def test_one_warning_names_what_runs_as_it_is() -> None:
    backbone, copies = model(WavLMConfig(**SMALL)), OptimizedCopies()
    for layer in range(4):
        adapt(f"encoder.layers.{layer}.attention.query")(backbone)
    expected = r"encoder\.layers\.0\.attention\.query \(class tests\.inference\.alterations\.Adapted\).* and 1 more"
    with pytest.warns(ModelWarning, match=expected) as caught:
        copies.get(backbone, None, CPU)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    backbone.encoder.layers[0].feed_forward.inner.weight.data.mul_(2.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        copies.get(backbone, None, CPU)
