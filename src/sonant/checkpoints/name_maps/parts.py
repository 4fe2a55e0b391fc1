"""Rows of modules that several toolkits share, but for the names of layers inside."""

from sonant.checkpoints.parameter_names import NameMap, Row

LAYER = "encoder.layers.{i}."
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def linears(ours: str, theirs: str, names: dict[str, str]) -> NameMap:
    """Return the rows of layers with a weight and a bias, from their names in both."""
    return tuple(Row(f"{ours}{name}.{{p}}", f"{theirs}{names[name]}.{{p}}") for name in names)


def attention(ours: str, theirs: str, names: tuple[str, ...] = PROJECTIONS) -> NameMap:
    """Return the rows of attention; `names`: of the projections to query, key, value and output."""
    return linears(ours, theirs, dict(zip(("query", "key", "value", "output"), names, strict=True)))


def batch_norm(ours: str, theirs: str) -> NameMap:
    """Return the rows of a batch norm with running statistics."""
    return (Row(ours + "{p}", theirs + "{p}"), *(Row(ours + name, theirs + name) for name in STATISTICS))


def conformer_layer(
    feed_forward: tuple[str, str, str], projections: tuple[str, ...], keys: str, conv: tuple[str, str, str], norm: str
) -> NameMap:
    """Return the rows of a Conformer layer with relative keys.

    Args:
        feed_forward: suffixes of "ffn1" and "ffn2": norm before the module, first and second linear layer.
        projections: as in `attention`.
        keys: suffix of "self_attn.".
        conv: norm before the convolution module, prefix of the module, norm after its depthwise convolution.
        norm: last norm of the layer.
    """
    before, prefix, behind = (f"{LAYER}{name}" for name in conv)
    names = dict(zip(("_norm", ".inner", ".outer"), feed_forward, strict=True))
    return (
        *linears(f"{LAYER}feed_forward_1", f"{LAYER}ffn1", names),
        *linears(f"{LAYER}feed_forward_2", f"{LAYER}ffn2", names),
        *linears(LAYER, LAYER, {"attention_norm": "self_attn_layer_norm", "norm": norm}),
        *attention(f"{LAYER}attention.", f"{LAYER}self_attn.", projections),
        Row(f"{LAYER}attention.relative_keys.weight", f"{LAYER}self_attn.{keys}.weight"),
        Row(f"{LAYER}conv.norm.{{p}}", before + ".{p}"),
        Row(f"{LAYER}conv.inner.weight", f"{prefix}.pointwise_conv1.weight", form="pointwise"),
        Row(f"{LAYER}conv.depthwise.weight", f"{prefix}.depthwise_conv.weight"),
        Row(f"{LAYER}conv.depthwise_norm.{{p}}", behind + ".{p}"),
        Row(f"{LAYER}conv.outer.weight", f"{prefix}.pointwise_conv2.weight", form="pointwise"),
    )
