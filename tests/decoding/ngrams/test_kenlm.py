"""Tests of reading KenLM's binary files.

Those in kenlm/ were made by KenLM's build_binary of tiny.arpa, a model of random sentences by `sonant lm train`:
`trie`, `-a 8 trie`, `-q 4 -b 3 trie`, `-a 8 -q 4 -b 3 trie` and `probing`. The expected logarithms are what its query
prints for the sentence.
"""

import math
import shutil
from pathlib import Path

import pytest

from sonant.decoding.ngrams.files import load_ngram_model
from sonant.decoding.perplexity import score_sentences
from sonant.errors import CorruptedCheckpoint, UnsupportedCheckpoint

FILES = Path(__file__).parent / "kenlm"
SENTENCE = "the cat sat on a dog and zebra ran to the mat"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiny.arpa", -14.757008),
        ("trie.binary", -14.757008),
        ("trie_compressed.binary", -14.757008),
        ("trie_quantized.binary", -14.749344),
        ("trie_quantized_compressed.binary", -14.749344),
    ],
)
def test_scores_are_those_of_kenlm(name: str, expected: float) -> None:
    (score,) = score_sentences(load_ngram_model(FILES / name), [SENTENCE])
    assert score.log_probability / math.log(10) == pytest.approx(expected, abs=2e-5)


def test_a_trie_has_the_ngrams_of_the_arpa_file() -> None:
    model, arpa = load_ngram_model(FILES / "trie_compressed.binary"), load_ngram_model(FILES / "tiny.arpa")
    assert len(model.arc_keys) == len(arpa.arc_keys)
    sentences = [" ".join(words) for words in zip(arpa.words[3:], arpa.words[4:], arpa.words[3:], strict=False)]
    found, expected = score_sentences(model, sentences), score_sentences(arpa, sentences)
    for one, other in zip(found, expected, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("probing.binary", b"", b"", "hash tables.*build_binary trie"),
        ("trie.binary", b"version 5", b"version 4", "'format version 4'"),
        ("trie.binary", b"\x00\x00\x80\x3f", b"\x3f\x80\x00\x00", "byte order"),
    ],
)
def test_other_kinds_are_refused(name: str, old: bytes, new: bytes, message: str, tmp_path: Path) -> None:
    data = (FILES / name).read_bytes()
    (tmp_path / name).write_bytes(data.replace(old, new, 1) if old else data)
    with pytest.raises(UnsupportedCheckpoint, match=message):
        load_ngram_model(tmp_path / name)


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.binary"
    shutil.copy(FILES / "trie_quantized_compressed.binary", path)
    data = path.read_bytes()
    for size in range(100, len(data), 37):
        path.write_bytes(data[:size])
        with pytest.raises((CorruptedCheckpoint, UnsupportedCheckpoint)):
            load_ngram_model(path)
