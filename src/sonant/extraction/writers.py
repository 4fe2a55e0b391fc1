"""Writers: the sink and the storage of each kind of results."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonant.data.files import atomic
from sonant.extraction.destination import Destination
from sonant.extraction.inputs import Entry
from sonant.extraction.partial_results import PartialResults
from sonant.extraction.request import EncodeRequest
from sonant.extraction.result_stores import FileStore, JobState, Result, ResultStore, TextStore
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source

BYTES_A_RECORDING = 100  # its name and a few numbers


@dataclass(frozen=True, kw_only=True)
class Writer(ABC):
    """One kind of results.

    Attributes:
        what: name in messages, such as "vectors".
        format: of the results.
        request: states that the engine computes.
        settings: everything that determines the results.
    """

    what: str
    format: str
    request: EncodeRequest
    settings: Mapping[str, Any]

    @property
    def joins(self) -> bool:
        """Return whether results of several recordings can be one file."""
        return False

    @property
    def resumes_recordings(self) -> bool:
        """Return whether its sinks save partial results of long recordings."""
        return False

    @property
    def facts(self) -> Mapping[str, Any]:
        """Constant fields of the index lines."""
        return {}

    def check(self, entries: Sequence[Entry], place: Destination[Any]) -> None:  # noqa: B027 - most need no check
        """Raise ConfigurationError if the results cannot be written at this destination; by default they can."""

    @abstractmethod
    def sink(self, source: Source, partial: PartialResults | None) -> Sink:
        """Make the sink of a recording; `partial` can save its state between windows, None: it has no windows."""

    @abstractmethod
    def estimated_bytes(self, recordings: int, seconds: float) -> int:
        """Estimate the size of the results on disk."""

    @abstractmethod
    def store(self, opened: JobState) -> ResultStore:
        """Open the storage of the results."""


@dataclass(frozen=True, kw_only=True)
class ResultWriter(Writer):
    """A writer of a text or of files for each recording.

    Attributes:
        make_sink: makes the sink of a recording.
        render: returns the text of a result.
        bytes_a_second: approximate bytes of result per second of audio.
        save: writes a result to its files; None: its text is written.
        folders: of a recording's files, as in `FileStore`.
    """

    make_sink: Callable[[Source], Sink]
    render: Callable[[Result], str]
    bytes_a_second: float
    save: Callable[[Sequence[Path], Result], None] | None = None
    folders: Sequence[str] = ("",)

    @property
    def joins(self) -> bool:
        return self.format not in ("srt", "vtt", "textgrid")  # whose times begin at 0 in each recording

    def sink(self, source: Source, partial: PartialResults | None) -> Sink:  # noqa: ARG002 - results are small
        return self.make_sink(source)

    def estimated_bytes(self, recordings: int, seconds: float) -> int:
        return round(BYTES_A_RECORDING * recordings + self.bytes_a_second * seconds)

    def store(self, opened: JobState) -> ResultStore:
        if not opened.place.is_folder:
            return TextStore(opened, self.render)
        ending = {"text": "txt", "textgrid": "TextGrid"}.get(self.format, self.format)
        return FileStore(opened, self.save or self._save_text, ending=ending, folders=self.folders)

    def _save_text(self, paths: Sequence[Path], result: Result) -> None:
        with atomic(paths[0]) as draft:
            draft.write_text(self.render(result), encoding="utf-8")
