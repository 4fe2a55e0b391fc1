"""sonant/wavlm-tiny: a WavLM of 7 million parameters that two CPU cores pretrain in an evening."""

from sonant.audio.augment import Mixing
from sonant.models.wavlm import TINY
from sonant.pretraining import Batching, LayerTargets, MaskedPredictionConfig, MFCCTargets
from sonant.recipes.pretraining import PretrainingRun, Stage
from sonant.training import Linear, Training

BATCHING = Batching(batch_seconds=16.0, max_seconds=6.0, min_seconds=1.0)


def recipe() -> PretrainingRun:
    """MFCC clusters first; then clusters of the model's own fifth layer, with utterance mixing.

    So short a run begins with the extractor alone, and counts the frames in view in its first stage.
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
                batching=BATCHING,
                training=_training(steps=3_000),
            ),
            Stage(
                name="layer5",
                objective=MaskedPredictionConfig(
                    targets=LayerTargets(layer=5, num_clusters=250), feature_penalty=0.1, extractor_gradient=1.0
                ),
                start="previous",
                batching=BATCHING,
                mixing=Mixing(probability=0.2),
                training=_training(steps=3_500),
            ),
        ),
    )


def _training(steps: int) -> Training:
    return Training(
        steps=steps,
        peak_rate=1e-3,
        schedule=Linear(warmup=0.08),
        clip_norm=1.0,
        precision="bfloat16",
        log_every=50,
        save_every=500,
    )
