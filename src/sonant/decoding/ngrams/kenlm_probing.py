"""KenLM's binary files of hash tables, which build_binary makes unless another kind is asked for.

Behind the header come a hash table of the words, unigrams, and a hash table of the n-grams of each longer order. A
table has the given number of buckets for each entry; empty ones have the key 0. The key of an n-gram is a hash of its
words. The sign of a probability, and that of a back-off weight 0, say whether a longer n-gram begins or ends so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sonant.decoding.ngrams.hashed import HashedNgramModel
from sonant.decoding.ngrams.kenlm_file import KenlmFile, natural
from sonant.decoding.ngrams.tables import BEGIN, END, word_number
from sonant.errors import UnsupportedCheckpoint

PROBING, REST_PROBING = 0, 1
KINDS = {PROBING: 0, REST_PROBING: 0}  # with the version of each
WEIGHTS = {PROBING: ",<f4,<f4", REST_PROBING: ",<f4,<f4,<f4"}  # probability, back-off weight, rest cost


def read_tables(file: KenlmFile) -> HashedNgramModel:
    """Read the hash tables, from behind the header on.

    Raises:
        UnsupportedCheckpoint: no `<s>` or `</s>`.
        ValueError: the file is damaged or cut short.
    """
    count = _vocabulary(file)
    weights = WEIGHTS[file.kind]
    unigrams = file.records(weights[1:], file.counts[0] + 1)[:count]
    found = [(np.arange(count), unigrams["f0"], unigrams["f1"])]
    for size in file.counts[1:-1]:
        table = _entries(file, "<u8" + weights, size)
        if len(table) < size:  # n-grams that are the ends of listed ones, but are not listed, are entries too
            raise ValueError(f"{len(table)} n-grams in a table of {size}")
        found.append((table["f0"].view(np.int64), table["f1"], table["f2"]))
    table = _entries(file, "<u8,<f4", file.counts[-1])
    if len(table) != file.counts[-1]:
        raise ValueError(f"{len(table)} n-grams in a table of {file.counts[-1]}")
    found.append((table["f0"].view(np.int64), table["f1"], np.zeros(0, np.float32)))
    return _model(file, file.words(count), found)


def _buckets(file: KenlmFile, entries: int) -> int:
    """Return the buckets of a table; KenLM multiplies in float32."""
    return max(entries + 1, int(np.float32(file.multiplier) * np.float32(entries)))


def _vocabulary(file: KenlmFile) -> int:
    """Read the hash table of the words; return how many there are, `<unk>` included, which may not be listed."""
    version, count = file.records("<u4,<u4", 1)[0].tolist()
    table = file.records("<u8,<u4", _buckets(file, file.counts[0]))
    numbers = np.sort(table["f1"][table["f0"] != 0])
    if version or count not in (file.counts[0], file.counts[0] + 1) or not np.array_equal(numbers, np.arange(1, count)):
        raise ValueError(f"{len(numbers)} words in a table of {file.counts[0]}, version {version}")
    return int(count)


def _entries(file: KenlmFile, record: str, size: int) -> NDArray[np.void]:
    """Read a table of n-grams; return its entries by ascending key, as int64. Raises ValueError: two of one key."""
    table = file.records(record, _buckets(file, size))
    table = table[np.flatnonzero(table["f0"])]
    keys = np.ascontiguousarray(table["f0"]).view(np.int64)
    order = np.argsort(keys)
    if (np.diff(keys[order]) == 0).any():
        raise ValueError("an n-gram is listed twice")
    return table[order]


def _model(file: KenlmFile, words: list[str], found: list[tuple[Any, Any, Any]]) -> HashedNgramModel:
    begin, end = (word_number(words, name) for name in (BEGIN, END))
    if begin is None or end is None:
        raise UnsupportedCheckpoint(
            f"{file.path} has no {BEGIN if begin is None else END} among its words; expected a language model of "
            f"sentences, which begin with {BEGIN} and end with {END}. Train it on text with one sentence a line."
        )
    keys, probabilities, back_offs = (np.concatenate(each) for each in zip(*found, strict=True))
    contexts = 1 + len(back_offs)
    first_words = np.zeros(contexts, np.int32)
    first_words[1 : len(words) + 1] = np.arange(len(words))
    return HashedNgramModel(
        words=words,
        unknown=0,
        begin=begin + 1,
        end=end,
        starts=tuple(np.cumsum([0, *(len(each[0]) for each in found)]).tolist()),
        hashes=torch.from_numpy(keys),
        log_probabilities=torch.from_numpy(-np.abs(natural(probabilities))),
        back_offs=torch.from_numpy(natural(np.append(np.float32(0), back_offs))),
        first_words=torch.from_numpy(first_words),
        back_off_contexts=torch.zeros(contexts, dtype=torch.int32),
    )
