"""Recognition and translation of speech by a Transformer decoder; needs model=MODEL and data=MANIFEST.

The decoder is small, for minutes to hours of speech. As in recognition by CTC, the feature extractor is not trained,
and the decoder learns alone at first. `seq2seq_log_mel` trains everything from random weights, for more speech.
"""

from dataclasses import replace

from sonant.models.token_decoder import TokenDecoderConfig
from sonant.recipes.sources import TASK_SETTINGS, SettingSource, Sources
from sonant.training import PartSettings, Training, TriStage
from sonant.training.tasks import Seq2SeqTask, TaskRun, TranslationTask

OURS = SettingSource("ours", "for minutes to hours of speech")
SMOOTHING = SettingSource("published", "Vaswani et al. 2017 (arXiv 1706.03762), section 5.4")
FROM_SCRATCH = SettingSource("ours", "for tens of hours of speech, labeled or pseudo-labeled")
PAPER = SettingSource(
    "ours",
    FROM_SCRATCH.where,
    "Xu et al. 2020 (arXiv 2010.11430): 5,000 word pieces for 100 h and less, 10,000 for 960 h; a Transformer of 36 "
    "layers behind 4 convolutions, 768 wide, feed-forward 3,072, 4 heads",
    ("task.vocabulary=subwords", "task.num_subwords=5000"),
)


def sources(name: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    if name == "seq2seq_log_mel":
        return dict.fromkeys(TASK_SETTINGS, FROM_SCRATCH) | {"task": PAPER, "task.smoothing": SMOOTHING}
    return dict.fromkeys(TASK_SETTINGS, OURS) | {"task.smoothing": SMOOTHING}


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
    if name == "seq2seq_log_mel":
        return replace(
            run,
            model="log_mel_small",
            task=Seq2SeqTask(decoder=decoder, num_convs=2),
            frozen="nothing",
            training=replace(run.training, steps=40_000, parts=(), save_every=1_000, validate_every=1_000),
        )
    if name == "translation":
        return replace(run, task=TranslationTask(decoder=decoder), label="translation")
    return run
