"""WavLM Base for 960 hours of LibriSpeech, with the first-iteration HuBERT that gives its targets as the first stage.

Source: HuBERT and WavLM (arXiv 2106.07447, 2110.13900). A step is `grad_accumulation` batches, for 32 devices.
"""

from sonant.audio.augment import Mixing
from sonant.models import WavLMConfig
from sonant.pretraining import Batching, LayerTargets, MaskedPredictionConfig, MFCCTargets
from sonant.training import Training
from sonant.training.runs import PretrainingRun, Stage

BATCHING = Batching(batch_seconds=87.5, max_seconds=15.625, min_seconds=2.0, fill="shortest")


def recipe() -> PretrainingRun:
    """Clusters of MFCC for 250,000 steps, then of layer 6 with utterance mixing for 400,000."""
    return PretrainingRun(
        name="wavlm_base",
        model=WavLMConfig(),
        stages=(
            Stage(
                name="mfcc",
                objective=MaskedPredictionConfig(targets=MFCCTargets(num_clusters=100)),
                batching=BATCHING,
                training=Training(steps=250_000, grad_accumulation=32, precision="bfloat16"),
            ),
            Stage(
                name="layer6",
                objective=MaskedPredictionConfig(targets=LayerTargets(layer=6, num_clusters=500)),
                batching=BATCHING,
                mixing=Mixing(probability=0.2),
                training=Training(steps=400_000, grad_accumulation=32, precision="bfloat16"),
            ),
        ),
    )
