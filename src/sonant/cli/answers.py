"""One answer for each recording: printed, or written into a file or a folder."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sonant.audio import Channel
from sonant.audio.channels import check_channel
from sonant.data.files import atomic
from sonant.errors import ConfigurationError
from sonant.extraction.channels import of_channel
from sonant.extraction.destination import Destination
from sonant.extraction.inputs import Entry, gather
from sonant.extraction.journal import failure, write_lines
from sonant.extraction.names import complaint, output_names


class Answers:
    """The recordings that a source stands for, and the destination of their answers.

    Args:
        source: as `gather` takes it.
        place: where answers go.
        ending: of the files in a folder, without the point.
        joinable: whether the answers of several recordings make one text, laid end to end.
        channel: of the recordings; "all": the model answers with a list of one answer for each channel.
    """

    def __init__(
        self, source: str, place: Destination[Any], *, ending: str, joinable: bool, channel: Channel | None
    ) -> None:
        check_channel(channel)
        self.place, self.ending, self.channel = place, ending, channel
        entries = gather(source, stdin=sys.stdin.buffer, leave_out=place.path)
        self.entries = entries if channel == "all" else of_channel(entries, channel)
        self.failures: list[dict[str, Any]] = []
        if (len(entries) > 1 or channel == "all") and not joinable and not place.is_folder:
            what = "The channels" if channel == "all" else f"{len(entries)} recordings"
            raise ConfigurationError(f"{what} do not fit into one {ending} file. Name a folder for them: -o FOLDER.")

    @property
    def recordings(self) -> list[Any]:
        """The recordings as the model takes them."""
        return [entry.audio for entry in self.entries]

    def complain(self, item: int, error: Exception) -> None:
        """Record and print which recording could not be used, and why."""
        entry = self.entries[item]
        self.failures.append(failure(entry.facts, error))
        print(complaint(entry.name, error), file=sys.stderr)

    def give(self, answers: Sequence[Any], render: Callable[[Entry, Any], str]) -> int:
        """Print or write the answers, None for recordings that failed; list these, and return the exit code."""
        answered = list(self._answered(answers))
        texts = [render(entry, answer) for entry, answer in answered]
        folder = self.place.path
        if folder is None:
            sys.stdout.write("".join(texts))
        elif self.place.is_folder:
            for name, text in zip(self._file_names([entry for entry, _ in answered]), texts, strict=True):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                _write(folder / name, text)
        else:
            _write(folder, "".join(texts))
        if self.place.errors_path is not None:
            self.place.errors_path.unlink(missing_ok=True)
            if self.failures:
                write_lines(self.place.errors_path, self.failures)
        return 1 if self.failures else 0

    def _answered(self, answers: Sequence[Any]) -> Iterator[tuple[Entry, Any]]:
        """Yield each answer that is not None, with the recording or channel that it is for."""
        for entry, answer in zip(self.entries, answers, strict=True):
            if self.channel != "all":
                yield from [] if answer is None else [(entry, answer)]
                continue
            for channel, part in enumerate(answer or []):
                if part is not None:
                    yield replace(entry, channel=channel), part

    def _file_names(self, answered: Sequence[Entry]) -> list[str]:
        """Return the file of each answer; the names of recordings without an answer are reserved for them."""
        entries = list({entry.key: entry for entry in [*self.entries, *answered]}.values())
        names = output_names([entry.file_name for entry in entries], self.ending)
        file_of = {entry.key: name for entry, name in zip(entries, names, strict=True)}
        return [file_of[entry.key] for entry in answered]


@contextmanager
def answering(
    source: str, place: Destination[Any], *, ending: str, joinable: bool = True, channel: Channel | None = None
) -> Iterator[Answers]:
    """Open `Answers`, and lock their destination against other jobs while the context is open."""
    answers = Answers(source, place, ending=ending, joinable=joinable, channel=channel)
    with place.held():
        yield answers


def _write(path: Path, text: str) -> None:
    with atomic(path) as draft:
        draft.write_text(text, encoding="utf-8")
