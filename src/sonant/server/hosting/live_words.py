"""The words of a long recording, reported while the rest of it is still computed."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from torch import Tensor

from sonant.decoding.results import Transcript
from sonant.extraction.heads import HeadPipeline
from sonant.extraction.transcripts import TranscriptSink


def telling(pipeline: HeadPipeline[Transcript], on_words: Callable[[Transcript], None]) -> HeadPipeline[Transcript]:
    """Return a pipeline that also calls `on_words` after each window, in the current loop, with the settled words."""
    loop = asyncio.get_running_loop()

    def tell(transcript: Transcript) -> None:
        loop.call_soon_threadsafe(on_words, transcript)

    return replace(
        pipeline, make_sink=lambda source: _Telling(cast("TranscriptSink", pipeline.make_sink(source)), tell)
    )


class _Telling:
    """A sink around the one that makes the transcript."""

    def __init__(self, sink: TranscriptSink, tell: Callable[[Transcript], None]) -> None:
        self._sink, self._tell = sink, tell
        self.finish, self.abandon = sink.finish, sink.abandon

    def append(self, frames: Tensor) -> None:
        self._sink.append(frames)
        self._tell(self._sink.so_far())
