"""Transcription by a CTC head, from blocks of frames: greedy, or by a beam search."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.audio import Window
from sonant.decoding.ctc import BestPath, best_path, join_paths, path_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.path_words import PathWords
from sonant.decoding.prefix_beam.recording_search import RecordingSearch
from sonant.decoding.results import Transcript, Word
from sonant.decoding.slot_marks import with_slots
from sonant.extraction.adapter_sink import AdapterSink
from sonant.extraction.ctc_logits import CTCLogits
from sonant.extraction.decoder_options import GREEDY, DecoderOptions
from sonant.extraction.decoders import BeamTranscripts, GreedyTranscripts, TranscriptDecoder, decoder_of
from sonant.extraction.head_store import Heads
from sonant.extraction.heads import CPU, HeadPipeline, adapter_before, require_ctc, samples_for, states_of
from sonant.extraction.sinks import Pending, Sink
from sonant.extraction.sources import Source
from sonant.extraction.vocabularies import vocabulary_of
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
        self._logits = CTCLogits(head_on)
        self._vocabulary = vocabulary
        self._frame_rate = frame_rate
        self._seconds = seconds
        self._paths: list[BestPath] = []
        self._words, self._spelled = PathWords(vocabulary, frame_rate), 0

    def append(self, frames: Tensor) -> None:
        self._paths.append(best_path(self._logits.of(frames)))

    def append_window(self, states: Tensor, window: Window) -> None:
        self._paths.append(best_path(self._logits.of(states, window)))

    def finish(self) -> Transcript:
        path, seconds = join_paths(self._paths), self._seconds()
        found = path_transcript(path, self._vocabulary, frame_rate=self._frame_rate, duration_seconds=seconds)
        return with_slots(found, self._vocabulary)

    def settled(self) -> tuple[Word, ...]:
        """Return the words that became certain since the last call: all but the last, which may continue."""
        more, self._spelled = self._paths[self._spelled :], len(self._paths)
        return self._words.append(join_paths(more))

    def abandon(self) -> None:
        self._paths.clear()


class EmissionSink:
    """A sink whose result is the emission of a recording; of 32 tokens, an hour takes 23 MB.

    Args:
        head_on: returns the head on a device.
    """

    def __init__(self, head_on: Callable[[torch.device], CTCHead]) -> None:
        self._logits = CTCLogits(head_on)
        self._blocks: list[Tensor] = []

    def append(self, frames: Tensor) -> None:
        self._blocks.append(self._logits.emission(frames))

    def append_window(self, states: Tensor, window: Window) -> None:
        self._blocks.append(self._logits.emission(states, window))

    def finish(self) -> NDArray[np.float32]:
        blocks, self._blocks = self._blocks, []
        return torch.cat(blocks).cpu().numpy()

    def abandon(self) -> None:
        self._blocks.clear()


class SearchSink:
    """A sink that decodes a recording by a beam search.

    A recording that comes as one block is decoded together with others. The blocks of a longer one are decoded as they
    come, so that neither its emission nor its choices are kept to the end.

    Args:
        head_on: returns the head on a device.
        seconds: returns the duration of the recording.
    """

    def __init__(
        self, head_on: Callable[[torch.device], CTCHead], decoder: BeamTranscripts, *, seconds: Callable[[], float]
    ) -> None:
        self._logits, self._decoder, self._seconds = CTCLogits(head_on), decoder, seconds
        self._first: Tensor | None = None
        self._search: RecordingSearch | None = None

    def append(self, frames: Tensor) -> None:
        self._decode(self._logits.emission(frames))

    def append_window(self, states: Tensor, window: Window) -> None:
        self._decode(self._logits.emission(states, window))

    def _decode(self, emission: Tensor) -> None:
        if self._first is None:
            self._first = emission
            return
        if self._search is None:
            self._search = self._decoder.begin(emission.device)
            self._search.append(self._first)
            self._first = self._first[:0]
        self._search.append(emission)

    def finish(self) -> Transcript | Pending:
        assert self._first is not None
        if self._search is None:
            return Pending((self._first, self._seconds()), self._decoder)
        return self._decoder.finish(self._search, self._seconds(), self._first.device)

    def settled(self) -> tuple[Word, ...]:
        """Return the words that became certain since the last call, whatever follows."""
        return () if self._search is None else self._search.settled()

    def abandon(self) -> None:
        self._first = self._search = None


class _Recognizer:
    """A model with its CTC head.

    Attributes:
        head_on: returns the head on a device.
        vocabulary: of the head.
        frame_rate: of the head's output.
    """

    def __init__(self, model: Backbone, heads: Heads, name: str) -> None:
        require_ctc(heads, name)
        self.head_on = heads.placing("ctc", CTCHead)
        self.vocabulary = vocabulary_of(heads.stored["ctc"], name)
        head = self.head_on(CPU)
        self._mix, self._has_lstm = head.mix, head.lstm is not None
        self._adapter = adapter_before(self._mix, model)
        self._model, self._name = model, name
        self.frame_rate = model.frame_rate / (1 if self._adapter is None else self._adapter.module.stride)

    def pipeline(self, make_sink: Callable[[Source], Sink]) -> HeadPipeline[Any]:
        """Return the pipeline of sinks that receive the input of the head."""
        adapter = self._adapter

        def make(source: Source) -> Sink:
            sink = make_sink(source)
            return sink if adapter is None else AdapterSink(adapter.on, sink, at_once=self._has_lstm)

        layers = states_of(self._mix, self._model, self._name, adapted=True)
        return HeadPipeline(layers, make, samples_for(1, adapter, self._model))


def transcription(
    model: Backbone, heads: Heads, *, name: str, decoder: DecoderOptions | TranscriptDecoder = GREEDY
) -> HeadPipeline[Transcript]:
    """Return the pipeline of the CTC head; its answer is a `Transcript`.

    `decoder`: options, or what `transcript_decoder` made of them.

    Raises:
        ConfigurationError: the model has no CTC head; or the options of the decoder do not fit it, or each other.
        CheckpointError: the vocabulary of the head is unknown.
    """
    recognizer = _Recognizer(model, heads, name)
    head_on, vocabulary, frame_rate = recognizer.head_on, recognizer.vocabulary, recognizer.frame_rate
    if decoder == GREEDY or isinstance(decoder, GreedyTranscripts):
        return recognizer.pipeline(
            lambda source: TranscriptSink(head_on, vocabulary, frame_rate=frame_rate, seconds=source.seconds)
        )
    if isinstance(decoder, DecoderOptions):
        decoder = decoder_of(decoder, vocabulary, name, frame_rate=frame_rate)
    search = decoder
    assert isinstance(search, BeamTranscripts)
    return recognizer.pipeline(lambda source: SearchSink(head_on, search, seconds=source.seconds))


def emission_pipeline(model: Backbone, heads: Heads, *, name: str) -> HeadPipeline[NDArray[np.float32]]:
    """Return the pipeline of the CTC head whose answer is the emission, (frames, tokens). Raises as `transcription`."""
    recognizer = _Recognizer(model, heads, name)
    return recognizer.pipeline(lambda _: EmissionSink(recognizer.head_on))


def transcript_decoder(model: Backbone, heads: Heads, *, name: str, decoder: DecoderOptions) -> TranscriptDecoder:
    """Return the function from emissions of a CTC head to transcripts. Raises as `transcription`."""
    recognizer = _Recognizer(model, heads, name)
    return decoder_of(decoder, recognizer.vocabulary, name, frame_rate=recognizer.frame_rate)
