"""Lexicons: the words that a decoder may write, and the units that spell them; as tensors, a trie of units."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sonant.data.lexicons import read_lexicon_lines
from sonant.decoding.prefix_beam.units import SearchUnits
from sonant.errors import ConfigurationError, some_of

Array = NDArray[np.int64]
DENSE_ENTRIES = 1 << 27  # of a table (nodes, units); a larger trie is searched in a sorted list of its edges
NONE = -1


@dataclass(frozen=True)
class Lexicon:
    """Words and their spellings.

    Attributes:
        words: a word for each spelling; a word with several spellings is there several times.
        spellings: the units of each, as in the CTC vocabulary; None: the characters of the word itself.
        name: of the file that it was read from, for messages.
    """

    words: tuple[str, ...]
    spellings: tuple[tuple[str, ...] | None, ...]
    name: str = "lexicon"

    def __post_init__(self) -> None:
        if not self.words:
            raise ConfigurationError(f"The {self.name} has no words; expected at least one that may be written.")

    @classmethod
    def of(cls, words: Iterable[str]) -> Lexicon:
        """Return a lexicon of words that are spelled as they are written."""
        distinct = tuple(dict.fromkeys(words))
        return cls(distinct, (None,) * len(distinct))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Lexicon:
        """Read a file, of which `sonant.data.lexicons.read_lexicon_lines` tells the format.

        Raises ConfigurationError: it cannot be read, or has no words.
        """
        entries = dict.fromkeys((line.word, line.units or None) for line in read_lexicon_lines(path))
        name = f"lexicon {os.fspath(path)}"
        return cls(tuple(word for word, _ in entries), tuple(units for _, units in entries), name)

    def spelled(self, units: SearchUnits) -> list[list[int]]:
        """Return the numbers of the units of each spelling, without delimiters at its ends.

        Raises ConfigurationError: units that are not in the vocabulary; words that cannot be spelled.
        """
        found = [
            units.spell(word) if spelling is None else units.numbers(spelling)
            for word, spelling in zip(self.words, self.spellings, strict=True)
        ]
        wrong = [word for word, numbers in zip(self.words, found, strict=True) if not numbers]
        if wrong:
            raise ConfigurationError(self._unspelled(wrong, units))
        return [numbers for numbers in found if numbers]

    def _unspelled(self, wrong: Sequence[str], units: SearchUnits) -> str:
        spelling = dict(zip(self.words, self.spellings, strict=True))
        foreign: dict[str, int] = {}
        for word in wrong:
            for unit in dict.fromkeys(spelling[word] or word):
                if not units.numbers([unit]):
                    foreign[unit] = foreign.get(unit, 0) + 1
        often = [f"{unit!r} ({foreign[unit]})" for unit in sorted(foreign, key=lambda unit: -foreign[unit])]
        known = [units.vocabulary.tokens[token] for token in units.tokens.tolist() if token != units.vocabulary.blank]
        return (
            f"{len(wrong)} of {len(self.words)} words of the {self.name} cannot be spelled in the CTC vocabulary: "
            f"{some_of([repr(word) for word in wrong], 5)}. Units that it does not have, with the number of such "
            f"words: {some_of(often, 10) or 'none; the spelling is empty'}. "
            f"It has {some_of([repr(name) for name in known], 40)}. Remove these words, or spell each behind a tab "
            "with units of the vocabulary, such as 'WORD<TAB>W O R D |'."
        )


class Trie:
    """The spellings of words as a tree of units, in tensors. Node 0 is the root.

    Attributes:
        nodes: number of nodes.
        most: largest number of words with one spelling.
        counts, firsts: int64 (nodes,): the words that end at a node are words[firsts[node] : firsts[node] +
            counts[node]].
        words: int64: numbers of words, ordered by node.
        roots: bool (units,): the units by which a word begins.
    """

    def __init__(self, spellings: Sequence[Sequence[int]], words: Sequence[int], units: int) -> None:
        lengths = np.array([len(spelling) for spelling in spellings])
        longest = int(lengths.max())
        table = np.full((len(spellings), longest), NONE, np.int64)
        table[np.arange(longest) < lengths[:, None]] = np.concatenate([np.asarray(one) for one in spellings])
        node = np.zeros(len(spellings), np.int64)
        edges: list[Array] = []
        self.levels: list[tuple[Array, Array]] = []  # nodes of each depth with their parents
        self.nodes = 1
        for depth in range(longest):
            active = lengths > depth
            keys, inverse = np.unique(node[active] * units + table[active, depth], return_inverse=True)
            edges.append(keys)
            self.levels.append((self.nodes + np.arange(len(keys)), keys // units))
            node[active] = self.nodes + inverse
            self.nodes += len(keys)
        self._units = units
        self._keys = np.concatenate(edges)  # ascending, since the nodes of a level follow those of the one before
        order = np.argsort(node, kind="stable")
        counts = np.bincount(node, minlength=self.nodes)
        self.most = int(counts.max())
        self.ends = node
        self.counts = torch.from_numpy(counts)
        self.firsts = torch.from_numpy(counts.cumsum() - counts)
        self.words = torch.from_numpy(np.asarray(words, np.int64)[order])
        self.roots = torch.zeros(units, dtype=torch.bool)
        self.roots[torch.from_numpy(self._keys[self._keys < units])] = True
        if self.nodes * units <= DENSE_ENTRIES:
            dense = np.full(self.nodes * units, NONE, np.int32)
            dense[self._keys] = np.arange(1, self.nodes)
            self.table: Tensor | None = torch.from_numpy(dense)
        else:
            self.table = None
        self.keys = torch.from_numpy(self._keys)

    def to(self, device: torch.device) -> Trie:
        """Move the tensors to a device."""
        for name in ("counts", "firsts", "words", "roots", "table", "keys"):
            tensor = getattr(self, name)
            setattr(self, name, None if tensor is None else tensor.to(device))
        return self

    def children(self, nodes: Tensor, units: Tensor) -> Tensor:
        """Return the child of each node by each unit, or -1; shapes are broadcast."""
        keys = nodes * self._units + units
        if self.table is not None:
            return self.table[keys].long()
        place = torch.searchsorted(self.keys, keys).clamp(max=len(self.keys) - 1)
        return torch.where(self.keys[place] == keys, place + 1, NONE)

    def has(self, spelling: Sequence[int]) -> bool:
        """Return whether a word has this spelling."""
        node = torch.zeros((), dtype=torch.long, device=self.roots.device)
        for unit in spelling:
            node = self.children(node, torch.tensor(unit, device=node.device))
            if node < 0:
                return False
        return bool(self.counts[node] > 0)

    def word(self, nodes: Tensor, choice: Tensor) -> Tensor:
        """Return the number of the word of that choice at each node, or -1; shapes are broadcast."""
        place = (self.firsts[nodes] + choice).clamp(max=len(self.words) - 1)
        return torch.where(choice < self.counts[nodes], self.words[place], NONE)

    def best_below(self, scores: NDArray[np.float32]) -> Tensor:
        """Return the largest score of the words at or below each node, float32 (nodes,); a score for each spelling."""
        best = np.full(self.nodes, -np.inf, np.float32)
        np.maximum.at(best, self.ends, scores)
        for nodes, parents in reversed(self.levels):
            np.maximum.at(best, parents, best[nodes])
        return torch.from_numpy(best)
