"""Recognition and translation of speech by a decoder with cross-attention (sequence to sequence)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sonant.data import ctc_frames
from sonant.decoding import TokenSearch, beam_search
from sonant.decoding.ctc import spelled_text
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.errors import ConfigurationError
from sonant.evaluation.bleu import bleu_counts, bleu_of
from sonant.evaluation.chrf import chrf
from sonant.evaluation.resampling import interval_of, resampled_totals
from sonant.layers.packed import Packed
from sonant.loss import Loss
from sonant.models.code_vocabulary import PAD, SPECIALS
from sonant.models.token_decoder import TokenDecoderConfig, with_end
from sonant.tasks import EncodedSpeech, LayerMix, Seq2SeqHead
from sonant.tasks.codes_to_text import next_token_loss
from sonant.training.tasks.ctc import ctc_loss
from sonant.training.tasks.results import Prediction, TaskResult, groups_of
from sonant.training.tasks.transcripts import TranscriptTask
from sonant.training.validation import Criterion

GREEDY = TokenSearch(beam=1)
BLANK = SPECIALS.index(PAD)  # of the joint CTC loss


@dataclass(frozen=True, kw_only=True)
class Seq2SeqTask(TranscriptTask):
    """Transcripts: a Transformer decoder over the frames, and label-smoothed cross-entropy, over the number of tokens.

    Error rates while training are those of greedy texts, at the end those of `search`.

    Attributes:
        decoder: its sizes; the vocabulary is that of the transcripts.
        num_convs: gated convolutions before the decoder, each of which halves the frames.
        smoothing: weight of the labels that is distributed uniformly over all tokens.
        ctc_weight: share of the CTC loss of a linear layer over the frames in the loss, and 1 minus that of the
            decoder's. It aligns frames and tokens early, so that little speech suffices; 0: no such layer.
        search: the beam search at the end of the training, and of the saved model.

    Source: Szegedy et al. 2016, label smoothing; Watanabe et al. 2017 (IEEE JSTSP 11-8), the joint CTC loss.
    """

    kind: ClassVar[str] = "seq2seq"

    decoder: TokenDecoderConfig = TokenDecoderConfig(dim=256, num_heads=4, feed_forward_dim=1024)
    num_convs: int = 1
    smoothing: float = 0.1
    ctc_weight: float = 0.3
    search: TokenSearch = TokenSearch()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vocabulary == "checkpoint":
            raise ConfigurationError(
                "task.vocabulary=checkpoint was given, which is for CTC heads. Give the units of the transcripts: "
                "characters, subwords, bytes or phones."
            )
        if not 0 <= self.smoothing < 1 or not 0 <= self.ctc_weight < 1:
            raise ConfigurationError(
                f"task.smoothing={self.smoothing:g} and task.ctc_weight={self.ctc_weight:g} were given; expected "
                "shares from 0 to below 1."
            )

    @property
    def is_for_transformers(self) -> bool:
        return False

    def classes(self, labels: Sequence[str]) -> tuple[str, ...]:
        return (*SPECIALS, *(token for token in super().classes(labels) if token not in SPECIALS))

    def min_frames(self, label: str) -> int:
        return ctc_frames(self.units(label)) if self.ctc_weight else 1

    def head(self, dim: int, classes: Sequence[str], mix: LayerMix) -> Seq2SeqHead:
        config = replace(self.decoder, vocabulary_size=len(classes))
        return Seq2SeqHead(dim, config, mix, num_convs=self.num_convs, ctc=self.ctc_weight > 0)

    def loss(self, outputs: EncodedSpeech, targets: Packed, classes: Sequence[str], *, training: bool) -> Loss:
        logits = outputs.decoder.predict(targets, outputs.memory)
        loss = next_token_loss(logits, with_end(targets).values, smoothing=self.smoothing)
        if outputs.ctc_logits is not None and self.ctc_weight:
            log_probabilities = outputs.ctc_logits.with_values(outputs.ctc_logits.values.float().log_softmax(-1))
            by_ctc = ctc_loss(log_probabilities, targets, blank=BLANK)
            loss.sum = (1 - self.ctc_weight) * loss.sum + self.ctc_weight * by_ctc
            loss.metrics["ctc_loss"] = by_ctc.detach(), loss.count
        if training:
            return loss
        metrics = self.error_rates(_written(outputs, GREEDY), targets, classes)
        return Loss(loss.sum, loss.count, {**loss.metrics, **metrics})

    def predicted(self, outputs: EncodedSpeech) -> list[Tensor]:
        return _written(outputs, self.search)

    def text_of(self, output: Tensor, vocabulary: CTCVocabulary) -> str:
        return spelled_text(output.tolist(), vocabulary)

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        spelling = self.spelling.notes(classes)
        spelling.pop("tokenizer_files", None)  # which number tokens otherwise
        return {**spelling, "blank": BLANK, "search": vars(self.search)}


@dataclass(frozen=True, kw_only=True)
class TranslationTask(Seq2SeqTask):
    """Translations: as transcripts, in another language.

    The metric is the mean chrF of the recordings (Popović 2015), the F-score of character n-grams, in percent. At the
    end BLEU of the development set is measured too.
    """

    ctc_weight: float = 0.0

    @property
    def criterion(self) -> Criterion:  # type: ignore[override]
        return Criterion("chrf", higher_is_better=True)

    def counts(
        self, recordings: Iterable[tuple[Tensor, Tensor]], classes: Sequence[str]
    ) -> dict[str, list[tuple[float, float]]]:
        vocabulary = self.text_vocabulary(classes)
        texts = ((self.text_of(output, vocabulary), self.text_of(units, vocabulary)) for output, units in recordings)
        return {"chrf": [(chrf(text, reference), 1) for text, reference in texts]}

    def result(self, predictions: Iterable[Prediction], classes: Sequence[str]) -> TaskResult:
        predictions, vocabulary = list(predictions), self.text_vocabulary(classes)
        counts = [
            bleu_counts(self.text_of(each.output, vocabulary), self.text_of(each.target, vocabulary))
            for each in predictions
        ]
        groups = groups_of([each.speaker for each in predictions])
        interval = interval_of(bleu_of(resampled_totals(counts, groups)))
        measures = super().result(predictions, classes).measures
        return TaskResult({**measures, "bleu": interval.around(float(bleu_of(np.sum(counts, axis=0))))})

    def notes(self, classes: Sequence[str]) -> Mapping[str, Any]:
        return {**super().notes(classes), "translates": True}


def _written(outputs: EncodedSpeech, search: TokenSearch) -> list[Tensor]:
    """Return the tokens of the best text of each clip, int64 (tokens,) on the CPU."""
    found = beam_search(
        outputs.decoder, outputs.memory, end=outputs.decoder.end, max_lengths=outputs.max_lengths, search=search
    )
    return [torch.tensor(texts[0].tokens, dtype=torch.int64) for texts in found]
