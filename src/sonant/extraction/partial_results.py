"""The unfinished results of a long recording, kept on disk so that a run can be resumed within it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from sonant.data.files import atomic


class PartialResults:
    """A folder with the unfinished results of one recording.

    Args:
        path: of the folder; it is made when something is saved in it.
        facts: the recording and the settings; a state saved under others is not resumed.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        self._facts = json.dumps(facts, sort_keys=True)

    def load(self) -> dict[str, np.ndarray]:
        """Return what `save` was given last; empty if there is nothing to resume."""
        try:
            with (self.path / "progress.npz").open("rb") as file, np.load(file, allow_pickle=False) as saved:
                state = dict(saved)
        except (OSError, ValueError, EOFError, BadZipFile):
            return {}
        return state if str(state.pop("facts", "")) == self._facts else {}

    def save(self, **state: Any) -> None:
        """Save numbers and arrays atomically."""
        self.make()
        with atomic(self.path / "progress.npz") as draft, draft.open("wb") as file:
            np.savez(file, facts=self._facts, **state)

    def make(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
