"""Models related to a model."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sonant.server.hosting.served_model import State
from sonant.server.web.entries import ModelEntry

MOST_OF_FAMILY, MOST_OF_SIZE, SAME_SIZE = 5, 3, 1.3


@dataclass(frozen=True, kw_only=True)
class Related:
    """Another model, and its relation to this one."""

    relation: str
    id: str
    title: str
    state: State


def related(model: ModelEntry, every: Iterable[ModelEntry]) -> list[Related]:
    """Find its base model, models fine-tuned from it, its family, and models of similar size; each once."""
    found: dict[str, Related] = {}
    for relation, other in _related(model, list(every)):
        found.setdefault(other.id, Related(relation=relation, id=other.id, title=other.title, state=other.state))
    return list(found.values())


def _related(model: ModelEntry, every: list[ModelEntry]) -> Iterator[tuple[str, ModelEntry]]:
    others = [other for other in every if other.id != model.id and other.specs]
    origin = model.origin.pretrained if model.origin else None
    yield from (("what it was fine-tuned from", other) for other in others if other.id == origin)
    yield from (("fine-tuned from it", other) for other in others if _pretrained(other) == model.id)
    if origin:
        yield from (("fine-tuned from the same", other) for other in others if _pretrained(other) == origin)
    if model.specs is None:
        return
    size = model.specs.parameters
    untuned = sorted((other for other in others if not _pretrained(other)), key=lambda other: _distance(other, size))
    yield from (("same family", other) for other in [o for o in untuned if o.family == model.family][:MOST_OF_FAMILY])
    alike = [other for other in untuned if other.family != model.family and _distance(other, size) < SAME_SIZE]
    yield from (("similar size", other) for other in alike[:MOST_OF_SIZE])


def _pretrained(model: ModelEntry) -> str | None:
    return model.origin.pretrained if model.origin else None


def _distance(model: ModelEntry, parameters: int) -> float:
    """Return the factor by which the sizes differ: 1 for equal ones."""
    own = model.specs.parameters if model.specs else 0
    return max(own, parameters) / max(1, min(own, parameters))
