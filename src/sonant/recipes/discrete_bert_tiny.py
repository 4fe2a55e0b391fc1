"""A BERT of a few million parameters on the codes of `vq_wav2vec_tiny`, for one CPU core and a quarter of an hour."""

from sonant.models.discrete_bert import TINY
from sonant.pretraining import Batching, MaskedTokensConfig
from sonant.recipes.pretraining import PretrainingRun, Stage
from sonant.training import Linear, Training


def recipe() -> PretrainingRun:
    """Masked tokens for some thousand steps; give the vq-wav2vec that makes the tokens: teacher=MODEL."""
    return PretrainingRun(
        name="discrete_bert_tiny",
        model=TINY,
        stages=(
            Stage(
                name="tokens",
                objective=MaskedTokensConfig(),
                batching=Batching(batch_seconds=16.0, max_seconds=5.0, min_seconds=1.0),
                training=Training(
                    steps=2_200,
                    peak_rate=1e-3,
                    schedule=Linear(warmup=0.08),
                    clip_norm=1.0,
                    precision="bfloat16",
                    log_every=50,
                    save_every=500,
                ),
            ),
        ),
    )
