"""States that are not finite are an error, which belongs to a recording and names layer and cause."""

import json
from pathlib import Path
from typing import Any, Literal
from weakref import ref

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

import sonant
from sonant.api import SpeechEncoder
from sonant.cli import main
from sonant.errors import ConfigurationError, NonFiniteStates, SonantWarning
from sonant.extraction.finiteness import are_finite
from sonant.extraction.forward import Clip, Forward
from sonant.extraction.sinks import Collected, deliver
from sonant.extraction.summary import Summary
from sonant.layers.packed import Packed
from sonant.models import Backbone, WavLMConfig, build
from sonant.models.backbone import Origin
from sonant.pretraining.kmeans import KMeans
from tests.heads import write_classifier, write_ctc, write_frame_classifier, write_xvector
from tests.shapes import SMALL

RATE = 16_000


def speech(seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def model(**how: Any) -> Backbone:
    torch.manual_seed(0)
    return build(WavLMConfig(**SMALL, **how)).eval()


def spoil(backbone: Backbone, number: int = 2) -> None:
    backbone.encoder.layers[number].feed_forward.inner.weight.data[3, 5] = torch.nan


def test_weights_that_hold_nan_are_named_and_the_first_layer() -> None:
    encoder = SpeechEncoder(model())
    spoil(encoder.model)
    with pytest.raises(NonFiniteStates, match=r"layer 3 on.*encoder\.layers\.2\.feed_forward\.inner\.weight") as caught:
        encoder.encode(speech())
    assert "recording 0" in caught.value.__notes__[0]
    assert np.isfinite(encoder.encode(speech(), layer=[0, 1, 2])).all()  # below it all is well


def test_a_look_is_taken_at_windows_too() -> None:
    encoder = SpeechEncoder(model())
    spoil(encoder.model)
    with pytest.raises(NonFiniteStates, match="layer 3 on"):
        encoder.encode(speech(5.0), window_seconds=2)


def overflow(module: torch.nn.Module, given: tuple[Packed, ...], made: Packed) -> Packed:
    """A hook that lets an extractor fail on what is loud."""
    for samples, frames in zip(given[0], made, strict=True):
        frames.masked_fill_(samples.abs().max() > 1000, torch.inf)
    return made


@pytest.mark.filterwarnings("ignore::sonant.errors.AudioWarning", "ignore::sonant.errors.ModelWarning")
def test_batch_mates_of_a_recording_out_of_range_are_as_they_were() -> None:
    encoder = SpeechEncoder(model())
    encoder.model.extractor.register_forward_hook(overflow)
    clips = [speech(1.0, 1), 1e5 * speech(0.7, 2), speech(0.5, 3)]
    with pytest.warns(SonantWarning, match=r"1: The states.*layer 0 on.*samples reach \d.*e\+04"):
        first, none, last = encoder.encode(clips, on_error="skip")
    assert none is None
    np.testing.assert_allclose(first, encoder.encode(clips[0]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(last, encoder.encode(clips[2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("precision", "cause"), [("float16", "65,504.*bfloat16"), ("bfloat16", "too large")])
def test_the_numbers_that_it_ran_in_are_blamed_last(precision: str, cause: str) -> None:
    backbone = model()
    original = model()
    backbone.encoder.layers[0].feed_forward.inner.weight.data.fill_(torch.inf)  # as a copy that overflows
    backbone.origin = Origin(ref(original), precision)
    (states,) = Forward(backbone)([Clip(speech(), (2,))])
    with pytest.raises(NonFiniteStates, match=f"layer 1 on.*{cause}"):
        deliver(Collected(normalize=False), states)


def test_weights_that_are_too_large() -> None:
    encoder = SpeechEncoder(model(pre_norm=True))
    encoder.model.encoder.layers[0].feed_forward.outer.weight.data.mul_(1e38).mul_(1e3)
    with pytest.raises(NonFiniteStates, match="layer 1 on"):
        encoder.encode(speech())


@pytest.mark.parametrize("pool", [None, "mean"])
@pytest.mark.parametrize("window_seconds", [60.0, 0.5])
def test_what_float16_cannot_hold_is_not_stored_in_it(
    tmp_path: Path, pool: Literal["mean"] | None, window_seconds: float
) -> None:
    encoder = SpeechEncoder(model(pre_norm=True))
    encoder.model.encoder.layers[0].feed_forward.outer.weight.data.mul_(1e8)
    soundfile.write(tmp_path / "a.wav", speech(), 16_000)

    def embedded(**how: object) -> Summary:
        asked = {"layer": 1, "pool": pool, "window_seconds": window_seconds, **how}
        return encoder.embed(tmp_path / "a.wav", tmp_path / f"out{len(how)}", **asked)

    assert embedded().failed == 0
    refused = embedded(dtype="float16")
    assert refused.failed == 1
    assert "float16 holds 65504" in refused.errors.read_text(encoding="utf-8")
    assert embedded(dtype="float16", normalize=True).failed == 0


def test_units() -> None:
    encoder = SpeechEncoder(model())
    spoil(encoder.model)
    kmeans = KMeans(torch.randn(5, 32))
    with pytest.raises(NonFiniteStates):
        encoder.units(speech(), kmeans=kmeans, layer=3)
    assert len(encoder.units(speech(), kmeans=kmeans, layer=2))
    kmeans.centroids[1, 2] = torch.nan
    with pytest.raises(ConfigurationError, match="centers hold NaN"):
        encoder.units(speech(), kmeans=kmeans, layer=2)


@pytest.mark.parametrize("part", ["states", "head"])
@pytest.mark.parametrize(
    ("write", "verb"),
    [
        (write_ctc, "transcribe"),
        (write_xvector, "speaker_vectors"),
        (write_frame_classifier, "diarize"),
        (write_classifier, "classify"),
    ],
)
def test_heads(write: Any, verb: str, part: str, tmp_path: Path) -> None:
    encoder = sonant.load(write(tmp_path))
    if part == "states":
        spoil(encoder.model)
    else:
        (head,) = encoder.heads.values()
        list(head.parameters())[-1].data.fill_(torch.nan)
    with pytest.raises(NonFiniteStates, match="layer" if part == "states" else "head"):
        getattr(encoder, verb)(speech())
    with pytest.warns(SonantWarning, match="1 of 1"):
        assert getattr(encoder, verb)([speech()], on_error="skip") == [None]


def test_in_bulk_they_are_skipped_and_listed_and_the_exit_code_tells(tmp_path: Path) -> None:
    encoder = SpeechEncoder(model())
    spoil(encoder.model)
    encoder.save_pretrained(tmp_path / "model")
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in/a.wav", speech(), RATE)
    arguments = ["embed", str(tmp_path / "in"), "-m", str(tmp_path / "model")]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 1
    (row,) = [json.loads(line) for line in (tmp_path / "out/errors.jsonl").read_text().splitlines()]
    assert row["error"] == "NonFiniteStates"
    assert "feed_forward" in row["message"]
    assert main([*arguments, "-o", str(tmp_path / "other"), "--layer", "2"]) == 0


def test_a_sum_that_overflows_is_no_infinity() -> None:
    large = torch.full((10,), 3e38)
    assert are_finite([large])
    spoilt: list[Tensor] = [large, torch.tensor([1.0, -torch.inf])]
    assert not are_finite(spoilt)
