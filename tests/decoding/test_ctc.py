"""The best path: repetitions and blanks go, words and their times come out."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sonant.decoding.ctc import BestPath, best_path, collapse, join_paths, path_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.results import Transcript
from sonant.errors import ConfigurationError

LETTERS = CTCVocabulary.of(["<pad>", "<s>", "</s>", "<unk>", "|", "A", "B", "C"])
RATE = 50.0


def path(text: str, probabilities: list[float] | None = None) -> BestPath:
    """A path written with "_" for the blank and "?" for the unknown token."""
    names = {"_": 0, "?": 3, **{name: number for number, name in enumerate(LETTERS.tokens) if len(name) == 1}}
    tokens = np.array([names[letter] for letter in text], dtype=np.int64)
    return BestPath(tokens, np.array(probabilities or [1.0] * len(text), dtype=np.float32))


def text_of(frames: str) -> str:
    return path_transcript(path(frames), LETTERS, frame_rate=RATE, duration_seconds=1).text


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ("AAB", "AB"),
        ("AA_A", "AA"),
        ("A_B|_C", "AB C"),
        ("||A||B||", "A B"),
        ("A|_|B", "A B"),
        ("A?B", "AB"),
        ("A?A", "AA"),  # what is dropped still keeps apart
        ("____", ""),
        ("||", ""),
        ("", ""),
    ],
)
def test_what_is_written(frames: str, text: str) -> None:
    assert text_of(frames) == text


@given(st.lists(st.integers(0, 4), max_size=30), st.data())
def test_saying_a_token_longer_changes_nothing(tokens: list[int], data: st.DataObject) -> None:
    """Any sequence comes back, however long its tokens last and however many blanks lie between them."""
    labels = [token + 1 for token in tokens]
    frames: list[int] = []
    for before, label in zip([None, *labels], labels, strict=False):
        frames += [0] * data.draw(st.integers(int(before == label), 3))
        frames += [label] * data.draw(st.integers(1, 3))
    frames += [0] * data.draw(st.integers(0, 3))
    emissions = collapse(np.array(frames, dtype=np.int64), blank=0)
    assert [one.token for one in emissions] == labels
    for one in emissions:
        assert frames[one.start_frame : one.end_frame] == [one.token] * (one.end_frame - one.start_frame)
    assert all(a.end_frame <= b.start_frame for a, b in pairwise(emissions))


def test_times_and_confidences() -> None:
    transcript = path_transcript(
        path("_AA_B||_C_", [0.9, 0.5, 0.7, 0.9, 0.6, 0.1, 0.1, 0.9, 0.8, 0.9]),
        LETTERS,
        frame_rate=RATE,
        duration_seconds=0.21,
    )
    first, second = transcript.words
    assert (first.text, first.start_seconds, first.end_seconds) == ("AB", 1 / RATE, 5 / RATE)
    assert (second.text, second.start_seconds, second.end_seconds) == ("C", 8 / RATE, 9 / RATE)
    assert first.confidence == pytest.approx((0.5 + 0.7 + 0.6) / 3)
    assert transcript.confidence == pytest.approx((0.5 + 0.7 + 0.6 + 0.8) / 4)
    assert transcript.duration_seconds == 0.21


@pytest.mark.parametrize(("frames", "confidence"), [("__", 0.6), ("_|?", 0.7), ("", 0.0)])
def test_confidence_of_an_empty_text_is_that_of_all_frames(frames: str, confidence: float) -> None:
    silence = path_transcript(
        path(frames, [0.5, 0.7, 0.9][: len(frames)]), LETTERS, frame_rate=RATE, duration_seconds=1
    )
    assert silence.words == ()
    assert silence.confidence == pytest.approx(confidence)


def test_pieces_make_the_path_of_the_whole() -> None:
    logits = torch.randn(40, 8, generator=torch.Generator().manual_seed(0))
    whole, pieces = best_path(logits), join_paths([best_path(part) for part in logits.split([7, 20, 13])])
    np.testing.assert_array_equal(whole.tokens, pieces.tokens)
    np.testing.assert_array_equal(whole.probabilities, pieces.probabilities)
    np.testing.assert_allclose(whole.probabilities, logits.softmax(-1).amax(-1), rtol=1e-6)


def spoken(tokens: list[int], vocabulary: CTCVocabulary) -> Transcript:
    """One frame a token."""
    frames = BestPath(np.array(tokens), np.ones(len(tokens), np.float32))
    return path_transcript(frames, vocabulary, frame_rate=RATE, duration_seconds=1)


def test_phonemes_are_words_of_their_own() -> None:
    vocabulary = ["<pad>", "<s>", "</s>", "<unk>", "n", "aɪ", "tʃ", "|"]
    told = {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer", "word_delimiter_token": "|"}
    phonemes = CTCVocabulary.of(vocabulary, tokenizer=told)
    assert spoken([4, 4, 0, 5, 6, 3, 2], phonemes).text == "n aɪ tʃ"
    assert [word.text for word in spoken([4, 7, 5], phonemes).words] == ["n", "aɪ"]
    assert spoken([4, 5, 6], CTCVocabulary.of(vocabulary)).text == "naɪtʃ"  # nothing says that these are phonemes


def test_the_tokenizer_says_what_is_special() -> None:
    names = ["[PAD]", "a", " ", "[UNK]", "$"]
    told = {"word_delimiter_token": " ", "eos_token": {"content": "$", "lstrip": False}, "unk_token": "[UNK]"}
    vocabulary = CTCVocabulary.of(names, tokenizer=told)
    assert (vocabulary.delimiters, vocabulary.special, vocabulary.outside_words) == ({2}, {3, 4}, {0, 2, 3, 4})


def test_a_piece_of_sentencepiece_begins_a_word() -> None:
    pieces = CTCVocabulary.of(["<pad>", "▁to", "▁a", "▁c", "at", "▁"])
    transcript = spoken([1, 0, 2, 0, 3, 4, 0, 5, 4], pieces)
    assert transcript.text == "to a cat at"
    assert [(word.text, round(word.start_seconds * RATE)) for word in transcript.words] == [
        ("to", 0),
        ("a", 2),
        ("cat", 4),
        ("at", 8),
    ]


def test_characters_of_scripts_without_spaces_have_times_of_their_own() -> None:
    names = ["<pad>", *"你好。きゃOK", "|"]
    transcript = spoken([1, 0, 2, 3, 0, 6, 7, 4, 5, 8, 1], CTCVocabulary.of(names))
    assert transcript.text == "你好。OKきゃ 你"
    assert [word.text for word in transcript.words] == ["你", "好。", "OK", "きゃ", "你"]
    assert [word.before for word in transcript.words] == ["", "", "", "", " "]


def test_tokens_spelled_alike_are_one() -> None:
    twice = CTCVocabulary.of(["<pad>", "a", "|", "a", "<pad>"])
    assert [spoken(said, twice).text for said in ([1, 3], [1, 4, 3], [1, 0, 1])] == ["a", "aa", "aa"]


def test_a_blank_beyond_the_vocabulary_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="blank is token 5 of 2"):
        CTCVocabulary.of(["a", "b"], blank=5)
