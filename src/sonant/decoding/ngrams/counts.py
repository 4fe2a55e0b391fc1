"""Counts of the n-grams of a text, in bounded memory: sorted runs on disk, merged by ranges of their last word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.ngrams.tables import BEGIN, END, UNKNOWN
from sonant.errors import MeasurementError

Words = NDArray[np.int32]
Counts = NDArray[np.int64]
UNKNOWN_NUMBER, BEGIN_NUMBER, END_NUMBER = range(3)
PADDING = UNKNOWN_NUMBER  # to the left of <s>; <unk> does not occur in texts
BLOCK_TOKENS = 4_000_000  # counted in memory; a run, of about 40 bytes an n-gram of order 4 while it is sorted
PART_ROWS = 4_000_000  # n-grams of all runs that are merged at once


class SortedNgrams(NamedTuple):
    """Distinct n-grams with their counts, sorted from their last word to their first.

    Attributes:
        words: int32 (order, n); row 0 has the last words, row 1 the words before.
        counts: int64 (n,).
    """

    words: Words
    counts: Counts


class Level(NamedTuple):
    """The n-grams of one order k in a run of longer ones.

    Attributes:
        first: int32 (n,), the first word.
        parents: int64 (n,), index of the n-gram without its first word in the level of order k - 1.
        adjusted: int64 (n,), the number of distinct words before the n-gram; its count for the longest n-grams, and
            for those that begin with `<s>`.
        counts: int64 (n,), occurrences in the text.
    """

    first: Words
    parents: Counts
    adjusted: Counts
    counts: Counts


@dataclass(frozen=True, eq=False)
class NgramCounts:
    """The n-grams of a text.

    Attributes:
        words: by number; the first ones are `<unk>`, `<s>` and `</s>`.
        num_tokens: words of the text, without the special ones.
        num_sentences: lines that are not empty.
    """

    order: int
    words: list[str]
    num_tokens: int
    num_sentences: int
    runs: list[SortedNgrams]

    def parts(self) -> Iterator[SortedNgrams]:
        """Yield all n-grams with their total counts, in order; those with the same last word are in one part."""
        if len(self.runs) == 1:
            yield self.runs[0]
            return
        rows = np.sum([np.bincount(run.words[0], minlength=len(self.words)) for run in self.runs], axis=0)
        groups = np.cumsum(rows) // PART_ROWS
        cuts = np.append(np.flatnonzero(np.diff(groups, prepend=-1)), len(self.words))
        for low, high in pairwise(cuts):
            spans = [slice(*np.searchsorted(run.words[0], [low, high])) for run in self.runs]
            pieces = list(zip(self.runs, spans, strict=True))
            words = np.concatenate([run.words[:, span] for run, span in pieces], axis=1)
            if words.size:
                yield sorted_run(words, np.concatenate([run.counts[span] for run, span in pieces]))


def count_ngrams(
    lines: Iterable[str], order: int, folder: Path, *, block_tokens: int = BLOCK_TOKENS, source: str = "The text"
) -> NgramCounts:
    """Count the n-grams of sentences, one a line, words separated by white space.

    A sentence begins with `<s>`, which is in no n-gram but the first ones, and ends with `</s>`. Empty lines are not
    counted.

    Args:
        order: length of the n-grams.
        folder: for the runs of a text that is longer than a block.

    Raises MeasurementError: a special word in the text, or no words at all.
    """
    numbers: defaultdict[str, int] = defaultdict(lambda: len(numbers), {UNKNOWN: 0, BEGIN: 1, END: 2})
    before = [PADDING] * (order - 2) + [BEGIN_NUMBER] * (order > 1)
    ids: list[int] = []
    runs: list[SortedNgrams] = []
    num_tokens = num_sentences = 0
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words:
            continue
        sentence = [numbers[word] for word in words]
        if min(sentence) <= END_NUMBER:
            name = words[sentence.index(min(sentence))]
            raise MeasurementError(
                f"{source} has the word {name!r} in line {number}; expected text without {UNKNOWN}, {BEGIN} and {END}, "
                f"which the model adds itself. Remove or rename it."
            )
        ids += before
        ids += sentence
        ids.append(END_NUMBER)
        num_tokens += len(words)
        num_sentences += 1
        if len(ids) >= block_tokens:
            runs.append(_saved(_counted(ids, order), folder, len(runs)))
            ids = []
    if ids:
        run = _counted(ids, order)
        runs.append(_saved(run, folder, len(runs)) if runs else run)
    if not runs:
        raise MeasurementError(f"{source} has no words; expected sentences, one a line.")
    return NgramCounts(order, list(numbers), num_tokens, num_sentences, runs)


def _counted(ids: list[int], order: int) -> SortedNgrams:
    text = np.array(ids, np.int32)
    ends = np.flatnonzero(text >= END_NUMBER)
    return sorted_run(np.stack([text[ends - back] for back in range(order)]), np.ones(len(ends), np.int64))


def _saved(run: SortedNgrams, folder: Path, number: int) -> SortedNgrams:
    """Write a run, and open it as memory maps."""
    opened = []
    for name, array in run._asdict().items():
        path = folder / f"{number}.{name}.npy"
        np.save(path, array)
        opened.append(np.load(path, mmap_mode="r"))
    return SortedNgrams(*opened)


def sorted_run(words: Words, counts: Counts) -> SortedNgrams:
    """Sort n-grams (order, n) from their last word, row 0, to their first, and add the counts of equal ones."""
    bits = max(int(words.max()).bit_length(), 1)
    keys, used = words[0].astype(np.int64), bits
    for row in words[1:]:
        if used + bits > 63:
            keys = _ranks(keys)
            used = int(keys.max()).bit_length()
        keys = keys << bits | row
        used += bits
    order = np.argsort(keys)
    starts = np.flatnonzero(_changes(keys[order]))
    return SortedNgrams(words[:, order[starts]], np.add.reduceat(counts[order], starts))


def _ranks(keys: Counts) -> Counts:
    """Replace keys by their ranks among the distinct ones."""
    order = np.argsort(keys)
    ranks = np.empty_like(keys)
    ranks[order] = np.cumsum(_changes(keys[order])) - 1
    return ranks


def _changes(values: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Mark the values that differ from the one before, and the first."""
    changes = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=changes[1:])
    return changes


def levels(run: SortedNgrams) -> list[Level]:
    """Return the n-grams of each order that end those of a run, in the same sequence."""
    found: list[Level] = []
    new = np.zeros(run.words.shape[1], np.bool_)
    starts: list[Counts] = []  # of each order's groups
    for row in run.words:
        new |= _changes(row)
        starts.append(np.flatnonzero(new))
    position = np.zeros(1, np.int64)  # of each group of the order before among those that are n-grams
    for index, start in enumerate(starts):
        first = run.words[index, start]
        is_ngram = first != PADDING
        counts = np.add.reduceat(run.counts, start)
        if index + 1 < len(starts):
            inner = np.searchsorted(starts[index + 1], start)
            extensions = np.diff(np.append(inner, len(starts[index + 1])))
            adjusted = np.where(first == BEGIN_NUMBER, counts, extensions)
        else:
            adjusted = counts
        outer = np.searchsorted(starts[index - 1], start, side="right") - 1 if index else np.zeros(len(start), int)
        found.append(Level(first[is_ngram], position[outer][is_ngram], adjusted[is_ngram], counts[is_ngram]))
        position = np.cumsum(is_ngram) - 1
    return found
