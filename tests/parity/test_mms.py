"""MMS in several languages, there and back: states, logits and text are those of transformers."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

import sonant
from sonant.api import SpeechEncoder
from sonant.layers.packed import Packed
from tests.mms import write_mms

RATE = 16_000
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mms(tmp_path_factory.mktemp("mms"))


def clips() -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [(0.1 * draw.standard_normal(size)).astype(np.float32) for size in (16_000, 24_321, 7_000)]


def assert_as_theirs(encoder: SpeechEncoder, model: transformers.Wav2Vec2ForCTC, tokenizer: object) -> list[str]:
    """Every state, the logits and the text of recordings in one batch, each alone in transformers; the texts."""
    waves = clips()
    states = encoder.encode(waves, layer=[*range(encoder.num_layers + 1), "last"], to="torch")
    transcripts = encoder.transcribe(waves)
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)
    for wave, ours, transcript in zip(waves, states, transcripts, strict=True):
        values = extractor(wave, sampling_rate=RATE, return_tensors="pt").input_values
        with torch.no_grad():
            expected = model(values, output_hidden_states=True)
            last = model.wav2vec2(values).last_hidden_state[0]
        for ours_of_layer, theirs in zip(ours[:-2], expected.hidden_states[:-1], strict=True):
            torch.testing.assert_close(ours_of_layer, theirs[0], atol=TOLERANCE, rtol=1e-4)
        torch.testing.assert_close(ours[-1], last, atol=TOLERANCE, rtol=1e-4)
        logits = encoder.heads["ctc"](Packed.pack([ours[-1][:, None]])).values
        torch.testing.assert_close(logits, expected.logits[0], atol=TOLERANCE, rtol=1e-4)
        assert transcript.text == " ".join(tokenizer.decode(expected.logits[0].argmax(-1)).split())
        assert encoder.transcribe(wave).text == transcript.text
    return [transcript.text for transcript in transcripts]


@pytest.mark.parametrize("start", [None, "fra", "deu"])
def test_languages_there_and_back(folder: Path, start: str | None) -> None:
    model = transformers.Wav2Vec2ForCTC.from_pretrained(
        folder, **({"target_lang": start, "ignore_mismatched_sizes": True} if start else {})
    ).eval()
    tokenizer = transformers.Wav2Vec2CTCTokenizer.from_pretrained(folder, **({"target_lang": start} if start else {}))
    encoder = sonant.load(folder, language=start)
    assert encoder.language == (start or "eng")
    texts = [assert_as_theirs(encoder, model, tokenizer)]
    for language in ("fra", "deu", "fra", start or "eng"):
        encoder.set_language(language)
        model.load_adapter(language)
        tokenizer.set_target_lang(language)
        assert encoder.language == language
        texts.append(assert_as_theirs(encoder, model, tokenizer))
    assert texts[0] == texts[-1]
    assert texts[1] == texts[3] != texts[2]
    assert all(map(any, texts))
