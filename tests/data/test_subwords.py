"""Text in subwords."""

from pathlib import Path

import pytest

from sonant.data.subwords import Subwords
from sonant.errors import ConfigurationError

pytest.importorskip("sentencepiece")

TEXTS = ["THE CAT SAT ON THE MAT", "A CAT AND A MAT", "ON AND ON SHE SAT", "THE MAN IS ON THE MOON"] * 5


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_texts_come_back(tmp_path: Path, kind: str) -> None:
    made = Subwords.train(TEXTS, tmp_path / "text.model", size=24, kind=kind)  # type: ignore[arg-type]
    again = Subwords(tmp_path / "text.model")
    assert len(made) == len(again) == 24
    for text in TEXTS[:4]:
        tokens = made.encode(text)
        assert min(tokens) > 3, "0 to 3 are specials"
        assert again.decode(tokens) == text
    assert 3 in made.encode("QUIZ"), "<unk>"


def test_what_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"5000 subwords cannot be made .*: at most \d+ can.* task.num_subwords=\d+"
    ):
        Subwords.train(TEXTS, tmp_path / "text.model", size=5000)
    with pytest.raises(ConfigurationError, match="no sentencepiece model"):
        Subwords(tmp_path / "none.model")
    (tmp_path / "bad.model").write_bytes(b"no model")
    with pytest.raises(ConfigurationError, match="no model of sentencepiece"):
        Subwords(tmp_path / "bad.model")
