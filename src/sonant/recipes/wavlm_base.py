"""WavLM Base as published, with its targets made from scratch.

The paper's Base takes its labels from a first-iteration HuBERT (layer 6, 500 clusters); here the first stage makes that
model. Steps, masks, loss and mixing follow HuBERT and WavLM (arXiv 2106.07447, 2110.13900); 960 hours of LibriSpeech.
On one device a step is `grad_accumulation` batches, so that an update sees what 32 devices saw.
"""

from sonant.audio.augment import Mixing
from sonant.models import WavLMConfig
from sonant.pretraining import Batching, LayerTargets, MaskedPredictionConfig, MFCCTargets
from sonant.training import Training
from sonant.training.runs import PretrainingRun, Stage

BATCHING = Batching(batch_seconds=87.5, max_seconds=15.625, min_seconds=2.0, fill="shortest")


def recipe() -> PretrainingRun:
    """MFCC clusters for 250,000 steps, then clusters of layer 6 with utterance mixing for 400,000."""
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
