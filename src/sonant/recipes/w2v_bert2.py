"""Encoder of w2v-BERT 2.0 at its published size, 580 million parameters.

The recipe of w2v-BERT 2.0 (arXiv 2312.05187) was not published: the network, spans and contrast are known.
"""

from dataclasses import replace

from sonant.models import W2vBERT2Config
from sonant.pretraining import Batching, W2vBERTObjectiveConfig
from sonant.recipes.sources import SettingSource, whole_spans
from sonant.training import Linear, Training
from sonant.training.runs import PretrainingRun, Stage

ENCODER = "fairseq2, models/w2vbert/config.py, and conformer_shaw_600m"
LIKE_LARGE = SettingSource("inferred", "wav2vec 2.0 Large's")
UNKNOWN = SettingSource("ours", "2.0 has these labels; how many and with what weight is not published")
SOURCES = {
    "model": SettingSource("released", ENCODER),
    "model.layerdrop": SettingSource("released", f"{ENCODER}: the contrast needs an inner layer in every step"),
    "stages.*": LIKE_LARGE,
    "stages.*.objective": SettingSource("released", ENCODER),
    "stages.*.objective.masking.equal": whole_spans(),
    "stages.*.objective.contrast_layer": SettingSource(
        "inferred", "w2v-BERT's, 8 of 24 blocks: fairseq2, models/w2vbert"
    ),
    "stages.*.objective.contrast_weight": SettingSource("inferred", "w2v-BERT's: both losses weigh 1"),
    "stages.*.objective.code_weight": SettingSource("inferred", "w2v-BERT's: both losses weigh 1"),
    "stages.*.objective.label_weight": UNKNOWN,
    "stages.*.objective.num_label_codebooks": UNKNOWN,
    "stages.*.objective.label_codebook_size": UNKNOWN,
    "stages.*.objective.label_dim": UNKNOWN,
    "stages.*.objective.seed": UNKNOWN,
    "stages.*.batching.fill": SettingSource("ours", "the same number of frames in every batch"),
    "stages.*.training.clip_norm": SettingSource("ours", "not published"),
    "stages.*.training.steps": SettingSource("ours", "not published"),
    "stages.*.training.precision": SettingSource("ours", "not published"),
}


def recipe() -> PretrainingRun:
    """400,000 steps of 128 batches of 75 s."""
    return PretrainingRun(
        name="w2v_bert2",
        model=replace(W2vBERT2Config(), layerdrop=0.0),
        stages=(
            Stage(
                name="pretraining",
                objective=W2vBERTObjectiveConfig(),
                batching=Batching(batch_seconds=75.0, max_seconds=20.0, min_seconds=2.0),
                training=Training(
                    steps=400_000,
                    lr=3e-4,
                    schedule=Linear(warmup=0.08),
                    clip_norm=1.0,
                    grad_accumulation=128,
                    precision="bfloat16",
                ),
            ),
        ),
    )
