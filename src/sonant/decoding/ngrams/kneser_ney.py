r"""Training of n-gram models by interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998; Heafield 2013).

With the context h, the word w, and h' for h without its first word:

    p(w | h) = (c(hw) - D(c(hw))) / sum_v c(hv) + g(h) p(w | h')

    g(h) = (sum of D(c(hv)) over kept v + sum of c(hv) over pruned v) / sum_v c(hv)

c is the adjusted count (`counts.Level`). D(1), D(2) and D(3), for 3 and more, are of each order: with n_j n-grams
of the adjusted count j and Y = n_1 / (n_1 + 2 n_2),

    D(j) = j - (j + 1) Y n_{j+1} / n_j

Unigrams are interpolated with the uniform distribution over all words, `<unk>` and `</s>`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.ngrams.counts import (
    BEGIN_NUMBER,
    BLOCK_TOKENS,
    END_NUMBER,
    Counts,
    Level,
    NgramCounts,
    Words,
    count_ngrams,
    levels,
)
from sonant.decoding.ngrams.tables import Ngrams, NgramTable
from sonant.errors import ConfigurationError, MeasurementError

Doubles = NDArray[np.float64]
FALLBACK = (0.5, 1.0, 1.5)  # discounts, as in KenLM
MAX_ORDER = 16


def train_kneser_ney(
    lines: Iterable[str],
    *,
    order: int = 4,
    prune: Sequence[int] = (),
    vocabulary: Collection[str] | None = None,
    discount_fallback: bool = False,
    scratch: Path | None = None,
    block_tokens: int = BLOCK_TOKENS,
    source: str = "The text",
) -> Ngrams:
    """Train an n-gram model on sentences, one a line, words separated by white space.

    The text is read once and need not fit into memory; the n-grams that are kept must.

    Args:
        order: length of the longest n-grams.
        prune: for each order from 1 upwards the greatest count of n-grams that are removed; the last number is valid
            for all longer ones. Ascending.
        vocabulary: n-grams with other words are removed; None: no limit.
        discount_fallback: use the discounts 0.5, 1 and 1.5 for an order whose own cannot be estimated.
        scratch: where sorted counts are kept meanwhile; None: the system's folder for temporary files.
        block_tokens: words that are counted in memory at once.
        source: name of the text, for messages.

    Raises:
        MeasurementError: no words, none of the vocabulary, `<s>` or another special word in the text, or too little
            text for the discounts.
        ConfigurationError: the order or the thresholds do not fit.
    """
    thresholds = _thresholds(order, prune)
    with TemporaryDirectory(prefix="sonant-lm-", dir=scratch) as folder:
        counts = count_ngrams(lines, order, Path(folder), block_tokens=block_tokens, source=source)
        return _Smoothing(counts, thresholds, vocabulary).ngrams(source, discount_fallback=discount_fallback)


def _thresholds(order: int, prune: Sequence[int]) -> list[int]:
    if not 1 <= order <= MAX_ORDER:
        raise ConfigurationError(f"The order is {order}; expected 1 to {MAX_ORDER}, such as 4 for words.")
    thresholds = [*prune, *[prune[-1] if prune else 0] * (order - len(prune))]
    if len(thresholds) > order or thresholds != sorted(thresholds) or thresholds[0] < 0:
        raise ConfigurationError(
            f"The thresholds of pruning are {', '.join(map(str, prune))}; expected at most {order}, one for each "
            "order, ascending from 0 or more, such as 0,0,1: without the end of an n-gram, the n-gram cannot be used."
        )
    return thresholds


@dataclass(eq=False)
class _Kept:
    """The kept n-grams of one order; those of order 1 are all words, by number.

    Attributes:
        first: int32 (n,), the first word.
        parents: int64 (n,), index of the n-gram without its first word among those of the order before.
        adjusted: int64 (n,), the adjusted counts.
    """

    first: Words
    parents: Counts
    adjusted: Counts


class _Smoothing:
    """The steps from counts to probabilities."""

    def __init__(self, counts: NgramCounts, thresholds: list[int], vocabulary: Collection[str] | None) -> None:
        self._counts, self._thresholds = counts, thresholds
        self._outside = np.zeros(len(counts.words), bool)
        if vocabulary is not None:
            known = set(vocabulary)
            self._outside[END_NUMBER + 1 :] = [word not in known for word in counts.words[END_NUMBER + 1 :]]
            if self._outside[END_NUMBER + 1 :].all():
                raise MeasurementError(
                    f"None of the {len(known)} words of the vocabulary is in the text; expected words as the text has "
                    "them. Is it in another case, or empty?"
                )
        self._is_word = np.ones(len(counts.words), bool)  # kept as a unigram
        self._numbers_of_counts = np.zeros((counts.order, 5), np.int64)  # n-grams with the adjusted counts 0 to 4

    def ngrams(self, source: str, *, discount_fallback: bool) -> Ngrams:
        """Return the model."""
        orders = self._kept()
        discounts = [
            _discounts(numbers, order, source, fallback=discount_fallback)
            for order, numbers in enumerate(self._numbers_of_counts, 1)
        ]
        contexts = self._contexts(orders, orders)
        removed = self._removed(orders)
        gammas: list[Doubles] = []
        probabilities: list[Doubles] = []
        for kept, context, mass, discount in zip(orders, contexts, removed, discounts, strict=True):
            discounted = discount[kept.adjusted.clip(max=3)]
            total = mass + np.bincount(context, kept.adjusted, len(mass))
            with np.errstate(invalid="ignore"):  # 0 / 0, where nothing continues an n-gram
                gamma = (mass + np.bincount(context, discounted, len(mass))) / total
            if probabilities:
                shorter = probabilities[-1][kept.parents]
                found = (kept.adjusted - discounted) / total[context] + gamma[context] * shorter
            else:
                uniform = gamma[0] / (self._is_word.sum() - 1)
                found = np.where(self._is_word, (kept.adjusted - discounted) / total[0] + uniform, 1.0)
                found[BEGIN_NUMBER] = 1.0  # never asked for; as in KenLM
            gammas.append(np.where(np.bincount(context, minlength=len(mass)) > 0, gamma, 1.0))
            probabilities.append(found)
        return self._tables(orders, probabilities, [*gammas[1:], np.ones(len(orders[-1].first))])

    def _masks(self, found: Sequence[Level]) -> list[NDArray[np.bool_]]:
        """Mark the n-grams that are kept."""
        masks: list[NDArray[np.bool_]] = []
        for level, threshold in zip(found, self._thresholds, strict=True):
            keep = (level.counts > threshold) & ~self._outside[level.first]
            masks.append(keep & masks[-1][level.parents] if masks else keep | (level.first == END_NUMBER))
        return masks

    def _kept(self) -> list[_Kept]:
        """Return the kept n-grams of each order, and count those of each adjusted count."""
        num_words = len(self._counts.words)
        unigrams = np.zeros(num_words, np.int64)
        longer: list[list[_Kept]] = [[] for _ in range(self._counts.order - 1)]
        sizes = [0] * len(longer)
        for run in self._counts.parts():
            found = levels(run)
            masks = self._masks(found)
            self._numbers_of_counts += [np.bincount(level.adjusted.clip(max=5), minlength=6)[:5] for level in found]
            self._is_word[found[0].first] = masks[0]
            unigrams[found[0].first] = np.where(masks[0], found[0].adjusted, 0)
            position = found[0].first.astype(np.int64)
            for index, (level, keep) in enumerate(zip(found[1:], masks[1:], strict=True)):
                kept = _Kept(level.first[keep], position[level.parents[keep]], level.adjusted[keep])
                longer[index].append(kept)
                position = sizes[index] + np.cumsum(keep) - 1
                sizes[index] += len(kept.first)
        words = np.arange(num_words, dtype=np.int32)
        return [_Kept(words, np.zeros(num_words, np.int64), unigrams), *map(_joined, longer)]

    def _keys(self, parents: Counts, first: Words) -> Counts:
        return parents * len(self._counts.words) + first

    def _contexts(self, orders: Sequence[_Kept | Level], kept: Sequence[_Kept]) -> list[Counts]:
        """Return the index of each n-gram without its last word among the kept ones of the order before, or -1.

        Without its first word, such a context is the context of the n-gram without its first word.
        """
        contexts = [np.zeros(len(orders[0].first), np.int64)]
        for order, level in enumerate(orders[1:], 1):
            if order == 1:
                contexts.append(level.first.astype(np.int64))
                continue
            keys = self._keys(kept[order - 1].parents, kept[order - 1].first)
            outer = contexts[-1][level.parents]
            wanted = self._keys(outer, level.first)
            found = np.searchsorted(keys, wanted).clip(max=max(len(keys) - 1, 0))
            known = (outer >= 0) & (keys[found] == wanted) if len(keys) else np.zeros(len(wanted), bool)
            contexts.append(np.where(known, found, -1))
        return contexts

    def _removed(self, orders: Sequence[_Kept]) -> list[Doubles]:
        """Return for each context, by order of the n-grams after it, the adjusted counts of those that are removed."""
        removed = [np.zeros(1), *(np.zeros(len(kept.first)) for kept in orders[:-1])]
        if not self._thresholds[-1] and not self._outside.any():
            return removed
        for run in self._counts.parts():
            found = levels(run)
            for index, (level, keep, context) in enumerate(
                zip(found, self._masks(found), self._contexts(found, orders), strict=True)
            ):
                lost = ~keep & (context >= 0)
                removed[index] += np.bincount(context[lost], level.adjusted[lost], len(removed[index]))
        return removed

    def _tables(
        self, orders: Sequence[_Kept], probabilities: Sequence[Doubles], back_offs: Sequence[Doubles]
    ) -> Ngrams:
        numbers = np.cumsum(self._is_word, dtype=np.int32) - np.int32(1)
        tables = []
        words = np.zeros((0, 1), np.int32)  # (order, n), from the first word on
        for kept, probability, back_off in zip(orders, probabilities, back_offs, strict=True):
            words = np.concatenate([kept.first[None], words[:, kept.parents]])
            listed = self._is_word if len(words) == 1 else slice(None)
            tables.append(
                NgramTable(
                    numbers[words[:, listed]].T,
                    np.minimum(np.log(probability[listed]), 0).astype(np.float32),
                    np.log(back_off[listed]).astype(np.float32),
                )
            )
        return Ngrams([self._counts.words[number] for number in np.flatnonzero(self._is_word)], tables)


def _joined(parts: Sequence[_Kept]) -> _Kept:
    return _Kept(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.parents for part in parts]),
        np.concatenate([part.adjusted for part in parts]),
    )


def _discounts(numbers: Counts, order: int, source: str, *, fallback: bool) -> Doubles:
    """Return the discounts of the counts 0, 1, 2 and 3 or more, from the numbers of n-grams with the counts 0 to 4."""
    if numbers[1:].all():
        share = numbers[1] / (numbers[1] + 2 * numbers[2])
        found = np.array([0.0, *(j - (j + 1) * share * numbers[j + 1] / numbers[j] for j in (1, 2, 3))])
        if ((found >= 0) & (found <= range(4))).all():
            return found
    if fallback:
        return np.array([0.0, *FALLBACK])
    raise MeasurementError(
        f"{source} is too small or too regular for the discounts of {order}-grams: of the adjusted counts 1, 2, 3 and "
        f"4 there are {', '.join(map(str, numbers[1:]))} n-grams. Give more text, remove repeated lines, take a lower "
        "order, or allow fixed discounts (--discount-fallback), as for models of characters."
    )
