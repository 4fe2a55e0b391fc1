"""BERT on discretized speech, base size (arXiv 1910.05453, section 5.3): masked tokens over the codes of a vq-wav2vec.

960 hours of LibriSpeech are about 345 million tokens, 100 a second. The published run has 3072 tokens on each of 128
GPUs in a step, here `grad_accumulation` batches. Warm-up: 10,000 of 250,000 updates. The paper does not crop; here
clips, mostly of 16 s, are cropped to the model's number of positions. Adam's betas and epsilon are those of the
published checkpoint (fairseq issue 1929); the weight decay is RoBERTa's.
"""

from sonant.models.discrete_bert import DiscreteBERTConfig
from sonant.pretraining import Batching, MaskedTokensConfig
from sonant.training import Linear, Training
from sonant.training.runs import PretrainingRun, Stage


def recipe() -> PretrainingRun:
    """Masked tokens for 250,000 steps; needs teacher=MODEL, the vq-wav2vec that makes the tokens."""
    return PretrainingRun(
        name="discrete_bert_base",
        model=DiscreteBERTConfig(),
        stages=(
            Stage(
                name="tokens",
                objective=MaskedTokensConfig(),
                batching=Batching(batch_seconds=30.72, max_seconds=20.46, min_seconds=0.5, fill="shortest"),
                training=Training(
                    steps=250_000,
                    lr=1e-5,
                    schedule=Linear(warmup=0.04),
                    grad_accumulation=128,
                    precision="bfloat16",
                ),
            ),
        ),
    )
