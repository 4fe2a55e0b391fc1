"""What a caller has switched on in PyTorch changes nothing, and an encoder can go to other processes."""

import copy
import pickle
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sonant
from sonant.api import SpeechEncoder
from sonant.audio import mel
from sonant.models import VQWav2VecConfig, W2vBERT2Config, Wav2VecConfig, WavLMConfig, build
from sonant.pretraining.kmeans import KMeans
from tests.heads import write_classifier, write_ctc, write_frame_classifier, write_xvector
from tests.shapes import SMALL

CONVOLUTIONS: dict[str, Any] = {"context_kernels": (2, 3)}
CONFIGS: dict[str, Any] = {
    "wavlm": WavLMConfig(**SMALL),
    "layer norm": WavLMConfig(**SMALL | {"extractor_norm": "layer", "pre_norm": True, "normalize": True}),
    "conformer": W2vBERT2Config(dim=32, num_layers=2, num_heads=4, feed_forward_dim=64),
    "wav2vec": Wav2VecConfig(conv_channels=(16,) * 5, **CONVOLUTIONS),
    "vq_wav2vec": VQWav2VecConfig(conv_channels=(16,) * 8, **CONVOLUTIONS),
}
CLIPS = [
    (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)
    for seed, samples in enumerate((16_000, 9_000, 40_000))
]


def encoder(name: str) -> SpeechEncoder:
    torch.manual_seed(0)
    return SpeechEncoder(build(CONFIGS[name]).eval())


def states(of: SpeechEncoder) -> list[np.ndarray]:
    return [result.reshape(-1) for result in of.encode(CLIPS, layer="all", window_seconds=2)]


@contextmanager
def set_and_reset(switch: Callable[[Any], None], on: Any, off: Any) -> Iterator[None]:
    switch(on)
    try:
        yield
    finally:
        switch(off)


MODES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "gradients": torch.enable_grad,
    "deterministic": lambda: set_and_reset(torch.use_deterministic_algorithms, on=True, off=False),
    "another device by default": lambda: set_and_reset(torch.set_default_device, "meta", None),
    "in the block of a device": lambda: torch.device("meta"),
    "float64 by default": lambda: set_and_reset(torch.set_default_dtype, torch.float64, torch.float32),
    "bfloat16 by default": lambda: set_and_reset(torch.set_default_dtype, torch.bfloat16, torch.float32),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", CONFIGS)
def test_states_are_the_same(name: str, mode: str) -> None:
    one = encoder(name)
    expected = states(one)
    fresh = encoder(name)
    with MODES[mode]():
        prepared_before, prepared_inside = states(one), states(fresh)
    for results in (prepared_before, prepared_inside, states(fresh)):
        for result, value in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result, value)


@pytest.mark.parametrize("mode", MODES)
def test_so_are_units_and_what_heads_say_and_what_is_loaded(mode: str, tmp_path: Path) -> None:
    folders = [
        write(tmp_path / str(number))
        for number, write in enumerate((write_ctc, write_xvector, write_frame_classifier, write_classifier))
    ]
    kmeans = KMeans(torch.randn(5, 32, generator=torch.Generator().manual_seed(0)))

    def everything() -> list[Any]:
        recognizer, verifier, diarizer, classifier = map(sonant.load, folders)
        loaded = sonant.load("sonant/wavlm-tiny")
        return [
            recognizer.transcribe(CLIPS),
            [vector.tolist() for vector in verifier.speaker_vectors(CLIPS)],
            verifier.diarize(CLIPS[2], num_speakers=2),
            diarizer.diarize(CLIPS),
            classifier.classify(CLIPS),
            [units.tolist() for units in recognizer.units(CLIPS, kmeans=kmeans, layer=2)],
            loaded.encode(CLIPS[0], pool="mean+std", normalize=True).tolist(),
        ]

    expected = everything()
    with MODES[mode]():
        assert everything() == expected


@pytest.mark.parametrize("mode", MODES)
def test_mel_energies_are_kept_apart_from_the_modes_they_were_first_made_in(mode: str) -> None:
    samples = torch.from_numpy(CLIPS[0])
    mel.mel_bank.cache_clear()
    expected = mel.mfcc_with_deltas(samples)
    mel.mel_bank.cache_clear()
    with MODES[mode](), torch.autocast("cpu", enabled=False):
        assert torch.equal(mel.mfcc_with_deltas(samples), expected)
    grown = samples.clone().requires_grad_()
    mel.fbank(grown).sum().backward()
    assert grown.grad is not None


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("move", [lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy], ids=["pickle", "copy"])
def test_an_encoder_that_has_encoded_can_be_moved(move: Callable[[SpeechEncoder], SpeechEncoder], name: str) -> None:
    one = encoder(name)
    expected = states(one)
    moved = move(one)
    for result, value in zip(states(moved), expected, strict=True):
        np.testing.assert_array_equal(result, value)
    moved.model.train().requires_grad_(requires_grad=True)
    next(moved.model.parameters()).data.add_(1.0)
    for result, value in zip(states(one), expected, strict=True):  # nothing is shared
        np.testing.assert_array_equal(result, value)
