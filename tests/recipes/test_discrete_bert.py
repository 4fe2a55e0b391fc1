"""A run on discretized speech: the teacher's codes, a vocabulary of what occurs, and a model that takes waveforms."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sonant
import sonant.training.pretrain as recipe_module
from sonant.checkpoints import load_backbone, save_pretrained
from sonant.errors import ConfigurationError
from sonant.models import WavLMConfig, build
from sonant.models.discrete_bert import DiscreteBERT, DiscreteBERTConfig
from sonant.pretraining import Batching, MaskedTokensConfig
from sonant.recipes import pretraining_recipe
from sonant.training import Training, train
from sonant.training.pretrain import pretrain
from sonant.training.runs import PretrainingRun, Stage
from tests.codes import vq_wav2vec
from tests.shapes import TINY


@pytest.fixture
def run(tmp_path: Path) -> PretrainingRun:
    (tmp_path / "speech").mkdir()
    rng = np.random.default_rng(0)
    for number, samples in enumerate([20_000, 33_000, 48_000, 16_000, 25_000]):
        soundfile.write(tmp_path / "speech" / f"{number}.wav", rng.normal(0, 0.1, samples), 16_000)
    lines = [json.dumps({"path": f"{number}.wav"}) + "\n" for number in range(5)]
    (tmp_path / "speech" / "manifest.jsonl").write_text("".join(lines))
    save_pretrained(vq_wav2vec(), tmp_path / "teacher")
    return PretrainingRun(
        name="tiny",
        model=DiscreteBERTConfig(dim=16, num_layers=2, num_heads=2, feed_forward_dim=24, max_positions=80),
        stages=(
            Stage(
                name="tokens",
                objective=MaskedTokensConfig(),
                batching=Batching(batch_seconds=3.0, max_seconds=1.0, min_seconds=0.3),
                training=Training(steps=6, lr=1e-3, log_every=2, save_every=2),
            ),
        ),
        data=str(tmp_path / "speech"),
        teacher=str(tmp_path / "teacher"),
        output=str(tmp_path / "runs"),
    )


@pytest.mark.slow
def test_a_run_interrupted_equals_a_run_that_was_not(
    run: PretrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load_backbone(pretrain(run))
    again = replace(run, output=str(tmp_path / "again"))

    def stop_early(*args, **how):
        train(*args, **how, stop_at=3)
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe_module, "train", stop_early)
    with pytest.raises(KeyboardInterrupt):
        pretrain(again)
    monkeypatch.undo()
    ended = load_backbone(pretrain(again))
    assert all(torch.equal(tensor, ended.state_dict()[name]) for name, tensor in whole.state_dict().items())


def test_the_model_takes_waveforms(run: PretrainingRun, tmp_path: Path) -> None:
    folder = pretrain(run)
    encoder, teacher = sonant.load(folder), sonant.load(run.teacher)
    assert isinstance(encoder.model, DiscreteBERT)
    noise = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    assert np.array_equal(encoder.units(noise), teacher.units(noise))
    assert encoder.encode(noise).shape == (encoder.model.num_frames(16_000), 16)
    words = (tmp_path / "runs/tiny/tokens/targets/dict.txt").read_text().splitlines()
    assert encoder.model.config.vocabulary_size == len(words) + 5
    assert encoder.model.vocabulary.symbols()[4:-1] == [word.split()[0] for word in words]


def test_what_is_needed_is_said(run: PretrainingRun, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="teacher=MODEL"):
        pretrain(replace(run, teacher=""))
    with pytest.raises(ConfigurationError, match="works on a discrete BERT; the run's model is"):
        pretrain(replace(run, model=WavLMConfig(**TINY)))
    save_pretrained(build(WavLMConfig(**TINY)), tmp_path / "wavlm")
    with pytest.raises(ConfigurationError, match=r"codes of a vq-wav2vec.*the teacher is a WaveformTransformer"):
        pretrain(replace(run, teacher=str(tmp_path / "wavlm")))


@pytest.mark.slow
def test_a_second_stage_goes_on_from_the_first(run: PretrainingRun) -> None:
    (stage,) = run.stages
    frozen = replace(stage, name="more", start="previous", training=replace(stage.training, lr=1e-12))
    runs = (replace(run, name="first"), replace(run, name="both", stages=(stage, frozen)))
    first, second = map(pretrain, runs)
    before, after = load_backbone(first).state_dict(), load_backbone(second).state_dict()
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(("name", "width"), [("tiny", 192), ("small", 512), ("base", 768)])
def test_recipes(name: str, width: int) -> None:
    made = pretraining_recipe(f"discrete_bert_{name}")
    assert made.model.dim == width
    (stage,) = made.stages
    assert stage.objective == MaskedTokensConfig()
    if name != "tiny":
        assert stage.training.grad_accumulation * stage.batching.batch_seconds * 100 == pytest.approx(393_216)
        assert stage.training.schedule.warmup * stage.training.steps == 10_000
