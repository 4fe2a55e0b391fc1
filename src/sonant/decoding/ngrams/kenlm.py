"""KenLM's binary files of n-gram models, all little-endian.

A header has test values, the kind of model and the numbers of n-grams. What follows depends on the kind: a trie, in
`kenlm_trie.py`, or hash tables, in `kenlm_probing.py`. Words, each ended by a zero byte, are the rest of the file.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from sonant.decoding.ngrams.kenlm_file import KenlmFile
from sonant.decoding.ngrams.kenlm_probing import KINDS as HASHED_KINDS
from sonant.decoding.ngrams.kenlm_probing import read_tables
from sonant.decoding.ngrams.kenlm_trie import KINDS as TRIE_KINDS
from sonant.decoding.ngrams.kenlm_trie import read_trie
from sonant.decoding.ngrams.model import BackOffModel
from sonant.decoding.ngrams.tables import ngram_model
from sonant.errors import CheckpointError, CorruptedCheckpoint, UnsupportedCheckpoint

MAGIC = b"mmap lm http://kheafield.com/code"
VERSION = MAGIC + b" format version 5\n\0\0"
TEST_VALUES = struct.pack("<3f3IQ", 0.0, 1.0, -0.5, 1, 0xFFFFFFFF, 0, 1)


def read_kenlm(path: str | Path) -> BackOffModel:
    """Read a binary file of KenLM.

    Raises:
        UnsupportedCheckpoint: another version, or no words in the file.
        CorruptedCheckpoint: damaged, cut short or not finished.
    """
    path = Path(path)
    try:
        file = _open(path)
        return read_tables(file) if file.kind in HASHED_KINDS else ngram_model(*read_trie(file), source=str(path))
    except CheckpointError:
        raise
    except (ValueError, IndexError, struct.error) as error:
        raise CorruptedCheckpoint(
            f"{path} does not hold what its header promises ({error}). It was probably cut short; build it again."
        ) from error


def _open(path: Path) -> KenlmFile:
    """Read the header."""
    data = np.fromfile(path, np.uint8)
    head = data[: 1 << 12].tobytes()
    size = -(-len(VERSION) // 8) * 8
    if head[: len(VERSION)] != VERSION or head[size : size + len(TEST_VALUES)] != TEST_VALUES:
        _refuse(path, head)
    size += len(TEST_VALUES)
    order, multiplier, kind, has_words, version = struct.unpack_from("<B3xfIB3xI", head, size)
    versions = HASHED_KINDS | TRIE_KINDS
    if versions.get(kind) != version or not has_words:
        known = ", ".join(f"{kind} (version {version})" for kind, version in versions.items())
        raise UnsupportedCheckpoint(
            f"{path} is a KenLM file of kind {kind} (version {version}), {'with' if has_words else 'without'} words; "
            f"expected one with words, of the kinds {known}. Build it again by KenLM's build_binary, without -v, or "
            "give the ARPA file."
        )
    counts = struct.unpack_from(f"<{order}Q", head, size + 20)
    if order < 2 or sum(counts) > 8 * len(data):
        raise ValueError(f"{sum(counts)} n-grams of {order} orders in {len(data)} bytes")
    return KenlmFile(path, data, kind, counts, multiplier, at=-(-(size + 20 + 8 * order) // 8) * 8)


def _refuse(path: Path, head: bytes) -> None:
    if head.startswith(MAGIC + b" incomplete"):
        raise CorruptedCheckpoint(f"{path} was not finished by build_binary; build it again.")
    version = head[len(MAGIC) :].partition(b"\n")[0].decode(errors="replace").strip()
    raise UnsupportedCheckpoint(
        f"{path} is a KenLM file of {version!r}, or of a machine with another byte order; expected 'format "
        "version 5' of a 64-bit little-endian one. Give the ARPA file, or build it again."
    )
