"""Alignment of a known text with a recording, by a CTC head, from blocks of frames."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.audio import Window
from sonant.audio.activity import loudness, speech_bar
from sonant.decoding.alignment.aligned_text import Alignment
from sonant.decoding.alignment.forced_path import forced_path
from sonant.decoding.alignment.spelled_text import SpelledText
from sonant.decoding.alignment.times import (
    LOUDNESS_RATE,
    MATCH_SCORE,
    MOST_DECIBELS_BELOW,
    SHARE_OF_RANGE,
    STAR_LOSS,
    align,
)
from sonant.errors import AudioWarning, UnalignableText, some_of, warn
from sonant.extraction.adapter_sink import AdapterSink
from sonant.extraction.ctc_logits import CTCLogits
from sonant.extraction.head_store import Heads
from sonant.extraction.heads import CPU, HeadPipeline, adapter_before, samples_for, states_of
from sonant.extraction.recording_warnings import attributed_to
from sonant.extraction.sinks import Sink
from sonant.extraction.sources import Source
from sonant.extraction.text_spelling import TextSpeller
from sonant.extraction.vocabularies import vocabulary_of
from sonant.models import Backbone
from sonant.tasks import CTCHead


class AlignmentSink:
    """A sink that keeps the log-probabilities of the units of a text; an hour takes 22 MB for 30 of them.

    Args:
        head_on: returns the head on a device.
        blank: number of the blank token.
        text: of the recording.
        form: in which it was normalized.
    """

    def __init__(
        self,
        head_on: Callable[[torch.device], CTCHead],
        blank: int,
        text: SpelledText,
        source: Source,
        *,
        frame_rate: float,
        sampling_rate: int,
        form: str,
    ) -> None:
        self._sampling_rate = sampling_rate
        self._form = form
        self._logits, self._text, self._source, self._frame_rate = CTCLogits(head_on), text, source, frame_rate
        kinds, columns = np.unique(np.append(text.units, blank), return_inverse=True)
        self._columns, self._blank = columns[:-1], int(columns[-1])
        self._spoken = torch.from_numpy(kinds[kinds < text.star])
        self._has_star = len(self._spoken) < len(kinds)
        self._losses: list[NDArray[np.float32]] = []
        self._greatest: list[NDArray[np.float32]] = []

    def append(self, frames: Tensor) -> None:
        self._keep(self._logits.of(frames).float())

    def append_window(self, states: Tensor, window: Window) -> None:
        self._keep(self._logits.of(states, window).float())

    def _keep(self, logits: Tensor) -> None:
        greatest = logits.max(-1, keepdim=True).values
        self._losses.append((logits[:, self._spoken.to(logits.device)] - greatest).cpu().numpy())
        self._greatest.append((greatest[:, 0] - logits.logsumexp(-1)).cpu().numpy())

    def finish(self) -> Alignment:
        losses = np.concatenate(self._losses)
        if self._has_star:
            losses = np.pad(losses, ((0, 0), (0, 1)), constant_values=-STAR_LOSS)
        path = forced_path(losses, np.concatenate(self._greatest), self._columns, blank=self._blank)
        # A second reading of the recording, which is less than keeping its samples.
        decibels = loudness(self._source.blocks(), self._sampling_rate // LOUDNESS_RATE)
        bar = speech_bar(decibels, most_below=MOST_DECIBELS_BELOW, share=SHARE_OF_RANGE) if len(decibels) else 0.0
        found = align(
            path,
            self._text,
            frame_rate=self._frame_rate,
            decibels=decibels,
            loud=decibels >= bar,
            duration_seconds=self._source.seconds(),
            normalization=self._form,
        )
        with attributed_to(self._source.name):
            self._tell(found)
        return found

    def _tell(self, found: Alignment) -> None:
        """Warn of what was not spelled, and of a text that is not what is said."""
        name = self._source.name
        if found.unspelled:
            warn(
                f"{name}: {some_of(found.unspelled, 5)} cannot be spelled in the units of the model; a star was "
                "aligned instead, whose times are less certain. Write numbers in words, and letters as the model has "
                "them.",
                AudioWarning,
            )
        if not found.is_match:
            warn(
                f"{name}: the text is probably not what is said: its score is {found.score:.2f}, and expected is "
                f"{MATCH_SCORE:g} or more. Check that text and recording belong together; weak models score low, too.",
                AudioWarning,
            )

    def abandon(self) -> None:
        self._losses.clear()
        self._greatest.clear()


def alignment(
    model: Backbone,
    heads: Heads,
    speller: TextSpeller,
    *,
    name: str,
    text: str | None = None,
    stars_between: bool = False,
) -> HeadPipeline[Alignment]:
    """Return the pipeline of alignment by the CTC head; its answer is an `Alignment`.

    Args:
        speller: of the head.
        text: what is said in every recording; None: each source has its own text.
        stars_between: whether stars stand between the lines.

    Raises:
        UnalignableText: `text` has no words, or none that can be spelled.
        CheckpointError: the vocabulary of the head is unknown.
    """
    head_on = heads.placing("ctc", CTCHead)
    vocabulary = vocabulary_of(heads.stored["ctc"], name)
    mix, has_lstm = head_on(CPU).mix, head_on(CPU).lstm is not None
    adapter = adapter_before(mix, model)
    rate = model.frame_rate if adapter is None else model.frame_rate / adapter.module.stride
    common = None if text is None else speller.spell(text, stars_between=stars_between)

    def make_sink(source: Source) -> Sink:
        if common is None and source.text is None:
            raise UnalignableText(
                f"{source.name} has no text to align: expected one, in the column 'text' of the manifest or given."
            )
        spelled = common or speller.spell(source.text or "", stars_between=stars_between)
        sink = AlignmentSink(
            head_on,
            vocabulary.blank,
            spelled,
            source,
            frame_rate=rate,
            sampling_rate=model.sampling_rate,
            form=speller.form,
        )
        return sink if adapter is None else AdapterSink(adapter.on, sink, at_once=has_lstm)

    return HeadPipeline(
        states_of(mix, model, name, adapted=True), make_sink, samples_for(1, adapter, model), reads_source=True
    )
