"""Rows of the parts that several toolkits have; a toolkit differs in what it calls the layers inside."""

from sonant.checkpoints.parameter_names import NameMap, Row

LAYER = "encoder.layers.{i}."
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def linears(ours: str, theirs: str, names: dict[str, str]) -> NameMap:
    """Layers with a weight and a bias: our name of each, and theirs."""
    return tuple(Row(f"{ours}{name}.{{p}}", f"{theirs}{names[name]}.{{p}}") for name in names)


def attention(ours: str, theirs: str, names: tuple[str, ...] = PROJECTIONS) -> NameMap:
    """Attention; `names` of the maps to queries, keys and values, and of the output's."""
    return linears(ours, theirs, dict(zip(("query", "key", "value", "output"), names, strict=True)))


def batch_norm(ours: str, theirs: str) -> NameMap:
    """A batch norm with its running statistics."""
    return (Row(ours + "{p}", theirs + "{p}"), *(Row(ours + name, theirs + name) for name in STATISTICS))


def conformer_layer(
    feed_forward: tuple[str, str, str], projections: tuple[str, ...], keys: str, conv: tuple[str, str, str], norm: str
) -> NameMap:
    """A layer of a conformer with relative keys.

    Args:
        feed_forward: what stands behind "ffn1" and "ffn2" in the names of the norm before it, and of its two layers.
        projections: as in `attention`.
        keys: behind "self_attn.".
        conv: the norm before the convolution module, its own prefix, and the norm behind its depthwise convolution.
        norm: the last norm of the layer.
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
