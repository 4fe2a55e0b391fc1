"""HuBERT Base, both iterations: the stages of `wavlm_base` without mixing, for 960 hours of LibriSpeech.

Source: arXiv 2106.07447, section IV, and fairseq's `hubert_base_librispeech.yaml`: lr 5e-4, warm-up over 8 % of the
updates, 32 devices with 87.5 s each, clipping at 10. The released model is that of the second iteration.
"""

from dataclasses import replace

from sonant.audio.augment import Mixing
from sonant.models import HuBERTConfig
from sonant.recipes import wavlm_base
from sonant.training.runs import PretrainingRun


def recipe() -> PretrainingRun:
    """100 clusters of MFCC for 250,000 steps, then 500 clusters of the first iteration's layer 6 for 400,000."""
    wavlm = wavlm_base.recipe()
    stages = tuple(replace(stage, mixing=Mixing(probability=0.0)) for stage in wavlm.stages)
    return replace(wavlm, name="hubert_base", model=HuBERTConfig(), stages=stages)
