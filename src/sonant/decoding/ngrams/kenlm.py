"""KenLM's binary files of n-gram models, of the kinds that store a trie.

Layout, all little-endian: a header with test values, the kind of model and the numbers of n-grams; hashes of words; the
trie; the words, each ended by a zero byte. The trie goes from the last word of an n-gram to its first. Its unigrams are
records of probability, back-off weight and index of the first bigram below; the n-grams of each longer order are packed
without gaps, from the lowest bit on: the word in front, probability, back-off weight, and index of the first n-gram
below. With quantization the values are numbers of a table; with compressed pointers the high bits of the index are in
an array of the first n-grams that have them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sonant.decoding.ngrams.tables import LN10, UNKNOWN, Ngrams, NgramTable
from sonant.errors import CheckpointError, CorruptedCheckpoint, UnsupportedCheckpoint

MAGIC = b"mmap lm http://kheafield.com/code"
VERSION = MAGIC + b" format version 5\n\0\0"
TEST_VALUES = struct.pack("<3f3IQ", 0.0, 1.0, -0.5, 1, 0xFFFFFFFF, 0, 1)
PROBING, REST_PROBING, TRIE, QUANTIZED, COMPRESSED, QUANTIZED_COMPRESSED = range(6)
SIGN = np.uint32(1 << 31)
Longs = NDArray[np.int64]
Floats = NDArray[np.float32]


def read_kenlm(path: str | Path) -> Ngrams:
    """Read a binary file of KenLM.

    Raises:
        UnsupportedCheckpoint: another version, hash tables instead of a trie, or no words in the file.
        CorruptedCheckpoint: damaged, cut short or not finished.
    """
    path = Path(path)
    data = np.fromfile(path, np.uint8)
    try:
        return _Trie(path, data).ngrams()
    except CheckpointError:
        raise
    except (ValueError, IndexError, struct.error) as error:
        raise CorruptedCheckpoint(
            f"{path} does not hold what its header promises ({error}). It was probably cut short; build it again."
        ) from error


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

    def __init__(self, path: Path, data: NDArray[np.uint8]) -> None:
        self._path, self._data = path, data
        self._words = np.ndarray((max(len(data) - 7, 0),), "<u8", data, strides=(1,))
        head = data[:256].tobytes()
        size = -(-len(VERSION) // 8) * 8
        if head[: len(VERSION)] != VERSION or head[size : size + len(TEST_VALUES)] != TEST_VALUES:
            self._refuse_header(head)
        size += len(TEST_VALUES)
        order, _, kind, has_words, _ = struct.unpack_from("<B3xfIB3xI", head, size)
        if kind in {PROBING, REST_PROBING}:
            raise UnsupportedCheckpoint(
                f"{path} is a KenLM file of hash tables, which hold hashes in place of the words of n-grams. Give the "
                "ARPA file that it was built from, or build it as a trie: build_binary trie model.arpa model.binary."
            )
        if kind > QUANTIZED_COMPRESSED or not has_words:
            raise UnsupportedCheckpoint(
                f"{path} is a KenLM file of kind {kind} {'with' if has_words else 'without'} words; expected kinds up "
                f"to {QUANTIZED_COMPRESSED}, with words. Build it again by build_binary trie, or give the ARPA file."
            )
        self._quantized = kind in {QUANTIZED, QUANTIZED_COMPRESSED}
        self._compressed = kind in {COMPRESSED, QUANTIZED_COMPRESSED}
        self._counts = struct.unpack_from(f"<{order}Q", head, size + 20)
        if sum(self._counts) > 8 * len(data):
            raise ValueError(f"{sum(self._counts)} n-grams in {len(data)} bytes")
        self._at = -(-(size + 20 + 8 * order) // 8) * 8  # the next byte to be read
        self._at += 8 + 8 * self._counts[0]  # hashes of words

    def _refuse_header(self, head: bytes) -> None:
        if head.startswith(MAGIC + b" incomplete"):
            raise CorruptedCheckpoint(f"{self._path} was not finished by build_binary; build it again.")
        version = head[len(MAGIC) :].partition(b"\n")[0].decode(errors="replace").strip()
        raise UnsupportedCheckpoint(
            f"{self._path} is a KenLM file of {version!r}, or of a machine with another byte order; expected 'format "
            "version 5' of a 64-bit little-endian one. Give the ARPA file, or build it again."
        )

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
        names = self._data[self._at :].tobytes().decode().split("\0")[:-1]
        if len(names) != count or names[0] != UNKNOWN:
            raise ValueError(f"{len(names)} words instead of {count}")
        return Ngrams(names, found)

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
    natural = [(each.astype(np.float64) * LN10).astype(np.float32) for each in (probabilities, back_offs)]
    return NgramTable(words.T, natural[0], natural[1])
