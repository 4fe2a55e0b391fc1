"""Names of tensors, from another toolkit's to ours and back: tables of patterns, and one way to apply them.

A pattern may hold `{i}` (a number) and `{p}` ("weight" or "bias"). Every tensor of a file must be named by a row, and
every tensor of a model must be in the file: `check` raises an error that lists what is not.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from sonant.checkpoints.checkpoint import MASK, UNUSED, Head, shapes_of
from sonant.checkpoints.weight_norm import unfold
from sonant.errors import CheckpointMismatch
from sonant.models import BackboneConfig

Form = Literal["same", "heads", "pointwise", "steps"]
LISTED = 20  # groups of names that an error lists

HEAD_INPUTS = {  # the tensors of each head that read the backbone's output, and which of their axes does
    "ctc": {"weight": -1},
    "sequence_classification": {"projector.weight": -1},
    "speech_classification": {"classifier.dense.weight": -1},
    "age_gender": {"age.dense.weight": -1, "gender.dense.weight": -1},
    "frame_classification": {"classifier.weight": -1},
    "xvector": {"projector.weight": -1},
    "pretraining": {
        "final_proj.weight": -1,
        "ctc_proj.weight": -1,
        "speaker_proj.weight": -1,
        "project_to_steps.weight": 0,
    },
    UNUSED: {},
}

HEAD_CHAINS = {  # pairs of linear layers of a head, of which the second reads what the first makes
    "sequence_classification": (("projector.weight", "classifier.weight"),),
    "speech_classification": (("classifier.dense.weight", "classifier.output.weight"),),
    "age_gender": tuple((f"{name}.dense.weight", f"{name}.output.weight") for name in ("age", "gender")),
}


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        native: our name; several names where the other toolkit stacks our tensors along the first axis.
        foreign: the other toolkit's name.
        form: "heads" where ours is (heads,) and theirs (1, heads, 1, 1); "pointwise" where ours is a matrix and theirs
            a convolution of one step, (outputs, inputs, 1); "steps" for a matrix for each of some steps,
            (dim, dim, 1, steps), here and there.
        writes: False for a spelling that is read but never written.
    """

    native: str | tuple[str, ...]
    foreign: str
    form: Form = "same"
    writes: bool = True

    @cached_property
    def natives(self) -> tuple[str, ...]:
        return (self.native,) if isinstance(self.native, str) else self.native

    @cached_property
    def native_patterns(self) -> tuple[re.Pattern[str], ...]:
        return tuple(_compile(name) for name in self.natives)

    @cached_property
    def foreign_pattern(self) -> re.Pattern[str]:
        return _compile(self.foreign)


Table = tuple[Row, ...]


@dataclass(frozen=True)
class HeadTable:
    """The rows of one kind of head; `optional` are patterns of our names that a complete head may lack."""

    rows: Table
    optional: tuple[str, ...] = ()


@dataclass
class Translated:
    """A file's tensors under our names, and the names that no row knew.

    `outside` are unknown names that cannot be the backbone's, see `unknown_parts`; by themselves they are no error.
    `own` are the heads of any objective that sonant wrote for itself; no table says what they consist of.
    """

    backbone: dict[str, Tensor] = field(default_factory=dict)
    heads: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    own: set[str] = field(default_factory=set)


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\{i\}", r"(?P<i>\d+)").replace(r"\{p\}", r"(?P<p>weight|bias)"))


def read(state: Mapping[str, Tensor], rows: Table, heads: Mapping[str, HeadTable]) -> Translated:
    """Translate another toolkit's names to ours; names that no row knows are listed as unknown."""
    result = Translated()
    for name, tensor in state.items():
        if not any(_read_one(name, tensor, table, into) for table, into in _places(result, rows, heads)):
            result.unknown.append(name)
    unfold(result.backbone)
    result.heads = {kind: tensors for kind, tensors in result.heads.items() if tensors}
    return result


def _places(
    result: Translated, rows: Table, heads: Mapping[str, HeadTable]
) -> Iterable[tuple[Table, dict[str, Tensor]]]:
    yield rows, result.backbone
    for kind, table in heads.items():
        yield table.rows, result.heads.setdefault(kind, {})


def _read_one(name: str, tensor: Tensor, rows: Table, into: dict[str, Tensor]) -> bool:
    for row in rows:
        found = row.foreign_pattern.fullmatch(name)
        if not found:
            continue
        ours = [native.format(**found.groupdict()) for native in row.natives]
        if not _is_of_form(tensor, row.form) or (len(ours) > 1 and (not tensor.ndim or tensor.shape[0] % len(ours))):
            return False
        for our_name, part in zip(ours, _parts(tensor, row), strict=True):
            if our_name in into and not torch.equal(into[our_name], part):
                return False
            into[our_name] = part
        return True
    return False


