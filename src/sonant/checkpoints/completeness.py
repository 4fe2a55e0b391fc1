"""Check that a checkpoint has exactly the tensors of its model and of complete heads."""

import re
from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor

from sonant.checkpoints.checkpoint import MASK, UNUSED, shapes_of
from sonant.checkpoints.parameter_names import HeadMap, NameMap, Translated, compiled, grouped, theirs, write
from sonant.errors import CheckpointMismatch
from sonant.models import BackboneConfig

HEAD_INPUTS = {  # tensors of heads that multiply the backbone's output, and the axis
    "ctc": {"weight": -1},
    "sequence_classification": {"projector.weight": -1},
    "speech_classification": {"classifier.dense.weight": -1},
    "age_gender": {"age.dense.weight": -1, "gender.dense.weight": -1},
    "frame_classification": {"classifier.weight": -1},
    "xvector": {"projector.weight": -1},
    "pretraining": {"projection.weight": -1, "ctc_head.weight": -1, "speaker_projection.weight": -1, "steps.weight": 0},
    UNUSED: {},
}

LSTM_INPUT = "lstm.weight_ih_l0"  # of heads that sonant alone has

HEAD_CHAINS = {  # consecutive linear layers of a head
    "sequence_classification": (("projector.weight", "classifier.weight"),),
    "speech_classification": (("classifier.dense.weight", "classifier.output.weight"),),
    "age_gender": tuple((f"{name}.dense.weight", f"{name}.output.weight") for name in ("age", "gender")),
}


def check(
    translated: Translated, config: BackboneConfig, *, source: object, rows: NameMap, heads: Mapping[str, HeadMap]
) -> None:
    """Raise CheckpointMismatch unless the tensors are exactly those of the model and of complete heads.

    Only the mask embedding may be missing; it is used in training alone.
    """
    backbone = translated.backbone
    held = _stacks(backbone)
    if config.num_layers > len(backbone):  # avoid building a model of wrong depth
        raise _wrong_depth(source, config.num_layers, "layers", f"{len(backbone)} tensors in all")
    expected = shapes_of(config)
    wanted = _stacks(expected)
    for stack in wanted | held:
        if wanted.get(stack, 0) != held.get(stack, 0):
            raise _wrong_depth(source, wanted.get(stack, 0), stack, held.get(stack, 0))
    missing = theirs((name for name in expected if name not in backbone and name != MASK), rows)
    surplus = [*translated.unknown, *theirs((name for name in backbone if name not in expected), rows)]
    wrong = [
        f"{theirs([name], rows)[0]} is {tuple(tensor.shape)}, expected {expected[name]}"
        for name, tensor in backbone.items()
        if name in expected and tuple(tensor.shape) != expected[name]
    ]
    for kind, tensors in translated.heads.items():
        if kind in translated.own:
            continue
        missing += theirs(_missing_of_head(tensors, heads[kind]), heads[kind].rows)
        wrong += _misfits_of_head(kind, tensors, config, heads[kind].rows)
    if missing or surplus or wrong:
        renamed = translated.outside if missing else []  # perhaps
        raise CheckpointMismatch(_message(source, config, missing, surplus, wrong, renamed))


def _missing_of_head(tensors: Mapping[str, Tensor], table: HeadMap) -> list[str]:
    optional = [compiled(pattern) for pattern in table.optional]
    numbers = {found["i"] for name in tensors for found in [re.match(r"[a-z_]+\.(?P<i>\d+)\.", name)] if found} or {"0"}
    needed = [
        native.format(i=i, p=p)
        for row in table.rows
        if row.writes
        for native in row.natives
        for i in sorted(numbers)
        for p in ("weight", "bias")
    ]
    return [
        name
        for name in dict.fromkeys(needed)
        if name not in tensors and not any(pattern.fullmatch(name) for pattern in optional)
    ]


def holds(table: HeadMap, tensors: Mapping[str, Tensor]) -> bool:
    """Return whether these are exactly the tensors of a complete head of this kind."""
    return not write(tensors, table.rows)[1] and not _missing_of_head(tensors, table)


