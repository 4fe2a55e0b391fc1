"""Location of a model: a local file or folder, the package itself, or the cache of the hub."""

import os
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sonant import models
from sonant.checkpoints.languages import Get
from sonant.errors import CheckpointUnavailable, ConfigurationError, UnknownName
from sonant.models.catalog import CATALOG


class Location(NamedTuple):
    """The local file or folder of a model, which may be in the cache of the hub.

    Attributes:
        source: name for messages.
        path: file or folder.
        get: fetches further files of a model on the hub; None for other models.
    """

    source: object
    path: Path
    get: Get | None = None


def locate(source: str | os.PathLike[str], *, revision: str | None, local_files_only: bool) -> Location:
    """Return the location of a model; fetch it if it is on the hub."""
    _check_is_name(source)
    path = Path(source).expanduser()
    if not exists(path):
        source = _full_name(source)
    path = shipped(source) or path
    if exists(path):
        if revision is not None:
            raise ConfigurationError(
                f"{source} is a file or folder here, which has no revision {revision!r}. Leave it out; if the hub is "
                "meant, rename the local one."
            )
        return Location(path, path)
    if not isinstance(source, str) or path.is_absolute() or source.startswith((".", "~")):
        raise CheckpointUnavailable(f"{source} does not exist. Check the path.")
    card = CATALOG.get(source)
    if card is not None and card.address is not None:
        beside = f" and its tokenizer from {card.beside} into one folder," if card.beside else ""
        raise CheckpointUnavailable(
            f"{source} is loaded from no hub. Download its file from {card.address}{beside} and give its path."
        )
    from sonant.checkpoints.hub import fetch, fetch_one  # a quarter of the import time of `sonant.api` without torch

    folder = fetch(source, revision=revision, local_files_only=local_files_only)
    get = partial(fetch_one, source, commit=folder.name, local_files_only=local_files_only)
    return Location(source, folder, get)


def _check_is_name(source: object) -> None:
    """Raise ConfigurationError for an object that cannot name a model."""
    if isinstance(source, str | os.PathLike) and isinstance(os.fspath(source), str) and str(source).strip():
        return
    what = repr(source) if isinstance(source, str | bytes | int | float | None) else f"a {type(source).__name__}"
    raise ConfigurationError(
        f"{what} does not name a model. Expected 'sonant/wavlm-tiny', a hub id such as 'microsoft/wavlm-base-plus', a "
        "folder, or a checkpoint file."
    )


def exists(path: Path) -> bool:
    """Return whether a file or folder exists; False for invalid names."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _full_name(source: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Return the id of a catalog model given by its last part: "wavlm-tiny" is "sonant/wavlm-tiny".

    Raises:
        UnknownName: a word that is no model of the catalog; hub ids have an owner.
    """
    if not isinstance(source, str) or "/" in source or os.sep in source or "." in source:
        return source
    names = {card.short_name.lower(): card.name for card in CATALOG.values()}
    if source.lower() not in names:
        raise UnknownName(
            "file or folder here, and no model of the catalog,",
            source,
            names,
            listed="`sonant models` lists those of the catalog; others are named owner/name on the hub.",
        )
    return names[source.lower()]


def shipped(source: str | os.PathLike[str]) -> Path | None:
    """Return the folder of a shipped model; None for other models."""
    card = CATALOG.get(str(source))
    if card is None or not card.shipped:
        return None
    folder = Path(models.__file__).parent / card.short_name.replace("-", "_")
    if not (folder / "model.safetensors").is_file():
        raise CheckpointUnavailable(
            f"{source} comes with sonant, but this copy lacks {folder / 'model.safetensors'}. Reinstall sonant; in "
            "a clone, fetch the file with: git checkout -- src/sonant/models"
        )
    return folder
