"""Writers: what a kind of results needs of each recording, and how its results lie on disk."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonant.data.files import atomic
from sonant.extraction.partial_results import PartialResults
from sonant.extraction.request import EncodeRequest
from sonant.extraction.result_stores import FileStore, JobState, Result, ResultStore, TextStore
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source

BYTES_A_RECORDING = 100  # of its name, and numbers that each has once


@dataclass(frozen=True, kw_only=True)
class Writer(ABC):
    """One kind of results.

    Attributes:
        what: its name in messages: "vectors".
        format: of the results.
        request: what the engine computes of each recording.
        settings: all that determines the results.
    """

    what: str
    format: str
    request: EncodeRequest
    settings: Mapping[str, Any]

    @property
    def joins(self) -> bool:
        """Whether the results of several recordings make one file."""
        return False

    @property
    def resumes_recordings(self) -> bool:
        """Whether its sinks keep the windows of an unfinished recording."""
        return False

    @property
    def facts(self) -> Mapping[str, Any]:
        """Fields of each line of the index that are the same in all."""
        return {}

    @abstractmethod
    def sink(self, source: Source, partial: PartialResults | None) -> Sink:
        """Make the receiver of a recording's frames.

        `partial` may keep what a recording in windows gave so far; None: it is computed in one pass.
        """

    @abstractmethod
    def estimated_bytes(self, recordings: int, seconds: float) -> int:
        """Estimate the size of the results on disk."""

    @abstractmethod
    def store(self, opened: JobState) -> ResultStore:
        """Open the place where results lie until all are there, and that makes the final files of them."""


@dataclass(frozen=True, kw_only=True)
class ResultWriter(Writer):
    """A writer of results with a text or files for each recording.

    Attributes:
        make_sink: makes the receiver of a recording's frames.
        render: makes the text of a result.
        bytes_a_second: about how many bytes the result of a second takes.
        save: writes a result to its files; None: they hold its text.
        folders: of a recording's files, as in `sonant.extraction.result_stores.FileStore`.
    """

    make_sink: Callable[[Source], Sink]
    render: Callable[[Result], str]
    bytes_a_second: float
    save: Callable[[Sequence[Path], Result], None] | None = None
    folders: Sequence[str] = ("",)

    @property
    def joins(self) -> bool:
        return self.format not in ("srt", "vtt")  # which have times of their own

    def sink(self, source: Source, partial: PartialResults | None) -> Sink:  # noqa: ARG002 - results are small
        return self.make_sink(source)

    def estimated_bytes(self, recordings: int, seconds: float) -> int:
        return round(BYTES_A_RECORDING * recordings + self.bytes_a_second * seconds)

    def store(self, opened: JobState) -> ResultStore:
        if not opened.place.is_folder:
            return TextStore(opened, self.render)
        ending = "txt" if self.format == "text" else self.format
        return FileStore(opened, self.save or self._save_text, ending=ending, folders=self.folders)

    def _save_text(self, paths: Sequence[Path], result: Result) -> None:
        with atomic(paths[0]) as draft:
            draft.write_text(self.render(result), encoding="utf-8")
