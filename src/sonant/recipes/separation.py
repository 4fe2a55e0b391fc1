"""Enhancement of speech and separation of speakers; need model=MODEL and data=MANIFEST.

"superb_se" and "superb_ss" are the tasks of SUPERB-SG (arXiv 2203.06849) on Voicebank-DEMAND and
Libri2Mix, from mixtures with their sources. "enhancement" and "separation" are ours: mixtures are made of single
speakers while training, and the network reads log-magnitudes beside the states.
"""

from dataclasses import replace

from sonant.layers.stft import STFT
from sonant.recipes.sources import TASK_SETTINGS, SettingSource, Sources
from sonant.recipes.superb import CONSTANT
from sonant.training import Linear, PartSettings, Training
from sonant.training.tasks import Augmentation, EnhancementTask, MaskTask, SeparationTask, SourceMixing, TaskRun

OURS = SettingSource("ours", "for some thousand recordings of single speakers")
S3PRL = SettingSource("recalled", "s3prl, downstream/enhancement_stft and separation_stft; arXiv 2203.06849, appendix")


def sources(name: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    if not name.startswith("superb"):
        return dict.fromkeys(TASK_SETTINGS, OURS)
    batches = SettingSource("inferred", "8 utterances of 8 s, in seconds of audio as batches are here")
    return dict.fromkeys(TASK_SETTINGS, S3PRL) | {"batching": batches}


def recipe(name: str) -> TaskRun:
    """2,000 steps of 64 s of audio in crops of 4 s, or 150,000 of SUPERB-SG."""
    task: MaskTask = EnhancementTask() if name in ("enhancement", "superb_se") else SeparationTask()
    run = TaskRun(name=name, task=task, label="target")
    if name.startswith("superb"):
        network = replace(
            task,
            mixtures="given",
            objective="phase_sensitive",
            stft=STFT(window=512, hop=320),
            inputs="states",
            hidden_dim=896,
            num_layers=3,
            dropout=0.5,
        )
        training = Training(steps=150_000, lr=1e-4, schedule=CONSTANT, save_every=2_000, validate_every=2_000)
        return replace(run, task=network, training=training)
    if isinstance(task, EnhancementTask):
        task = replace(task, mixing=SourceMixing(noise_probability=1.0))
    training = Training(
        steps=2_000,
        lr=1e-3,
        schedule=Linear(warmup=0.1),
        clip_norm=5.0,
        parts=(PartSettings(name="backbone", lr_factor=0.05),),
        save_every=200,
        validate_every=200,
    )
    return replace(run, task=task, augmentation=Augmentation(crop_seconds=4.0), training=training)
