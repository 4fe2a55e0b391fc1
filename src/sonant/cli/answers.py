"""One answer for each recording: printed, or written into a file or a folder."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sonant.data.files import atomic
from sonant.errors import ConfigurationError
from sonant.extraction.inputs import Entry, gather
from sonant.extraction.names import output_names


class Answers:
    """The recordings that a source stands for, and where what is said of them goes.

    Args:
        source: as `gather` takes it.
        output: None prints; a name with an ending is one file, any other a folder with a file for each recording.
        ending: of the files in a folder, without the point.
        joinable: whether the answers of several recordings make one text, laid end to end.
    """

    def __init__(self, source: str, output: Path | None, *, ending: str, joinable: bool) -> None:
        self.output, self.ending = output, ending
        self.entries = gather(source, stdin=sys.stdin.buffer, leave_out=output)
        self.failed = 0
        if len(self.entries) > 1 and not joinable and not self.is_folder:
            raise ConfigurationError(
                f"{len(self.entries)} recordings do not fit into one {ending} file. Name a folder for them: -o FOLDER."
            )

    @property
    def is_folder(self) -> bool:
        """Whether each recording has a file of its own."""
        return self.output is not None and (self.output.is_dir() or not self.output.suffix)

    @property
    def recordings(self) -> list[Any]:
        """What to hand to the model."""
        return [entry.audio for entry in self.entries]

    def complain(self, item: int, error: Exception) -> None:
        """Say which recording could not be used, and why."""
        self.failed += 1
        print(f"{self.entries[item].name}: {error}", file=sys.stderr)

    def give(self, answers: Sequence[Any], render: Callable[[Entry, Any], str]) -> int:
        """Print or write them, None for those that failed; returns the exit code."""
        texts = [
            (number, render(entry, answer))
            for number, (entry, answer) in enumerate(zip(self.entries, answers, strict=True))
            if answer is not None
        ]
        if self.output is None:
            sys.stdout.write("".join(text for _, text in texts))
        elif self.is_folder:
            names = output_names([entry.name for entry in self.entries], self.ending)
            for number, text in texts:
                _write(self.output / names[number], text)
        else:
            _write(self.output, "".join(text for _, text in texts))
        return 1 if self.failed else 0


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as draft:
        draft.write_text(text, encoding="utf-8")
