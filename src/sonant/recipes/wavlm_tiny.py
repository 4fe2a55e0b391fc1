"""sonant/wavlm-tiny: WavLM of 7 million parameters; an evening on two CPU cores."""

from sonant.audio.augment import Mixing
from sonant.models.wavlm import TINY
from sonant.pretraining import LayerTargets, MaskedPredictionConfig, MFCCTargets
from sonant.recipes import tiny
from sonant.training.runs import PretrainingRun, Stage

SOURCES = tiny.SOURCES


def recipe() -> PretrainingRun:
    """Clusters of MFCC, then of layer 5 of the first stage, with utterance mixing.

    For a short run, the extractor is trained first, and the first stage has a loss on unmasked frames too.
    """
    return PretrainingRun(
        name="wavlm_tiny",
        model=TINY,
        stages=(
            Stage(
                name="mfcc",
                objective=MaskedPredictionConfig(
                    targets=MFCCTargets(num_clusters=100, subtract_mean=True),
                    unmasked_weight=0.5,
                    feature_penalty=0.1,
                    extractor_gradient=1.0,
                ),
                extractor_steps=600,
                batching=tiny.BATCHING,
                training=tiny.training(3_000),
            ),
            Stage(
                name="layer5",
                objective=MaskedPredictionConfig(
                    targets=LayerTargets(layer=5, num_clusters=250), feature_penalty=0.1, extractor_gradient=1.0
                ),
                start="previous",
                batching=tiny.BATCHING,
                mixing=Mixing(probability=0.2),
                training=tiny.training(3_500),
            ),
        ),
    )
