"""The base model of the wav2vec paper: 400,000 updates on the 960 hours of LibriSpeech.

Source: arXiv 1904.05862, section 4.2, and the command in fairseq's `examples/wav2vec/README.md` (batches, rates,
schedule); Adam and the largest gradient norm as fairseq had them by default in 2019. The shortest crop is ours, and so
is the start of the extractor: its weights are 2.4 times as large as torch's default, which the norms behind them hide,
but at the same rate they turn more slowly. On one device a step is
`grad_accumulation` batches, so that an update sees what 8 devices saw.
"""

from sonant.models import Wav2VecConfig
from sonant.pretraining import Batching, CPCConfig
from sonant.training import Cosine, Training
from sonant.training.runs import PretrainingRun, Stage


def recipe() -> PretrainingRun:
    """One stage of CPC; every setting of the objective is its default."""
    return PretrainingRun(
        name="wav2vec_base",
        model=Wav2VecConfig(),
        stages=(
            Stage(
                name="contrast",
                objective=CPCConfig(),
                batching=Batching(batch_seconds=93.75, max_seconds=9.375, min_seconds=1.0, fill="shortest"),
                training=Training(
                    steps=400_000,
                    lr=5e-3,
                    schedule=Cosine(),  # from 1e-7 in 500 updates, and down to 1e-6
                    betas=(0.9, 0.999),
                    eps=1e-8,
                    weight_decay=0.0,
                    clip_norm=25.0,
                    grad_accumulation=8,
                    precision="bfloat16",
                ),
            ),
        ),
    )
