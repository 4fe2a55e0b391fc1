"""Words of texts of different lengths are scored as each text alone."""

from pathlib import Path

import pytest
import torch

from sonant.decoding.ngrams.files import load_ngram_model
from sonant.decoding.word_scores import word_scores

BIGRAMS = """\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.5
-0.9\t</s>
-0.4\tA\t-0.3
-0.7\tB\t-0.2

\\2-grams:
-0.1\tA B
-0.2\t<s> A

\\end\\
"""


def test_texts_are_scored_as_each_alone(tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text(BIGRAMS)
    lm = load_ngram_model(tmp_path / "lm.arpa")
    numbers = {word: number for number, word in enumerate(lm.words)}
    texts = [["B"], [], ["A", "B", "C", "A"], ["A", "B"]]
    found = word_scores(texts, lm, numbers)
    assert found == [word_scores([text], lm, numbers)[0] for text in texts]
    ln10 = torch.log(torch.tensor(10.0)).item()
    assert found[3] == pytest.approx([-0.2 * ln10, -0.1 * ln10])
    assert found[0] == pytest.approx([(-0.5 - 0.7) * ln10])
