"""Transcripts and word times beside those of transformers' tokenizers, over vocabularies of every kind.

Ours differ in three ways, on purpose: special tokens (`<unk>`) are not written; two delimiters on end write one space;
and in scripts without spaces each character has times of its own, where transformers has one word for the whole.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models
from transformers.models.parakeet.tokenization_parakeet import ParakeetTokenizer

from sonant.checkpoints import Head
from sonant.checkpoints.tokenizer_files import read_tokenizer, write_tokenizer
from sonant.decoding.ctc import BestPath, best_path, path_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.results import Transcript, Word
from sonant.errors import ModelWarning

RATE = 50.0
FRAMES = 120


@dataclass(frozen=True)
class Case:
    """A vocabulary by number, and what stands beside it.

    Attributes:
        table: vocab.json, where it is not that list.
        settings: tokenizer_config.json, none where empty.
        beside: other files of the tokenizer.
        config: of config.json.
        size: of the head, where it differs from the vocabulary.
    """

    tokens: tuple[str, ...]
    table: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    size: int | None = None

    def write(self, folder: Path) -> None:
        table = self.table or {token: number for number, token in enumerate(self.tokens) if token}
        files = {"vocab.json": table, **self.beside}
        if self.settings:
            files["tokenizer_config.json"] = self.settings
        for name, value in files.items():
            (folder / name).write_text(json.dumps(value), encoding="utf-8")


FIRST = ("<pad>", "<s>", "</s>", "<unk>")
BRACKETED = {"pad_token": "[PAD]", "unk_token": "[UNK]"}
CASES = {
    "letters": Case((*FIRST, "|", *"EATS'")),
    "no delimiter in the vocabulary": Case((*FIRST, *"abc")),
    "a space as delimiter": Case((*FIRST, " ", *"abc"), settings={"word_delimiter_token": " "}),
    "a space that nothing calls a delimiter": Case((*FIRST, " ", *"abc")),
    "null as delimiter": Case((*FIRST, "|", *"abc"), settings={"word_delimiter_token": None}),
    "an underscore as delimiter": Case((*FIRST, "_", "|", *"ab"), settings={"word_delimiter_token": "_"}),
    "another character for the delimiter": Case((*FIRST, "|", *"abc"), settings={"replace_word_delimiter_char": "-"}),
    "nothing for the delimiter": Case((*FIRST, "|", *"abc"), settings={"replace_word_delimiter_char": ""}),
    "lower case": Case((*FIRST, "|", *"ΣΟÀİß"), settings={"do_lower_case": True}),
    "Chinese": Case((*"你好世界。ab", "[UNK]", "[PAD]"), settings=BRACKETED, config={"pad_token_id": 8}),
    "Japanese and Thai": Case((*FIRST, *"きゃーっ。「」", *"เก็บ", "|")),
    "added_tokens.json": Case(
        ("|", *"abc", "[UNK]", "[PAD]", "<s>", "</s>"),
        table={"|": 0, "a": 1, "b": 2, "c": 3, "[UNK]": 4, "[PAD]": 5},
        beside={
            "added_tokens.json": {"<s>": 6, "</s>": 7},
            "special_tokens_map.json": BRACKETED | {"bos_token": "<s>", "eos_token": {"content": "</s>"}},
        },
    ),
    "added_tokens_decoder": Case(
        ("|", "a", "b", "[UNK]", "[PAD]", "ch", "<s>"),
        table={"|": 0, "a": 1, "b": 2, "[UNK]": 3, "[PAD]": 4},
        settings=BRACKETED
        | {
            "added_tokens_decoder": {
                "4": {"content": "[PAD]", "special": True},
                "5": {"content": "ch", "special": False},
                "6": {"content": "<s>", "special": True},
            }
        },
    ),
    "one of two languages": Case(
        (*FIRST, "|", *"äöü"),
        table={
            "deu": {token: number for number, token in enumerate((*FIRST, "|", *"äöü"))},
            "fra": {token: number for number, token in enumerate((*FIRST, "|", *"éèç"))},
        },
        settings={"target_lang": "deu"},
    ),
    "gaps, an empty token, and two tokens of one number": Case(
        ("<pad>", "", "a", "", "b", "|"), table={"<pad>": 0, "x": 2, "a": 2, "b": 4, "|": 5, "": 1}
    ),
    "marks and emoji": Case((*FIRST, "|", "e", "\u0301", "👩‍👩‍👧", "क", "\u094d", "ष", "ﬁ")),
    "subwords of sentencepiece": Case((*FIRST, "▁to", "▁a", "▁c", "at", "▁")),
    "phonemes": Case(
        (*FIRST, "n", "aɪ", "tʃ", "|"),
        settings={"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer", "do_phonemize": False, "word_delimiter_token": "|"},
    ),
    "spaces cleaned up": Case((*FIRST, "|", *"its.',n"), settings={"clean_up_tokenization_spaces": True}),
    "a blank of another number than config.json says": Case(("<s>", "|", *"ab", "<pad>"), config={"pad_token_id": 0}),
    "fewer tokens than the head": Case((*FIRST, "|", *"ab"), size=12),
    "more tokens than the head": Case((*FIRST, "|", *"abcd"), size=7),
}


def ours(folder: Path, path: BestPath, case: Case) -> Transcript:
    known = read_tokenizer(folder, case.size or len(case.tokens), case.config)
    vocabulary = CTCVocabulary.of(known["vocabulary"], blank=known["blank"], tokenizer=known["tokenizer"])
    return path_transcript(path, vocabulary, frame_rate=RATE, duration_seconds=FRAMES / RATE)


def theirs(folder: Path, settings: Mapping[str, Any]) -> Any:
    name = settings.get("tokenizer_class", "Wav2Vec2CTCTokenizer")
    tokenizer = getattr(transformers, name).from_pretrained(folder)
    if "word_delimiter_token" in settings:  # transformers 5 writes it into the file and does not read it back
        tokenizer._word_delimiter_token = settings["word_delimiter_token"]
    return tokenizer


def emissions(case: Case, draw: torch.Generator) -> BestPath:
    """Random logits in which ordinary tokens and blanks alone are likely."""
    tokens = case.tokens[: case.size]
    usual = [i for i, name in enumerate(tokens) if name and (name[0], name[-1]) not in {("<", ">"), ("[", "]")}]
    blank = next(i for i, name in enumerate(tokens) if name in ("<pad>", "[PAD]"))
    logits = torch.full((FRAMES, case.size or len(tokens)), -50.0)
    logits[:, usual] = torch.randn(FRAMES, len(usual), generator=draw)
    logits[:, blank] = torch.randn(FRAMES, generator=draw) + 0.7
    return best_path(logits.repeat_interleave(2, dim=0))


def timed(words: tuple[Word, ...], *, joined: bool) -> list[tuple[str, int, int]]:
    """Words with their frames; `joined`: those between which nothing is written made one."""
    found: list[tuple[str, int, int]] = []
    for word in words:
        start, end = round(word.start_seconds * RATE), round(word.end_seconds * RATE)
        if joined and found and not word.before:
            text, start, _ = found.pop()
            found.append((text + word.text, start, end))
        else:
            found.append((word.text, start, end))
    return found


@pytest.mark.filterwarnings("ignore::sonant.errors.ModelWarning")
@pytest.mark.parametrize("name", sorted(CASES.keys() - {"phonemes"}))
def test_text_and_times_are_those_of_the_tokenizer(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    case.write(tmp_path)
    reference, draw = theirs(tmp_path, case.settings), torch.Generator().manual_seed(0)
    for _ in range(5):
        path = emissions(case, draw)
        transcript = ours(tmp_path, path, case)
        decoded = reference.batch_decode([path.tokens.tolist()], output_word_offsets=True)
        assert transcript.text == once_spaced(decoded.text[0], case.settings.get("replace_word_delimiter_char", " "))
        assert len(transcript.text) > 20
        if "▁to" not in case.tokens:  # which transformers takes for one word
            expected = [(each["word"], each["start_offset"], each["end_offset"]) for each in decoded.word_offsets[0]]
            if case.settings.get("do_lower_case"):  # in the text alone
                expected = [(word.lower(), *frames) for word, *frames in expected]
            assert timed(transcript.words, joined=name in WITHOUT_SPACES) == expected


WITHOUT_SPACES = {"Chinese", "Japanese and Thai"}


def once_spaced(text: str, space: str) -> str:
    text = text.replace("▁", " ")
    return space.join(part for part in text.split(space) if part) if space else text


def test_phonemes(tmp_path: Path) -> None:
    case = CASES["phonemes"]
    case.write(tmp_path)
    path = emissions(case, torch.Generator().manual_seed(0))
    transcript = ours(tmp_path, path, case)
    decoded = theirs(tmp_path, case.settings).batch_decode([path.tokens.tolist()], output_char_offsets=True)
    assert transcript.text == decoded.text[0]
    expected = [(each["char"], each["start_offset"], each["end_offset"]) for each in decoded.char_offsets[0]]
    assert timed(transcript.words, joined=False) == expected


def test_pieces_of_a_tokenizer_json(tmp_path: Path) -> None:
    tokens = ("<unk>", "<pad>", "▁to", "▁a", "▁c", "at", "▁")
    tokenizer = Tokenizer(models.Unigram([(token, 0.0) for token in tokens], unk_id=0))
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    case = Case(tokens, settings={"tokenizer_class": "ParakeetTokenizer", "pad_token": "<pad>", "unk_token": "<unk>"})
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(case.settings))
    reference = ParakeetTokenizer(tokenizer_file=str(tmp_path / "tokenizer.json"), pad_token="<pad>", unk_token="<unk>")
    path = emissions(case, torch.Generator().manual_seed(0))
    assert ours(tmp_path, path, case).text == once_spaced(reference.decode(path.tokens.tolist()), " ")


def test_special_tokens_are_not_written(tmp_path: Path) -> None:
    case = Case((*FIRST, "|", "a", "b", "[X]"), settings={"additional_special_tokens": ["[X]"]})
    case.write(tmp_path)
    said = [5, 3, 3, 6, 4, 1, 5, 2, 4, 7, 4, 6]  # a<unk>b <s>a</s> [X] b
    path = BestPath(np.array(said), np.ones(len(said), np.float32))
    text = theirs(tmp_path, {}).decode(said)
    assert text == "a<unk>b <s>a</s> [X] b"
    assert ours(tmp_path, path, case).text == "ab a b"


@pytest.mark.filterwarnings("ignore::sonant.errors.ModelWarning")
@pytest.mark.parametrize("name", CASES)
def test_saved_files_mean_the_same(name: str, tmp_path: Path) -> None:
    """To us, and to transformers."""
    case, again = CASES[name], tmp_path / "again"
    case.write(tmp_path)
    again.mkdir()
    known = read_tokenizer(tmp_path, case.size or len(case.tokens), case.config)
    write_tokenizer(again, Head({}, known))
    path = emissions(case, torch.Generator().manual_seed(1))
    assert ours(again, path, case) == ours(tmp_path, path, case)
    before, after = (theirs(folder, case.settings).decode(path.tokens.tolist()) for folder in (tmp_path, again))
    assert before == after
    if "target_lang" not in case.settings and name != "phonemes":  # the vocabulary alone, as after fairseq's format
        plain = {key: known[key] for key in ("vocabulary", "blank", "tokenizer")}
        write_tokenizer(again, Head({}, plain))
        assert ours(again, path, case) == ours(tmp_path, path, case)


def test_files_that_contradict_each_other_warn(tmp_path: Path) -> None:
    for case, message in (
        (
            CASES["a blank of another number than config.json says"],
            "pad_token_id=0.*'<pad>' has the number 4",
        ),
        (CASES["more tokens than the head"], "names 2 tokens that its CTC head, of 7, does not have .*'c'"),
        (Case(FIRST, settings={"tokenizer_class": "GPT2Tokenizer"}), "class 'GPT2Tokenizer'"),
    ):
        case.write(tmp_path)
        with pytest.warns(ModelWarning, match=message):
            read_tokenizer(tmp_path, case.size or len(case.tokens), case.config)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (Case((), table={"deu": {"a": 0}, "fra": {"b": 0}}), r"2 languages \(deu, fra\).*target_lang"),
        (
            Case((), table={"deu": {"a": 0}, "fra": {"b": 0}}, settings={"target_lang": "eng"}),
            "target_lang='eng' is not one",
        ),
        (Case((), table={"a": "0"}), "token 'a' the number '0'"),
        (Case((), table={"a": -1}), "expected 0 or more"),
        (Case(tuple("ab|"), config={"pad_token_id": 7}), "its 3 tokens.*'<pad>', is not in.*7.*beyond the head"),
        (Case(tuple("ab|"), config={"pad_token_id": 0}), "pad_token_id=0 in config.json means 'a'"),
        (Case((*"ab|", "<pad>"), size=3), "has the number 3, beyond the head"),
    ],
)
def test_an_unusable_vocabulary_says_what_is_missing(case: Case, reason: str, tmp_path: Path) -> None:
    case.write(tmp_path)
    known = read_tokenizer(tmp_path, case.size or len(case.tokens), case.config)
    assert "vocabulary" not in known
    assert re.search(reason, known["unusable"])


def test_a_vocabulary_of_another_kind_is_named(tmp_path: Path) -> None:
    assert read_tokenizer(tmp_path, 2, {}) == {}
    (tmp_path / "tokenizer.model").touch()
    assert "in tokenizer.model" in read_tokenizer(tmp_path, 2, {})["unusable"]
    (tmp_path / "tokenizer.json").write_text(
        json.dumps({"model": {"vocab": {"a": 0}}, "decoder": {"type": "ByteLevel"}})
    )
    assert "decoder ByteLevel" in read_tokenizer(tmp_path, 2, {})["unusable"]


def test_a_single_language_need_not_be_named(tmp_path: Path) -> None:
    case = Case((), table={"eng": {"<pad>": 0, "a": 1}}, settings={"target_lang": None})
    case.write(tmp_path)
    assert read_tokenizer(tmp_path, 2, {})["vocabulary"] == ["<pad>", "a"]


def test_a_blank_that_only_the_configuration_names(tmp_path: Path) -> None:
    for tokens, blank in ((("a", "_", "|"), 1), (("a", "|", "[PAD]"), 2), (("", "a", "|"), 0)):
        case = Case(tokens, config={"pad_token_id": blank})
        case.write(tmp_path)
        assert read_tokenizer(tmp_path, len(tokens), case.config)["blank"] == blank
