"""Heads whose classes come with the models, not with transformers: written anew here around its wav2vec 2.0."""

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor, nn

import sonant
from sonant.checkpoints import differing, load_checkpoint
from sonant.checkpoints.convert import convert_checkpoint
from tests.parity.test_fine_tuned import SHAPE, clips

LABELS = ("arousal", "dominance", "valence")
EMOTION: dict[str, Any] = {  # what config.json of audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim says
    "architectures": ["Wav2Vec2ForSpeechClassification"],
    "finetuning_task": "wav2vec2_reg",
    "pooling_mode": "mean",
    "problem_type": "regression",
    "id2label": dict(enumerate(LABELS)),
    "label2id": {label: i for i, label in enumerate(LABELS)},
}


class TwoLayers(nn.Module):
    """The head of all of them."""

    def __init__(self, config: Any, outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(config.final_dropout)
        self.out_proj = nn.Linear(config.hidden_size, outputs)

    def forward(self, features: Tensor) -> Tensor:
        return self.out_proj(self.dropout(torch.tanh(self.dense(self.dropout(features)))))


class Emotion(transformers.Wav2Vec2PreTrainedModel):
    """Emotion of audEERING's card, and soxan's speech classification."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.wav2vec2 = transformers.Wav2Vec2Model(config)
        self.classifier = TwoLayers(config, config.num_labels)
        self.post_init()

    def forward(self, values: Tensor) -> Tensor:
        states = self.wav2vec2(values).last_hidden_state
        pooled = {"mean": states.mean(1), "sum": states.sum(1), "max": states.max(1).values}
        return self.classifier(pooled[self.config.pooling_mode])


class AgeGender(transformers.Wav2Vec2PreTrainedModel):
    """Age and gender of audEERING's cards."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.wav2vec2 = transformers.Wav2Vec2Model(config)
        self.age = TwoLayers(config, 1)
        self.gender = TwoLayers(config, 3)
        self.post_init()

    def forward(self, values: Tensor) -> Tensor:
        pooled = self.wav2vec2(values).last_hidden_state.mean(1)
        return torch.hstack([self.age(pooled), torch.softmax(self.gender(pooled), dim=1)])


def published(kind: type[Any], folder: Path, **settings: Any) -> Any:
    """A model with random weights in a folder as its authors publish it, waveforms to be normalized."""
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        **SHAPE, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True, **settings
    )
    model = kind(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("wav2vec2."):
                parameter.copy_(torch.randn(parameter.shape) / parameter.shape[-1] ** 0.5)
    model.save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    if "architectures" in settings:
        said = json.loads((folder / "config.json").read_text()) | {"architectures": settings["architectures"]}
        (folder / "config.json").write_text(json.dumps(said))
    return model


@torch.no_grad()
def expected(model: Any, wave: np.ndarray) -> np.ndarray:
    """The outputs of the class for one recording, as its card runs it."""
    values = transformers.Wav2Vec2FeatureExtractor(do_normalize=True)(wave, sampling_rate=16_000, return_tensors="pt")
    return model(values.input_values)[0].double().numpy()


def assert_equal(answers: list[dict[str, float]], model: Any, names: tuple[str, ...], scale: Any = 1.0) -> None:
    for wave, answer in zip(clips(), answers, strict=True):
        assert tuple(answer) == names
        np.testing.assert_allclose(list(answer.values()), scale * expected(model, wave), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "sum", "max"])
def test_emotion_by_its_dimensions(tmp_path: Path, pooling: Literal["mean", "sum", "max"]) -> None:
    model = published(Emotion, tmp_path, **EMOTION | {"pooling_mode": pooling})
    encoder = sonant.load(tmp_path)
    assert encoder.abilities == ("embeddings", "classification")
    answers = encoder.classify(clips())
    assert_equal(answers, model, LABELS)
    assert answers[0] == pytest.approx(encoder.classify(clips()[0]), abs=1e-6)
    assert np.ptp([list(answer.values()) for answer in answers], axis=0).min() > 1e-3  # else nothing was compared


