"""Transcription and translation by a decoder with cross-attention, which writes once all frames are there."""

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor

from sonant.decoding import TokenHypothesis, TokenSearch, beam_search
from sonant.decoding.ctc import spelled_text
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.language_model import LanguageModel
from sonant.decoding.results import Transcript
from sonant.decoding.token_fusion import TokenFusion
from sonant.errors import AudioError, ConfigurationError
from sonant.extraction.decoder_options import GREEDY, DecoderOptions
from sonant.extraction.decoders import TranscriptDecoder, loaded
from sonant.extraction.finiteness import require_finite
from sonant.extraction.head_store import Heads
from sonant.extraction.heads import CPU, HeadPipeline, one_clip, samples_for, states_of
from sonant.extraction.sinks import Pending
from sonant.extraction.transcripts import transcript_decoder, transcription
from sonant.layers.packed import Packed
from sonant.models import Backbone
from sonant.tasks import Seq2SeqHead

PIECE_SECONDS = 30.0  # longest part of a recording that is written at once; about as long as training has them
OPTIONS = {"beam", "lm", "lm_weight", "n_best"}  # of the decoder that the search has

HeadOn = Callable[[torch.device], Seq2SeqHead]
Frames = tuple[Tensor, float]  # of a recording, (frames, dim), and its duration in seconds


class WritingSink:
    """A sink that keeps the mixed states of a recording.

    Args:
        write: makes the transcripts of several recordings.
        seconds: returns the duration of the recording.
    """

    def __init__(self, head_on: HeadOn, write: TranscriptDecoder, *, seconds: Callable[[], float]) -> None:
        self._head_on, self._write, self._seconds = head_on, write, seconds
        self._blocks: list[Tensor] = []

    @torch.no_grad()
    def append(self, frames: Tensor) -> None:
        mixed = self._head_on(frames.device).mix(one_clip(frames)).values
        self._blocks.append(require_finite(mixed, "sequence to sequence"))

    def finish(self) -> Pending:
        blocks, self._blocks = self._blocks, []
        return Pending((torch.cat(blocks), self._seconds()), self._write)

    def abandon(self) -> None:
        self._blocks.clear()


class TranscriptWriter(TranscriptDecoder):
    """Function from the mixed states of several recordings, (frames, dim) each, to their transcripts.

    Args:
        head_on: returns the head on a device.
        vocabulary: of the head.
        frame_rate: of the frames.
        lm: language model, of words or of the head's tokens.
        num_alternatives: texts in `Transcript.alternatives`.
    """

    def __init__(
        self,
        head_on: HeadOn,
        vocabulary: CTCVocabulary,
        search: TokenSearch,
        *,
        frame_rate: float,
        lm: LanguageModel[Any] | None = None,
        num_alternatives: int = 0,
    ) -> None:
        self._head_on, self._vocabulary, self._search, self._frame_rate = head_on, vocabulary, search, frame_rate
        self._lm, self._num_alternatives = lm, num_alternatives
        self._fusions: dict[torch.device, TokenFusion] = {}

    @torch.no_grad()
    def __call__(self, recordings: Sequence[Frames]) -> list[Transcript]:
        device = recordings[0][0].device
        head = self._head_on(device)
        pieces = [self._cut(head, frames.to(device)) for frames, _ in recordings]
        encoded = head.encode(Packed.pack(piece for of_recording in pieces for piece in of_recording))
        found = iter(
            beam_search(
                encoded.decoder,
                encoded.memory,
                end=encoded.decoder.end,
                max_lengths=encoded.max_lengths,
                search=self._search,
                lm=self._fusion(device),
            )
        )
        return [
            self._transcript([next(found) for _ in of_recording], seconds)
            for of_recording, (_, seconds) in zip(pieces, recordings, strict=True)
        ]

    def with_keywords(self, keywords: Sequence[str], n_best: int | None) -> TranscriptDecoder:
        if keywords:
            raise ConfigurationError("Hot words are of a CTC head, and this model writes text by a decoder.")
        number = n_best or self._num_alternatives
        other = copy(self)
        search = replace(self._search, beam=max(self._search.beam, number))
        vars(other).update(_num_alternatives=number, _search=search)
        return other

    def _transcript(self, pieces: Sequence[Sequence[TokenHypothesis]], seconds: float) -> Transcript:
        """Join the best texts of the pieces of a recording; only a recording of one piece has alternatives."""
        best = [texts[0] for texts in pieces]
        alternatives = pieces[0][: self._num_alternatives] if len(pieces) == 1 else ()
        return Transcript(
            " ".join(filter(None, map(self._text, best))),
            (),
            seconds,
            _confidence(best),
            tuple(
                Hypothesis(
                    self._text(each),
                    (),
                    _confidence([each]),
                    each.tokens,
                    each.score,
                    each.decoder_score,
                    None if self._lm is None else each.lm_score,
                )
                for each in alternatives
            ),
        )

    def _fusion(self, device: torch.device) -> TokenFusion | None:
        if self._lm is not None and device not in self._fusions:
            self._fusions[device] = TokenFusion(self._lm.to(device), self._vocabulary)
        return self._fusions.get(device)

    def _text(self, found: TokenHypothesis) -> str:
        return spelled_text(found.tokens, self._vocabulary)

    def _cut(self, head: Seq2SeqHead, frames: Tensor) -> list[Tensor]:
        """Cut frames (frames, dim) into pieces of at most `PIECE_SECONDS`, in pauses between words."""
        longest = round(PIECE_SECONDS * self._frame_rate)
        if len(frames) <= longest:
            return [frames]
        if head.ctc is None:
            raise AudioError(
                f"The recording is {len(frames) / self._frame_rate:.0f} s long. This model has no CTC layer to find "
                f"pauses by, and writes at most {PIECE_SECONDS:.0f} s at once: cut the recording into sentences."
            )
        blank = torch.cat([head.ctc(block).softmax(-1)[:, self._vocabulary.blank] for block in frames.split(longest)])
        cuts = cut_in_pauses(blank.cpu(), longest)
        return [frames[start:end] for start, end in pairwise(cuts)]


