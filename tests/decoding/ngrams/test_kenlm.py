"""Tests of reading KenLM's binary files.

Those in kenlm/ were made by KenLM's build_binary of tiny.arpa, a model of random sentences by `sonant lm train`:
`trie`, `-a 8 trie`, `-q 4 -b 3 trie`, `-a 8 -q 4 -b 3 trie` and `probing`. The expected logarithms are what its query
prints for the sentence. Those of pruned.arpa, random 4-grams without `<unk>` and without many of the ends of n-grams,
were made by `trie`, `-p 2.5 probing` and `-p 2.5 -r`, with rest costs.
"""

import math
import random
import shutil
from pathlib import Path

import pytest

from sonant.decoding.ngrams.files import load_ngram_model
from sonant.decoding.ngrams.model import NgramModel
from sonant.decoding.perplexity import score_sentences
from sonant.errors import CorruptedCheckpoint, UnsupportedCheckpoint

FILES = Path(__file__).parent / "kenlm"
SENTENCE = "the cat sat on a dog and zebra ran to the mat"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiny.arpa", -14.757008),
        ("probing.binary", -14.757008),
        ("trie.binary", -14.757008),
        ("trie_compressed.binary", -14.757008),
        ("trie_quantized.binary", -14.749344),
        ("trie_quantized_compressed.binary", -14.749344),
    ],
)
def test_scores_are_those_of_kenlm(name: str, expected: float) -> None:
    (score,) = score_sentences(load_ngram_model(FILES / name), [SENTENCE])
    assert score.log_probability / math.log(10) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(
    ("name", "arpa"),
    [
        ("probing.binary", "tiny.arpa"),
        *((f"pruned_{kind}.binary", "pruned.arpa") for kind in ("trie", "probing", "rest")),
    ],
)
def test_random_sentences_have_the_scores_of_the_arpa_file(name: str, arpa: str) -> None:
    model, expected = load_ngram_model(FILES / name), load_ngram_model(FILES / arpa)
    draw = random.Random(name)
    words = [*(word for word in expected.words if not word.startswith("<")), "zebra"]
    sentences = [" ".join(draw.choices(words, k=draw.randint(1, 9))) for _ in range(300)]
    assert [score.log_probability for score in score_sentences(model, sentences)] == pytest.approx(
        [score.log_probability for score in score_sentences(expected, sentences)], rel=1e-6
    )


def test_a_trie_has_the_ngrams_of_the_arpa_file() -> None:
    model, arpa = load_ngram_model(FILES / "trie_compressed.binary"), load_ngram_model(FILES / "tiny.arpa")
    assert isinstance(model, NgramModel)
    assert isinstance(arpa, NgramModel)
    assert len(model.arc_keys) == len(arpa.arc_keys)
    sentences = [" ".join(words) for words in zip(arpa.words[3:], arpa.words[4:], arpa.words[3:], strict=False)]
    found, expected = score_sentences(model, sentences), score_sentences(arpa, sentences)
    for one, other in zip(found, expected, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, rel=1e-5)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("probing.binary", b"\x01\0\0\0\0\0\0\0\x0d", b"\0\0\0\0\0\0\0\0\x0d", "without words.*without -v"),
        ("trie.binary", b"\x02\0\0\0\x01", b"\x07\0\0\0\x01", "of kind 7.*kinds 0 .version 0.*5 .version 1"),
        ("trie.binary", b"version 5", b"version 4", "'format version 4'"),
        ("trie.binary", b"\x00\x00\x80\x3f", b"\x3f\x80\x00\x00", "byte order"),
    ],
)
def test_other_kinds_are_refused(name: str, old: bytes, new: bytes, message: str, tmp_path: Path) -> None:
    data = (FILES / name).read_bytes()
    (tmp_path / name).write_bytes(data.replace(old, new, 1))
    with pytest.raises(UnsupportedCheckpoint, match=message):
        load_ngram_model(tmp_path / name)


@pytest.mark.parametrize("name", ["trie_quantized_compressed.binary", "probing.binary", "pruned_rest.binary"])
def test_a_file_cut_short_anywhere_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.binary"
    shutil.copy(FILES / name, path)
    data = path.read_bytes()
    for size in range(100, len(data), 37):
        path.write_bytes(data[:size])
        with pytest.raises((CorruptedCheckpoint, UnsupportedCheckpoint)):
            load_ngram_model(path)


@pytest.mark.parametrize(
    ("twice", "message"), [(False, "138 n-grams in a table of 139"), (True, "an n-gram is listed twice")]
)
def test_damaged_hash_tables_are_refused(twice: bool, message: str, tmp_path: Path) -> None:
    """A key of the last table is replaced, by nothing or by another one."""
    data = bytearray((FILES / "probing.binary").read_bytes())
    words = data.index(b"<unk>\0<s>")
    keys = [at for at in range(words - 12, words - 12 * 208, -12) if any(data[at : at + 8])]
    data[keys[0] : keys[0] + 8] = data[keys[1] : keys[1] + 8] if twice else bytes(8)
    (tmp_path / "model.binary").write_bytes(data)
    with pytest.raises(CorruptedCheckpoint, match=message):
        load_ngram_model(tmp_path / "model.binary")
