"""Prefix beam search over the emissions of a CTC head, for a batch of recordings at once."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import torch

from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.language_model import LanguageModel
from sonant.decoding.prefix_beam.compiled_search import CompiledSearch, can_search
from sonant.decoding.prefix_beam.history import trace
from sonant.decoding.prefix_beam.hot_words import HotWords
from sonant.decoding.prefix_beam.lexicon import Lexicon
from sonant.decoding.prefix_beam.models import CombinedModels
from sonant.decoding.prefix_beam.options import BeamSearch
from sonant.decoding.prefix_beam.recording_search import RecordingSearch
from sonant.decoding.prefix_beam.result import finish, hypotheses, path_parts
from sonant.decoding.prefix_beam.search import PrefixSearch
from sonant.decoding.prefix_beam.torch_search import TorchSearch
from sonant.decoding.prefix_beam.units import SearchUnits
from sonant.decoding.prefix_beam.words import LexiconWords, OpenWords
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed

WORDS_OF_ONE_UNIT = 8  # of a language model of words, at most; or half of the units, if that is more


class PrefixBeamDecoder:
    """A prefix beam search: the probabilities of all paths that spell one text are added, as long as they are kept.

    Frames follow each other; at each of them all recordings and hypotheses are computed together. The hypotheses of a
    recording do not depend on the other recordings of its batch. The device is that of the emissions.

    A language model scores each word when it ends. One whose words are the tokens of the vocabulary, the delimiter
    included, scores each token. Without a lexicon a text may have any words; those that the language model does not
    have get the probability of its unknown word, and `unknown_score`.

    Args:
        vocabulary: of the CTC head.
        options: of the search.
        lm: language model.
        lexicon: the only words that may be written.
        hot_words: words and phrases whose texts get `hot_word_score` each time, and a part of it while one is spelled.

    Raises:
        ConfigurationError: a lexicon or hot words that the vocabulary cannot spell, or a language model with none of
            its words or of those of the lexicon.
    """

    def __init__(
        self,
        vocabulary: CTCVocabulary,
        options: BeamSearch | None = None,
        *,
        lm: LanguageModel[Any] | None = None,
        lexicon: Lexicon | None = None,
        hot_words: Sequence[str] = (),
    ) -> None:
        self.vocabulary = vocabulary
        self.options = options or BeamSearch()
        self._units = units = SearchUnits(vocabulary)
        lm_units = None if lm is None else units_of_model(lm, units)
        words: OpenWords | LexiconWords | None = None
        if lexicon is not None:
            words = LexiconWords(units, lexicon)
            if lm is not None and lm_units is None:
                words.number_words(lm.words, lm.unknown)
                if self.options.look_ahead:
                    words.look_ahead = _look_ahead(words, lm, self.options.lm_weight)
        elif lm is not None and lm_units is None:
            words = OpenWords(units, lm.words, lm.unknown)
        elif self.options.word_score:
            words = OpenWords(units)
        self._models = CombinedModels(words, _hot(hot_words, self.options, units, words), lm, lm_units)

    def with_hot_words(self, hot_words: Sequence[str], options: BeamSearch) -> PrefixBeamDecoder:
        """Return a decoder with other hot words that shares language model and lexicon.

        Args:
            hot_words: in place of the present ones.
            options: which may differ from the present ones in beam, threshold, results and the score of hot words.
        """
        other = copy(self)
        hot = _hot(hot_words, options, self._units, self._models.words)
        vars(other).update(options=options, _models=replace(self._models, hot=hot))
        return other

    @torch.inference_mode()
    def decode(self, emissions: Packed, *, frame_rate: float = 1.0) -> list[list[Hypothesis]]:
        """Find the best hypotheses of each recording, best first.

        Args:
            emissions: natural logarithms of probabilities, (total, tokens).
            frame_rate: frames a second, by which words get their times; 1 gives times in frames.

        Raises:
            ConfigurationError: the emissions do not fit the vocabulary, or are logits.
            NonFiniteStates: the emissions are NaN, or nothing is possible at some frame.
        """
        if not len(emissions):
            return []
        order = emissions.lengths.argsort(descending=True, stable=True)
        clips = self._units.emissions(emissions).unpack()
        ordered = Packed.pack(clips[i] for i in order.tolist())
        search = self._search(len(clips), ordered.values.device)
        choices = search.advance(ordered)
        found: list[list[Hypothesis]] = [[] for _ in clips]
        ends = finish(search)
        paths = trace(choices, ends.paths.cpu().numpy(), ordered.sizes, self._units)
        parts = [[[part] for part in of_recording] for of_recording in path_parts(search, paths, ordered)]
        for number, results in zip(order.tolist(), hypotheses(search, ends, parts, frame_rate), strict=True):
            found[number] = results
        return found

    def begin(self, device: torch.device, *, frame_rate: float = 1.0) -> RecordingSearch:
        """Begin the search of one recording whose emissions come in parts.

        Args:
            device: of the search, unless it can be compiled for the CPU, where one recording is decoded faster.
            frame_rate: as in `decode`.
        """
        cpu = torch.device("cpu")
        return RecordingSearch(self._search(1, cpu if can_search(self._models, cpu) else device), frame_rate)

    def _search(self, count: int, device: torch.device) -> PrefixSearch:
        """Return the search of so many recordings, on a device."""
        self._models = self._models.to(device)
        kind = CompiledSearch if can_search(self._models, device) else TorchSearch
        return kind(self._units, self.options, self._models, count, device)


def units_of_model(lm: LanguageModel[Any], units: SearchUnits) -> torch.Tensor | None:
    """Return the number of each unit in a language model of units; None for one of words.

    Raises ConfigurationError: a model of units without the delimiter.
    """
    numbers = {name: number for number, name in enumerate(lm.words)}
    names = [units.vocabulary.tokens[token] for token in units.tokens.tolist()]
    written = {names[unit] for unit in units.written}
    known = {name for name in numbers if not (name.startswith("<") and name.endswith(">"))}
    delimiter = None if units.delimiter is None else names[units.delimiter]
    if not known or not known <= written | {delimiter}:
        return None
    if delimiter is not None and delimiter not in known:
        if len(known) > WORDS_OF_ONE_UNIT and 2 * len(known) > len(written):
            raise ConfigurationError(
                f"The language model has {len(known)} tokens of the CTC vocabulary as words, and not {delimiter!r}, "
                f"which is between words. Train it on text with {delimiter!r} in place of each space, as sonant lm "
                "train --units characters does."
            )
        return None
    return torch.tensor([numbers.get(name, lm.unknown) for name in [*names, ""]])


def _hot(
    phrases: Sequence[str], options: BeamSearch, units: SearchUnits, words: OpenWords | LexiconWords | None
) -> HotWords | None:
    if not phrases:
        return None
    hot = HotWords(phrases, options.hot_word_score, units)
    if isinstance(words, LexiconWords):
        words.check_hot_words(phrases, units)
    return hot


def _look_ahead(words: LexiconWords, lm: LanguageModel[Any], weight: float) -> torch.Tensor:
    """Return the weighted score of the best word below each node at the beginning of a text; 0 for the root."""
    assert words.numbers is not None
    numbers = words.numbers.to(lm.device)
    scores, _ = lm.score(lm.start(len(numbers)), numbers)
    best = weight * words.trie.best_below(scores.cpu().numpy())
    best[0] = 0.0
    return best
