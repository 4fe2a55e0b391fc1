"""What there is of a long recording while it is computed, kept on disk so that a run can go on within it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from sonant.data.files import atomic


class Unfinished:
    """A folder of one recording that is under way.

    Args:
        path: of the folder; it is made when something is saved in it.
        facts: the recording and the settings; what was saved under others is not gone on with.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        self._facts = json.dumps(facts, sort_keys=True)

    def load(self) -> dict[str, np.ndarray]:
        """Return what `save` was given last; empty where there is nothing to go on with."""
        try:
            with (self.path / "progress.npz").open("rb") as file, np.load(file, allow_pickle=False) as saved:
                state = dict(saved)
        except (OSError, ValueError, EOFError, BadZipFile):
            return {}
        return state if str(state.pop("facts", "")) == self._facts else {}

    def save(self, **state: Any) -> None:
        """Remember numbers and arrays, all of them or none."""
        self.make()
        with atomic(self.path / "progress.npz") as draft, draft.open("wb") as file:
            np.savez(file, facts=self._facts, **state)

    def make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
