"""Transcription by a CTC head, from blocks of frames."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sonant.decoding.ctc import BestPath, best_path, greedy_transcript, join_paths
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.results import Transcript, join_words
from sonant.extraction.adapter_sink import AdapterSink
from sonant.extraction.finiteness import require_finite
from sonant.extraction.head_store import Heads
from sonant.extraction.heads import CPU, HeadPipeline, adapter_before, require, samples_for, states_of
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source
from sonant.extraction.vocabularies import vocabulary_of
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.tasks import CTCHead


class TranscriptSink:
    """A sink that keeps only the best token of each frame; an hour takes 2 MB.

    Args:
        head_on: returns the head on a device.
        seconds: returns the duration of the recording.
    """

    def __init__(
        self,
        head_on: Callable[[torch.device], CTCHead],
        vocabulary: CTCVocabulary,
        *,
        frame_rate: float,
        seconds: Callable[[], float],
    ) -> None:
        self._head_on = head_on
        self._vocabulary = vocabulary
        self._frame_rate = frame_rate
        self._seconds = seconds
        self._paths: list[BestPath] = []

    @torch.no_grad()
    def append(self, frames: Tensor) -> None:
        logits = self._head_on(frames.device)(one_clip(frames)).values
        self._paths.append(best_path(require_finite(logits, "CTC")))

    def finish(self) -> Transcript:
        return greedy_transcript(
            join_paths(self._paths), self._vocabulary, frame_rate=self._frame_rate, duration_seconds=self._seconds()
        )

    def so_far(self) -> Transcript:
        """Return the partial transcript: all words but the last, which may continue."""
        known = self.finish()
        words = known.words[:-1]
        return replace(known, text=join_words(words), words=words)

    def abandon(self) -> None:
        self._paths.clear()


def one_clip(frames: Tensor) -> Packed:
    """Return states (layers, frames, dim) as the input of a head: one clip (frames, layers, dim)."""
    return Packed(frames.transpose(0, 1), torch.tensor([frames.shape[1]]))


def transcription(model: Backbone, heads: Heads, *, name: str) -> HeadPipeline[Transcript]:
    """Return the pipeline of the CTC head; its answer is a `Transcript`.

    Raises:
        ConfigurationError: the model has no CTC head.
        CheckpointError: the vocabulary of the head is unknown.
    """
    if "ctc" not in heads.stored:
        require("transcription", heads, name)
    head_on = heads.placing("ctc", CTCHead)
    vocabulary = vocabulary_of(heads.stored["ctc"], name)
    mix = head_on(CPU).mix
    adapter = adapter_before(mix, model)
    rate = model.frame_rate if adapter is None else model.frame_rate / adapter.module.stride

    def make_sink(source: Source) -> Sink:
        sink = TranscriptSink(head_on, vocabulary, frame_rate=rate, seconds=source.seconds)
        return sink if adapter is None else AdapterSink(adapter.on, sink)

    return HeadPipeline(states_of(mix, model, name, adapted=True), make_sink, samples_for(1, adapter, model))
