"""Search for a recording among names in a file of labels or texts: ids, or paths, of which the end counts."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePath


class NameIndex:
    """Names, each an id or a path, by the recordings that they may mean."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self._by_name: dict[str, list[int]] = defaultdict(list)
        self._by_last: dict[str, list[int]] = defaultdict(list)  # part of the path
        for number, name in enumerate(names):
            self._by_name[name].append(number)
            self._by_last[PurePath(name).name].append(number)

    def find(self, recording: Path, identity: str | None = None, *, whole: bool = False) -> list[int]:
        """Return the numbers of the names of a recording: its id, or those that share most of the end of its path.

        A name without the extension of the recording counts too. Of names that share as much, one that is an end of
        the path goes before one that differs further up.

        Args:
            whole: leave out relative names that differ further up, which may be of another recording.
        """
        if identity is not None and identity in self._by_name:
            return self._by_name[identity]
        found = [*self._by_last.get(recording.name, []), *self._by_last.get(recording.stem, [])]
        fits = {number: self._fit(number, recording) for number in found}
        best = [number for number, fit in fits.items() if fit == max(fits.values())]
        return [number for number in best if fits[number][1] or self._is_absolute(number)] if whole else best

    def _is_absolute(self, number: int) -> bool:
        return PurePath(self.names[number]).is_absolute()

    def _fit(self, number: int, recording: Path) -> tuple[int, bool]:
        """Count the folders that a name shares with a path at its end, and say whether these are all of its own."""
        folders = [part for part in PurePath(self.names[number]).parts[:-1] if part != ".."]
        pairs = zip(reversed(folders), reversed(recording.parts[:-1]), strict=False)
        shared = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(folders), len(recording.parts) - 1))
        return shared, shared == len(folders)
