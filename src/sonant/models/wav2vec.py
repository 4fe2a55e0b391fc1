"""wav2vec (arXiv 1904.05862): 100 frames a second from convolutions alone.

Hidden state 0 is z, the extractor's frames after log compression; state i the output of layer i of the context
network; `last` is c, which is the last of them.
"""

from dataclasses import dataclass

from sonant.models.waveform_convnet import WaveformConvNet, WaveformConvNetConfig


@dataclass(frozen=True, kw_only=True)
class Wav2VecConfig(WaveformConvNetConfig):
    """Defaults: the base model of the paper."""


# The published `wav2vec_large.pt`.
LARGE = Wav2VecConfig(
    conv_channels=(512,) * 7,
    conv_kernels=(10, 8, 4, 4, 4, 1, 1),
    conv_strides=(5, 4, 2, 2, 2, 1, 1),
    context_kernels=tuple(range(2, 14)),
    skip_connections=True,
)

# Ours, for a CPU: the first convolutions are narrow, as they run on many more frames than the others.
TINY = Wav2VecConfig(conv_channels=(64, 128, 256, 256, 256), context_kernels=tuple(range(2, 10)), skip_connections=True)


class Wav2Vec(WaveformConvNet):
    """The extractor's frames go into the context network as they are."""
