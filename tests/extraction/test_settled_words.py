"""Words that are reported while frames still come are those of the whole, each once."""

import pytest
import torch

from sonant.decoding.ctc_vocabulary import CTCVocabulary
from sonant.decoding.results import Word
from sonant.extraction.transcripts import TranscriptSink
from sonant.tasks import CTCHead

LETTERS, CHINESE, PHONEMES = ("<pad>", "|", *"ABC'"), ("<pad>", "|", *"你好。A"), ("<pad>", "<s>", "n", "aɪ", "t", "s")
TOKENIZER = {"clean_up_tokenization_spaces": True}


@pytest.mark.parametrize(
    ("tokens", "tokenizer"),
    [
        (LETTERS, TOKENIZER),
        (CHINESE, TOKENIZER),
        (PHONEMES, {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer"}),
    ],
)
@pytest.mark.parametrize("block", [1, 3, 7])
def test_settled_words_stay(block: int, tokens: tuple[str, ...], tokenizer: dict[str, object]) -> None:
    torch.manual_seed(0)
    head = CTCHead.from_tensors({"weight": torch.randn(len(tokens), 8), "bias": torch.zeros(len(tokens))})
    vocabulary = CTCVocabulary.of(tokens, tokenizer=tokenizer)
    sink = TranscriptSink(lambda _: head, vocabulary, frame_rate=50.0, seconds=lambda: 4.0)
    settled: list[Word] = []
    for frames in torch.randn(1, 200, 8).split(block, dim=1):
        sink.append(frames)
        settled += sink.settled()
    whole = sink.finish()
    assert len(whole.words) > 10
    assert settled == list(whole.words[:-1])
