"""Normalization of waveforms, and the floor of the variance, which differs from toolkit to toolkit.

For a recording with a root mean square of 0.1 the two floors below give the same to three digits; at 0.01, which is
-40 dB of full scale, they differ by 5 %, at 0.001 by a factor of three. So the floor is stored with the checkpoint.
"""

from torch import Tensor

from sonant.errors import ConfigurationError

ORIGINAL_EPSILON = 1e-5  # of `F.layer_norm`, which fairseq, unilm, s3prl, fairseq2 and torchaudio's bundles call
TRANSFORMERS_EPSILON = 1e-7  # of `Wav2Vec2FeatureExtractor`


def normalize_waveform(waveform: Tensor, epsilon: float) -> Tensor:
    """Zero mean and unit variance over one whole clip.

    Args:
        waveform: (samples,). Mean and variance are taken in float64: in float32 those of a quiet recording with an
            offset lose their digits.
        epsilon: added to the variance; it also keeps silence finite.
    """
    wide = waveform.double()
    centered = wide - wide.mean()
    return (centered * (centered.square().mean() + epsilon).rsqrt()).to(waveform.dtype)


def check_epsilon(epsilon: float) -> None:
    """Raise ConfigurationError unless silence stays finite."""
    if not epsilon > 0:
        raise ConfigurationError(
            f"normalize_epsilon={epsilon} would divide by zero where a recording is silent. Give a small positive "
            f"number: {TRANSFORMERS_EPSILON:g} for a model of transformers, {ORIGINAL_EPSILON:g} for one of fairseq."
        )