def _is_of_form(tensor: Tensor, form: Form) -> bool:
    match form:
        case "heads":
            return tensor.ndim == 4 and tensor.numel() == tensor.shape[1]
        case "pointwise":
            return tensor.ndim == 3 and tensor.shape[2] == 1
        case "steps":
            return tensor.ndim == 4 and tensor.shape[2] == 1 and tensor.shape[0] == tensor.shape[1]
    return True


def _parts(tensor: Tensor, row: Row) -> tuple[Tensor, ...]:
    match row.form:
        case "heads":
            return (tensor.reshape(-1),)
        case "pointwise":
            return (tensor[:, :, 0],)
    return (tensor,) if len(row.natives) == 1 else tensor.chunk(len(row.natives))


def _whole(parts: list[Tensor], row: Row) -> Tensor:
    """Return the other toolkit's tensor, made from ours."""
    match row.form:
        case "heads":
            return parts[0].reshape(1, -1, 1, 1)
        case "pointwise":
            return parts[0][:, :, None]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def write(tensors: Mapping[str, Tensor], rows: Table) -> tuple[dict[str, Tensor], list[str]]:
    """Translate our names to another toolkit's; the second result lists ours that have no place there."""
    written: dict[str, Tensor] = {}
    homeless = []
    for name in tensors:
        place = _find(name, rows)
        if place is None:
            homeless.append(name)
            continue
        row, foreign, fields = place
        if foreign in written:
            continue  # a stack, written when its first part came by
        written[foreign] = _whole([tensors[native.format(**fields)] for native in row.natives], row)
    return written, homeless


def _find(name: str, rows: Table) -> tuple[Row, str, dict[str, str]] | None:
    for row in rows:
        for pattern in row.native_patterns if row.writes else ():
            found = pattern.fullmatch(name)
            if found:
                return row, row.foreign.format(**found.groupdict()), found.groupdict()
    return None


def theirs(names: Iterable[str], rows: Table) -> list[str]:
    """Return another toolkit's names for ours, for messages; a name without a row stays as it is."""
    found = ((name, _find(name, rows)) for name in names)
    return list(dict.fromkeys(place[1] if place else name for name, place in found))


def check(
    translated: Translated,
    config: BackboneConfig,
    *,
    source: object,
    rows: Table,
    heads: Mapping[str, HeadTable],
) -> None:
    """Raise CheckpointMismatch unless the tensors are exactly those of the model and of complete heads.

    Only the mask embedding may be missing: it serves training alone, and some files have dropped it.
    """
    backbone = translated.backbone
    held = _stacks(backbone)
    if config.num_layers > len(backbone):  # not worth building
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


def make_heads(translated: Translated, metadata: Mapping[str, dict[str, object]]) -> dict[str, Head]:
    """The heads of a file with what is known about each."""
    return {kind: Head(tensors, dict(metadata.get(kind, {}))) for kind, tensors in translated.heads.items()}


def _missing_of_head(tensors: Mapping[str, Tensor], table: HeadTable) -> list[str]:
    optional = [_compile(pattern) for pattern in table.optional]
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


def holds(table: HeadTable, tensors: Mapping[str, Tensor]) -> bool:
    """Return whether these tensors make a whole head of this kind, with nothing left over."""
    return not write(tensors, table.rows)[1] and not _missing_of_head(tensors, table)


def _misfits_of_head(kind: str, tensors: Mapping[str, Tensor], config: BackboneConfig, rows: Table) -> list[str]:
    wrong = []
    for name, tensor in tensors.items():
        owner, _, ending = name.rpartition("weight")
        bias = tensors.get(f"{owner}bias") if name.endswith("weight") and not ending else None
        if bias is not None and bias.shape != tensor.shape[:1]:
            bias_name = theirs([f"{owner}bias"], rows)[0]
            wrong.append(f"{bias_name} is {tuple(bias.shape)}, expected {tuple(tensor.shape[:1])} as its weight has")
    behind = getattr(config, "adapter_dim", None) or config.dim  # the adapter, where there is one
    widths = {behind} if kind == "ctc" else {config.dim, behind}
    for ours, axis in HEAD_INPUTS[kind].items():
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
    """Count the numbered layers under each name: {"encoder.layers": 12}."""
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


# Names in a file that betray a part which no family here has.
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
    """Return, in words, the unsupported part that these names belong to; None if they show none."""
    for pattern, feature in FEATURES:
        if any(re.search(pattern, name) for name in names):
            return feature
    return None


def _message(
    source: object,
    config: BackboneConfig,
    missing: list[str],
    surplus: list[str],
    wrong: list[str],
    renamed: list[str],
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


def grouped(names: Iterable[str]) -> str:
    """List names in short: those that differ in a number appear once, and no more than the first 20 groups."""
    counts = Counter(re.sub(r"(?<=\.)\d+(?=\.)", "*", name) for name in names)
    told = [name if count == 1 else f"{name} ({count} times)" for name, count in counts.items()]
    rest = len(told) - LISTED
    return ", ".join(told[:LISTED]) + (f" and {rest} more kinds" if rest > 0 else "")
