"""One answer for each recording: printed, or written into a file or a folder."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sonant.data.files import atomic
from sonant.errors import ConfigurationError
from sonant.extraction.destination import Destination
from sonant.extraction.inputs import Entry, gather
from sonant.extraction.journal import failure, write_failures
from sonant.extraction.names import one_line, output_names


class Answers:
    """The recordings that a source stands for, and where what is said of them goes.

    Args:
        source: as `gather` takes it.
        place: where answers go.
        ending: of the files in a folder, without the point.
        joinable: whether the answers of several recordings make one text, laid end to end.
    """

    def __init__(self, source: str, place: Destination[Any], *, ending: str, joinable: bool) -> None:
        self.place, self.ending = place, ending
        self.entries = gather(source, stdin=sys.stdin.buffer, leave_out=place.path)
        self.failures: list[dict[str, Any]] = []
        if len(self.entries) > 1 and not joinable and not place.is_folder:
            raise ConfigurationError(
                f"{len(self.entries)} recordings do not fit into one {ending} file. Name a folder for them: -o FOLDER."
            )

    @property
    def recordings(self) -> list[Any]:
        """What to hand to the model."""
        return [entry.audio for entry in self.entries]

    def complain(self, item: int, error: Exception) -> None:
        """Say which recording could not be used, and why."""
        entry = self.entries[item]
        self.failures.append(failure(entry.facts, error))
        print(f"{one_line(entry.name)}: {error}", file=sys.stderr)

    def give(self, answers: Sequence[Any], render: Callable[[Entry, Any], str]) -> int:
        """Print or write them, None for those that failed, and list these; returns the exit code."""
        texts = [
            (number, render(entry, answer))
            for number, (entry, answer) in enumerate(zip(self.entries, answers, strict=True))
            if answer is not None
        ]
        folder = self.place.path
        if folder is None:
            sys.stdout.write("".join(text for _, text in texts))
        elif self.place.is_folder:
            names = output_names([entry.name for entry in self.entries], self.ending)
            for number, text in texts:
                (folder / names[number]).parent.mkdir(parents=True, exist_ok=True)
                _write(folder / names[number], text)
        else:
            _write(folder, "".join(text for _, text in texts))
        if self.place.errors_path is not None:
            write_failures(self.place.errors_path, self.failures)
        return 1 if self.failures else 0


@contextmanager
def answering(source: str, place: Destination[Any], *, ending: str, joinable: bool = True) -> Iterator[Answers]:
    """`Answers` whose place no other job writes meanwhile."""
    answers = Answers(source, place, ending=ending, joinable=joinable)
    with place.held():
        yield answers


def _write(path: Path, text: str) -> None:
    with atomic(path) as draft:
        draft.write_text(text, encoding="utf-8")
