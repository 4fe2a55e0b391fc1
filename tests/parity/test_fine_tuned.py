"""Fine-tuned models of transformers, saved by it and loaded by us, answer alike."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

import sonant
from sonant.api import SpeechEncoder
from sonant.layers.packed import Packed
from sonant.models import WavLMConfig
from tests.heads import LETTERS, NUM_SPEAKERS, write_frame_classifier, write_xvector
from tests.shapes import SMALL

RATE = 16_000
TOLERANCE = 1e-4
SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
SPEAKER: dict[str, Any] = SHAPE | {
    "tdnn_dim": [16, 16, 20],
    "tdnn_kernel": [5, 3, 1],
    "tdnn_dilation": [1, 2, 1],
    "xvector_output_dim": 24,
    "num_labels": NUM_SPEAKERS,
}
CONFORMER: dict[str, Any] = {name: SHAPE[name] for name in SHAPE if "conv" not in name} | {
    "feature_projection_input_dim": 160,
    "conv_depthwise_kernel_size": 7,
}
FAMILIES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2ForCTC, SHAPE),
    "wav2vec2-stable": (
        transformers.Wav2Vec2Config,
        transformers.Wav2Vec2ForCTC,
        SHAPE | {"do_stable_layer_norm": True},
    ),
    "hubert": (transformers.HubertConfig, transformers.HubertForCTC, SHAPE),
    "distilhubert": (transformers.HubertConfig, transformers.HubertForCTC, SHAPE | {"feat_proj_layer_norm": False}),
    "data2vec": (
        transformers.Data2VecAudioConfig,
        transformers.Data2VecAudioForCTC,
        SHAPE | {"num_conv_pos_embeddings": 3, "conv_pos_kernel_size": 5},
    ),
    "unispeech": (transformers.UniSpeechConfig, transformers.UniSpeechForCTC, SHAPE),
    "unispeech-sat": (transformers.UniSpeechSatConfig, transformers.UniSpeechSatForCTC, SHAPE),
    "wavlm": (transformers.WavLMConfig, transformers.WavLMForCTC, SHAPE),
    "wav2vec2-conformer": (
        transformers.Wav2Vec2ConformerConfig,
        transformers.Wav2Vec2ConformerForCTC,
        SHAPE | {"hidden_act": "swish", "conv_depthwise_kernel_size": 7},
    ),
    "sew": (
        transformers.SEWConfig,
        transformers.SEWForCTC,
        SHAPE
        | {
            "conv_dim": [16] * 13,
            "num_conv_pos_embeddings": 15,
        },
    ),
    "w2v-bert": (transformers.Wav2Vec2BertConfig, transformers.Wav2Vec2BertForCTC, CONFORMER),
}


def clips() -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [(0.1 * draw.standard_normal(size)).astype(np.float32) for size in (16_000, 24_321, 7_000)]


def saved(model: Any, folder: Path) -> SpeechEncoder:
    """Louder than fresh weights, so that answers differ; in evaluation mode, saved and loaded by us."""
    draw = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.startswith(("lm_head.weight", "classifier", "projector", "tdnn", "feature_extractor.weight")):
                parameter.copy_(torch.randn(parameter.shape, generator=draw) / parameter.shape[-1] ** 0.5)
            if name.endswith("upsample.projection.weight"):
                parameter.mul_(50)
            if name == "layer_weights":
                parameter.copy_(torch.randn(parameter.shape, generator=draw))
    model.eval().save_pretrained(folder)
    if model.config.model_type == "data2vec-audio":  # where nothing says otherwise, its waveforms are normalized
        transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    return sonant.load(folder)


def theirs(model: Any, wave: np.ndarray) -> Any:
    """Their output for one recording alone."""
    if model.config.model_type == "wav2vec2-bert":
        features = transformers.SeamlessM4TFeatureExtractor()(wave, sampling_rate=RATE, return_tensors="pt")
        inputs = features["input_features"]
    else:
        inputs = torch.from_numpy(wave)[None]
    with torch.no_grad():
        return model(inputs)


def logits_of(encoder: SpeechEncoder, kind: str, waves: list[np.ndarray], layers: list[int | str]) -> list[Tensor]:
    """What our head says of each frame, all recordings in one batch."""
    states = encoder.encode(waves, layer=layers, to="torch")
    speech = Packed.pack(state.transpose(0, 1) for state in states)
    return list(encoder.heads[kind](speech))


@pytest.mark.parametrize("family", FAMILIES)
def test_ctc(family: str, tmp_path: Path) -> None:
    """Logits, text and word times, for one vocabulary of letters."""
    make_config, make_model, shape = FAMILIES[family]
    torch.manual_seed(0)
    model = make_model(make_config(**shape, vocab_size=len(LETTERS), pad_token_id=0))
    with torch.no_grad():
        model.lm_head.bias[[0, 4]] += 1.5  # blanks and spaces, so that there are words
        model.lm_head.bias[1:4] = -50.0
    (tmp_path / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(LETTERS)}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"))
    encoder = saved(model, tmp_path)
    waves = clips()
    ours = logits_of(encoder, "ctc", waves, ["last"])
    transcripts = encoder.transcribe(waves)
    for wave, logits, transcript in zip(waves, ours, transcripts, strict=True):
        expected = theirs(model, wave).logits[0]
        torch.testing.assert_close(logits, expected, atol=TOLERANCE, rtol=0)
        decoded = tokenizer.decode(expected.argmax(-1), output_word_offsets=True)
        assert transcript.text == " ".join(decoded.text.split())  # theirs may have two spaces on end
        assert [word.text for word in transcript.words] == [found["word"] for found in decoded.word_offsets]
        frames = [(round(w.start_seconds * 50), round(w.end_seconds * 50)) for w in transcript.words]
        assert frames == [(found["start_offset"], found["end_offset"]) for found in decoded.word_offsets]
        assert all(0 < word.confidence <= 1 for word in transcript.words)
    assert sum(len(transcript.words) for transcript in transcripts) >= 4
    assert encoder.abilities == ("embeddings", "transcription")


def config_of(family: str, **settings: Any) -> Any:
    """A configuration of transformers, small and with heads."""
    heads = {name: value for name, value in SPEAKER.items() if name not in SHAPE and name not in settings}
    shape = CONFORMER if family == "Wav2Vec2Bert" else SHAPE
    if "id2label" in settings:
        del heads["num_labels"]
    return getattr(transformers, f"{family}Config")(**shape, **heads, **settings)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize(
    "family", ["WavLM", "Wav2Vec2", "Wav2Vec2Bert", "Wav2Vec2Conformer", "UniSpeechSat", "Data2VecAudio"]
)
def test_speaker_vectors(family: str, tmp_path: Path, *, weighted: bool) -> None:
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}ForXVector")(config_of(family, use_weighted_layer_sum=weighted))
    encoder = saved(model, tmp_path)
    waves = clips()
    for wave, vector in zip(waves, encoder.speaker_vectors(waves), strict=True):
        expected = theirs(model, wave).embeddings[0].numpy()
        np.testing.assert_allclose(vector, expected, atol=TOLERANCE)
    first, second = (theirs(model, wave).embeddings[0] for wave in waves[:2])
    score = encoder.verify(waves[0], waves[1]).score
    assert score == pytest.approx(float(torch.cosine_similarity(first, second, dim=0)), abs=TOLERANCE)
    states: list[int | str] = [0, 1, 2, "last"] if weighted else ["last"]
    head = encoder.heads["xvector"]
    packed = Packed.pack(state.transpose(0, 1) for state in encoder.encode(waves, layer=states, to="torch"))
    np.testing.assert_allclose(head(packed).numpy(), encoder.speaker_vectors(waves), atol=TOLERANCE)


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("family", ["WavLM", "Wav2Vec2", "Wav2Vec2Bert", "UniSpeechSat", "Data2VecAudio"])
def test_frame_classification(tmp_path: Path, family: str, *, weighted: bool) -> None:
    torch.manual_seed(0)
    config = config_of(family, use_weighted_layer_sum=weighted)
    model = getattr(transformers, f"{family}ForAudioFrameClassification")(config)
    encoder = saved(model, tmp_path)
    states: list[int | str] = [0, 1, 2, "last"] if weighted else ["last"]
    for wave, logits in zip(clips(), logits_of(encoder, "frame_classification", clips(), states), strict=True):
        torch.testing.assert_close(logits, theirs(model, wave).logits[0], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    "family",
    [
        *("WavLM", "Hubert", "Wav2Vec2", "Wav2Vec2Bert"),
        *("Wav2Vec2Conformer", "UniSpeech", "UniSpeechSat", "Data2VecAudio"),
    ],
)
def test_sequence_classification(tmp_path: Path, family: str) -> None:
    """Logits, and probabilities under the names of id2label."""
    torch.manual_seed(0)
    labels = {0: "yes", 1: "no"}
    config = config_of(family, classifier_proj_size=12, use_weighted_layer_sum=True, id2label=labels)
    model = getattr(transformers, f"{family}ForSequenceClassification")(config)
    encoder = saved(model, tmp_path)
    states = encoder.encode(clips(), layer=[0, 1, 2, "last"], to="torch")
    logits = encoder.heads["sequence_classification"](Packed.pack(state.transpose(0, 1) for state in states))
    for wave, found, answer in zip(clips(), logits, encoder.classify(clips()), strict=True):
        expected = theirs(model, wave).logits[0]
        torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)
        assert answer == pytest.approx(dict(zip(labels.values(), expected.softmax(0).tolist(), strict=True)), abs=1e-5)


def test_with_a_final_norm_the_mix_takes_the_last_state(tmp_path: Path) -> None:
    """As the published heads were trained: transformers took the normalized state, until its version 5."""
    config = WavLMConfig(**SMALL, pre_norm=True)
    folder = write_frame_classifier(tmp_path, config=config)
    encoder = sonant.load(folder)
    assert encoder.head_pipeline("diarization").layers == (0, 1, 2, 3, "last")
    (wave, *_) = clips()
    state = encoder.encode(wave, layer=[0, 1, 2, 3, "last"], to="torch")
    head = encoder.heads["frame_classification"]
    frames = torch.einsum("l,ltd->td", head.mix.weights.softmax(0), state)
    expected = frames @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head(Packed.pack([state.transpose(0, 1)])).values, expected, atol=1e-5, rtol=1e-5)


def test_our_fixtures_are_read_by_transformers(tmp_path: Path) -> None:
    """What `save_pretrained` writes of a head, transformers takes for its own."""
    encoder = sonant.load(write_xvector(tmp_path / "a"))
    encoder.save_pretrained(tmp_path / "b")
    model = transformers.WavLMForXVector.from_pretrained(tmp_path / "b").eval()
    (wave, *_) = clips()
    np.testing.assert_allclose(encoder.speaker_vectors(wave), theirs(model, wave).embeddings[0].numpy(), atol=TOLERANCE)


ADAPTED: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2": ("wav2vec2", {"num_adapter_layers": 2, "output_hidden_size": 24}),
    "wav2vec2, sparse": ("wav2vec2-stable", {"num_adapter_layers": 1, "adapter_stride": 5, "adapter_kernel_size": 2}),
    "wavlm": ("wavlm", {}),
    "w2v-bert": ("w2v-bert", {"num_adapter_layers": 2}),
}


@pytest.mark.parametrize("name", ADAPTED)
def test_ctc_behind_an_adapter(name: str, tmp_path: Path) -> None:
    """Text and word times."""
    family, adapter = ADAPTED[name]
    make_config, make_model, shape = FAMILIES[family]
    torch.manual_seed(0)
    config = make_config(**shape, **adapter, add_adapter=True, vocab_size=len(LETTERS), pad_token_id=0)
    model = make_model(config)
    with torch.no_grad():
        model.lm_head.bias[[0, 4]] += 0.3
        model.lm_head.bias[1:4] = -50.0
    (tmp_path / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(LETTERS)}))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"))
    encoder = saved(model, tmp_path)
    rate = 50 / encoder.model.adapter.stride
    waves = [*clips(), (0.1 * np.random.default_rng(1).standard_normal(50_200)).astype(np.float32)]
    transcripts = encoder.transcribe(waves)
    for wave, transcript in zip(waves, transcripts, strict=True):
        expected = theirs(model, wave).logits[0]
        decoded = tokenizer.decode(expected.argmax(-1), output_word_offsets=True)
        assert transcript.text == " ".join(decoded.text.split())
        frames = [(round(w.start_seconds * rate), round(w.end_seconds * rate)) for w in transcript.words]
        assert frames == [(found["start_offset"], found["end_offset"]) for found in decoded.word_offsets]
        assert encoder.transcribe(wave) == transcript
    assert sum(len(transcript.words) for transcript in transcripts) >= 2
