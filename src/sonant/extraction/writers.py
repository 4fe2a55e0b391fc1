"""Writers: what a kind of results needs of each recording, and how its results lie on disk."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sonant.data.files import atomic
from sonant.extraction.request import Request
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source
from sonant.extraction.stores import Files, Lines, Opened, Result, Store
from sonant.extraction.unfinished import Unfinished


class Writer(Protocol):
    """One kind of results.

    Attributes:
        what: its name in messages: "vectors".
        request: what the engine computes of each recording.
        min_samples: the least samples that a recording must have; None: the receptive field of a frame.
        joins: whether results of several recordings fit into one file.
        settings: all that determines the results.
        facts: what each line of the index says besides.
    """

    @property
    def what(self) -> str: ...
    @property
    def request(self) -> Request: ...
    @property
    def min_samples(self) -> int | None: ...
    @property
    def joins(self) -> bool: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...

    def sink(self, source: Source, unfinished: Unfinished | None, /) -> Sink:
        """Make the receiver of a recording's frames.

        `unfinished` may keep what a recording in windows gave so far; None: it is computed in one pass.
        """

    def estimated_bytes(self, recordings: int, seconds: float, /) -> int:
        """Estimate the size of the results on disk."""

    def store(self, opened: Opened, /) -> Store:
        """Open the place where results lie until all are there, and that makes the final files of them."""


@dataclass(frozen=True, kw_only=True)
class ResultWriter:
    """A writer of results with a text or files for each recording.

    Attributes:
        what, request, min_samples, settings: as in `Writer`.
        format: of the results.
        make_sink: makes the receiver of a recording's frames.
        render: makes the text of a result.
        bytes_a_second: about how many bytes the result of a second takes.
        save: writes a result to its files; None: they hold its text.
        folders: of a recording's files, as in `sonant.extraction.stores.Files`.
    """

    what: str
    format: str
    request: Request
    make_sink: Callable[[Source], Sink]
    render: Callable[[Result], str]
    settings: Mapping[str, Any]
    bytes_a_second: float
    min_samples: int | None = None
    save: Callable[[Sequence[Path], Result], None] | None = None
    folders: Sequence[str] = ("",)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def joins(self) -> bool:
        """Whether the texts of several recordings make one: subtitles have times of their own."""
        return self.format not in ("srt", "vtt")

    def sink(self, source: Source, _unfinished: Unfinished | None) -> Sink:
        return self.make_sink(source)

    def estimated_bytes(self, _recordings: int, seconds: float) -> int:
        return round(self.bytes_a_second * seconds)

    def store(self, opened: Opened) -> Store:
        if not opened.place.is_folder:
            return Lines(opened, self.render)
        ending = "txt" if self.format == "text" else self.format
        return Files(opened, self.save or self._save_text, ending=ending, folders=self.folders)

    def _save_text(self, paths: Sequence[Path], result: Result) -> None:
        with atomic(paths[0]) as draft:
            draft.write_text(self.render(result), encoding="utf-8")
