"""wav2vec 2.0 Large for 960 hours of LibriSpeech: post-norm blocks, group norm in the extractor.

fairseq has no configuration of this run; fairseq2, by the same company, has one.
"""

from dataclasses import replace

from sonant.layers.gumbel_quantizer import Temperature
from sonant.models.wav2vec2 import LARGE_LS960
from sonant.pretraining import MaskedContrastConfig
from sonant.recipes import wav2vec2_base
from sonant.recipes.sources import SettingSource, whole_spans
from sonant.training.runs import PretrainingRun

OBJECTIVE = MaskedContrastConfig(quantized_dim=768, projection_dim=768, temperature=Temperature(end=0.1))

CONFIG = "fairseq2, recipes/wav2vec2/ssl/configs/large_960h.yaml"
GPUS = SettingSource(
    "recalled", "arXiv 2006.11477, section 4.2: 128 GPUs, 2.7 h an update; no number in fairseq2's file"
)
SOURCES = {
    "model": SettingSource("released", "fairseq2, models/wav2vec2/config.py, large"),
    "model.input_dropout": SettingSource("released", CONFIG),
    "stages.*": SettingSource("released", f"{CONFIG}; defaults beside it, in config.py"),
    "stages.*.objective": SettingSource("released", "fairseq2, models/wav2vec2/config.py, large; ssl/criterion.py"),
    "stages.*.objective.feature_dropout": SettingSource("inferred", f"Base's, {wav2vec2_base.CONFIG}"),
    "stages.*.objective.masking": wav2vec2_base.SOURCES["stages.*.objective"],
    "stages.*.objective.masking.equal": whole_spans("contrast"),
    "stages.*.objective.temperature.end": SettingSource(
        "recalled",
        "arXiv 2006.11477, section 4.2",
        "fairseq2's large has Base's",
        ("stages.contrast.objective.temperature.end=0.5",),
    ),
    "stages.*.batching": SettingSource("released", f"{CONFIG}: at most 1.2 M samples"),
    "stages.*.batching.fill": wav2vec2_base.SOURCES["stages.*.batching"],
    "stages.*.training.grad_accumulation": GPUS,
    "stages.*.training.clip_norm": SettingSource("inferred", f"none, as in {wav2vec2_base.CONFIG}"),
    "stages.*.training.precision": wav2vec2_base.PRECISION,
}


def recipe() -> PretrainingRun:
    """250,000 steps of 128 batches of 75 s (2.7 hours)."""
    base = wav2vec2_base.recipe()
    (stage,) = base.stages
    large = replace(
        stage,
        objective=OBJECTIVE,
        batching=replace(stage.batching, batch_seconds=75.0, max_seconds=20.0),
        training=replace(stage.training, steps=250_000, lr=3e-4, grad_accumulation=128),
    )
    return replace(base, name="wav2vec2_large", model=LARGE_LS960, stages=(large,))
