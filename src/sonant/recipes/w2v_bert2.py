"""Encoder of w2v-BERT 2.0 at its published size, 580 million parameters.

Published (arXiv 2312.05187, fairseq2): the network, spans, the trained quantizer and its contrast. Ours: contrast at
block 8 (w2v-BERT XL), weights and random-projection codebook (`W2vBERTObjectiveConfig`), and steps, lr and batches,
which follow wav2vec 2.0 Large. LayerDrop is off, since the contrast needs an inner layer in every step.
"""

from dataclasses import replace

from sonant.models import W2vBERT2Config
from sonant.pretraining import Batching, W2vBERTObjectiveConfig
from sonant.training import Linear, Training
from sonant.training.runs import PretrainingRun, Stage


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
