"""The id of a model, derived from the name, the file or the folder that it is loaded from."""

from dataclasses import dataclass
from pathlib import Path

from sonant.errors import UnknownName
from sonant.models.catalog import CATALOG, find


@dataclass(frozen=True)
class ModelSource:
    """A model to be served.

    Attributes:
        id: the name by which callers ask for it.
        origin: the argument for `sonant.load`.
    """

    id: str
    origin: str


def model_source(given: str) -> ModelSource:
    """Find the model that is meant: an id of the catalog or its short form, a folder or a file, or a hub id.

    A folder is called by its name, a file by its name without the ending. Raises UnknownName for anything else.
    """
    if given in CATALOG:
        return ModelSource(given, given)
    path = Path(given).expanduser()
    if path.exists():
        name = path.resolve().name if path.is_dir() else path.stem
        return ModelSource(name, str(path))
    try:
        name = find(given).name
    except UnknownName:
        owner, slash, name = given.partition("/")
        if not (owner.strip(".~") and slash and name) or "/" in name:
            raise
        return ModelSource(given, given)  # of the hub, though not in the catalog
    return ModelSource(name, name)
