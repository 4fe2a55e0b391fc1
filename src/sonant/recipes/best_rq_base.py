"""BEST-RQ with 103 million parameters: masked prediction of random-projection labels by a conformer.

The published conformer has 600 million parameters. Other differences: `RandomProjectionTargets`.
"""

from dataclasses import replace

from sonant.layers.masking import SpanMasking
from sonant.models import W2vBERT2Config
from sonant.pretraining import Batching, MaskedPredictionConfig, RandomProjectionTargets
from sonant.recipes.sources import SettingSource, whole_spans
from sonant.training import Training
from sonant.training.runs import PretrainingRun, Stage

PAPER = "arXiv 2202.01855, section 4"
HUBERT = SettingSource("ours", "HuBERT Base's")
SOURCES = {
    "model": SettingSource("ours", "w2v-BERT 2.0's block in the sizes of Conformer L (arXiv 2005.08100)"),
    "stages.*": HUBERT,
    "stages.*.objective.targets": SettingSource("published", PAPER),
    "stages.*.objective.masking": SettingSource("published", f"{PAPER}: 400 ms from 1 % of the mel frames of 10 ms"),
    "stages.*.objective.masking.min_spans": HUBERT,
    "stages.*.objective.masking.equal": replace(whole_spans(), otherwise=""),
    "stages.*.objective.feature_penalty": SettingSource("ours", "mel energies are not learned"),
    "stages.*.batching.fill": SettingSource("ours", "the same number of frames in every batch"),
}


def recipe() -> PretrainingRun:
    """One stage of 250,000 steps, without clustering or a teacher."""
    return PretrainingRun(
        name="best_rq_base",
        model=W2vBERT2Config(dim=512, num_layers=17, num_heads=8, feed_forward_dim=2048, layerdrop=0.05),
        stages=(
            Stage(
                name="random_projection",
                objective=MaskedPredictionConfig(
                    targets=RandomProjectionTargets(),
                    masking=SpanMasking(fraction=0.4, length=20),  # 20 frames are 400 ms; 2 % of frames begin a span
                    feature_penalty=0.0,  # mel energies are not learned
                ),
                batching=Batching(batch_seconds=87.5, max_seconds=15.625, min_seconds=2.0),
                training=Training(steps=250_000, grad_accumulation=32, precision="bfloat16"),
            ),
        ),
    )
