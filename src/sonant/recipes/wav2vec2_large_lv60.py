"""wav2vec 2.0 Large on the 53,200 hours of Libri-Light (LV-60): norms first, layer norms in the extractor.

Rate and updates are the paper's (arXiv 2006.11477, section 4.2). fairseq's `wav2vec2_large_librivox.yaml`, from which
the absence of the feature penalty and the whole gradient of the extractor are taken, says 0.005 and a million updates.
Its dropouts are 0 too; those here are in the released checkpoint.
"""

from dataclasses import replace

from sonant.models.wav2vec2 import LARGE_LV60
from sonant.recipes import wav2vec2_large
from sonant.training.runs import PretrainingRun

OBJECTIVE = replace(wav2vec2_large.OBJECTIVE, feature_penalty=0.0, extractor_gradient=1.0)


def recipe() -> PretrainingRun:
    """The batches of Large for 600,000 updates, without what keeps the extractor back."""
    large = wav2vec2_large.recipe()
    (stage,) = large.stages
    longer = replace(
        stage,
        objective=OBJECTIVE,
        training=replace(stage.training, steps=600_000),
    )
    return replace(large, name="wav2vec2_large_lv60", model=LARGE_LV60, stages=(longer,))
