"""w2v-BERT 2.0 (arXiv 2312.05187): a conformer over normalized mel energies."""

from dataclasses import dataclass
from functools import partial

import torch

from sonant.audio.mel import stacked_reach
from sonant.errors import ConfigurationError
from sonant.layers.attention import SelfAttention
from sonant.layers.conformer import ConformerEncoder, ConformerLayer, ConvModule
from sonant.layers.conv_adapter import ConvAdapter, ConvAdapterLayer
from sonant.layers.positions import RelativeKeys
from sonant.models.encoders import FeedForwardSettings, feed_forward
from sonant.models.fbank import StackedFbank
from sonant.models.maskable import MaskableBackbone
from sonant.models.normalization import ORIGINAL_EPSILON, check_epsilon


@dataclass(frozen=True, kw_only=True)
class W2vBERT2Config(FeedForwardSettings):
    """Sizes and rates; the defaults are the published model. In brackets: Hugging Face's name.

    Attributes:
        stack: mel frames (10 ms apart) that one frame of the model is made of.
        left_reach, right_reach: distances in frames that relative keys tell apart.
        adapter_layers: 0 for no adapter.
        adapter_dim: width behind the adapter; None for `dim`.
        adapter_feed_forward: half a feed-forward block before the adapter.
    """

    num_bins: int = 80
    stack: int = 2  # num_bins * stack: feature_projection_input_dim
    dim: int = 1024  # hidden_size
    num_layers: int = 24
    num_heads: int = 16
    feed_forward_dim: int = 4096
    conv_kernel: int = 31  # conv_depthwise_kernel_size
    left_reach: int = 64  # left_max_position_embeddings
    right_reach: int = 8
    layer_norm_eps: float = 1e-5
    dropout: float = 0.0  # hidden_dropout
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    conv_dropout: float = 0.1  # conformer_conv_dropout
    input_dropout: float = 0.0  # feat_proj_dropout
    layerdrop: float = 0.1
    adapter_layers: int = 0
    adapter_kernel: int = 3
    adapter_stride: int = 2
    adapter_dim: int | None = None  # output_hidden_size
    adapter_feed_forward: bool = False  # use_intermediate_ffn_before_adapter
    normalize: bool = False  # mel energies are normalized, the waveform need not be
    normalize_epsilon: float = ORIGINAL_EPSILON  # of the waveform; that of the energies is the family's own
    sampling_rate: int = 16_000

    def __post_init__(self) -> None:
        for name, width in (("dim", self.dim), ("adapter_dim", self.adapter_dim or self.dim)):
            if width % self.num_heads:
                raise ConfigurationError(
                    f"{name}={width} cannot be divided by num_heads={self.num_heads}; choose a multiple."
                )
        if self.adapter_feed_forward and not self.adapter_layers:
            raise ConfigurationError("adapter_feed_forward stands before an adapter; set adapter_layers above 0.")
        check_epsilon(self.normalize_epsilon)

    @property
    def receptive_field(self) -> int:
        """Samples that the features of one frame are made of: two windows of 400, 160 apart."""
        return stacked_reach(sampling_rate=self.sampling_rate, stack=self.stack)[0]

    @property
    def stride(self) -> int:
        """Samples from one frame to the next."""
        return stacked_reach(sampling_rate=self.sampling_rate, stack=self.stack)[1]


# Ours: 6 million parameters, without dropout, as a run of some epochs is far from overfitting.
TINY = W2vBERT2Config(dim=256, num_layers=6, num_heads=4, feed_forward_dim=512, conv_dropout=0.0, layerdrop=0.0)


class W2vBERT2(MaskableBackbone):
    """Mel energies, projection, masking, conformer; and the adapter, where there is one."""

    config: W2vBERT2Config
    extractor: StackedFbank

    def __init__(self, config: W2vBERT2Config) -> None:
        c, eps = config, config.layer_norm_eps
        extractor = StackedFbank(num_bins=c.num_bins, stack=c.stack, sampling_rate=c.sampling_rate)
        super().__init__(c, extractor, c.num_bins * c.stack)

        def make_layer() -> ConformerLayer:
            keys = RelativeKeys(c.dim // c.num_heads, left=c.left_reach, right=c.right_reach)
            return ConformerLayer(
                c.dim,
                SelfAttention(c.dim, c.num_heads, relative_keys=keys, dropout=c.attention_dropout),
                ConvModule(c.dim, kernel=c.conv_kernel, dropout=c.conv_dropout, eps=eps),
                partial(feed_forward, c, "swish"),
                dropout=c.attention_dropout,
                eps=eps,
            )

        self.encoder = ConformerEncoder(c.num_layers, make_layer, dropout=c.dropout, layerdrop=c.layerdrop)
        if c.adapter_layers:
            width = c.adapter_dim or c.dim
            layers = [
                ConvAdapterLayer(
                    width,
                    SelfAttention(width, c.num_heads, dropout=c.attention_dropout),
                    feed_forward(c, "relu", dim=width),
                    kernel=c.adapter_kernel,
                    stride=c.adapter_stride,
                    dropout=c.conv_dropout,
                    eps=eps,
                )
                for _ in range(c.adapter_layers)
            ]
            before = feed_forward(c, "relu") if c.adapter_feed_forward else None
            self.adapter = ConvAdapter(c.dim, width, layers, feed_forward=before, eps=eps)

    @property
    def waveform_dtype(self) -> torch.dtype:
        """Float32 at least: the logarithm of a quiet bin is lost in half precision before the first weight."""
        weight = self.projection.norm.weight
        assert isinstance(weight, torch.Tensor)
        return torch.promote_types(weight.dtype, torch.float32)
