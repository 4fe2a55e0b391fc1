"""Deduction of a configuration from the shapes of tensors, for files without one.

Shapes determine widths, depths and kernels. Strides, attention heads, the order of norms and waveform normalization are
those of the published models: seven convolutions with a total stride of 320; heads of 64 channels (80 in models of
width 1280, 120 of 1920, 128 of 2048); pre-norm layers and normalized waveforms with a layer norm in the extractor,
neither with a group norm. Use `overrides` for other models.

For w2v-BERT 2.0, shapes determine everything but the reach of the relative keys to the left and right.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from sonant.checkpoints.configs import make_config
from sonant.errors import CheckpointMismatch, ConfigurationError
from sonant.models import BackboneConfig

Deduce = Callable[..., BackboneConfig]  # as `deduce_config`

PUBLISHED_KERNELS, PUBLISHED_STRIDES = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
PUBLISHED_HEADS = {768: 12, 1024: 16, 1280: 16, 1920: 16, 2048: 16}
PUBLISHED_REACH = (64, 8)  # left, right


def deduce_config(
    backbone: Mapping[str, Tensor], *, family: str, source: object, overrides: Mapping[str, Any] | None
) -> BackboneConfig:
    """Return the configuration of a model, given its tensors under sonant's names.

    Raises:
        CheckpointMismatch: tensors that determine it are missing.
        ConfigurationError: a size of no published model, without the setting in `overrides`.
    """
    given = overrides or {}
    try:
        depth = count(backbone, "encoder.layers.")
        num_convs = count(backbone, "extractor.layers.")
        convs = [backbone[f"extractor.layers.{i}.conv.weight"].shape for i in range(num_convs)]
        dim, grouped, kernel = backbone["encoder.positions.weight_v"].shape
        inner = backbone["encoder.layers.0.feed_forward.inner.weight"].shape[0]
        channels, kernels = tuple(shape[0] for shape in convs), tuple(shape[2] for shape in convs)
        layer_norm = "extractor.layers.1.norm.weight" in backbone or (
            num_convs == 1 and given.get("extractor_norm") == "layer"
        )
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointMismatch(
            f"{source}: the tensors do not tell the shape of the model ({error} is missing or of another shape). "
            "Is it a wav2vec 2.0, HuBERT or WavLM?"
        ) from None
    values: dict[str, Any] = {
        "conv_channels": channels,
        "conv_kernels": kernels,
        "conv_bias": "extractor.layers.0.conv.bias" in backbone,
        "extractor_norm": "layer" if layer_norm else "group",
        "dim": dim,
        "num_layers": depth,
        "feed_forward_dim": inner,
        "pre_norm": layer_norm,
        "normalize": layer_norm,
        "position_kernel": kernel,
        "position_groups": dim // grouped,
    }
    if kernels == PUBLISHED_KERNELS:
        values["conv_strides"] = PUBLISHED_STRIDES
    scale, table = (
        backbone.get(n) for n in ("encoder.layers.0.attention.gate.scale", "encoder.relative_positions.weight")
    )
    if scale is not None:
        values["num_heads"] = scale.shape[0]
    elif dim in PUBLISHED_HEADS:
        values["num_heads"] = PUBLISHED_HEADS[dim]
    if table is not None:
        values["num_buckets"] = table.shape[0]
    for name, what in (
        ("num_heads", f"how many heads attention over {dim} channels has"),
        ("conv_strides", "the strides"),
    ):
        if name not in values and name not in given:
            raise ConfigurationError(f"{source}: the tensors do not tell {what}; give it in overrides, as {name!r}.")
    return make_config(family, values, overrides, source=source)


def deduce_w2v_bert2(
    backbone: Mapping[str, Tensor], *, family: str, source: object, overrides: Mapping[str, Any] | None
) -> BackboneConfig:
    """Return the configuration of a w2v-BERT 2.0 without an adapter; errors as in `deduce_config`."""
    given, stack = overrides or {}, 2
    try:
        inner, dim = backbone["encoder.layers.0.feed_forward_1.inner.weight"].shape
        positions, head_dim = backbone["encoder.layers.0.attention.relative_keys.weight"].shape
        kernel = backbone["encoder.layers.0.conv.depthwise.weight"].shape[2]
        (width,) = backbone["projection.norm.weight"].shape
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointMismatch(
            f"{source}: the tensors do not tell the shape of the model ({error} is missing or of another shape). "
            "Is it a w2v-BERT 2.0?"
        ) from None
    values: dict[str, Any] = {
        "num_bins": width // stack,
        "stack": stack,
        "dim": dim,
        "num_layers": count(backbone, "encoder.layers."),
        "num_heads": dim // max(1, head_dim),
        "feed_forward_dim": inner,
        "conv_kernel": kernel,
    }
    if positions == sum(PUBLISHED_REACH) + 1:
        values |= dict(zip(("left_reach", "right_reach"), PUBLISHED_REACH, strict=True))
    elif not {"left_reach", "right_reach"} <= given.keys():
        raise ConfigurationError(
            f"{source}: the tensors do not tell how far the {positions} relative keys reach to the left and to the "
            "right; give both in overrides, as 'left_reach' and 'right_reach'."
        )
    return make_config(family, values, overrides, source=source)


def count(backbone: Mapping[str, Tensor], prefix: str) -> int:
    """Return the number of layers behind a prefix."""
    return len({name[len(prefix) :].split(".")[0] for name in backbone if name.startswith(prefix)})
