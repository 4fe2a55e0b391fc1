"""Recognition of speech by CTC: characters from transcripts; needs model=MODEL and data=MANIFEST.

In the manner of wav2vec 2.0 (arXiv 2006.11477, and fairseq `examples/wav2vec/config/finetuning`): the feature extractor
is not trained, the head learns alone at first, and the rate rises, stays and decays. Steps and rates are ours, for
minutes to hours of speech, and there are no masks: augmentation.time_fraction=0.65 augmentation.channel_fraction=0.25
are those of the published runs on ten minutes and one hour.
"""

from sonant.recipes.sources import TASK_SETTINGS, SettingSource, Sources
from sonant.training import PartSettings, Training, TriStage
from sonant.training.tasks import CTCTask, TaskRun

OURS = SettingSource("ours", "for minutes to hours of speech")


def sources(_: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    return dict.fromkeys(TASK_SETTINGS, OURS)


def recipe(name: str) -> TaskRun:
    """4,000 steps of 64 s of audio; the backbone learns from step 500 on, at a fifth of the rate of the head."""
    return TaskRun(
        name=name,
        task=CTCTask(),
        label="text",
        layer="last",
        frozen="extractor",
        training=Training(
            steps=4_000,
            lr=5e-4,
            schedule=TriStage(),
            eps=1e-8,
            weight_decay=0.0,
            clip_norm=1.0,
            parts=(PartSettings(name="backbone", lr_factor=0.2, frozen_steps=500),),
            save_every=200,
            validate_every=200,
        ),
    )
