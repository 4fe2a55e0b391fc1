"""Models for MSEB: an encoder of sounds.

    from mseb.encoders import encoder_registry
    from sonant.integrations.mseb_encoder import MsebEncoder

    encoder_registry.register_encoder(
        encoder_registry.EncoderMetadata(
            name="wavlm_base_plus_layer_6", encoder=MsebEncoder,
            params=lambda: {"model": "microsoft/wavlm-base-plus", "layer": 6},
        )
    )

MSEB makes the encoder by its name, and calls `setup()` before the first sounds.
"""

from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from sonant.api.loading import load
from sonant.errors import ConfigurationError, MissingExtra
from sonant.extraction.pooling import Pool
from sonant.integrations.clip_vectors import ClipVectors

try:
    from mseb import types
    from mseb.encoder import MultiModalEncoder
except ImportError as error:
    raise MissingExtra("mseb", extra="mseb", purpose="A model for MSEB") from error


class MsebEncoder(MultiModalEncoder):
    """A model that MSEB evaluates: one vector for each sound, or its frames.

    Args:
        model: an argument of `sonant.load`, called by `setup()`.
        layer, standardizer, window_seconds: see `ClipVectors`.
        pool: "mean", "max" or "mean+std"; None: frames, which no standardizer changes.
        device: as in `sonant.load`.
    """

    def __init__(
        self,
        model: str | PathLike[str],
        *,
        layer: int | str = "last",
        pool: Pool | None = "mean",
        standardizer: str | PathLike[str] | None = None,
        window_seconds: float | None = 60.0,
        device: str | None = None,
    ) -> None:
        super().__init__()
        self._model, self._device, self._pool = model, device, pool
        self._how: dict[str, Any] = {"layer": layer, "standardizer": standardizer, "window_seconds": window_seconds}
        self._vectors: ClipVectors | None = None

    def _setup(self) -> None:
        self._vectors = ClipVectors(load(self._model, device=self._device), pool=self._pool or "mean", **self._how)

    def _check_input_types(self, batch: Sequence[types.MultiModalObject]) -> None:
        strange = sorted({type(each).__name__ for each in batch if not isinstance(each, types.Sound)})
        if strange:
            raise ConfigurationError(f"A batch of {', '.join(strange)} was given; a model of speech encodes Sound.")

    def _encode(self, batch: Sequence[types.MultiModalObject]) -> Sequence[types.SoundEmbedding]:
        if self._vectors is None:
            raise ConfigurationError("The encoder has no model yet: call setup() before encode().")
        clips = [(each.waveform, each.context.sample_rate) for each in batch]
        found = list(self._vectors(clips)[:, None]) if self._pool else self._vectors.frames(clips)
        rate = self._vectors.encoder.frame_rate
        return [
            types.SoundEmbedding(
                embedding=embedding,
                timestamps=_times(len(embedding), rate, len(each.waveform) / each.context.sample_rate),
                context=each.context,
            )
            for each, embedding in zip(batch, found, strict=True)
        ]


def _times(count: int, frame_rate: float, seconds: float) -> np.ndarray:
    """Return start and end of each frame (frames, 2), or of the sound if there is one vector."""
    if count == 1:
        return np.array([[0.0, seconds]])
    starts = np.arange(count) / frame_rate
    return np.stack([starts, np.minimum(starts + 1 / frame_rate, seconds)], axis=1)
