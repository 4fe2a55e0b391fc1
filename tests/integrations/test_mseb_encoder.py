"""Models for MSEB, with its own types and base class."""

from pathlib import Path

import numpy as np
import pytest

import sonant
from tests.superb.miniature import write_tiny

types = pytest.importorskip("mseb.types", exc_type=ImportError)


def sound(samples: np.ndarray, rate: int = 16000):
    return types.Sound(samples, types.SoundContextParams(id="a", sample_rate=rate, length=len(samples)))


def test_sounds_become_embeddings(tmp_path: Path) -> None:
    from sonant.integrations.mseb_encoder import MsebEncoder

    folder = write_tiny(tmp_path)
    tone = (0.3 * np.sin(np.arange(40000) / 9)).astype(np.float32)
    integers = (tone[::2] * 32767).astype(np.int16)
    encoder = MsebEncoder(folder, layer=1, pool="mean+std")
    with pytest.raises(sonant.errors.ConfigurationError, match="setup"):
        encoder.encode([sound(tone)])
    encoder.setup()
    batch = [sound(tone), sound(integers, 8000), sound(tone[:0])]
    together = encoder.encode(batch)
    expected = sonant.load(folder).encode(tone, layer=1, pool="mean+std")
    assert [each.embedding.shape for each in together] == [(1, 32)] * 3
    np.testing.assert_allclose(together[0].embedding[0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(together[1].embedding, encoder.encode(batch[1:2])[0].embedding, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(together[0].timestamps, [[0, 2.5]])
    assert together[0].encoding_stats.embedding_size_bytes == 32 * 4
    assert encoder.output_type() is types.SoundEmbedding
    frames = MsebEncoder(folder, layer=1, pool=None)
    frames.setup()
    (found,) = frames.encode([sound(tone)])
    assert found.embedding.shape == (124, 16)
    assert found.timestamps.shape == (124, 2)
    with pytest.raises(sonant.errors.ConfigurationError, match="Text"):
        encoder.encode([types.Text("a", types.TextContextParams(id="a"))])
