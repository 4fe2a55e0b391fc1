"""The convolutional extractor on padded speech."""

from torch import nn

from sonant.inference.padded.clips import Padded, clip_norm
from sonant.layers.conv_extractor import ClipNorm, ConvExtractor, ConvLayer


class PaddedExtractor(nn.Module):
    """`ConvExtractor`."""

    def __init__(self, extractor: ConvExtractor) -> None:
        super().__init__()
        self.plain = extractor

    def forward(self, speech: Padded) -> Padded:
        """Waveforms (batch, samples) to frames (batch, time, channels)."""
        plain, stream, lengths = self.plain, speech.values[:, None], speech.lengths  # (batch, 1, samples)
        for kernel, stride, layer in zip(plain.kernels, plain.strides, plain.layers, strict=True):
            assert isinstance(layer, ConvLayer)
            stream = layer.conv(stream)
            lengths = ((lengths - kernel) // stride + 1).clamp(min=0)
            if isinstance(layer.norm, ClipNorm):
                stream = clip_norm(layer.norm, stream, lengths)
            elif layer.norm is not None:
                stream = layer.norm(stream)
            stream = layer.activation(stream)
        features = stream.transpose(1, 2)
        return Padded(features.abs().log1p() if plain.log_compression else features, lengths)
