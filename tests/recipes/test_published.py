"""The published runs of wav2vec 2.0 and HuBERT say what their papers and configurations say."""

import pytest
import torch

from sonant.models import WaveformTransformer, build
from sonant.pretraining import LayerTargets, MaskedContrast, MaskedContrastConfig, MaskedPrediction, MFCCTargets
from sonant.recipes import pretraining_recipe
from sonant.training.runs import PretrainingRun, Stage

# Name, seconds of speech an update, of a crop, updates, peak rate.
RUNS = [
    ("wav2vec2_base", 5600, 15.625, 400_000, 5e-4),
    ("wav2vec2_large", 9600, 20, 250_000, 3e-4),
    ("wav2vec2_large_lv60", 9600, 20, 600_000, 3e-4),
    ("xlsr_53", 9600, 20, 1_000_000, 1e-3),
    ("xls_r_300m", 15_360, 20, 1_000_000, 1e-3),
    ("xls_r_1b", 10_000, 20, 1_000_000, 8e-5),
    ("xls_r_2b", 12_800, 20, 1_000_000, 8e-5),
    ("hubert_base", 2800, 15.625, 400_000, 5e-4),
    ("hubert_large", 7200, 15.625, 400_000, 1.5e-3),
    ("hubert_xlarge", 5760, 15.625, 400_000, 3e-3),
]


def objective_of(run: PretrainingRun, stage: Stage) -> torch.nn.Module:
    """Without values: the large models would not fit."""
    with torch.device("meta"):
        backbone = build(run.model)
        assert isinstance(backbone, WaveformTransformer)
        if isinstance(stage.objective, MaskedContrastConfig):
            return MaskedContrast(backbone, stage.objective)
        return MaskedPrediction(backbone, stage.objective)


@pytest.mark.parametrize(("name", "batch_seconds", "crop_seconds", "steps", "rate"), RUNS)
def test_sizes_of_the_run(name: str, batch_seconds: float, crop_seconds: float, steps: int, rate: float) -> None:
    stage = pretraining_recipe(name).stages[-1]
    assert stage.batching.batch_seconds * stage.training.grad_accumulation == batch_seconds
    assert stage.batching.max_seconds == crop_seconds
    assert stage.batching.min_seconds == 2
    assert (stage.training.steps, stage.training.lr) == (steps, rate)
    assert stage.training.betas == (0.9, 0.98)
    assert stage.training.weight_decay == 0.01
    assert stage.start == "fresh"
    assert stage.mixing.probability == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("wav2vec2_base", 95_044_608),
        ("wav2vec2_large_lv60", 317_390_592),
        ("xlsr_53", 317_390_592),
        # fairseq's dictionaries add four symbols, so that the paper's models have 504 labels.
        ("hubert_base", 94_697_600 - 4 * 256),
        ("hubert_large", 316_609_408 - 4 * 768),
    ],
)
def test_parameters_with_the_head(name: str, parameters: int) -> None:
    """What fairseq prints for the pretraining models."""
    run = pretraining_recipe(name)
    assert sum(parameter.numel() for parameter in objective_of(run, run.stages[-1]).parameters()) == parameters


@pytest.mark.parametrize(
    ("name", "coldest", "penalty", "gradient"),
    [("wav2vec2_base", 0.5, 10, 0.1), ("wav2vec2_large", 0.1, 10, 0.1), ("wav2vec2_large_lv60", 0.1, 0, 1.0)],
)
def test_what_differs_between_the_runs_of_wav2vec2(name: str, coldest: float, penalty: float, gradient: float) -> None:
    objective = pretraining_recipe(name).stages[0].objective
    assert isinstance(objective, MaskedContrastConfig)
    assert (objective.temperature.start, objective.temperature.end) == (2.0, coldest)
    assert (objective.feature_penalty, objective.extractor_gradient) == (penalty, gradient)
    assert (objective.num_codebooks, objective.codebook_size, objective.num_negatives) == (2, 320, 100)
    assert (objective.masking.fraction, objective.masking.length) == (0.65, 10)


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("hubert_base", [MFCCTargets(num_clusters=100), LayerTargets(layer=6, num_clusters=500)]),
        ("hubert_large", [LayerTargets(layer=9, num_clusters=500)]),
        ("hubert_xlarge", [LayerTargets(layer=9, num_clusters=500)]),
    ],
)
def test_targets_of_hubert(name: str, targets: list[object]) -> None:
    assert [stage.objective.targets for stage in pretraining_recipe(name).stages] == targets
