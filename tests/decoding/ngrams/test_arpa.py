"""Tests of reading and writing ARPA files."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from sonant.decoding.ngrams.arpa import read_arpa, write_arpa
from sonant.decoding.ngrams.files import load_ngram_model, save_ngrams
from sonant.decoding.ngrams.kneser_ney import train_kneser_ney
from sonant.decoding.ngrams.tables import LN10
from sonant.errors import CheckpointUnavailable, CorruptedCheckpoint, UnknownCheckpoint

ARPA = r"""
\data\
ngram 1=4
ngram 2=2

\1-grams:
-1.5	<unk>
-99	<s>	-0.25
-0.5	</s>
-0.75	Öl	-0.5

\2-grams:
-0.1	<s> Öl
-0.2	Öl </s>

\end\
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "model.arpa"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_small_file(tmp_path: Path) -> None:
    words, (unigrams, bigrams) = read_arpa(written(tmp_path, ARPA))
    assert words == ["<unk>", "<s>", "</s>", "Öl"]
    assert unigrams.log_probabilities / LN10 == pytest.approx([-1.5, -99, -0.5, -0.75])
    assert unigrams.back_offs / LN10 == pytest.approx([0, -0.25, 0, -0.5])
    assert bigrams.words.tolist() == [[1, 3], [3, 2]]
    assert bigrams.log_probabilities / LN10 == pytest.approx([-0.1, -0.2])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n", "\r\n"),
        ("\t", " "),
        ("\n-0.1\t<s> Öl\n", "\n\n  -1e-1\t<s>   Öl  \t\n\n"),
        ("-0.5\t</s>", "-0.5\t</s>\t0"),
        ("\n\\data", "made by hand\n\\data"),
        ("-1.5\t", "-1.500000000000000000000001\t"),
        ("-99", "-99.0"),
        ("\\end\\\n", "\\end\\"),
    ],
)
def test_oddities_change_nothing(tmp_path: Path, old: str, new: str) -> None:
    assert old in ARPA
    plain = read_arpa(written(tmp_path, ARPA))
    odd = read_arpa(written(tmp_path, ARPA.replace(old, new)))
    assert odd.words == plain.words
    for one, other in zip(odd.tables, plain.tables, strict=True):
        assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def test_a_rounding_above_one_is_one(tmp_path: Path) -> None:
    assert read_arpa(written(tmp_path, ARPA.replace("-0.1", "1e-6"))).tables[1].log_probabilities[0] == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ngram 2=2", "ngram 2=3", "has 2 2-grams, but its header promises 3"),
        ("\\end\\\n", "", r"without \\end\\"),
        ("-0.2\tÖl </s>\n\n\\end\\\n", "", r"without \\end\\"),
        ("-0.2\tÖl </s>", "-0.2\tÖl", r"line 14: '-0.2\\tÖl'; expected a log-probability, 2 words"),
        ("-0.2\tÖl </s>", "-0.2\tÖl Gas", "line 14.*'Gas' is not"),
        ("-0.2\t", "minus\t", "line 14.*a number instead of 'minus'"),
        ("-0.2\t", "0.2\t", "line 14.*at most 0"),
        ("-0.25", "nan", "line 8.*a number instead of 'nan'"),
        ("-0.75\tÖl", "-0.75\t</s>", "the word '</s>' twice"),
        ("\\2-grams:", "\\3-grams:", r"line 12: '\\\\3-grams:'; expected \\2-grams:"),
        ("ngram 2=2\n", "", "expected n-grams of the orders in the header"),
    ],
)
def test_damage_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ARPA
    with pytest.raises(CorruptedCheckpoint, match=message):
        read_arpa(written(tmp_path, ARPA.replace(old, new)))


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    path.write_bytes(ARPA.encode("latin-1"))
    with pytest.raises(CorruptedCheckpoint, match="line 10.*UTF-8"):
        read_arpa(path)
    path.write_bytes(gzip.compress(ARPA.encode())[:-30])
    with pytest.raises(CorruptedCheckpoint, match="cut short"):
        read_arpa(path)
    path.write_text("words\n")
    with pytest.raises(UnknownCheckpoint, match="no line"):
        load_ngram_model(path)
    with pytest.raises(CheckpointUnavailable, match="There is no file"):
        load_ngram_model(tmp_path / "none.arpa")


@pytest.mark.parametrize("name", ["model.arpa", "model.arpa.gz", "model.safetensors"])
def test_what_is_written_is_read(tmp_path: Path, name: str) -> None:
    generator = np.random.default_rng(0)
    lines = [" ".join(map(str, generator.integers(0, 30, 8))) for _ in range(200)]
    ngrams = train_kneser_ney(lines, order=3, discount_fallback=True)
    save_ngrams(tmp_path / "plain.arpa", ngrams)
    save_ngrams(tmp_path / name, ngrams)
    model, plain = load_ngram_model(tmp_path / name), load_ngram_model(tmp_path / "plain.arpa")
    assert model.words == plain.words == ngrams.words
    for tensor in ("arc_keys", "arc_log_probabilities", "arc_contexts", "back_offs", "back_off_contexts"):
        assert getattr(model, tensor).equal(getattr(plain, tensor))
    read = read_arpa(tmp_path / "plain.arpa", block_bytes=3_000)
    for one, other in zip(read.tables, ngrams.tables, strict=True):
        assert all(np.array_equal(getattr(one, field), getattr(other, field)) for field in vars(one))


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = written(tmp_path, ARPA)
    words, tables = read_arpa(path)
    with pytest.raises(IndexError):
        write_arpa(path, type(read_arpa(path))(words[:2], tables))
    assert path.read_text(encoding="utf-8") == ARPA
