"""KenLM's binary files that store a trie.

Behind the header come hashes of words and the trie. It goes from the last word of an n-gram to its first. Its unigrams
are records of probability, back-off weight and index of the first bigram below; the n-grams of each longer order are
packed without gaps, from the lowest bit on: the word in front, probability, back-off weight, and index of the first
n-gram below. With quantization the values are numbers of a table; with compressed pointers the high bits of the index
are in an array of the first n-grams that have them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.ngrams.kenlm_file import KenlmFile, natural
from sonant.decoding.ngrams.tables import Ngrams, NgramTable

TRIE, QUANTIZED, COMPRESSED, QUANTIZED_COMPRESSED = range(2, 6)
KINDS = dict.fromkeys((TRIE, QUANTIZED, COMPRESSED, QUANTIZED_COMPRESSED), 1)  # with the version of each
SIGN = np.uint32(1 << 31)
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]


def read_trie(file: KenlmFile) -> Ngrams:
    """Read the trie, from behind the header on. Raises ValueError: the file is damaged or cut short."""
    return _Trie(file).ngrams()


@dataclass(frozen=True)
class _Packed:
    """Records of bits without gaps, from a byte of the file on.

    Attributes:
        words: the file as a uint64 that begins at each byte.
        start: first byte.
        width: bits of a record.
    """

    words: NDArray[np.uint64]
    start: int
    width: int

    def field(self, count: int, offset: int, bits: int) -> NDArray[np.uint64]:
        """Return the bits from an offset on of the first `count` records."""
        at = np.arange(count, dtype=np.int64) * self.width + offset
        shifted = self.words[self.start + (at >> 3)] >> (at & 7).astype(np.uint64)
        return np.asarray(shifted & np.uint64((1 << bits) - 1))


class _Trie:
    """The parts of a file."""

    def __init__(self, file: KenlmFile) -> None:
        self._file, self._data, self._counts, self._at = file, file.data, file.counts, file.at
        self._words = np.ndarray((max(len(file.data) - 7, 0),), "<u8", file.data, strides=(1,))
        self._quantized = file.kind in {QUANTIZED, QUANTIZED_COMPRESSED}
        self._compressed = file.kind in {COMPRESSED, QUANTIZED_COMPRESSED}
        self._at += 8 + 8 * self._counts[0]  # hashes of words

    def ngrams(self) -> Ngrams:
        tables = self._tables() if self._quantized else []
        count = self._counts[0]
        unigrams = np.frombuffer(self._data, np.dtype("<f4,<f4,<u8"), count + 1, self._at)
        self._at += 16 * (count + 2)
        words = np.arange(count, dtype=np.int32)[None]  # (order, n), from the first word on
        found = [_table(words, unigrams["f0"][:count], unigrams["f1"][:count])]
        below = unigrams["f2"].astype(np.int64)
        for order, size in enumerate(self._counts[1:], 2):
            last = order == len(self._counts)
            bits = [len(each).bit_length() - 1 for each in tables[order - 2]] if tables else [31] if last else [31, 32]
            first, packed_probabilities, packed_back_offs, following = self._level(order, size, bits)
            if tables:
                probabilities = tables[order - 2][0][packed_probabilities]
                back_offs = np.zeros(size, np.float32) if last else tables[order - 2][1][packed_back_offs]
            else:
                probabilities = (packed_probabilities.astype(np.uint32) | SIGN).view(np.float32)
                back_offs = packed_back_offs.astype(np.uint32).view(np.float32)
            if below[-1] != size or (np.diff(below) < 0).any():
                raise ValueError(f"pointers to {order}-grams are out of order")
            parents = np.repeat(np.arange(len(below) - 1), np.diff(below))
            words = np.concatenate([first[None], words[:, parents]])
            found.append(_table(words, probabilities, back_offs))
            below = following
        self._file.at = self._at
        return Ngrams(self._file.words(count), found)

    def _tables(self) -> list[list[Floats]]:
        """Return the values of quantized probabilities and back-off weights of each order from 2 on."""
        bits = [int(self._data[self._at + 1]), int(self._data[self._at + 2])]
        self._at += 8
        tables: list[list[Floats]] = []
        for order in range(2, len(self._counts) + 1):
            tables.append([])
            for each in bits[: 1 if order == len(self._counts) else 2]:
                tables[-1].append(np.frombuffer(self._data, "<f4", 1 << each, self._at))
                self._at += 4 << each
        return tables

    def _level(
        self, order: int, size: int, bits: list[int]
    ) -> tuple[NDArray[np.int32], NDArray[np.uint64], NDArray[np.uint64], Longs]:
        """Return first words, probabilities and back-off weights as they are packed, and the indices of what is below.

        Args:
            bits: of a probability, and of a back-off weight where there is one; otherwise all weights are 0.
        """
        word_bits, last = self._counts[0].bit_length(), len(bits) == 1
        index_bits = 0 if last else self._counts[order].bit_length()
        highs = np.zeros(0, np.int64)
        if self._compressed and not last:
            index_bits, highs = self._high_bits(size + 1, self._counts[order])
        packed = _Packed(self._words, self._at, word_bits + sum(bits) + index_bits)
        self._at += ((1 + size) * packed.width + 7) // 8 + 8
        first = packed.field(size, 0, word_bits).astype(np.int32)
        # A quantized weight is in front of the probability, any other behind it.
        swapped = self._quantized and not last
        probabilities = packed.field(size, word_bits + (bits[1] if swapped else 0), bits[0])
        if last:
            return first, probabilities, np.zeros(size, np.uint64), np.zeros(1, np.int64)
        back_offs = packed.field(size, word_bits + (0 if swapped else bits[0]), bits[1])
        below = packed.field(size + 1, word_bits + sum(bits), index_bits).astype(np.int64)
        if len(highs):
            below |= (np.searchsorted(highs, np.arange(size + 1), side="right") - 1) << index_bits
        return first, probabilities, back_offs, below

    def _high_bits(self, count: int, largest: int) -> tuple[int, Longs]:
        """Return the low bits that stay in a record, and the first record of each value of the high bits."""
        most = int(self._data[self._at + 1])
        required = largest.bit_length()
        cost = [(largest >> (required - cut)) * 64 - count * cut for cut in range(min(required, most) + 1)]
        cut = cost.index(min(cost))
        start = -(-self._at // 8) * 8 + 8
        entries = (largest >> (required - cut)) + 1
        self._at += 8 * (1 + entries) + 7
        return required - cut, np.frombuffer(self._data, "<u8", entries, start).astype(np.int64)


def _table(words: NDArray[np.int32], probabilities: Floats, back_offs: Floats) -> NgramTable:
    """Convert logarithms to base 10 of n-grams (order, n)."""
    return NgramTable(words.T, natural(probabilities), natural(back_offs))
