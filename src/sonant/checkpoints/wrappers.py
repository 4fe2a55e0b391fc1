"""Search for a backbone in the file of a training script, behind any containers and prefixes.

Containers ({"state_dict": {...}}) are treated as prefixes ("module.", "model.wavlm."): the names of all tensors in a
file start with their path. The backbone is the prefix with most of the family's names behind it.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

from torch import Tensor

from sonant.checkpoints.checkpoint import differing
from sonant.checkpoints.parameter_names import NameMap, grouped
from sonant.errors import CheckpointMismatch, UnknownName

DEPTH = 16  # of nested containers
LEAST = 20  # least number of distinct names of the family behind a prefix
RIVAL = 0.7  # share of the best prefix's distinct names that makes another backbone
PREFIX = "prefix"  # in overrides: the prefix of the backbone, if there are several


class Unwrapped(NamedTuple):
    """The tensors of a model, without the wrappers of a training script.

    Attributes:
        tensors: model with heads, named as by its own class.
        outer: the removed prefix.
        beside: full names of the tensors outside of the model.
    """

    tensors: dict[str, Tensor]
    outer: str
    beside: list[str]

    def left(self, names: Iterable[str]) -> list[str]:
        """Return the full names of ignored tensors: those outside of the model, and `names` in it."""
        return [*(f"{self.outer}{name}" for name in names), *self.beside]

    def without(self, prefix: str) -> tuple[dict[str, Tensor], set[str]]:
        """Return the tensors without the prefix of the backbone in a class with a head, and the names that had it."""
        within = {name.removeprefix(prefix) for name in self.tensors if prefix and name.startswith(prefix)}
        return {name.removeprefix(prefix): tensor for name, tensor in self.tensors.items()}, within


def tensors_in(state: Any) -> dict[str, Tensor]:
    """Return the tensors of all state dicts in an unpickled object, with their containers as prefixes.

    The states of optimizers have numbers for names and are left out.
    """
    found: dict[str, Tensor] = {}
    _collect(state, "", DEPTH, found, set())
    return found


def _collect(value: Any, path: str, depth: int, found: dict[str, Tensor], seen: set[int]) -> None:
    if isinstance(value, Tensor):
        found[path.removesuffix(".")] = value
    elif isinstance(value, Mapping | list | tuple) and depth and id(value) not in seen:
        seen.add(id(value))  # once: a malicious file may contain one in many places, or in itself
        if isinstance(value, Mapping):
            inside = {name: item for name, item in value.items() if isinstance(name, str)}
        else:
            inside = {str(number): item for number, item in enumerate(value) if not isinstance(item, Tensor)}
        for name, item in inside.items():
            _collect(item, f"{path}{name}.", depth - 1, found, seen)


def split_overrides(overrides: Mapping[str, Any] | None) -> tuple[Any, dict[str, Any]]:
    """Return the prefix in the overrides (None if absent), and all other overrides."""
    rest = dict(overrides or {})
    return rest.pop(PREFIX, None), rest


def places(tensors: Mapping[str, Tensor], rows: NameMap) -> dict[str, list[str]]:
    """Return the prefixes followed by names of these rows, and the names behind each."""
    pattern = _any_of(rows)
    found: dict[str, list[str]] = {}
    for name in tensors:
        match = pattern.fullmatch(name)
        if match:
            found.setdefault(match[1], []).append(match[2])
    return found


def _num_kinds(names: Iterable[str]) -> int:
    """Return the number of distinct names, without regard to layer numbers."""
    return len({re.sub(r"\d+", "*", name) for name in names})


@cache
def _any_of(rows: NameMap) -> re.Pattern[str]:
    endings = "|".join(re.sub(r"\(\?P<.>", "(?:", row.foreign_pattern.pattern) for row in rows)
    return re.compile(rf"((?:.*?\.)??)({endings})")


def likeness(tensors: Mapping[str, Tensor], rows: NameMap) -> int:
    """Return the largest number of distinct names of a family behind one prefix."""
    return max(map(_num_kinds, places(tensors, rows).values()), default=0)


def prefix_of(
    tensors: Mapping[str, Tensor], rows: NameMap, *, source: object, family: str, wanted: object = None
) -> str:
    """Return the prefix of the only backbone in a file.

    Args:
        rows: names of the family.
        family: name for messages.
        wanted: prefix given by the user, if any.

    Raises:
        CheckpointMismatch: no backbone, or several that differ.
        UnknownName: no backbone has the prefix `wanted`.
    """
    names = places(tensors, rows)
    most = max(map(_num_kinds, names.values()), default=0)
    found = sorted((prefix for prefix, held in names.items() if _num_kinds(held) >= RIVAL * most), key=len)
    if most < LEAST and (not most or most < _num_kinds(tensors) / 2):  # models without layers have few
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
        described = ", ".join(f"{prefix!r} ({len(names[prefix])} tensors)" for prefix in found)
        raise CheckpointMismatch(
            f"{source} has {len(found)} models of this family, and they differ: behind {described}. A student and a "
            "teacher, perhaps, or weights and their running mean. Say which is meant: "
            f"overrides={{{PREFIX!r}: {found[-1]!r}}}."
        )
    return found[0]


def _same(tensors: Mapping[str, Tensor], names: Mapping[str, list[str]], one: str, other: str) -> bool:
    """Return whether two prefixes have equal tensors."""
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
    """Extract a model from its containers, prefixes and other tensors.

    Args:
        inner: prefixes of the backbone in classes with a head, the longest first. They are kept.
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
