"""What names a model, and what does not."""

import copy
import json
import pickle
from pathlib import Path

import pytest
import soundfile
import torch

import sonant
from sonant.api import SpeechEncoder
from sonant.checkpoints import save_pretrained
from sonant.cli import main
from sonant.errors import ConfigurationError, UnknownName
from sonant.inference import OptimizedCopies
from sonant.models import WavLMConfig, build
from sonant.pretraining.kmeans import KMeans
from tests.shapes import TINY


def test_a_model_of_the_catalog_goes_by_its_last_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


class Asked:
    """Stands for the copies of an encoder, and notes what precision was wanted of them."""

    def __init__(self, encoder: SpeechEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.precisions: list[str | None] = []
        get = OptimizedCopies.get

        def noted(copies: OptimizedCopies, model, precision, device, **how):
            self.precisions.append(precision)
            return get(copies, model, None, device, **how)

        monkeypatch.setattr(OptimizedCopies, "get", noted)
        wave = {"array": torch.randn(4000), "sampling_rate": 16_000}
        encoder.encode(wave)
        encoder.similarity(wave, wave)
        encoder.encode(wave, precision="float32")


@pytest.mark.parametrize("precision", [None, "bfloat16", "int8"])
def test_a_precision_is_set_once_and_a_call_may_name_another(precision, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = sonant.load("wavlm-tiny", precision=precision)
    for one in (encoder, copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert one.precision == precision
        assert ("precision" in repr(one)) == (precision is not None)
        with monkeypatch.context() as patch:
            assert Asked(one, patch).precisions == [precision, precision, precision, "float32"]


def test_folders_tell_by_which_precision_they_were_made(tmp_path: Path, recording: Path) -> None:
    encoder = sonant.load("wavlm-tiny", precision="float32")
    for place in ("ours", "theirs"):
        encoder.embed(recording.parent, tmp_path / place, precision=None if place == "ours" else "float32")
        assert json.loads((tmp_path / place / "settings.json").read_text())["precision"] == "float32"
    kmeans = KMeans(torch.randn(4, encoder.dim))
    encoder.write_units(recording.parent, tmp_path / "units", kmeans=kmeans, layer=1, format="npy")
    assert '"precision": "float32"' in (tmp_path / "units" / "settings.json").read_text()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    soundfile.write(folder / "a.wav", torch.randn(8000).clamp(-1, 1).numpy() * 0.1, 16_000)
    return folder / "a.wav"


@pytest.mark.parametrize(
    ("precision", "dtype", "message"),
    [
        ("int4", None, r"'int4'.*float32.*bfloat16.*float16.*int8"),
        ("bf16", None, "bfloat16"),
        (torch.bfloat16, None, r"torch\.bfloat16.*float32"),
        (8, None, "precision"),
        ("float16", None, "needs a GPU"),
        ("float32", "bfloat16", r"dtype=torch\.float32"),
    ],
)
def test_a_precision_that_cannot_be_had_is_refused_before_anything_is_read(precision, dtype, message) -> None:
    with pytest.raises((UnknownName, ConfigurationError), match=message):
        sonant.load("no-such/model-anywhere", device="cpu", precision=precision, dtype=dtype)


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
