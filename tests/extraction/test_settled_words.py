"""What a transcript says while frames still come is never taken back."""

import pytest
import torch

from sonant.decoding.alphabet import Alphabet
from sonant.extraction.transcripts import TranscriptSink
from sonant.tasks import CTCHead

TOKENS = ("<pad>", "|", "A", "B", "C")


@pytest.mark.parametrize("delimiter", [1, None])
@pytest.mark.parametrize("block", [1, 3, 7])
def test_settled_words_stay(block: int, delimiter: int | None) -> None:
    torch.manual_seed(0)
    head = CTCHead.from_tensors({"weight": torch.randn(len(TOKENS), 8), "bias": torch.zeros(len(TOKENS))})
    alphabet = Alphabet(TOKENS, blank=0, delimiter=delimiter, special=frozenset({0}))
    sink = TranscriptSink(lambda _: head, alphabet, frame_rate=50.0, seconds=lambda: 2.0)
    settled = []
    for frames in torch.randn(1, 100, 8).split(block, dim=1):
        sink.append(frames)
        settled.append(sink.so_far().words)
    words = sink.finish().words
    assert len(words) > 10
    assert all(part == words[: len(part)] for part in settled)
    assert len(settled[-1]) == len(words) - 1