def cut_in_pauses(blank: Tensor, longest: int) -> list[int]:
    """Return where to cut frames into pieces: the first frame of each, and the number of frames.

    Each cut is in the later half of the longest possible piece, at the middle of the half second (a sixtieth of the
    longest piece) in which blanks are most probable.

    Args:
        blank: probability that a frame has no token, (frames,).
        longest: frames of a piece.
    """
    width = max(1, longest // 60)
    cuts = [0]
    while len(blank) - cuts[-1] > longest:
        first = cuts[-1] + longest // 2
        means = blank[first : cuts[-1] + longest].unfold(0, width, 1).mean(-1)
        cuts.append(first + int(means.argmax()) + width // 2)
    return [*cuts, len(blank)]


def _confidence(texts: Sequence[TokenHypothesis]) -> float:
    """Return the geometric mean of the probabilities of all tokens, ends included."""
    steps = sum(len(each.tokens) + 1 for each in texts)
    return math.exp(sum(each.decoder_score for each in texts) / steps)


def text_pipeline(
    model: Backbone, heads: Heads, *, name: str, decoder: DecoderOptions | TranscriptDecoder = GREEDY
) -> HeadPipeline[Transcript]:
    """Return the pipeline of the CTC head, else of the sequence to sequence head, whose transcripts have no words.

    Args:
        decoder: options, or what `text_decoder` made of them.

    Raises:
        ConfigurationError: the model has neither; or the options do not fit it, or each other.
        CheckpointError: the vocabulary of the head is unknown.
    """
    if not is_written(heads):
        return transcription(model, heads, name=name, decoder=decoder)
    head_on = heads.placing("seq2seq", Seq2SeqHead)
    write = text_decoder(model, heads, name=name, decoder=decoder) if isinstance(decoder, DecoderOptions) else decoder
    return HeadPipeline(
        states_of(head_on(CPU).mix, model, name),
        lambda source: WritingSink(head_on, write, seconds=source.seconds),
        samples_for(1, None, model),
        has_times=False,
    )


def text_decoder(model: Backbone, heads: Heads, *, name: str, decoder: DecoderOptions) -> TranscriptDecoder:
    """Return the decoder of the head for text: of emissions, or of mixed states. Raises as `text_pipeline`."""
    if not is_written(heads):
        return transcript_decoder(model, heads, name=name, decoder=decoder)
    notes = heads.stored["seq2seq"].metadata
    vocabulary = CTCVocabulary.of(notes["vocabulary"], blank=notes["blank"], tokenizer=notes.get("tokenizer"))
    options = loaded(decoder, vocabulary, name)
    if other := sorted(options.given.keys() - OPTIONS):
        raise ConfigurationError(
            f"{', '.join(other)} was given, and {name} writes text by a decoder (sequence to sequence), whose search "
            f"has no such option; it has {', '.join(sorted(OPTIONS))}."
        )
    search = TokenSearch(**notes.get("search", {}))
    num_alternatives, lm_weight = options.n_best or 0, options.lm_weight
    return TranscriptWriter(
        heads.placing("seq2seq", Seq2SeqHead),
        vocabulary,
        replace(
            search,
            beam=options.beam or max(search.beam, num_alternatives),
            lm_weight=search.lm_weight if lm_weight is None else lm_weight,
        ),
        frame_rate=model.frame_rate,
        lm=cast("LanguageModel[Any] | None", options.lm),
        num_alternatives=num_alternatives,
    )


def is_written(heads: Heads) -> bool:
    """Return True if text comes from a sequence to sequence head: there is one, and no CTC head."""
    return "seq2seq" in heads.stored and "ctc" not in heads.stored
