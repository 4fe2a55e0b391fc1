"""Runs of w2v-BERT and of BEST-RQ on a tiny corpus: interruption, and folders that load."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Wav2Vec2BertModel

import sonant.training.pretrain as recipe_module
from sonant.checkpoints import load_checkpoint
from sonant.errors import ConfigurationError
from sonant.models import W2vBERT2Config, Wav2Vec2Config
from sonant.pretraining import Batching, MaskedPredictionConfig, RandomProjectionTargets, W2vBERTObjectiveConfig
from sonant.training import Training, train
from sonant.training.pretrain import pretrain
from sonant.training.runs import PretrainingRun, Stage
from tests.shapes import TINY
from tests.training.test_pretrain import write_corpus

# With a few codes of a fresh quantizer in use, the run warns of a collapse, which is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::sonant.training.TrainingWarning")

STAGE = Stage(
    name="w2v_bert",
    objective=W2vBERTObjectiveConfig(
        contrast_layer=1,
        num_codebooks=2,
        codebook_size=5,
        quantized_dim=12,
        projection_dim=6,
        num_negatives=7,
        num_label_codebooks=2,
        label_codebook_size=9,
    ),
    batching=Batching(batch_seconds=4.0, max_seconds=2.0, min_seconds=0.5),
    training=Training(steps=4, lr=1e-3, log_every=1, save_every=2),
)
MODEL = W2vBERT2Config(
    dim=16, num_layers=2, num_heads=2, feed_forward_dim=20, conv_kernel=5, conv_dropout=0.1, layerdrop=0.0
)


@pytest.fixture
def run(tmp_path: Path) -> PretrainingRun:
    return PretrainingRun(
        name="tiny",
        model=MODEL,
        stages=(STAGE,),
        data=str(write_corpus(tmp_path / "speech", [20_000, 33_000, 48_000, 16_000, 25_000, 31_000])),
        output=str(tmp_path / "runs"),
    )


def test_interrupted_equals_uninterrupted(run: PretrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = load_checkpoint(pretrain(run))
    interrupted = replace(run, output=str(tmp_path / "interrupted"))

    class Interruption(Exception):
        pass

    def stop(*args: object, **options: object) -> None:
        train(*args, **options, stop_at=2)
        raise Interruption

    monkeypatch.setattr(recipe_module, "train", stop)
    with pytest.raises(Interruption):
        pretrain(interrupted)
    monkeypatch.setattr(recipe_module, "train", train)
    resumed = load_checkpoint(pretrain(interrupted))
    for expected, given in (
        (whole.backbone_state, resumed.backbone_state),
        (whole.heads["pretraining"].tensors, resumed.heads["pretraining"].tensors),
    ):
        assert expected.keys() == given.keys()
        assert all(torch.equal(expected[name], given[name]) for name in expected)


def test_transformers_loads_what_was_trained(run: PretrainingRun) -> None:
    folder = pretrain(run)
    peer = Wav2Vec2BertModel.from_pretrained(folder)
    ours = load_checkpoint(folder).backbone_state["encoder.layers.1.conv.depthwise.weight"]
    assert torch.equal(peer.encoder.layers[1].conv_module.depthwise_conv.weight, ours)


def test_best_rq_on_a_conformer(run: PretrainingRun) -> None:
    objective = MaskedPredictionConfig(
        targets=RandomProjectionTargets(codebook_size=20), feature_penalty=0.0, projection_dim=6
    )
    folder = pretrain(replace(run, stages=(replace(STAGE, name="random_projection", objective=objective),)))
    checkpoint = load_checkpoint(folder)
    assert checkpoint.config == MODEL
    assert checkpoint.heads["pretraining"].tensors["label_embeddings"].shape == (20, 6)


def test_the_objective_needs_its_own_model(run: PretrainingRun) -> None:
    with pytest.raises(ConfigurationError, match="WaveformTransformer"):
        pretrain(replace(run, model=Wav2Vec2Config(**TINY)))
