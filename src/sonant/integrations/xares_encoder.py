"""Models for X-ARES: a module that turns a batch of waveforms into frames.

X-ARES wants a file of Python with one class whose name ends in Encoder, and keeps results under that name:

    from sonant.integrations import xares_encoder

    class WavlmBasePlusEncoder(xares_encoder.XaresEncoder):
        def __init__(self):
            super().__init__("microsoft/wavlm-base-plus", layer="average")

The package itself is not needed here.
"""

from os import PathLike

import numpy as np
import torch
from torch import Tensor, nn

from sonant.api.encoder import SpeechEncoder
from sonant.errors import ConfigurationError
from sonant.integrations.clip_vectors import ClipVectors


class XaresEncoder(nn.Module):
    """A model that X-ARES evaluates.

    X-ARES fills clips of a batch up with zeros and averages all frames, those of the zeros too, so that a short clip
    would depend on the longest of its batch. Here zeros at the end are taken off before the model, and their frames
    are the mean of the clip's own frames: the mean over all of them is that of the clip alone.

    Args:
        model: a loaded model, or an argument of `sonant.load`, which chooses the device: moving the module does not
            move the model.
        layer: see `chosen_states`.
        window_seconds: of long recordings, as in `ComputingOptions`.

    Attributes:
        sampling_rate: of the waveforms, in hertz.
        output_dim: width of a frame.
        hop_size_in_ms: from one frame to the next.
    """

    def __init__(
        self,
        model: str | PathLike[str] | SpeechEncoder,
        *,
        layer: int | str = "last",
        window_seconds: float | None = 60.0,
    ) -> None:
        super().__init__()
        self._vectors = ClipVectors(model, layer=layer, window_seconds=window_seconds)
        encoder = self._vectors.encoder
        self._stride = encoder.model.config.stride
        self.sampling_rate: int = encoder.sampling_rate
        self.output_dim: int = self._vectors.states.width(encoder.dim)
        self.hop_size_in_ms: float = 1000 / encoder.frame_rate

    def forward(self, audio: Tensor) -> Tensor:
        """Return frames (clips, frames, output_dim) of waveforms (clips, samples) or (samples,), on their device."""
        batch = audio[None] if audio.ndim == 1 else audio
        if batch.ndim != 2:
            raise ConfigurationError(
                f"Waveforms of shape {tuple(audio.shape)} were given; expected (clips, samples), one channel each."
            )
        waveforms = batch.detach().float().cpu().numpy()
        longest = max(waveforms.shape[1], self._vectors.encoder.model.receptive_field)
        num_frames = self._vectors.encoder.model.num_frames(longest)
        clips = [waveform[: _length(waveform)] for waveform in waveforms]
        frames = [_filled(each, num_frames) for each in self._vectors.frames(clips)]
        return torch.from_numpy(np.stack(frames)).to(audio.device)


def _length(waveform: np.ndarray) -> int:
    """Return the number of samples before the zeros at the end; all of them for silence."""
    sounding = np.flatnonzero(waveform)
    return int(sounding[-1]) + 1 if len(sounding) else len(waveform)


def _filled(frames: np.ndarray, num_frames: int) -> np.ndarray:
    """Append the mean frame up to `num_frames`."""
    missing = num_frames - len(frames)
    return np.concatenate([frames, np.repeat(frames.mean(0, keepdims=True), missing, 0)]) if missing > 0 else frames
