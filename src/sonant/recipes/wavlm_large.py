"""WavLM Large: the last stage of Base+ with the large model, and targets of a Base model (`wavlm_base` or published).

Objective, lr and batch are those of HuBERT Large, whose recipe the authors refer to; theirs are not published.
"""

from dataclasses import replace

from sonant.models.wavlm import LARGE
from sonant.recipes import hubert_large, wavlm_base, wavlm_base_plus
from sonant.recipes.sources import SettingSource, whole_spans
from sonant.training.runs import PretrainingRun

HUBERT = SettingSource("inferred", f"HuBERT Large's, {hubert_large.CONFIG}; {wavlm_base.AUTHORS}")
SOURCES = {
    "model": SettingSource("released", "unilm, wavlm/WavLM.py; rates of dropout: torchaudio's bundle WAVLM_LARGE"),
    "model.max_distance": wavlm_base.SOURCES["model.max_distance"],
    "model.normalize": replace(hubert_large.NORMALIZE, where="the released checkpoint"),
    "model.layerdrop": SettingSource(
        "released", "torchaudio's bundle WAVLM_LARGE", "config.json of Hugging Face", ("model.layerdrop=0.1",)
    ),
    "stages.*": HUBERT,
    "stages.*.objective.masking.equal": whole_spans("large"),
    "stages.*.objective.targets": SettingSource("recalled", "arXiv 2110.13900: layer 9 of the released HuBERT Base"),
    "stages.*.mixing": SettingSource("released", wavlm_base.MIXING_CODE),
    "stages.*.mixing.noise_probability": SettingSource("recalled", "arXiv 2110.13900"),
    "stages.*.mixing.allow_self": replace(
        wavlm_base.SOURCES["stages.layer6.mixing.allow_self"], changes=("stages.large.mixing.allow_self=true",)
    ),
    "stages.*.training.steps": SettingSource("recalled", "arXiv 2110.13900"),
    "stages.*.training.precision": hubert_large.SOURCES["stages.*.training.precision"],
}


def recipe() -> PretrainingRun:
    """Clusters of the teacher's layer 9, speech and noise mixed in; needs teacher=MODEL and noise=MANIFEST."""
    base = wavlm_base_plus.recipe()
    stage = base.stages[-1]
    large = replace(
        stage,
        name="large",
        batching=replace(stage.batching, batch_seconds=56.25),
        training=replace(stage.training, lr=1.5e-3, clip_norm=1.0, grad_accumulation=128),
        objective=hubert_large.OBJECTIVE,
    )
    return replace(base, name="wavlm_large", model=LARGE, stages=(large,))
