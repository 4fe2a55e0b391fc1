"""Transcripts as JSON: what only a beam search gives is there only after one, and its texts are without words."""

from dataclasses import replace

from sonant.decoding.hypotheses import Hypothesis
from sonant.decoding.results import Transcript, Word


def test_json_has_what_there_is() -> None:
    word = Word("HI", 0.0, 0.1, 0.5)
    greedy = Transcript("HI", (word,), 1.0, 0.5)
    plain = {"text": "HI", "start_seconds": 0.0, "end_seconds": 0.1, "confidence": 0.5, "before": " "}
    assert greedy.as_json() == {"text": "HI", "words": (plain,), "duration_seconds": 1.0, "confidence": 0.5}
    searched = replace(
        greedy,
        words=(replace(word, lm_score=-1.0),),
        alternatives=(Hypothesis("", (), 0.5, (), score=-2.0, emission_score=-2.0),),
    ).as_json()
    assert searched["words"] == (plain | {"lm_score": -1.0},)
    assert searched["alternatives"] == ({"text": "", "confidence": 0.5, "score": -2.0, "emission_score": -2.0},)
