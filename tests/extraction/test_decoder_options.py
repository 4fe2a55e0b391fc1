"""Options of decoding: which wins, where files are, and what determines results."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sonant.api.options import DecodingOptions
from sonant.errors import ConfigurationError
from sonant.extraction.decoder_options import GREEDY, DecoderOptions, write_decoder_options


def test_python_takes_the_options_of_the_command_line() -> None:
    assert set(DecodingOptions.__annotations__) == set(DecoderOptions.__annotations__)
    assert DecoderOptions(hot_words=[], lm_weight=None) == GREEDY  # type: ignore[arg-type]
    assert GREEDY.given == {}


def test_numbers_are_numbers() -> None:
    found = DecoderOptions(beam=np.int64(5), word_score=np.float32(0.5))  # type: ignore[arg-type]
    assert json.loads(json.dumps(found.settings())) == {"beam": 5, "word_score": 0.5}
    wrong: list[dict[str, Any]] = [{"beam": "5"}, {"beam": 2.5}, {"n_best": True}, {"word_score": "1"}]
    for given in wrong:
        with pytest.raises(ConfigurationError, match="was given; expected a (whole )?number"):
            DecoderOptions(**given)


def test_a_file_of_options_is_read_where_it_is_and_what_is_given_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lm.arpa").write_text("a model")
    (tmp_path / "words.txt").write_text("\ufeffNEW YORK\n\n NASA \n", encoding="utf-8")
    written = DecoderOptions(lm=tmp_path / "lm.arpa", lm_weight=1.5, word_score=-1.0, unknown_score=-math.inf)
    write_decoder_options(tmp_path / "tuned/decoder.json", written, tuned={"wer": 0.1})
    monkeypatch.chdir(tmp_path / "tuned")
    hot_words = ("@../words.txt", "NASA", "HOUSTON")
    found = DecoderOptions(decoder="decoder.json", lm_weight=2.0, hot_words=hot_words).resolved()
    assert (found.decoder, found.lm_weight, found.word_score) == (None, 2.0, -1.0)
    assert found.unknown_score == -math.inf
    assert Path(found.lm).read_text() == "a model"  # type: ignore[arg-type]
    assert found.hot_words == ("NEW YORK", "NASA", "HOUSTON")


def test_the_language_model_that_transformers_saves_with_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "language_model"
    folder.mkdir()
    (folder / "4gram.bin").touch()
    (folder / "unigrams.txt").write_text("THE")
    weights = {"alpha": 0.6, "beta": 1.2, "unk_score_offset": -5.0, "score_boundary": True}
    (folder / "attrs.json").write_text(json.dumps(weights))
    found = DecoderOptions(decoder=tmp_path, word_score=0.5).resolved()
    assert found.lm == folder / "4gram.bin"
    assert (found.lm_weight, found.word_score) == (0.6, 0.5)
    assert found.unknown_score == pytest.approx(0.6 * -5.0 * math.log(10))


def test_results_depend_on_what_files_hold_and_not_on_their_names(tmp_path: Path) -> None:
    for name, text in (("a.arpa", "one"), ("b.arpa", "one"), ("c.arpa", "two")):
        (tmp_path / name).write_text(text)
    settings = [DecoderOptions(lm=tmp_path / name, beam=5).settings() for name in ("a.arpa", "b.arpa", "c.arpa")]
    assert settings[0] == settings[1] != settings[2]
    assert settings[0]["beam"] == 5
    for name in ("model/x", "moved/x", "other/y"):  # a folder, of a Transformer language model
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("one")
    folders = [DecoderOptions(lm=tmp_path / name).settings() for name in ("model", "moved", "other")]
    assert folders[0] == folders[1] != folders[2]
    with pytest.raises(ConfigurationError, match="lm is a object; expected a file"):
        DecoderOptions(lm=object()).settings()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lm_weight": 2.0}, r"lm_weight=2.0 was given, which has no effect without lm\."),
        ({"unknown_score": -1.0}, "has no effect without lm or lexicon"),
        ({"hot_word_score": 1.0}, "has no effect without hot_words"),
        ({"hot_words": ("@nowhere.txt",)}, "hot words in 'nowhere.txt' cannot be read"),
        ({"hot_words": ("@/dev/null",)}, "has no hot words"),
        ({"decoder": "nowhere.json"}, "nowhere.json cannot be read"),
        ({"decoder": "broken.json"}, "broken.json cannot be read"),
        ({"decoder": "other.json"}, "holds no options of a decoder; expected what sonant tune-decoder writes"),
        ({"decoder": "unknown.json"}, "unknown.json: Unknown key 'lm_wieght' .*Did you mean 'lm_weight'"),
        ({"decoder": "."}, r"decoder\.json cannot be read"),
        ({"decoder": "model"}, r"should have one n-gram model, .arpa or .bin; it has none"),
        ({"decoder": "wrong.json"}, "wrong.json: beam='many' does not fit"),
    ],
)
def test_wrong_options_are_told(options: dict, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model/language_model").mkdir(parents=True)
    Path("broken.json").write_text("{")
    Path("other.json").write_text('{"lm_weight": 2}')
    Path("unknown.json").write_text(json.dumps({"decoder": {"lm_wieght": 2}}))
    Path("wrong.json").write_text(json.dumps({"decoder": {"beam": "many"}}))
    with pytest.raises(ConfigurationError, match=message):
        DecoderOptions(**options).resolved()


def test_a_text_is_no_list_of_words() -> None:
    with pytest.raises(ConfigurationError, match=r"expected a list: \['NASA'\]"):
        DecoderOptions(hot_words="NASA")  # type: ignore[arg-type]
