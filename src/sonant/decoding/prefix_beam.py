"""Prefix beam search over the emissions of a CTC head, for a batch of recordings at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sonant.decoding.ctc import BestPath, greedy_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.search_history import SearchHistory
from sonant.decoding.search_units import IMPOSSIBLE, SearchUnits
from sonant.errors import ConfigurationError
from sonant.layers.packed import Packed

RESCALED_EVERY = 32  # frames after which the best score is set to 0, so that float32 stays exact in long recordings
DEAD, CHILDLESS = -1, -2  # hash of a place in the beam without a hypothesis, and of its parent


@dataclass(frozen=True, kw_only=True)
class BeamSearch:
    """Options of a beam search, in the terms of wav2vec 2.0's paper and of flashlight.

    Attributes:
        beam: hypotheses that are kept at each frame.
        beam_threshold: hypotheses whose score is lower than the best one's by more are dropped.
        beam_tokens: most probable tokens of each frame, by which hypotheses are extended; None: all.
        lm_weight: factor of the language model's log-probabilities.
        word_score: added to the score for each word; above 0 it makes texts longer.
        silence_weight: added to the score for each frame that is a word delimiter; flashlight's `sil_score`.
        unknown_score: added to the score for each word that the language model does not know.
        hot_word_score: added to the score for each hot word or phrase.
        nbest: hypotheses that are returned for each recording, at most `beam`.
    """

    beam: int = 50
    beam_threshold: float = 50.0
    beam_tokens: int | None = None
    lm_weight: float = 2.0
    word_score: float = 0.0
    silence_weight: float = 0.0
    unknown_score: float = IMPOSSIBLE
    hot_word_score: float = 10.0
    nbest: int = 1

    def __post_init__(self) -> None:
        for name in ("beam", "beam_tokens", "nbest"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigurationError(f"{name}={value} was given; expected at least 1.")
        if self.nbest > self.beam:
            raise ConfigurationError(
                f"nbest={self.nbest} hypotheses were asked for of a beam of {self.beam}; expected at most as many as "
                "the beam keeps."
            )
        if not self.beam_threshold > 0:
            raise ConfigurationError(f"beam_threshold={self.beam_threshold} was given; expected a number above 0.")
        if not 0 <= self.lm_weight < float("inf"):
            raise ConfigurationError(f"lm_weight={self.lm_weight} was given; expected a number from 0.")
        for name in ("word_score", "silence_weight", "hot_word_score"):
            if not np.isfinite(getattr(self, name)):
                raise ConfigurationError(f"{name}={getattr(self, name)} was given; expected a finite number.")
        if not self.unknown_score < float("inf"):
            raise ConfigurationError(f"unknown_score={self.unknown_score} was given; expected a number, or -inf.")


class PrefixBeamDecoder:
    """A prefix beam search: the probabilities of all paths that spell one text are added, as long as they are kept.

    Frames follow each other; at each of them all recordings and hypotheses are computed together. The hypotheses of a
    recording do not depend on the other recordings of its batch. The device is that of the emissions.

    Args:
        vocabulary: of the CTC head.
        options: of the search.
        lm, lexicon, hot_words: not supported yet.
    """

    def __init__(
        self,
        vocabulary: CTCVocabulary,
        options: BeamSearch | None = None,
        *,
        lm: object = None,
        lexicon: object = None,
        hot_words: Sequence[str] = (),
    ) -> None:
        if lm is not None or lexicon is not None or hot_words:
            raise ConfigurationError("A language model, a lexicon and hot words are not supported yet.")
        self.vocabulary = vocabulary
        self.options = options or BeamSearch()
        self._units = SearchUnits(vocabulary)

    @torch.no_grad()
    def decode(self, emissions: Packed, *, frame_rate: float = 1.0) -> list[list[Hypothesis]]:
        """Find the best hypotheses of each recording, best first.

        Args:
            emissions: natural logarithms of probabilities, (total, tokens).
            frame_rate: frames a second, by which words get their times; 1 gives times in frames.

        Raises:
            ConfigurationError: the emissions do not fit the vocabulary, or are logits.
            NonFiniteStates: the emissions are NaN, or nothing is possible at some frame.
        """
        order = emissions.lengths.argsort(descending=True, stable=True)
        units = self._units.emissions(emissions)
        clips = units.unpack()
        for seed in range(8):
            search = _Search(self._units, self.options, [clips[i] for i in order.tolist()], seed)
            search.run()
            if not search.collided():
                break
        else:
            raise RuntimeError("The prefixes of a beam search collided with eight different hashes.")
        found: list[list[Hypothesis]] = [[] for _ in clips]
        for number, hypotheses in zip(order.tolist(), search.hypotheses(frame_rate), strict=True):
            found[number] = hypotheses
        return found


class _Search:
    """One search over the emissions of recordings, the longest first.

    The state of a hypothesis, each (recordings, beam): sums over its paths that end with a blank and with its last
    unit, the same for its most probable path, its last unit, and hashes of its prefix and of the prefix without the
    last unit. Scores are logarithms.
    """

    def __init__(self, units: SearchUnits, options: BeamSearch, clips: Sequence[Tensor], seed: int) -> None:
        self.units, self.options = units, options
        self.lengths = [len(clip) for clip in clips]
        self.device = clips[0].device
        beam, count = options.beam, len(clips)
        self.delimiter = units.padding if units.delimiter is None else units.delimiter
        self.emissions = torch.nn.utils.rnn.pad_sequence(list(clips))  # (frames, recordings, units + 1)
        scored = self.emissions
        if options.silence_weight and units.delimiter is not None:
            scored = scored.clone()
            scored[..., self.delimiter] += options.silence_weight
        self.scored = scored
        self.extending = scored.clone()
        self.extending[..., units.blank] = IMPOSSIBLE
        self.columns: Tensor | None = None  # unit of each column, where these are the most probable ones of the frame
        self.width = units.padding + 1
        if options.beam_tokens is not None and options.beam_tokens < units.padding - 1:
            self.extending, self.columns = self.extending.topk(options.beam_tokens, sorted=False)
            self.extending = torch.nn.functional.pad(self.extending, (0, 1), value=IMPOSSIBLE)
            self.columns = torch.nn.functional.pad(self.columns, (0, 1), value=units.padding)
            self.width = options.beam_tokens + 1
        draw = torch.Generator().manual_seed(seed)
        codes = torch.randint(-(2**63), 2**63 - 1, (units.padding + 2,), generator=draw)
        self.multiplier = int(codes[-1]) | 1
        self.codes = codes.to(self.device)
        self.history = SearchHistory(beam, self.width)
        self.created: list[Tensor] = []

        self.scores = torch.full((4, count, beam), IMPOSSIBLE, device=self.device)
        self.scores[::2, :, 0] = 0.0  # the empty prefix
        self.state = torch.tensor([units.padding, DEAD, CHILDLESS], device=self.device).repeat(count, beam, 1)
        self.state[:, 0] = torch.tensor([self.delimiter, 0, CHILDLESS])
        self.offset = torch.zeros(count, dtype=torch.float64, device=self.device)
        self.final: list[tuple[Tensor, ...]] = []

    def run(self) -> None:
        """Go through all frames; recordings that end are taken out."""
        self.history.last.append(self.state[..., 0])
        ends = sorted({0, *self.lengths})
        for begin, end in pairwise(ends):
            self._keep(sum(length >= end for length in self.lengths))
            for frame in range(begin, end):
                self._step(frame)
        self._keep(0)

    def _keep(self, count: int) -> None:
        """Set the last recordings aside, so that `count` go on."""
        scores, state, offset = self.scores[:, count:], self.state[count:], self.offset[count:]
        if len(state):
            self.final.append((scores, state, offset))
        self.scores, self.state, self.offset = self.scores[:, :count], self.state[:count], self.offset[:count]

    def _step(self, frame: int) -> None:
        options, beam, width = self.options, self.options.beam, self.width
        count = len(self.state)
        emission, extending = self.scored[frame, :count], self.extending[frame, :count]
        blank, unit, best_blank, best_unit = self.scores
        last, prefix, parent = self.state.unbind(-1)
        total, best = torch.logaddexp(blank, unit), torch.maximum(best_blank, best_unit)
        unit_is_best = best_unit > best_blank
        silent = last == self.delimiter
        emitted = emission.gather(1, last)

        # Extensions by every unit; by the last one again only behind a blank, and never by a second delimiter.
        again = torch.where(silent, IMPOSSIBLE, blank + emitted)
        column = last if self.columns is None else self._column(self.columns[frame, :count], last)
        candidates = torch.empty(count, beam + beam * width, device=self.device)
        extended = candidates[:, beam:]
        torch.add(total[:, :, None], extending[:, None, :], out=extended.view(count, beam, width))
        extended.view(count, beam, width).scatter_(2, column[:, :, None], again[:, :, None])
        if self.columns is not None:
            extended.view(count, beam, width)[..., -1] = IMPOSSIBLE

        # A hypothesis whose parent is kept too gets its extension; the last column of the first is impossible.
        matched, merged_with = (prefix[:, :, None] == parent[:, None, :]).max(1)
        place = torch.where(matched, merged_with * width + column, width - 1)
        merged = extended.gather(1, place)
        extended.scatter_(1, place, IMPOSSIBLE)
        before = last.gather(1, merged_with)
        merged_best = torch.where(before == last, best_blank.gather(1, merged_with), best.gather(1, merged_with))
        merged_best = torch.where(merged > IMPOSSIBLE, merged_best, IMPOSSIBLE) + emitted
        repeated_best = torch.where(silent, best, best_unit) + emitted
        merged_is_best = merged_best > repeated_best

        emitted_blank = emission[:, self.units.blank, None]
        kept_unit = torch.logaddexp(torch.where(silent, total, unit) + emitted, merged)
        kept_blank = total + emitted_blank
        torch.logaddexp(kept_blank, kept_unit, out=candidates[:, :beam])
        score, chosen = candidates.topk(beam)

        new = chosen >= beam
        extension = chosen - beam
        source = torch.where(new, extension // width, chosen)
        column = extension % width
        added = column if self.columns is None else self.columns[frame, :count].gather(1, column)
        before_add = last.gather(1, source)
        new_best = torch.where(before_add == added, best_blank.gather(1, source), best.gather(1, source))
        emitted_new = emission.gather(1, torch.where(new, added, self.units.padding))
        dead = ~(score >= score[:, :1] - options.beam_threshold)
        kept = torch.stack([kept_blank, kept_unit, best + emitted_blank, torch.maximum(merged_best, repeated_best)])
        kept = kept.gather(2, source.expand(4, -1, -1))
        grown = torch.stack([score, new_best + emitted_new])
        blocked = torch.full_like(grown, IMPOSSIBLE)
        scores = torch.where(new, torch.stack([blocked, grown], 1).flatten(0, 1), kept)
        self.scores = torch.where(dead, IMPOSSIBLE, scores)

        moved = self.state.gather(1, source[:, :, None].expand(-1, -1, 3))
        hashed = moved[..., 1]
        child = torch.stack([added, hashed * self.multiplier + self.codes[added], hashed], -1)
        gone = torch.tensor([self.units.padding, DEAD, CHILDLESS], device=self.device)
        self.state = torch.where(dead[:, :, None], gone, torch.where(new[:, :, None], child, moved))
        if bool((new & ~dead).any()):
            self.created.append(self.state[new & ~dead])
        if (frame + 1) % RESCALED_EVERY == 0:
            highest = score[:, 0]
            self.scores = self.scores - highest[:, None]
            self.offset = self.offset + highest

        self.history.append(chosen, self.state[..., 0], unit_is_best, merged_with, merged_is_best)

    def _column(self, columns: Tensor, unit: Tensor) -> Tensor:
        """Return the column of each unit (recordings, beam), the last one where it has none."""
        found, column = (columns[:, None, :] == unit[:, :, None]).max(-1)
        return torch.where(found, column, self.width - 1)

    def collided(self) -> bool:
        """Return whether two prefixes had one hash.

        If each hash belongs to one last unit and one hash of the prefix without it, it belongs to one prefix: the
        first prefix of a hash that another one has too would have a parent whose hash another one has too.
        """
        if not self.created:
            return False
        made = torch.cat(self.created)
        made = made[made[:, 1].argsort()]
        same = made[1:, 1] == made[:-1, 1]
        differ = (made[1:] != made[:-1]).any(1)
        reserved = (made[:, 1, None] == torch.tensor([0, DEAD, CHILDLESS], device=made.device)).any()
        return bool((same & differ).any() | reserved)

    def hypotheses(self, frame_rate: float) -> list[list[Hypothesis]]:
        """Return the hypotheses of each recording, best first."""
        beam, nbest = self.options.beam, self.options.nbest
        parts = self.final[::-1]  # the longest recordings were the last to be set aside
        scores = torch.cat([part[0] for part in parts], 1)
        state, offset = (torch.cat([part[number] for part in parts]) for number in (1, 2))
        total, best = torch.logaddexp(scores[0], scores[1]), torch.maximum(scores[2], scores[3])
        last, prefix, parent = state.unbind(-1)

        # A text with a delimiter at its end is the text without it: both are one hypothesis, with the better path.
        same = (prefix[:, :, None] == parent[:, None, :]) & (last == self.delimiter)[:, None, :]
        matched, shorter = same.max(1)
        shorter = torch.where(matched, shorter, torch.arange(beam, device=self.device))
        merged = torch.where(matched, torch.logaddexp(total, total.gather(1, shorter)), total)
        taken = (same & matched[:, None, :]).any(2)
        merged = torch.where(taken, IMPOSSIBLE, merged)
        score, slots = merged.topk(nbest)
        slots = torch.where(
            best.gather(1, slots) >= best.gather(1, shorter.gather(1, slots)), slots, shorter.gather(1, slots)
        )
        with_unit = (scores[3] > scores[2]).gather(1, slots)
        paths, begins = self.history.paths(
            slots.cpu().numpy(),
            ends_with_unit=with_unit.cpu().numpy(),
            blank=self.units.blank,
            delimiter=self.delimiter,
        )
        exact = score.double() + offset[:, None]
        probabilities = np.zeros(paths.shape, np.float32)
        if len(paths):
            probabilities = self.emissions.gather(2, torch.from_numpy(paths).to(self.device)).exp().cpu().numpy()
        tokens = self.units.tokens.numpy()[paths] if len(paths) else paths
        return [
            [
                self._hypothesis(
                    BestPath(tokens[:length, row, number], probabilities[:length, row, number]),
                    begins[:length, row, number],
                    float(value),
                    frame_rate,
                )
                for number, value in enumerate(values)
                if value > IMPOSSIBLE
            ]
            for row, (length, values) in enumerate(zip(self.lengths, exact.tolist(), strict=True))
        ]

    def _hypothesis(self, path: BestPath, begins: np.ndarray, score: float, frame_rate: float) -> Hypothesis:
        vocabulary = self.units.vocabulary
        transcript = greedy_transcript(
            path, vocabulary, frame_rate=frame_rate, duration_seconds=len(path.tokens) / frame_rate
        )
        units = path.tokens[begins].tolist()
        if units and units[-1] in vocabulary.delimiters:
            units.pop()
        return Hypothesis(transcript.text, transcript.words, transcript.confidence, tuple(units), score, score)
