"""HuBERT Base, both iterations, for 960 hours of LibriSpeech. The released model is that of the second iteration."""

from sonant.audio.augment import Mixing
from sonant.models import HuBERTConfig
from sonant.pretraining import Batching, LayerTargets, MaskedPredictionConfig, MFCCTargets
from sonant.recipes.sources import SettingSource, whole_spans
from sonant.training import Training
from sonant.training.runs import PretrainingRun, Stage

BATCHING = Batching(batch_seconds=87.5, max_seconds=15.625, min_seconds=2.0, fill="shortest")

CONFIG = "fairseq, examples/hubert/config/pretrain/hubert_base_librispeech.yaml"
TORCHAUDIO = "torchaudio, examples/hubert/README.md"
SOURCES = {
    "model": SettingSource("released", f"{CONFIG}; defaults of models/hubert/hubert.py"),
    "stages.*": SettingSource("released", CONFIG),
    "stages.*.start": SettingSource("released", f"each iteration starts from fresh weights: {TORCHAUDIO}"),
    "stages.*.objective": SettingSource("released", f"{CONFIG}; defaults of models/hubert/hubert.py"),
    "stages.*.objective.masking.equal": whole_spans("mfcc", "layer6"),
    "stages.mfcc.objective.targets": SettingSource("released", TORCHAUDIO),
    "stages.layer6.objective.targets": SettingSource("released", TORCHAUDIO),
    "stages.mfcc.objective.targets.subtract_mean": SettingSource(
        "released", "fairseq, simple_kmeans/dump_mfcc_feature.py"
    ),
    "stages.*.batching": SettingSource(
        "released", f"{CONFIG}: at most 1.4 M samples, all cropped to the shortest clip"
    ),
    "stages.*.mixing": SettingSource("released", "none: fairseq, data/audio/hubert_dataset.py"),
    "stages.mfcc.training.steps": SettingSource(
        "released", f"{TORCHAUDIO}; the paper's, which fairseq's file leaves out"
    ),
    "stages.*.training.grad_accumulation": SettingSource("released", f"32 GPUs: {CONFIG}"),
    "stages.*.training.precision": SettingSource("ours", "the original has float16 with a scaled loss"),
}


def recipe() -> PretrainingRun:
    """100 clusters of MFCC for 250,000 steps, then 500 clusters of the first iteration's layer 6 for 400,000."""
    return PretrainingRun(
        name="hubert_base",
        model=HuBERTConfig(),
        stages=(
            Stage(
                name="mfcc",
                objective=MaskedPredictionConfig(targets=MFCCTargets(num_clusters=100)),
                batching=BATCHING,
                mixing=Mixing(probability=0.0),
                training=Training(steps=250_000, grad_accumulation=32, precision="bfloat16"),
            ),
            Stage(
                name="layer6",
                objective=MaskedPredictionConfig(targets=LayerTargets(layer=6, num_clusters=500)),
                batching=BATCHING,
                mixing=Mixing(probability=0.0),
                training=Training(steps=400_000, grad_accumulation=32, precision="bfloat16"),
            ),
        ),
    )
