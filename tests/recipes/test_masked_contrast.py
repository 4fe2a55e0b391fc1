"""A run of wav2vec 2.0 on a tiny corpus: interruption, and a folder that transformers takes up with its quantizer."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Wav2Vec2ForPreTraining

import sonant.training.pretrain as recipe_module
from sonant.checkpoints import load_checkpoint
from sonant.layers.gumbel_quantizer import Temperature
from sonant.models import Wav2Vec2Config
from sonant.pretraining import Batching, MaskedContrastConfig
from sonant.training import Training, TrainingWarning, train
from sonant.training.pretrain import pretrain
from sonant.training.runs import PretrainingRun, Stage
from tests.shapes import TINY
from tests.training.test_pretrain import write_corpus

# With five codes of a fresh quantizer in use at most, the run warns of a collapse, which is not what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore::sonant.training.TrainingWarning")

STAGE = Stage(
    name="contrast",
    objective=MaskedContrastConfig(
        num_codebooks=4,
        codebook_size=5,
        quantized_dim=12,
        projection_dim=6,
        num_negatives=7,
        temperature=Temperature(decay=0.9),
    ),
    extractor_steps=2,
    batching=Batching(batch_seconds=4.0, max_seconds=2.0, min_seconds=0.5),
    training=Training(steps=5, lr=1e-3, log_every=1, save_every=2),
)


@pytest.fixture
def run(tmp_path: Path) -> PretrainingRun:
    return PretrainingRun(
        name="tiny",
        model=Wav2Vec2Config(**TINY, layerdrop=0.1),
        stages=(STAGE,),
        data=str(write_corpus(tmp_path / "speech", [20_000, 33_000, 48_000, 16_000, 25_000, 31_000])),
        output=str(tmp_path / "runs"),
    )


def test_interrupted_equals_uninterrupted(run: PretrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The noise, the negatives and the temperature of a resumed run are those of one that never stopped."""
    whole = load_checkpoint(pretrain(run))
    interrupted = replace(run, output=str(tmp_path / "interrupted"))

    class Interruption(Exception):
        pass

    def stop(*args: object, **options: object) -> None:
        train(*args, **options, stop_at=2 if Path(args[3]).name == "contrast" else None)
        if Path(args[3]).name == "contrast":
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
    lines = [(tmp_path / runs / "tiny" / "contrast" / "metrics.jsonl").read_text() for runs in ("runs", "interrupted")]
    for key in ("contrastive_loss", "temperature", "code_perplexity"):
        first, second = ([line.split(f'"{key}": ')[1].split(",")[0] for line in text.splitlines()] for text in lines)
        assert first == second


def test_transformers_takes_the_run_up(run: PretrainingRun) -> None:
    folder = pretrain(run)
    peer, report = Wav2Vec2ForPreTraining.from_pretrained(folder, output_loading_info=True)
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    head = load_checkpoint(folder).heads["pretraining"]
    assert head.metadata["num_codebooks"] == peer.quantizer.num_groups == 4
    assert peer.quantizer.num_vars == 5
    assert torch.equal(peer.quantizer.codevectors, head.tensors["quantizer.codebook"])


@pytest.mark.filterwarnings("default::sonant.training.TrainingWarning")
def test_a_collapse_is_said_and_written(run: PretrainingRun) -> None:
    dead = replace(STAGE, objective=replace(STAGE.objective, codebook_size=2, num_codebooks=1))
    with pytest.warns(TrainingWarning, match=r"codebook collapses: .* of 2 codes"):
        folder = pretrain(replace(run, stages=(dead,)))
    assert '"warning": "The codebook collapses' in (folder.parent / "metrics.jsonl").read_text()


def test_a_first_stage_goes_on_with_the_quantizer_of_its_teacher(run: PretrainingRun) -> None:
    teacher = pretrain(run)
    still = replace(STAGE, start="previous", training=replace(STAGE.training, steps=1, lr=0.0, weight_decay=0.0))
    continued = load_checkpoint(pretrain(replace(run, name="continued", stages=(still,), teacher=str(teacher))))
    expected = load_checkpoint(teacher)
    for name, tensor in expected.heads["pretraining"].tensors.items():
        assert torch.equal(continued.heads["pretraining"].tensors[name], tensor), name
    for name, tensor in expected.backbone_state.items():
        assert torch.equal(continued.backbone_state[name], tensor), name
