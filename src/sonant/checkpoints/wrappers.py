"""Search for a backbone inside whatever a training script put around it.

Neither containers ({"state_dict": {...}}) nor prefixes ("module.", "model.wavlm.") are known by name. A container is a
prefix like any other: the tensors of all state dicts in a file get names that say where they are. The backbone is where
names as the family has them stand together.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from torch import Tensor

from sonant.checkpoints.checkpoint import differing
from sonant.checkpoints.parameter_names import NameMap, grouped
from sonant.errors import CheckpointMismatch, UnknownName

DEPTH = 16  # of containers inside each other
LEAST = 20  # kinds of names of a family that must stand together: fewer do in models of other kinds
RIVAL = 0.7  # of the kinds of names that the best place has: as many make another backbone
PREFIX = "prefix"  # in overrides: where the backbone is, if there are several


class Unwrapped(NamedTuple):
    """The tensors of a file, freed of what a training script put around the model.

    Attributes:
        tensors: the model, with its heads, as its own class would save it.
        outer: the prefix that the names of all of them had.
        beside: full names of the tensors that are not in the model.
    """

    tensors: dict[str, Tensor]
    outer: str
    beside: list[str]

    def left(self, names: Iterable[str]) -> list[str]:
        """Return the full names of the tensors left aside: all those beside the model, and `names` in it."""
        return [*(f"{self.outer}{name}" for name in names), *self.beside]

    def without(self, prefix: str) -> tuple[dict[str, Tensor], set[str]]:
        """The tensors without the prefix that a class with a head gives its backbone, and the names that had it."""
        within = {name.removeprefix(prefix) for name in self.tensors if prefix and name.startswith(prefix)}
        return {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items()}, within


def tensors_in(state: Any) -> dict[str, Tensor]:
    """All tensors of all state dicts in an unpickled object; names of containers stand before theirs.

    What an optimizer knows of a parameter is kept by number, and has no name.
    """
    found: dict[str, Tensor] = {}
    _collect(state, "", DEPTH, found, set())
    return found


def _collect(value: Any, path: str, depth: int, found: dict[str, Tensor], seen: set[int]) -> None:
    if isinstance(value, Tensor):
        found[path.removesuffix(".")] = value
    elif isinstance(value, Mapping | list | tuple) and depth and id(value) not in seen:
        seen.add(id(value))  # each once: a hostile file may hold one in many places, or in itself
        if isinstance(value, Mapping):
            inside = {name: item for name, item in value.items() if isinstance(name, str)}
        else:
            inside = {str(number): item for number, item in enumerate(value) if not isinstance(item, Tensor)}
        for name, item in inside.items():
            _collect(item, f"{path}{name}.", depth - 1, found, seen)


def split_overrides(overrides: Mapping[str, Any] | None) -> tuple[Any, dict[str, Any]]:
    """The prefix that the user names, or None, and all other overrides."""
    rest = dict(overrides or {})
    return rest.pop(PREFIX, None), rest


def places(tensors: Mapping[str, Tensor], rows: NameMap) -> dict[str, list[str]]:
    """The prefixes behind which names stand as in these rows, and the names behind each."""
    pattern = _any_of(rows)
    found: dict[str, list[str]] = {}
    for name in tensors:
        match = pattern.fullmatch(name)
        if match:
            found.setdefault(match[1], []).append(match[2])
    return found


def _num_kinds(names: Iterable[str]) -> int:
    """Count the names, those that differ only in layer numbers once."""
    return len({re.sub(r"\d+", "*", name) for name in names})


@cache
def _any_of(rows: NameMap) -> re.Pattern[str]:
    endings = "|".join(re.sub(r"\(\?P<.>", "(?:", row.foreign_pattern.pattern) for row in rows)
    return re.compile(rf"((?:.*?\.)??)({endings})")


def likeness(tensors: Mapping[str, Tensor], rows: NameMap) -> int:
    """The number of a family's kinds of names that stand together in a file."""
    return max(map(_num_kinds, places(tensors, rows).values()), default=0)


def prefix_of(
    tensors: Mapping[str, Tensor], rows: NameMap, *, source: object, family: str, wanted: object = None
) -> str:
    """Return the prefix of the names of the one backbone in a file.

    Args:
        rows: the names that the family has.
        family: its name, for messages.
        wanted: the prefix that the user named, if any.

    Raises:
        CheckpointMismatch: there is none, or more than one and they differ.
        UnknownName: no backbone has the prefix that was named.
    """
    names = places(tensors, rows)
    most = max(map(_num_kinds, names.values()), default=0)
    found = sorted((prefix for prefix, held in names.items() if _num_kinds(held) >= RIVAL * most), key=len)
    if most < LEAST and (not most or most < _num_kinds(tensors) / 2):  # a model without layers has few
        raise CheckpointMismatch(
            f"{source}: among the names of its {len(tensors)} tensors are not those of a {family}. There are "
            f"{grouped(tensors) or 'none'}. Either the configuration belongs to another model, or the names were "
            "changed in more than what stands before them."
        )
    if wanted is not None:
        given = str(wanted).rstrip(".") + "." if wanted else ""
        if given not in found:
            raise UnknownName(f"model in {source} behind the prefix", wanted, map(repr, found))
        return given
    if len(found) > 1 and not all(_same(tensors, names, found[0], other) for other in found[1:]):
        told = ", ".join(f"{prefix!r} ({len(names[prefix])} tensors)" for prefix in found)
        raise CheckpointMismatch(
            f"{source} has {len(found)} models of this family, and they differ: behind {told}. A student and a "
            "teacher, perhaps, or weights and their running mean. Say which is meant: "
            f"overrides={{{PREFIX!r}: {found[-1]!r}}}."
        )
    return found[0]


def _same(tensors: Mapping[str, Tensor], names: Mapping[str, list[str]], one: str, other: str) -> bool:
    """Return whether the same module was saved behind two prefixes."""
    left, right = ({name: tensors[prefix + name] for name in names[prefix]} for prefix in (one, other))
    return not differing(left, right)


def unwrap(
    tensors: Mapping[str, Tensor],
    rows: NameMap,
    *,
    inner: tuple[str, ...],
    source: object,
    family: str,
    wanted: object = None,
) -> Unwrapped:
    """Take away what stands before a model and beside it.

    Args:
        inner: the prefixes that a class with a head puts before its backbone, the longest first. They stay, and heads
            stand beside them.
        rows, source, family, wanted: as in `prefix_of`.
    """
    prefix = prefix_of(tensors, rows, source=source, family=family, wanted=wanted)
    own = next((own for own in inner if prefix == own or prefix.endswith(f".{own}")), "")
    outer = prefix.removesuffix(own)
    return Unwrapped(
        {name.removeprefix(outer): tensor for name, tensor in tensors.items() if name.startswith(outer)},
        outer,
        [name for name in tensors if not name.startswith(outer)],
    )
