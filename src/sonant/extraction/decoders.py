"""Decoders of emissions, made from options: language model and lexicon are read, and checked to fit the model."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import torch
from torch import Tensor

from sonant.decoding.ctc import best_path, path_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.language_model import LanguageModel
from sonant.decoding.prefix_beam import BeamSearch, Lexicon, PrefixBeamDecoder
from sonant.decoding.prefix_beam.decoder import units_of_model
from sonant.decoding.prefix_beam.recording_search import RecordingSearch
from sonant.decoding.prefix_beam.units import SearchUnits
from sonant.decoding.rescoring import Rescoring, rescore
from sonant.decoding.results import Transcript
from sonant.decoding.slot_marks import with_slots
from sonant.decoding.word_scores import word_scores
from sonant.errors import ConfigurationError, SonantWarning, warn
from sonant.extraction.decoder_options import GREEDY, DecoderOptions
from sonant.extraction.language_models import in_case_of, read_language_model, read_text_scorer
from sonant.layers.packed import Packed

Recording: TypeAlias = tuple[Tensor, float]  # its emission (frames, tokens), and its duration in seconds
RESCORED = 50  # hypotheses, or as many as the beam has; as in the papers of wav2vec 2.0 and self-training


class TranscriptDecoder(ABC):
    """A decoder of emissions."""

    @abstractmethod
    def __call__(self, recordings: Sequence[Recording]) -> list[Transcript]:
        """Decode the emissions of recordings, which are on one device, together."""

    @abstractmethod
    def with_keywords(self, keywords: Sequence[str], n_best: int | None) -> TranscriptDecoder:
        """Return a beam search with more hot words and more alternatives, which shares what was read.

        Raises ConfigurationError: hot words that cannot be spelled, or more alternatives than hypotheses.
        """


@dataclass(frozen=True, eq=False)
class GreedyTranscripts(TranscriptDecoder):
    """The most probable token of each frame, made into transcripts."""

    vocabulary: CTCVocabulary
    frame_rate: float

    def __call__(self, recordings: Sequence[Recording]) -> list[Transcript]:
        return [
            with_slots(
                path_transcript(
                    best_path(emission), self.vocabulary, frame_rate=self.frame_rate, duration_seconds=seconds
                ),
                self.vocabulary,
            )
            for emission, seconds in recordings
        ]

    def with_keywords(self, keywords: Sequence[str], n_best: int | None) -> TranscriptDecoder:
        options = DecoderOptions(hot_words=tuple(keywords), n_best=n_best or 1)
        return BeamTranscripts(options, self.vocabulary, self.frame_rate)


class BeamTranscripts(TranscriptDecoder):
    """The texts that a beam search finds, made into transcripts, and each word scored by the language model.

    Args:
        options: with language models and lexicon in memory.
    """

    def __init__(self, options: DecoderOptions, vocabulary: CTCVocabulary, frame_rate: float) -> None:
        self._options, self._frame_rate, self._vocabulary = options, frame_rate, vocabulary
        lm: Any = options.lm
        lexicon: Any = options.lexicon
        self._search = PrefixBeamDecoder(
            vocabulary, beam_search(options), lm=lm, lexicon=lexicon, hot_words=options.hot_words
        )
        self._lm: LanguageModel[Any] | None = None if lm is None or not _is_of_words(lm, vocabulary) else lm
        numbers = options.numbers
        self._n_best = numbers.get("n_best", 1)
        self._rescoring = Rescoring(
            lm_weight=numbers.get("rescoring_lm_weight", 1.0), word_score=numbers.get("rescoring_word_score", 0.0)
        )

    def __call__(self, recordings: Sequence[Recording]) -> list[Transcript]:
        if not recordings:
            return []
        device = recordings[0][0].device
        emissions = Packed.pack(emission.to(device) for emission, _ in recordings)
        found = self._search.decode(emissions, frame_rate=self._frame_rate)
        return self._transcripts(found, [seconds for _, seconds in recordings], device)

    def begin(self, device: torch.device) -> RecordingSearch:
        """Begin the search of one recording whose emissions come in parts; `finish` makes its transcript."""
        return self._search.begin(device, frame_rate=self._frame_rate)

    def finish(self, search: RecordingSearch, seconds: float, device: torch.device) -> Transcript:
        """Return the transcript of a recording whose search is complete."""
        (transcript,) = self._transcripts([search.finish()], [seconds], device)
        return transcript

    def _transcripts(
        self, found: list[list[Hypothesis]], seconds: Sequence[float], device: torch.device
    ) -> list[Transcript]:
        """Rank what was found again, score its words, and make transcripts; language models are on the device."""
        scorer: Any = self._options.rescoring_lm
        if scorer is not None:
            scorer.model.to(device)
            found = rescore(found, scorer, self._rescoring)
        found = self._scored([hypotheses[: self._n_best] for hypotheses in found], device)
        return [
            with_slots(
                Transcript(
                    text=hypotheses[0].text if hypotheses else "",
                    words=hypotheses[0].words if hypotheses else (),
                    duration_seconds=duration,
                    confidence=hypotheses[0].confidence if hypotheses else 0.0,
                    alternatives=tuple(hypotheses),
                ),
                self._vocabulary,
            )
            for hypotheses, duration in zip(found, seconds, strict=True)
        ]

    def with_keywords(self, keywords: Sequence[str], n_best: int | None) -> TranscriptDecoder:
        hot_words = (*self._options.hot_words, *keywords)
        options = replace(self._options, hot_words=hot_words, n_best=n_best or self._options.n_best)
        search = self._search.with_hot_words(hot_words, beam_search(options))
        other = copy(self)
        vars(other).update(_options=options, _search=search, _n_best=options.n_best or 1)
        return other

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {} if self._lm is None else {word: number for number, word in enumerate(self._lm.words)}

    def _scored(self, found: list[list[Hypothesis]], device: torch.device) -> list[list[Hypothesis]]:
        """Give words their scores by the language model of the search."""
        if self._lm is None:
            return found
        self._lm = self._lm.to(device)
        texts = [[word.text for word in each.words] for hypotheses in found for each in hypotheses]
        scores = iter(word_scores(texts, self._lm, self._numbers))
        return [
            [
                replace(
                    each,
                    words=tuple(
                        replace(word, lm_score=score) for word, score in zip(each.words, next(scores), strict=True)
                    ),
                )
                for each in hypotheses
            ]
            for hypotheses in found
        ]


def decoder_of(
    options: DecoderOptions, vocabulary: CTCVocabulary, name: str, *, frame_rate: float
) -> TranscriptDecoder:
    """Return the decoder of a CTC head of the model `name`.

    Raises ConfigurationError: options that do not fit each other, or files that cannot be read or do not fit the model.
    """
    if options == GREEDY:
        return GreedyTranscripts(vocabulary, frame_rate)
    return BeamTranscripts(loaded(options, vocabulary, name), vocabulary, frame_rate)


def beam_search(options: DecoderOptions) -> BeamSearch:
    """Return the options of the search, with as many hypotheses as are asked for or ranked again."""
    numbers = {name: value for name, value in options.numbers.items() if not name.startswith("rescoring")}
    n_best = numbers.pop("n_best", 1)
    beam = numbers.setdefault("beam", max(BeamSearch.beam, n_best))
    found = n_best if options.rescoring_lm is None else max(n_best, min(beam, RESCORED))
    return BeamSearch(**numbers, n_best=found)


def loaded(options: DecoderOptions, vocabulary: CTCVocabulary, name: str) -> DecoderOptions:
    """Return the options with language model and lexicon in memory. Raises as `decoder_of`."""
    options = options.resolved()
    lm: Any = options.lm
    lexicon: Any = options.lexicon
    rescoring_lm: Any = options.rescoring_lm
    if isinstance(lexicon, str | os.PathLike):
        lexicon = Lexicon.read(lexicon)
    if isinstance(rescoring_lm, str | os.PathLike):
        rescoring_lm = read_text_scorer(rescoring_lm)
    if isinstance(lm, str | os.PathLike):
        lm = read_language_model(lm, words=None if lexicon is None else lexicon.words)
        lm = in_case_of(lm, SearchUnits(vocabulary), with_lexicon=lexicon is not None)
        if _is_of_words(lm, vocabulary):
            _check_words(lm, vocabulary, name, str(options.lm))
    return replace(options, lm=lm, lexicon=lexicon, rescoring_lm=rescoring_lm)


def _is_of_words(lm: LanguageModel[Any], vocabulary: CTCVocabulary) -> bool:
    return units_of_model(lm, SearchUnits(vocabulary)) is None


def _check_words(lm: LanguageModel[Any], vocabulary: CTCVocabulary, name: str, file: str) -> None:
    """Check that a model can write the words of a language model: none is an error, less than half a warning."""
    can_spell = SearchUnits(vocabulary).can_spell
    words = [word for word in lm.words if not (word.startswith("<") and word.endswith(">"))]
    wrong = [word for word in words if not can_spell(word)]
    if 2 * len(wrong) <= len(words):
        return
    cases = {
        "upper": sum(can_spell(word.upper()) for word in words),
        "lower": sum(map(can_spell, map(str.lower, words))),
    }
    case = max(cases, key=lambda name: cases[name])
    better = cases[case] > len(words) - len(wrong)
    cure = (
        f"In {case} case {cases[case]} of them could be: make a language model of text in {case} case."
        if better
        else "Is it of another language, or of units of another vocabulary?"
    )
    if len(wrong) == len(words):
        raise ConfigurationError(
            f"None of the {len(words)} words of the language model {file} can be spelled with the tokens of {name}, "
            f"such as {wrong[0]!r}. {cure}"
            if words
            else f"The language model {file} has no words."
        )
    warn(
        f"{len(wrong)} of the {len(words)} words of the language model {file} cannot be spelled with the tokens of "
        f"{name}, such as {wrong[0]!r}, and are never written. {cure}",
        SonantWarning,
    )