def test_emotions_as_labels(tmp_path: Path) -> None:
    """Soxan's classifiers: nothing says the problem, so that labels exclude each other."""
    settings = {name: EMOTION[name] for name in ("architectures", "pooling_mode", "id2label", "label2id")}
    model = published(Emotion, tmp_path, **settings)
    answer = sonant.load(tmp_path).classify(clips()[0])
    logits = torch.from_numpy(expected(model, clips()[0]))
    np.testing.assert_allclose(list(answer.values()), logits.softmax(0).numpy(), atol=1e-5)


def test_age_and_gender(tmp_path: Path) -> None:
    model = published(AgeGender, tmp_path)
    encoder = sonant.load(tmp_path)
    answers = encoder.classify(clips())
    assert_equal(answers, model, ("age_years", "female", "male", "child"), np.array([100.0, 1, 1, 1]))
    assert answers[1] == pytest.approx(encoder.classify(clips()[1]), abs=1e-5)


def test_the_labels_of_gender_are_those_of_the_file(tmp_path: Path) -> None:
    published(AgeGender, tmp_path, id2label={0: "age", 1: "Child", 2: "Female", 3: "Male"})
    assert tuple(sonant.load(tmp_path).classify(clips()[0])) == ("age_years", "child", "female", "male")


@pytest.mark.parametrize("way", ["save_pretrained", "hf", "sonant", "fairseq", "torchaudio"])
@pytest.mark.parametrize("kind", [Emotion, AgeGender])
def test_heads_travel(kind: type[Any], way: Any, tmp_path: Path) -> None:
    """Their own classes load what is written for transformers; every format gives the same answers here."""
    model = published(kind, tmp_path / "theirs", **(EMOTION if kind is Emotion else {}))
    encoder, target = sonant.load(tmp_path / "theirs"), tmp_path / "ours"
    if way == "save_pretrained":
        encoder.save_pretrained(target)
    else:
        assert convert_checkpoint(tmp_path / "theirs", target, to=way).faithful
    again = sonant.load(target)
    assert again.classify(clips()[0]) == pytest.approx(encoder.classify(clips()[0]), abs=1e-6)
    (head,) = load_checkpoint(target).heads.values()
    (before,) = load_checkpoint(tmp_path / "theirs").heads.values()
    assert head.metadata == before.metadata
    if way in ("save_pretrained", "hf"):
        loaded, report = kind.from_pretrained(target, output_loading_info=True)
        assert not any(report[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
        assert not differing(loaded.state_dict(), model.state_dict())
        body = transformers.Wav2Vec2Model.from_pretrained(target)
        assert torch.equal(body.encoder.layer_norm.weight, model.wav2vec2.encoder.layer_norm.weight)


@pytest.mark.parametrize(
    ("settings", "apply"),
    [
        ({}, lambda logits: logits.softmax(0)),
        ({"problem_type": "multi_label_classification"}, torch.sigmoid),
        ({"problem_type": "regression"}, lambda logits: logits),
    ],
)
def test_sequence_classification_answers_by_its_labels(settings: dict[str, Any], apply: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    labels = {0: "yes", 1: "no", 2: "maybe"}
    config = transformers.WavLMConfig(
        **SHAPE, classifier_proj_size=12, use_weighted_layer_sum=True, id2label=labels, **settings
    )
    model = transformers.WavLMForSequenceClassification(config).eval()
    with torch.no_grad():
        model.layer_weights.copy_(torch.randn(model.layer_weights.shape))
    model.save_pretrained(tmp_path)
    answers = sonant.load(tmp_path).classify(clips())
    for wave, answer in zip(clips(), answers, strict=True):
        with torch.no_grad():
            logits = model(torch.from_numpy(wave)[None]).logits[0]
        assert list(answer) == list(labels.values())
        np.testing.assert_allclose(list(answer.values()), apply(logits).numpy(), atol=1e-5)
