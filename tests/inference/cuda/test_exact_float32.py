"""TF32 is off for as long as anybody needs exact products, and as it was afterwards."""

from collections.abc import Callable, Iterator
from threading import Barrier, Thread
from typing import Any

import pytest
import torch

from sonant.extraction.speaker_vectors import OverTime
from sonant.inference.cuda.exact_float32 import exact_float32
from sonant.inference.cuda_copy import optimize_for_cuda
from sonant.layers.packed import Packed
from sonant.models import Wav2VecConfig, WavLMConfig, build
from tests.shapes import SMALL

BACKENDS = torch.backends


def settings() -> list[str]:
    parts: list[Any] = [BACKENDS.cudnn.conv, BACKENDS.cudnn.rnn, BACKENDS.cuda.matmul]
    return [part.fp32_precision for part in parts]


def older_setting() -> str | None:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError:  # contradicted by a newer one
        return None


CONFIGS = [WavLMConfig(**SMALL), Wav2VecConfig(conv_channels=(16,) * 5)]
EXACT = ["ieee"] * 3


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before, precision = settings(), torch.get_float32_matmul_precision()
    yield
    BACKENDS.fp32_precision = "none"
    BACKENDS.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision(precision)
    BACKENDS.cuda.matmul.fp32_precision = before[2]
    assert settings() == before


USERS: dict[str, Callable[[], None]] = {
    "nothing set": lambda: None,
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "no TF32": lambda: setattr(BACKENDS.cudnn, "allow_tf32", False),
    "the newer setting": lambda: setattr(BACKENDS, "fp32_precision", "tf32"),
}


@pytest.mark.parametrize("name", USERS)
def test_the_settings_are_restored_also_after_an_error(name: str) -> None:
    USERS[name]()
    before, older = settings(), older_setting()
    with pytest.raises(ZeroDivisionError), exact_float32():
        1 // 0  # noqa: B018
    with exact_float32():
        assert settings() == EXACT
        assert not BACKENDS.cudnn.allow_tf32
    assert settings() == before
    assert older_setting() == older


def test_a_thread_that_ends_first_does_not_restore_them_under_another() -> None:
    before, inside, left = settings(), Barrier(2), Barrier(2)

    def first() -> None:
        with exact_float32():
            inside.wait()
        left.wait()

    thread = Thread(target=first)
    thread.start()
    with exact_float32():
        inside.wait()
        left.wait()
        assert settings() == EXACT
    thread.join()
    assert settings() == before


@pytest.mark.parametrize("config", CONFIGS, ids=["with blocks of its own", "converted"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_model_in_float32_runs_with_exact_products(config: Any, precision: str) -> None:
    optimized = optimize_for_cuda(build(config).eval(), precision)
    speech = Packed.pack([torch.randn(16_000).to(optimized.waveform_dtype)])
    seen, before = [], settings()
    optimized.extractor.register_forward_pre_hook(lambda *_: seen.append(settings()))
    optimized(speech)
    assert seen == [EXACT if precision == "float32" else before]
    assert settings() == before
    optimized.extractor.register_forward_pre_hook(lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        optimized(speech)
    assert settings() == before


def test_the_convolutions_of_an_x_vector_head_are_exact() -> None:
    seen = []

    class Head:
        context = 1

        def project(self, frames: Packed) -> Packed:
            return frames

        def over_time(self, frames: torch.Tensor) -> torch.Tensor:
            seen.append(settings())
            return frames

    before = settings()
    OverTime(lambda _: Head())(torch.zeros(1, 4, 2))
    assert seen == [EXACT]
    assert settings() == before
