"""LineFields of lines of text, split, hashed and converted to numbers by numpy, without a Python object for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
DIGITS = 18  # of an int64
_IS_SPACE = np.isin(np.arange(256), [ord(each) for each in " \t\r\n\v\f"])
_CODES = np.random.default_rng(0).integers(0, 1 << 64, 256, np.uint64)  # of bytes


@dataclass(frozen=True, eq=False)
class LineFields:
    """The fields of a block of lines, separated by white space. Lines without a field are not counted.

    Attributes:
        block, data: the lines, as bytes and as uint8.
        starts, ends: int64 (fields,), where each field is.
        first: int64 (lines,), number of each line's first field.
        counts: int64 (lines,), number of fields of each line.
    """

    block: bytes
    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    first: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, block: bytes) -> Self:
        """Split lines, of which at least one has a field."""
        data = np.frombuffer(block, np.uint8)
        is_space = _IS_SPACE[data]
        edges = np.flatnonzero(np.diff(is_space, prepend=True, append=True))
        starts, ends = edges[::2], edges[1::2]
        line_ends = np.flatnonzero(data == ord("\n"))
        before = np.searchsorted(starts, line_ends)  # fields that begin before the end of each line
        bounds = np.unique(np.concatenate([[0], before, [len(starts)]]))
        return cls(block, data, starts, ends, bounds[:-1], np.diff(bounds))

    def text(self, field: int) -> str:
        """Return one field."""
        return self.block[self.starts[field] : self.ends[field]].decode(errors="replace")

    def hashes(self, fields: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return hashes of fields: sum over its bytes of code * BASE**position, modulo 2**64."""
        powers, inverses = _powers(1 << max(len(self.data) - 1, 1).bit_length())
        sums = np.zeros(len(self.data) + 1, np.uint64)
        np.cumsum(_CODES[self.data] * powers[: len(self.data)], out=sums[1:])
        starts = self.starts[fields]
        return np.asarray((sums[self.ends[fields]] - sums[starts]) * inverses[starts])


@lru_cache(maxsize=2)
def _powers(count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the powers of BASE and of its inverse."""
    both = []
    for base in (BASE, pow(BASE, -1, 1 << 64)):
        powers = np.full(count, base, np.uint64)
        powers[0] = 1
        both.append(np.cumprod(powers))
    return both[0], both[1]


class WordTable:
    """A hash table with linear probing from hashes of words to their numbers.

    Attributes:
        twice: number of a word whose hash is that of an earlier one; None: all differ.
    """

    def __init__(self, hashes: NDArray[np.uint64]) -> None:
        self._hashes = hashes
        bits = max(4 * len(hashes), 2).bit_length()
        self._shift, self._mask = np.uint64(64 - bits), (1 << bits) - 1
        self._slots = np.full(1 << bits, -1, np.int32)
        order = np.argsort(hashes, kind="stable")
        equal = np.flatnonzero(hashes[order][1:] == hashes[order][:-1])
        self.twice = int(order[equal[0] + 1]) if len(equal) else None
        if self.twice is None:
            self._insert()

    def _insert(self) -> None:
        pending = np.arange(len(self._hashes), dtype=np.int32)
        slots = self._first_slots(self._hashes)
        while len(pending):
            free = self._slots[slots] < 0
            self._slots[slots[free]] = pending[free]  # the last of several stays
            left = self._slots[slots] != pending
            pending, slots = pending[left], (slots[left] + 1) & self._mask

    def _first_slots(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        return (hashes >> self._shift).astype(np.int64)

    def find(self, hashes: NDArray[np.uint64]) -> NDArray[np.int32]:
        """Return the number of each word, -1 for an unknown one."""
        flat = hashes.ravel()
        slots = self._first_slots(flat)
        numbers = self._slots[slots]
        wrong = np.flatnonzero((numbers >= 0) & (self._hashes[numbers] != flat))
        while len(wrong):
            slots[wrong] = (slots[wrong] + 1) & self._mask
            numbers[wrong] = self._slots[slots[wrong]]
            wrong = wrong[(numbers[wrong] >= 0) & (self._hashes[numbers[wrong]] != flat[wrong])]
        return numbers.reshape(hashes.shape)


def parse_numbers(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return decimal numbers; NaN for a field that is none."""
    lengths = ends - starts
    simple = lengths <= DIGITS
    digits, places = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
    negative, after_point = np.zeros(len(starts), bool), np.zeros(len(starts), bool)
    seen = np.zeros(len(starts), bool)
    for position in range(int(lengths[simple].max(initial=0))):
        inside = simple & (position < lengths)
        byte = data[np.where(inside, starts + position, 0)]
        is_digit = inside & (byte >= ord("0")) & (byte <= ord("9"))
        digits = np.where(is_digit, digits * 10 + (byte - ord("0")), digits)
        places += is_digit & after_point
        seen |= is_digit
        is_point = inside & (byte == ord(".")) & ~after_point
        after_point |= is_point
        is_sign = inside & (byte == ord("-")) & (position == 0)
        negative |= is_sign
        simple &= ~inside | is_digit | is_point | is_sign
    values = digits / 10.0**places
    values[negative] *= -1
    for row in np.flatnonzero(~simple | ~seen):
        try:
            values[row] = float(data[starts[row] : ends[row]].tobytes())
        except ValueError:
            values[row] = np.nan
    return values
