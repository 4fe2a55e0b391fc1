"""wav2vec 2.0 Large for 53,200 hours of Libri-Light (LV-60): pre-norm blocks, layer norms in the extractor.

lr and steps are the paper's (arXiv 2006.11477, section 4.2); feature penalty and extractor gradient are those of
fairseq's `wav2vec2_large_librivox.yaml`, which has lr 0.005, a million steps and no dropout. Dropouts here are those of
the released checkpoint.
"""

from dataclasses import replace

from sonant.models.wav2vec2 import LARGE_LV60
from sonant.recipes import wav2vec2_large
from sonant.training.runs import PretrainingRun

OBJECTIVE = replace(wav2vec2_large.OBJECTIVE, feature_penalty=0.0, extractor_gradient=1.0)


def recipe() -> PretrainingRun:
    """600,000 steps with the batches of Large."""
    large = wav2vec2_large.recipe()
    (stage,) = large.stages
    longer = replace(
        stage,
        objective=OBJECTIVE,
        training=replace(stage.training, steps=600_000),
    )
    return replace(large, name="wav2vec2_large_lv60", model=LARGE_LV60, stages=(longer,))
