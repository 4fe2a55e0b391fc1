"""Translation between parameter names of other toolkits and sonant's, by maps of patterns.

A pattern may contain `{i}` (a number) and `{p}` ("weight" or "bias"). Every tensor of a file must match a row of the
map, and every tensor of a model must be in the file, see `completeness`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from sonant.checkpoints.checkpoint import Head
from sonant.checkpoints.weight_norm import unfold
from sonant.errors import some_of

Form = Literal["same", "heads", "pointwise", "steps"]
LISTED = 20  # groups of names listed in an error


@dataclass(frozen=True)
class Row:
    """One row of a parameter-name map.

    Attributes:
        native: sonant's name; several names if the other toolkit stacks these tensors along the first axis.
        foreign: the other toolkit's name.
        form: how shapes relate. "heads": (heads,) and (1, heads, 1, 1); "pointwise": a matrix and a convolution
            (outputs, inputs, 1); "steps": (dim, dim, 1, steps) in both.
        writes: False for a name that is read but never written.
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
        return tuple(compiled(name) for name in self.natives)

    @cached_property
    def foreign_pattern(self) -> re.Pattern[str]:
        return compiled(self.foreign)


NameMap = tuple[Row, ...]


@dataclass(frozen=True)
class HeadMap:
    """The rows of one kind of head; `optional`: patterns of sonant's names that a complete head may lack."""

    rows: NameMap
    optional: tuple[str, ...] = ()


@dataclass
class Translated:
    """A file's tensors under sonant's names, and the names that match no row.

    `outside`: unknown names that are not the backbone's, see `unknown_parts`; they are no error. `own`: heads that
    sonant wrote for any objective, without a map.
    """

    backbone: dict[str, Tensor] = field(default_factory=dict)
    heads: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    own: set[str] = field(default_factory=set)


def compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\{i\}", r"(?P<i>\d+)").replace(r"\{p\}", r"(?P<p>weight|bias)"))


def read(state: Mapping[str, Tensor], rows: NameMap, heads: Mapping[str, HeadMap]) -> Translated:
    """Translate another toolkit's names to sonant's; names that match no row are listed as unknown."""
    result = Translated()
    for name, tensor in state.items():
        if not any(_read_one(name, tensor, table, into) for table, into in _places(result, rows, heads)):
            result.unknown.append(name)
    unfold(result.backbone)
    result.heads = {kind: tensors for kind, tensors in result.heads.items() if tensors}
    return result


def _places(
    result: Translated, rows: NameMap, heads: Mapping[str, HeadMap]
) -> Iterable[tuple[NameMap, dict[str, Tensor]]]:
    yield rows, result.backbone
    for kind, table in heads.items():
        yield table.rows, result.heads.setdefault(kind, {})


def _read_one(name: str, tensor: Tensor, rows: NameMap, into: dict[str, Tensor]) -> bool:
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
    """Return the other toolkit's tensor, made of sonant's."""
    match row.form:
        case "heads":
            return parts[0].reshape(1, -1, 1, 1)
        case "pointwise":
            return parts[0][:, :, None]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def write(tensors: Mapping[str, Tensor], rows: NameMap) -> tuple[dict[str, Tensor], list[str]]:
    """Translate sonant's names to another toolkit's; the second result lists names without a counterpart."""
    written: dict[str, Tensor] = {}
    homeless = []
    for name in tensors:
        place = _find(name, rows)
        if place is None:
            homeless.append(name)
            continue
        row, foreign, fields = place
        if foreign in written:
            continue  # a stack, written with its first part
        written[foreign] = _whole([tensors[native.format(**fields)] for native in row.natives], row)
    return written, homeless


def _find(name: str, rows: NameMap) -> tuple[Row, str, dict[str, str]] | None:
    for row in rows:
        for pattern in row.native_patterns if row.writes else ():
            found = pattern.fullmatch(name)
            if found:
                return row, row.foreign.format(**found.groupdict()), found.groupdict()
    return None


def theirs(names: Iterable[str], rows: NameMap) -> list[str]:
    """Return another toolkit's names for messages; names without a row are unchanged."""
    found = ((name, _find(name, rows)) for name in names)
    return list(dict.fromkeys(place[1] if place else name for name, place in found))


def make_heads(translated: Translated, metadata: Mapping[str, dict[str, object]]) -> dict[str, Head]:
    """Return the heads of a file with their metadata."""
    return {kind: Head(tensors, dict(metadata.get(kind, {}))) for kind, tensors in translated.heads.items()}


def grouped(names: Iterable[str]) -> str:
    """Format names in short: names that differ in a number appear once, and only the first 20 groups."""
    counts = Counter(re.sub(r"(?<=\.)\d+(?=\.)", "*", name) for name in names)
    entries = [name if count == 1 else f"{name} ({count} times)" for name, count in counts.items()]
    return some_of(entries, LISTED, rest="more kinds")
