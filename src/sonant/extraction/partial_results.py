"""Partial results of a long recording on disk, from which an interrupted run resumes within the recording."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from sonant.data.files import atomic


class PartialResults:
    """A folder with the partial results of one recording.

    Args:
        path: the folder, made by the first `save`.
        facts: recording and settings; a state with other facts is ignored.
    """

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.path = path
        self._facts = json.dumps(facts, sort_keys=True)

    def load(self) -> dict[str, np.ndarray]:
        """Return the last saved state; empty if there is none."""
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
