"""Recognition and translation of speech by a Transformer decoder; needs model=MODEL and data=MANIFEST.

The decoder is small, for minutes to hours of speech. As in recognition by CTC, the feature extractor is not trained,
and the decoder learns alone at first.
"""

from dataclasses import replace

from sonant.models.token_decoder import TokenDecoderConfig
from sonant.recipes.sources import TASK_SETTINGS, SettingSource, Sources
from sonant.training import PartSettings, Training, TriStage
from sonant.training.tasks import Seq2SeqTask, TaskRun, TranslationTask

OURS = SettingSource("ours", "for minutes to hours of speech")


def sources(_: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    return dict.fromkeys(TASK_SETTINGS, OURS) | {
        "task.smoothing": SettingSource(
            "released", "fairseq criterions/label_smoothed_cross_entropy.py, as it is used"
        ),
        "task.ctc_weight": SettingSource("released", "ESPnet egs2/librispeech/asr1/conf, ctc_weight: 0.3"),
    }


def recipe(name: str) -> TaskRun:
    """6,000 steps of 64 s of audio; the backbone learns from step 1,000 on, at a fifth of the rate of the decoder."""
    decoder = TokenDecoderConfig(dim=256, num_layers=6, num_heads=4, feed_forward_dim=1024)
    run = TaskRun(
        name=name,
        task=Seq2SeqTask(decoder=decoder),
        label="text",
        layer="last",
        frozen="extractor",
        training=Training(
            steps=6_000,
            lr=1e-3,
            schedule=TriStage(),
            eps=1e-8,
            weight_decay=0.0,
            clip_norm=1.0,
            parts=(PartSettings(name="backbone", lr_factor=0.2, frozen_steps=1_000),),
            save_every=200,
            validate_every=200,
        ),
    )
    if name == "translation":
        return replace(run, task=TranslationTask(decoder=decoder), label="translation")
    return run
