"""WavLM Base for 960 hours of LibriSpeech, with the first iteration that gives its targets as the first stage.

The stages are those of `hubert_base`, with mixing in the last: the authors refer to HuBERT's recipe for the rest, which
is 46.7 minutes of speech an update. The paper's batch is quoted as 350 s (unilm issue 1742), which readers take as that
of each of 32 GPUs, 187 minutes an update: stages.layer6.training.grad_accumulation=128.
"""

from dataclasses import replace

from sonant.audio.augment import Mixing
from sonant.models import WavLMConfig
from sonant.recipes import hubert_base
from sonant.recipes.sources import SettingSource
from sonant.training.runs import PretrainingRun

AUTHORS = "unilm issues 526 and 675: its authors refer to HuBERT's recipe"
MIXING_CODE = "UniSpeech, data/audio/utterance_mixing_dataset.py"
SOURCES = hubert_base.SOURCES | {
    "model": SettingSource("released", "unilm, wavlm/WavLM.py; rates of dropout: torchaudio's bundle WAVLM_BASE"),
    "model.max_distance": SettingSource("released", "the released checkpoints; the code's default is 1280"),
    "stages.*": SettingSource("reported", f"{AUTHORS}, {hubert_base.CONFIG}"),
    "stages.*.objective": SettingSource("reported", f"{AUTHORS}, {hubert_base.CONFIG}"),
    "stages.*.batching": SettingSource("reported", f"{AUTHORS}, {hubert_base.CONFIG}"),
    "stages.mfcc.objective.targets": SettingSource(
        "inferred", "HuBERT's first iteration; the original teacher is a HuBERT"
    ),
    "stages.layer6.objective.targets": SettingSource(
        "recalled", "arXiv 2110.13900: layer 6 of HuBERT's first iteration"
    ),
    "stages.layer6.mixing": SettingSource("released", MIXING_CODE),
    "stages.layer6.mixing.allow_self": SettingSource(
        "ours", "no clip is mixed with itself", f"{MIXING_CODE}: it may be", ("stages.layer6.mixing.allow_self=true",)
    ),
    "stages.layer6.training.steps": SettingSource("recalled", "arXiv 2110.13900"),
    "stages.layer6.training.grad_accumulation": SettingSource(
        "reported",
        f"{AUTHORS}: 32 GPUs with 87.5 s each, 46.7 min an update",
        "unilm issue 1742 quotes the paper: 350 s, which readers take as that of each of 32 GPUs, 187 min an update",
        ("stages.layer6.training.grad_accumulation=128",),
    ),
}


def recipe() -> PretrainingRun:
    """Clusters of MFCC for 250,000 steps, then of layer 6 with utterance mixing for 400,000."""
    hubert = hubert_base.recipe()
    first, second = hubert.stages
    mixed = replace(second, mixing=Mixing(probability=0.2))
    return replace(hubert, name="wavlm_base", model=WavLMConfig(), stages=(first, mixed))
