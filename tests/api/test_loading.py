"""What names a model, and what does not."""

from pathlib import Path

import pytest
import torch

import sonant
from sonant.checkpoints import save_pretrained
from sonant.cli import main
from sonant.errors import ConfigurationError
from sonant.models import WavLMConfig, build
from tests.shapes import TINY


def test_a_model_of_the_catalogue_goes_by_its_last_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = sonant.load("sonant/wavlm-tiny")
    assert sonant.load("wavlm-tiny").revision == sonant.load("WavLM-tiny").revision == shipped.revision
    save_pretrained(build(WavLMConfig(**TINY)), "wavlm-tiny")
    assert sonant.load("wavlm-tiny").dim == TINY["dim"]  # what is here wins
    assert sonant.load("sonant/wavlm-tiny").revision == shipped.revision


@pytest.mark.parametrize("name", [123, None, "", "  ", b"wavlm", ["wavlm-tiny"], torch.nn.Linear(1, 1)])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(ConfigurationError, match="does not name a model"):
        sonant.load(name)


def test_an_empty_name_is_not_the_folder_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in (["embed", "a.wav", "-o", "x", "-m", ""], ["embed", "a.wav", "-o", ""]):
        assert main(line) == 2
        assert "'' does not fit" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", ["bfloat16", torch.bfloat16])
def test_a_type_goes_by_its_name_too(dtype: object) -> None:
    assert next(sonant.load("wavlm-tiny", dtype=dtype).model.parameters()).dtype is torch.bfloat16


@pytest.mark.parametrize("dtype", ["floaty", "int8", "nn", torch.int8, float])
def test_weights_are_numbers_of_floating_point(dtype: object) -> None:
    with pytest.raises(ConfigurationError, match="expected float32, bfloat16 or float16"):
        sonant.load("wavlm-tiny", dtype=dtype)


@pytest.mark.parametrize("device", ["nowhere", "", "meta", "mps:7", "cuda:99", 0, 2.5, [], ["cpu", "meta"]])
def test_a_device_that_is_not_there_is_refused(device: object) -> None:
    with pytest.raises(ConfigurationError, match=r"device") as raised:
        sonant.load("wavlm-tiny", device=device)
    assert len(str(raised.value)) < 250


@pytest.mark.skipif(torch.version.cuda is not None or torch.version.hip is not None, reason="this PyTorch has GPUs")
def test_a_build_for_cpus_says_so() -> None:
    with pytest.raises(ConfigurationError, match="is built for CPUs"):
        sonant.load("wavlm-tiny", device="cuda")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((torch.zeros(2, 16_000),), {}),
        (([torch.zeros(16_000)],), {}),
        (({"input_values": torch.zeros(1, 16_000)},), {}),
        ((torch.zeros(1, 16_000),), {"attention_mask": torch.ones(1, 16_000)}),
        ((), {"input_values": torch.zeros(1, 16_000), "attention_mask": torch.ones(1, 16_000)}),
    ],
)
def test_a_padded_batch_is_told_how_to_be_packed(arguments: tuple, named: dict) -> None:
    with pytest.raises(ConfigurationError, match=r"Packed\.pack.*Packed\.from_padded"):
        sonant.load("wavlm-tiny").model(*arguments, **named)


@pytest.mark.parametrize("values", [torch.zeros(16_000, 2), torch.zeros(16_000, dtype=torch.int16)])
def test_packed_waveforms_have_one_axis_of_real_numbers(values: torch.Tensor) -> None:
    with pytest.raises(ConfigurationError, match="floating point"):
        sonant.load("wavlm-tiny").model(sonant.layers.packed.Packed.pack([values]))


@pytest.mark.parametrize("layer", [-1, "-1", [0, -1]])
def test_a_layer_from_the_end_is_answered_with_last(layer: object) -> None:
    with pytest.raises(sonant.errors.UnknownName, match="not counted from the end: the .*output .* 'last'"):
        sonant.load("wavlm-tiny").encode(torch.zeros(16_000), layer=layer)


@pytest.mark.parametrize("option", ["batch_seconds", "window_seconds", "overlap_seconds"])
@pytest.mark.parametrize("value", ["60", [60], True, float("nan"), -1])
def test_seconds_are_numbers(option: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=option):
        sonant.load("wavlm-tiny").encode(torch.ones(16_000), **{option: value})


@pytest.mark.parametrize("threshold", [float("nan"), 2.0, "0.5", True])
def test_a_threshold_is_a_cosine(threshold: object) -> None:
    encoder = sonant.load("wavlm-tiny")
    with pytest.raises(ConfigurationError, match="from -1 to 1"):
        encoder.diarize(torch.ones(16_000), num_speakers=1, threshold=threshold)
    with pytest.raises(ConfigurationError, match="from -1 to 1"):
        encoder.verify("a.wav", "b.wav", threshold=threshold)
