"""Tables of n-grams, as files and trainers have them, and the model made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sonant.decoding.ngrams.model import NgramModel
from sonant.errors import CorruptedCheckpoint, UnsupportedCheckpoint

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
LN10 = float(np.log(10.0))
UNKNOWN_LOG10 = -100.0  # of <unk> in a model that does not have it, as in KenLM
Longs = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NgramTable:
    """The n-grams of one order k, in any sequence.

    Attributes:
        words: int32 (n, k).
        log_probabilities: float32 (n,), natural logarithms.
        back_offs: float32 (n,), natural logarithms; zero where there is none.
    """

    words: NDArray[np.int32]
    log_probabilities: NDArray[np.float32]
    back_offs: NDArray[np.float32]


class Ngrams(NamedTuple):
    """The n-grams of a model, as in a file.

    Attributes:
        words: by number.
        tables: from order 1 upwards; that of order 1 has every word once, in the sequence of their numbers.
    """

    words: Sequence[str]
    tables: Sequence[NgramTable]


def ngram_model(words: Sequence[str], tables: Iterable[NgramTable], *, source: str) -> NgramModel:
    """Make a model of n-grams.

    Args:
        words: by number; `<unk>` is added if it is not among them, with the log10 probability -100.
        tables: from order 1 upwards; that of order 1 has every word once, in the sequence of their numbers.
        source: name of the file, for messages.

    Raises:
        CorruptedCheckpoint: an n-gram is listed twice, or continues one that is not listed.
        UnsupportedCheckpoint: `<s>` or `</s>` is missing.
    """
    begin, end, unknown = (word_number(words, name) for name in (BEGIN, END, UNKNOWN))
    if begin is None or end is None:
        raise UnsupportedCheckpoint(
            f"{source} has no {BEGIN if begin is None else END} among its words; expected a language model of "
            f"sentences, which begin with {BEGIN} and end with {END}. Train it on text with one sentence a line."
        )
    if unknown is None:
        words, unknown = [*words, UNKNOWN], len(words)
    builder = _Builder(words, source)
    for table in tables:
        if not len(table.words):  # pruned away, and all longer ones
            break
        builder.add(table)
    builder.number_contexts(np.zeros(len(builder.keys[-1]), bool))
    return NgramModel(
        words=words,
        unknown=unknown,
        begin=int(builder.arc_contexts[0][begin]),
        end=end,
        order=len(builder.keys),
        arc_keys=_joined(builder.keys),
        arc_log_probabilities=_joined(builder.log_probabilities),
        arc_contexts=_joined(builder.arc_contexts),
        back_offs=_joined(builder.back_offs),
        back_off_contexts=_joined(builder.back_off_contexts),
    )


def word_number(words: Sequence[str], name: str) -> int | None:
    """Return the number of a special word, in lower case or else in upper case."""
    found = (words.index(each) for each in (name, name.upper()) if each in words)
    return next(found, None)


def _joined(parts: list[NDArray[Any]]) -> torch.Tensor:
    """Concatenate the arrays of all orders, and free them."""
    joined = torch.from_numpy(np.concatenate(parts))
    parts.clear()
    return joined


class _Builder:
    """The arrays of `NgramModel` by order: index 0 of a list is of the unigrams, or of the empty context.

    Which n-grams are contexts is known when the next order is added: until then those of the newest order have no
    numbers, and its `arc_contexts` are the longest contexts among the proper suffixes of each n-gram.
    """

    def __init__(self, words: Sequence[str], source: str) -> None:
        self._words, self._source = words, source
        self.keys: list[Longs] = []
        self.log_probabilities: list[NDArray[np.float32]] = []
        self.arc_contexts: list[NDArray[np.int32]] = []
        self.back_offs = [np.zeros(1, np.float32)]
        self.back_off_contexts = [np.zeros(1, np.int32)]
        self._first = [0, 1]  # number of the first context of each length
        self._newest_back_offs = np.zeros(0, np.float32)

    def add(self, table: NgramTable) -> None:
        """Add the n-grams of the next order."""
        if not self.keys:
            self._append(*self._unigrams(table))
            return
        prefixes = self._prefixes(table.words)
        continued = np.zeros(len(self.keys[-1]), bool)
        continued[prefixes] = True
        self.number_contexts(continued)
        keys = self._keys(self.arc_contexts[-1][prefixes], table.words[:, -1])
        rows = np.argsort(keys)
        keys = keys[rows]
        if len(twice := np.flatnonzero(keys[1:] == keys[:-1])):
            raise CorruptedCheckpoint(
                f"{self._source} lists the n-gram {self._text(table.words[rows[twice[0]]])} twice; expected every "
                "n-gram once."
            )
        self._append(keys, table.log_probabilities[rows], table.back_offs[rows], self._suffixes(keys))

    def number_contexts(self, continued: NDArray[np.bool_]) -> None:
        """Give numbers to the contexts of the newest order: n-grams that are continued, or have a back-off weight."""
        is_context = continued | (self._newest_back_offs != 0)
        self.back_offs.append(self._newest_back_offs[is_context])
        self.back_off_contexts.append(self.arc_contexts[-1][is_context])
        first = self._first[-1]
        count = len(self.back_offs[-1])
        self._first.append(first + count)
        self.arc_contexts[-1][is_context] = np.arange(first, first + count, dtype=np.int32)

    def _append(
        self,
        keys: Longs,
        log_probabilities: NDArray[np.float32],
        back_offs: NDArray[np.float32],
        suffixes: NDArray[np.int32],
    ) -> None:
        self.keys.append(keys)
        self.log_probabilities.append(log_probabilities)
        self.arc_contexts.append(suffixes)
        self._newest_back_offs = back_offs

    def _unigrams(self, table: NgramTable) -> tuple[Longs, NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
        count = len(self._words)
        added = count - len(table.words)  # <unk>
        log_probabilities = np.append(table.log_probabilities, np.full(added, UNKNOWN_LOG10 * LN10, np.float32))
        back_offs = np.append(table.back_offs, np.zeros(added, np.float32))
        return np.arange(count), log_probabilities, back_offs, np.zeros(count, np.int32)

    def _keys(self, contexts: NDArray[np.int32], words: NDArray[np.int32]) -> Longs:
        return contexts * np.int64(len(self._words)) + words

    def _prefixes(self, words: NDArray[np.int32]) -> Longs:
        """Return the indices of n-grams without their last word among those of the newest order."""
        found = words[:, 0].astype(np.int64)
        for length in range(1, words.shape[1] - 1):
            keys = self._keys(self.arc_contexts[length - 1][found], words[:, length])
            found = np.searchsorted(self.keys[length], keys).clip(max=len(self.keys[length]) - 1)
            if not (known := self.keys[length][found] == keys).all():
                row = words[np.argmin(known)]
                raise CorruptedCheckpoint(
                    f"{self._source} lists the n-gram {self._text(row)}, but not {self._text(row[: length + 1])}, "
                    "with which it begins; expected every beginning of an n-gram to be listed."
                )
        return found

    def _suffixes(self, keys: Longs) -> NDArray[np.int32]:
        """Return the longest context among the proper suffixes of n-grams of the next order, given by their keys."""
        shorter = np.concatenate(self.back_off_contexts)
        contexts, words = np.divmod(keys, len(self._words))
        contexts = shorter[contexts]
        found = np.zeros(len(keys), np.int32)
        pending = np.arange(len(keys))
        for length in reversed(range(len(self.keys))):
            now = contexts[pending] >= self._first[length]
            rows = pending[now]
            wanted = self._keys(contexts[rows], words[rows])
            arcs = np.searchsorted(self.keys[length], wanted).clip(max=len(self.keys[length]) - 1)
            known = self.keys[length][arcs] == wanted
            found[rows[known]] = self.arc_contexts[length][arcs[known]]
            rows = rows[~known]
            contexts[rows] = shorter[contexts[rows]]
            pending = np.concatenate([pending[~now], rows])
        return found

    def _text(self, numbers: NDArray[np.int32]) -> str:
        return repr(" ".join(self._words[number] for number in numbers))
