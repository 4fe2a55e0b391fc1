"""Words of a path that comes in parts are those of the whole, and what is kept of it stays short."""

import random

import numpy as np
import pytest

from sonant.decoding.ctc import BestPath, path_transcript
from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.path_words import PathWords
from sonant.decoding.results import Word

VOCABULARIES = {
    "letters": CTCVocabulary.of(["<pad>", "|", *"ABN'.?STM"], tokenizer={"clean_up_tokenization_spaces": True}),
    "chinese": CTCVocabulary.of(["<pad>", "|", *"你好。A"]),
    "pieces": CTCVocabulary.of(["<pad>", "▁A", "A", "B", "▁BA", "文"]),
    "phones": CTCVocabulary.of(["_", "a", "b"], tokenizer={"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer"}),
}


def random_path(vocabulary: CTCVocabulary, frames: int, draw: random.Random) -> BestPath:
    tokens: list[int] = []
    while len(tokens) < frames:  # a third of the runs is silence
        token = draw.choice([vocabulary.blank, min(vocabulary.delimiters, default=0), *range(len(vocabulary.tokens))])
        tokens += [token] * draw.choice([1, 1, 2, 30 if token == vocabulary.blank else 3])
    return BestPath(np.array(tokens), np.random.default_rng(0).random(len(tokens), np.float32))


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_parts_give_the_words_of_the_whole(kind: str) -> None:
    draw, vocabulary = random.Random(kind), VOCABULARIES[kind]
    for _ in range(20):
        path = random_path(vocabulary, 400, draw)
        whole = path_transcript(path, vocabulary, frame_rate=50.0, duration_seconds=8.0).words
        words, told, first = PathWords(vocabulary, 50.0), list[Word](), 0
        while first < len(path.tokens):
            end = first + draw.choice([0, 1, 5, 60])
            part = BestPath(path.tokens[first:end], path.probabilities[first:end])
            so_far = BestPath(path.tokens[:end], path.probabilities[:end])
            ahead = [*told, *words.ahead(part)]
            known = path_transcript(so_far, vocabulary, frame_rate=50.0, duration_seconds=8.0).words
            assert ahead == list(known)
            told += words.append(part)
            assert told == list(known[: len(told)])
            first = end
        assert told == list(whole[:-1])


def test_silence_is_not_kept() -> None:
    vocabulary = VOCABULARIES["letters"]
    words, silence = PathWords(vocabulary, 50.0), np.ones(1000, np.float32)
    words.append(BestPath(np.array([2, 3, 1, 2]), silence[:4]))
    for token in (vocabulary.blank, 1, vocabulary.blank):
        for _ in range(20):
            assert words.append(BestPath(np.full(1000, token), silence)) == ()
    assert len(words._kept.tokens) < 10
    (first, second) = words.ahead(BestPath(np.array([0, 3]), silence[:2]))[-2:]
    assert (first.text, second.text) == ("A", "B")
    assert second.start_seconds == 60005 / 50
