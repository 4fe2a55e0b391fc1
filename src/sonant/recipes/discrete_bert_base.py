"""BERT on discretized speech, base size: masked tokens over the codes of a vq-wav2vec.

960 hours of LibriSpeech are about 345 million tokens, 100 a second.
"""

from sonant.models.discrete_bert import DiscreteBERTConfig
from sonant.pretraining import Batching, MaskedTokensConfig
from sonant.recipes.sources import SettingSource
from sonant.training import Linear, Training
from sonant.training.runs import PretrainingRun, Stage

PAPER = "arXiv 1910.05453, section 5.3"
CHECKPOINT = SettingSource("reported", "fairseq issue 1929, arguments of the released checkpoint")
SOURCES = {
    "model": SettingSource("published", PAPER),
    "stages.*": SettingSource("published", PAPER),
    "stages.*.objective.masking.min_spans": SettingSource("released", "fairseq, data/mask_tokens_dataset.py"),
    "stages.*.objective.masking.equal": SettingSource("released", "fairseq, data/mask_tokens_dataset.py"),
    "stages.*.objective.keep_probability": SettingSource("released", "fairseq, data/mask_tokens_dataset.py"),
    "stages.*.objective.random_probability": SettingSource("released", "fairseq, data/mask_tokens_dataset.py"),
    "stages.*.batching": SettingSource("ours", "the paper does not crop; here clips are, to the model's positions"),
    "stages.*.batching.batch_seconds": SettingSource("published", f"{PAPER}: 3072 tokens on each GPU"),
    "stages.*.training.betas": CHECKPOINT,
    "stages.*.training.eps": CHECKPOINT,
    "stages.*.training.weight_decay": SettingSource("inferred", "RoBERTa's, whose code it is"),
    "stages.*.training.decay_vectors": SettingSource("inferred", "RoBERTa's, whose code it is"),
    "stages.*.training.clip_norm": SettingSource("inferred", "no setting was found; HuBERT's"),
    "stages.*.training.grad_accumulation": SettingSource("published", f"{PAPER}: 128 GPUs"),
    "stages.*.training.precision": SettingSource("ours", "the original has float16 with a scaled loss"),
}


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