def _misfits_of_head(kind: str, tensors: Mapping[str, Tensor], config: BackboneConfig, rows: NameMap) -> list[str]:
    wrong = []
    for name, tensor in tensors.items():
        owner, _, ending = name.rpartition("weight")
        bias = tensors.get(f"{owner}bias") if name.endswith("weight") and not ending else None
        if bias is not None and bias.shape != tensor.shape[:1]:
            bias_name = theirs([f"{owner}bias"], rows)[0]
            wrong.append(f"{bias_name} is {tuple(bias.shape)}, expected {tuple(tensor.shape[:1])} as its weight has")
    behind = getattr(config, "adapter_dim", None) or config.dim  # after the adapter, if any
    widths = {behind} if kind == "ctc" else {config.dim, behind}
    for ours, axis in ({LSTM_INPUT: -1} if LSTM_INPUT in tensors else HEAD_INPUTS[kind]).items():
        if ours in tensors and (not tensors[ours].ndim or tensors[ours].shape[axis] not in widths):
            name, shape = theirs([ours], rows)[0], tuple(tensors[ours].shape)
            expected = " or ".join(map(str, sorted(widths)))
            wrong.append(f"{name} is {shape}, expected {expected} inputs, the width of the model")
    for first, second in HEAD_CHAINS.get(kind, ()):
        if first in tensors and second in tensors:
            made, read_by = tensors[first].shape, tensors[second].shape
            if len(read_by) != 2 or made[:1] != read_by[1:]:
                one, other = theirs([first], rows)[0], theirs([second], rows)[0]
                wrong.append(
                    f"{other} is {tuple(read_by)}, expected as many inputs as {one}, {tuple(made)}, has outputs"
                )
    return wrong


def _stacks(names: Iterable[str]) -> dict[str, int]:
    """Return the number of layers under each name: {"encoder.layers": 12}."""
    counts: dict[str, int] = {}
    for name in names:
        for found in re.finditer(r"(?<=layers)\.(\d+)(?=\.)", name):
            stack = re.sub(r"\d+", "*", name[: found.start()])
            counts[stack] = max(counts.get(stack, 0), int(found[1]) + 1)
    return counts


def _wrong_depth(source: object, wanted: int, what: str, held: object) -> CheckpointMismatch:
    return CheckpointMismatch(
        f"{source}: the configuration says {wanted} {what}, the file has {held}. The two do not belong "
        "together; check that the configuration comes from the same download as the weights."
    )


# Names that belong to unsupported parts.
FEATURES: Sequence[tuple[str, str]] = (
    (r"batch_norm", "a batch norm in the positional convolution (conv_pos_batch_norm)"),
    (r"pos_conv_embed\.layers|pos_conv\.\d+\.\d+\.", "a stack of positional convolutions, as in data2vec"),
    (r"adapter|adp_", "adapters"),
    (r"(^|\.)decoder\.", "a decoder (sequence to sequence)"),
    (r"target_glu", "a gated projection of the targets (target_glu)"),
    (r"input_quantizer|project_inp", "quantized inputs (quantize_input)"),
    (r"conv_module|ffn1|pos_bias_u|linear_pos", "Conformer layers"),
    (r"speaker_proj|label_embeddings_concat", "the heads of UniSpeech-SAT"),
    (r"^project_features", "an aggregator of its own for the targets (project_features)"),
    (r"residual_proj", "skip connections between layers of different widths"),
    (r"feature_aggregator\.\d", "a recurrent aggregator (aggregator=gru)"),
)


def feature_in(names: Iterable[str]) -> str | None:
    """Describe the unsupported part that names belong to; None if there is none."""
    for pattern, feature in FEATURES:
        if any(re.search(pattern, name) for name in names):
            return feature
    return None


def _message(
    source: object, config: BackboneConfig, missing: list[str], surplus: list[str], wrong: list[str], renamed: list[str]
) -> str:
    parts = [f"{source}: the tensors are not those of a {type(config).__name__} of this shape."]
    feature = feature_in(surplus)
    if feature:
        parts.append(f"The file has {feature}, which a model of this configuration does not.")
    for title, names in (("Missing", missing), ("Left over", [*surplus, *renamed]), ("Wrong shape", wrong)):
        if names:
            parts.append(f"{title} ({len(names)}): {grouped(names)}.")
    if not feature:
        parts.append("Either the file is incomplete or changed, or its configuration belongs to another model.")
    return "\n".join(parts)
