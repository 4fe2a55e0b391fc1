"""ARPA files of n-gram models."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sonant.decoding.ngram import NgramModel
from sonant.decoding.ngram_tables import LN10, NgramTable, ngram_model


def read_arpa(path: str | Path) -> NgramModel:
    """Read an ARPA file, plain or compressed by gzip."""
    path = Path(path)
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        sections = _sections(file)
        unigrams = next(sections)
        words = [ngram[0] for _, ngram, _ in unigrams]
        numbers = {word: number for number, word in enumerate(words)}

        def tables() -> Iterator[NgramTable]:
            yield _table(unigrams, numbers)
            for section in sections:
                yield _table(section, numbers)

        return ngram_model(words, tables(), source=str(path))


def _table(section: list[tuple[float, list[str], float]], numbers: dict[str, int]) -> NgramTable:
    words = np.array([[numbers[word] for word in ngram] for _, ngram, _ in section], np.int32)
    values = np.array([(probability, back_off) for probability, _, back_off in section]) * LN10
    return NgramTable(words, values[:, 0].astype(np.float32), values[:, 1].astype(np.float32))


def _sections(file: Any) -> Iterator[list[tuple[float, list[str], float]]]:
    order, section = 0, list[tuple[float, list[str], float]]()
    for line in map(str.strip, file):
        if line.endswith("-grams:") or line == "\\end\\":
            if order:
                yield section
            order, section = order + 1, []
        elif line and order:
            fields = line.split()
            back_off = float(fields[order + 1]) if len(fields) > order + 1 else 0.0
            section.append((float(fields[0]), fields[1 : order + 1], back_off))
