"""Id of a served model, from its name, file or folder."""

from dataclasses import dataclass
from pathlib import Path

from sonant.errors import UnknownName
from sonant.models.catalog import CATALOG, find


@dataclass(frozen=True)
class ModelSource:
    """A model to be served.

    Attributes:
        id: its name in requests.
        origin: argument of `sonant.load`.
    """

    id: str
    origin: str


def model_source(given: str) -> ModelSource:
    """Interpret a catalog id or its short form, a folder or file (named without extension), or a hub id.

    The folder `model` of a run is named after the run, and after the stage of a pretraining: `NAME`, `NAME-STAGE`.

    Raises UnknownName for anything else.
    """
    if given in CATALOG:
        return ModelSource(given, given)
    if path := _existing(given):
        return ModelSource(_folder_name(path.resolve()) if path.is_dir() else path.stem, str(path))
    try:
        name = find(given).name
    except UnknownName:
        owner, slash, name = given.partition("/")
        if not (owner.strip(".~") and slash and name) or "/" in name:
            raise
        return ModelSource(given, given)  # a hub id that is not in the catalog
    return ModelSource(name, name)


def _folder_name(folder: Path) -> str:
    inner, outer = folder.parent, folder.parent.parent
    if folder.name == "model" and (inner / "run.json").is_file():
        return inner.name
    if folder.name == "model" and (outer / "run.json").is_file():
        return f"{outer.name}-{inner.name}"
    return folder.name


def _existing(given: str) -> Path | None:
    """Return the file or folder of this name; None also where nothing can have it."""
    try:
        path = Path(given).expanduser()
        return path if path.exists() else None
    except (OSError, ValueError, RuntimeError):  # too long; with NUL; ~ of an unknown user
        return None
