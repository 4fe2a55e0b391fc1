"""Words of a long recording, reported before the rest is computed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from torch import Tensor

from sonant.decoding.results import Transcript, Word
from sonant.extraction.heads import HeadPipeline
from sonant.extraction.sources import Source
from sonant.extraction.transcripts import SearchSink, TranscriptSink


def reporting_words(
    pipeline: HeadPipeline[Transcript], on_words: Callable[[Sequence[Word]], None]
) -> HeadPipeline[Transcript]:
    """Extend a pipeline to call `on_words` in the current event loop after windows, with the words that they settle."""
    loop = asyncio.get_running_loop()

    def report(words: Sequence[Word]) -> None:
        loop.call_soon_threadsafe(on_words, words)

    def make(source: Source) -> _ReportingSink:
        return _ReportingSink(cast("TranscriptSink | SearchSink", pipeline.make_sink(source)), report)

    return replace(pipeline, make_sink=make)


class _ReportingSink:
    """Wrapper of the sink that makes the transcript."""

    def __init__(self, sink: TranscriptSink | SearchSink, report: Callable[[Sequence[Word]], None]) -> None:
        self._sink, self._report = sink, report
        self.finish, self.abandon = sink.finish, sink.abandon

    def append(self, frames: Tensor) -> None:
        self._sink.append(frames)
        if words := self._sink.settled():
            self._report(words)
