"""Transcripts by a decoder: pieces of long recordings, and formats that need times of words."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sonant
from sonant.api import SpeechEncoder
from sonant.checkpoints import Head
from sonant.errors import AudioError, ConfigurationError
from sonant.extraction import written_transcripts
from sonant.extraction.written_transcripts import cut_in_pauses
from sonant.models import WavLMConfig, build
from sonant.models.token_decoder import TokenDecoderConfig
from sonant.tasks import LayerMix, Seq2SeqHead
from tests.decoding.test_token_fusion import Bigrams
from tests.shapes import SMALL

CLASSES = ("<s>", "<pad>", "</s>", "<unk>", "|", "a", "b")


def recognizer(*, ctc: bool = True) -> SpeechEncoder:
    torch.manual_seed(0)
    model = build(WavLMConfig(**SMALL)).eval()
    config = TokenDecoderConfig(vocabulary_size=7, dim=16, num_layers=1, num_heads=2, feed_forward_dim=32)
    head = Seq2SeqHead(model.dim, config, LayerMix(torch.zeros(model.num_layers + 1)), num_convs=1, ctc=ctc)
    notes = {"vocabulary": list(CLASSES), "blank": 1, "search": {"beam": 3}, **head.settings}
    return SpeechEncoder(model, name="writer", heads={"seq2seq": Head(head.tensors(), notes)})


def speech(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(16_000 * seconds)).astype(np.float32)


def test_a_recording_alone_equals_the_recording_in_a_batch(tmp_path: Path) -> None:
    made = recognizer()
    clips = [speech(each) for each in (0.3, 0.5, 0.1)]
    together = made.transcribe(clips)
    for clip, found in zip(clips, together, strict=True):
        alone = made.transcribe(clip)
        assert (alone.text, alone.words) == (found.text, ())
        assert alone.confidence == pytest.approx(found.confidence, rel=1e-4)
    made.save_pretrained(tmp_path / "saved")
    assert sonant.load(tmp_path / "saved").transcribe(clips[1]) == made.transcribe(clips[1])


def test_long_recordings_are_cut_in_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    blank = torch.full((260,), 0.1)
    blank[80:90] = blank[170:176] = 0.9
    cuts = cut_in_pauses(blank, 100)
    assert cuts[0] == 0
    assert cuts[-1] == 260
    assert 80 <= cuts[1] < 90
    assert 170 <= cuts[2] < 176
    assert all(end - start <= 100 for start, end in pairwise(cuts))
    monkeypatch.setattr(written_transcripts, "PIECE_SECONDS", 1.0)
    assert recognizer().transcribe(speech(3.5)).duration_seconds == pytest.approx(3.5)
    with pytest.raises(AudioError, match="at most 1 s at once"):
        recognizer(ctc=False).transcribe(speech(3.5))


def test_alternatives_and_options_that_the_search_has_not() -> None:
    made = recognizer()
    found = made.transcribe(speech(0.5), n_best=4)
    assert len(found.alternatives) == 4
    assert found.alternatives[0].text == found.text
    scores = [each.score / (len(each.units) + 1) for each in found.alternatives]
    assert scores == sorted(scores, reverse=True)
    lm = Bigrams(("<unk>", "ab", "b", "a"))
    fused = made.transcribe(speech(0.5), n_best=4, lm=lm, lm_weight=2.0).alternatives[0]  # type: ignore[arg-type]
    assert fused.score == pytest.approx(fused.emission_score + 2 * (fused.lm_score or 0.0), rel=1e-5)
    words = [lm.words.index(word) if word in lm.words else 0 for word in fused.text.split()]
    assert fused.lm_score == pytest.approx(lm.total(words), rel=1e-4)
    with pytest.raises(ConfigurationError, match="word_score was given"):
        made.transcribe(speech(0.5), word_score=1.0)
    with pytest.raises(ConfigurationError, match="no CTC head"):
        made.emissions(speech(0.5))


def test_subtitles_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech(0.5), 16_000)
    with pytest.raises(ConfigurationError, match="format=srt"):
        recognizer().write_transcripts(tmp_path / "a.wav", tmp_path / "out", format="srt")
