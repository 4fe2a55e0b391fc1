"""Vectors of clips for benchmarks: laws, and the files of standardizers."""

from pathlib import Path

import numpy as np
import pytest
import torch

import sonant
from sonant.errors import ConfigurationError, UnknownName
from sonant.evaluation import Standardizer
from sonant.integrations.clip_vectors import ClipVectors, clip_samples, fit_standardizer, write_standardizer
from sonant.integrations.state_choice import chosen_states
from sonant.integrations.xares_encoder import XaresEncoder
from tests.superb.miniature import write_tiny


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> sonant.SpeechEncoder:
    return sonant.load(write_tiny(tmp_path_factory.mktemp("models")))


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [0.1 * generator.standard_normal(count).astype(np.float32) for count in (16000, 9000, 100, 0, 30000)]


@pytest.mark.parametrize(
    ("layer", "pool", "width"), [("last", "mean", 16), ("0+2", "mean+std", 64), ("all", "max", 48)]
)
def test_a_vector_is_that_of_its_clip_alone(
    encoder: sonant.SpeechEncoder, clips: list[np.ndarray], layer: str, pool: str, width: int
) -> None:
    vectors = ClipVectors(encoder, layer=layer, pool=pool)  # type: ignore[arg-type]
    together = vectors(clips)
    assert together.shape == (5, width) == (5, vectors.dim)
    for clip, vector in zip(clips, together, strict=True):
        np.testing.assert_allclose(vectors([clip])[0], vector, rtol=1e-4, atol=1e-5)
    assert vectors([]).shape == (0, width)


def test_states_are_combined_as_said(encoder: sonant.SpeechEncoder, clips: list[np.ndarray]) -> None:
    every = encoder.encode(clips[0], layer="all", pool="mean")
    for layer, expected in (
        ("average", every.mean(0)),
        ("0+2", every[[0, 2]].reshape(-1)),
        (1, every[1]),
        ("speaker", encoder.encode(clips[0], task="speaker", pool="mean")),
    ):
        np.testing.assert_allclose(ClipVectors(encoder, layer=layer)([clips[0]])[0], expected, rtol=1e-4, atol=1e-5)
    for wrong in ("5+x", "9", "first"):
        with pytest.raises(UnknownName, match="layer"):
            chosen_states(wrong, encoder.model)


def test_any_rate_any_channels_and_silence() -> None:
    tone = np.sin(np.arange(8000) / 20).astype(np.float32)
    assert len(clip_samples({"array": tone, "sampling_rate": 8000}, 16000, 400)) == 16000
    stereo = {"array": np.stack([tone, np.zeros_like(tone)]), "sampling_rate": 16000}
    np.testing.assert_allclose(clip_samples(stereo, 16000, 400), tone / 2)
    for empty in ({"array": np.zeros((2, 0)), "sampling_rate": 8000}, (np.zeros(0), 8000), np.zeros(0, np.float32)):
        np.testing.assert_array_equal(clip_samples(empty, 16000, 400), np.zeros(400))
    assert len(clip_samples(tone[:7], 16000, 400)) == 400


def test_a_standardizer_belongs_to_its_vectors(
    encoder: sonant.SpeechEncoder, clips: list[np.ndarray], tmp_path: Path
) -> None:
    plain = ClipVectors(encoder, pool="mean+std")
    path = write_standardizer(fit_standardizer(plain, clips), tmp_path / "background.npz")
    found = ClipVectors(encoder, pool="mean+std", standardizer=path)(clips)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(found, Standardizer.fit(plain(clips))(plain(clips)), rtol=1e-4, atol=1e-4)
    with pytest.raises(ConfigurationError, match="width 32"):
        ClipVectors(encoder, standardizer=path)
    (tmp_path / "other.npz").write_bytes(b"nothing")
    with pytest.raises(ConfigurationError, match="no file of a standardizer"):
        ClipVectors(encoder, standardizer=tmp_path / "other.npz")


class MiniatureEncoder(XaresEncoder):
    """As X-ARES wants it: a name that ends in Encoder."""


def test_frames_for_xares_do_not_depend_on_the_batch(encoder: sonant.SpeechEncoder, clips: list[np.ndarray]) -> None:
    module = MiniatureEncoder(encoder, layer="0+2")
    assert (module.sampling_rate, module.output_dim, module.hop_size_in_ms) == (16000, 32, 20)
    lengths = [len(clip) for clip in clips]
    batch = torch.zeros(len(clips), max(lengths))
    for row, clip in enumerate(clips):
        batch[row, : len(clip)] = torch.from_numpy(clip)
    frames = module(batch)
    assert frames.shape == (5, encoder.model.num_frames(30000), 32)
    for row, clip in enumerate(clips[:2]):
        alone = module(torch.from_numpy(clip))
        torch.testing.assert_close(frames[row, : alone.shape[1]], alone[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(frames[row].mean(0), alone[0].mean(0), rtol=1e-4, atol=1e-5)
    assert frames.isfinite().all()
    with pytest.raises(ConfigurationError, match="one channel"):
        module(batch[None])


def test_xares_accepts_the_module(encoder: sonant.SpeechEncoder) -> None:
    checker = pytest.importorskip("xares.audio_encoder_checker")
    assert checker.check_audio_encoder(MiniatureEncoder(encoder))
