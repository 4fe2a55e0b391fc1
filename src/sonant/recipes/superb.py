"""Tasks of SUPERB over a frozen model, with the published heads and rates; `sonant evaluate superb` trains them all.

Sources: SUPERB (arXiv 2105.01051), SUPERB-SG (arXiv 2203.06849) and their code, s3prl. A batch is as many seconds as
the published number of recordings has on average in the published corpus.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sonant.models.token_decoder import TokenDecoderConfig
from sonant.recipes.sources import TASK_SETTINGS, SettingSource, Sources
from sonant.training import Training, TriStage
from sonant.training.tasks import (
    CTCTask,
    DiarizationTask,
    LabeledBatching,
    SlotTask,
    Task,
    TaskRun,
    TranslationTask,
    UtteranceTask,
)

PREFIX = "superb_"
CONSTANT = TriStage(warmup=0.0, hold=1.0, decay=0.0)
WARMED = TriStage(warmup=10_000 / 32_000, hold=0.0, decay=22_000 / 32_000, initial_scale=1e-4, final_scale=0.56)


@dataclass(frozen=True)
class _Recipe:
    """Published settings of a task.

    Attributes:
        label: field of the manifests, or several.
        batch_seconds: of a batch.
        max_seconds: of a recording, or of a piece of one that can be divided.
        config: file of s3prl, below `s3prl/downstream`.
        notes: what is otherwise there, by setting.
    """

    task: Task
    label: str | tuple[str, ...]
    lr: float
    steps: int
    batch_seconds: float
    config: str
    grad_accumulation: int = 1
    max_seconds: float = 40.0
    notes: Mapping[str, SettingSource] | None = None


ACCURACY = UtteranceTask(choose_by="accuracy")
RECURRENT = SettingSource(
    "ours",
    "two LSTM layers of 1,024 in both directions, without masks",
    "s3prl has a projection to 1,024 before them, dropout behind the second too, and masks the states",
)
RECIPES: Mapping[str, _Recipe] = {
    "superb_pr": _Recipe(
        CTCTask(vocabulary="phones"),
        *("phones", 1e-2, 100_000, 200.0, "ctc/libriphone.yaml"),
        grad_accumulation=2,
        notes={
            "task": SettingSource(
                "ours", "one linear layer", "s3prl has two, to 256 and to the phones, with nothing between them"
            )
        },
    ),
    "superb_asr": _Recipe(
        CTCTask(normalize="upper", lstm_dim=1024),
        *("text", 1e-4, 200_000, 400.0, "asr/config.yaml"),
        notes={"task": RECURRENT},
    ),
    "superb_ks": _Recipe(ACCURACY, *("label", 1e-4, 200_000, 32.0, "speech_commands/config.yaml")),
    "superb_ic": _Recipe(
        UtteranceTask(), *(("action", "object", "location"), 1e-4, 200_000, 74.0, "fluent_commands/config.yaml")
    ),
    "superb_sf": _Recipe(
        SlotTask(normalize="upper", lstm_dim=1024),
        *(("text", "slots"), 1e-4, 200_000, 100.0, "ctc/snips.yaml"),
        notes={"task": RECURRENT},
    ),
    "superb_er": _Recipe(ACCURACY, *("label", 1e-4, 30_000, 36.0, "emotion/config.yaml"), grad_accumulation=4),
    "superb_sd": _Recipe(
        DiarizationTask(lstm_dim=512, bidirectional=False),
        *("segments", 1e-4, 30_000, 160.0, "diarization/config.yaml"),
        grad_accumulation=4,
        max_seconds=20.0,
    ),
    "superb_st": _Recipe(
        TranslationTask(
            decoder=TokenDecoderConfig(dim=256, num_layers=3, num_heads=4, feed_forward_dim=2048), vocabulary="subwords"
        ),
        *("translation", 1e-3, 32_000, 400.0, "speech_translation/config.yaml"),
        grad_accumulation=8,
        notes={
            "task": SettingSource(
                "ours",
                "the decoder reads the states",
                "s3prl trains three blocks of an encoder between the states and the decoder",
            ),
            "training.schedule": SettingSource(
                "ours",
                "10,000 steps of warm-up, then an exponential decay to 0.56",
                "the inverse square root, as there",
            ),
        },
    ),
}


def sources(name: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    recipe = RECIPES[name]
    released = SettingSource("released", f"s3prl, downstream/{recipe.config}")
    batch = SettingSource("inferred", f"{released.where}: the published number of recordings, in seconds")
    return dict.fromkeys(TASK_SETTINGS, released) | {"batching": batch} | (dict(recipe.notes) if recipe.notes else {})


def recipe(name: str) -> TaskRun:
    """Return the published run of a task."""
    given = RECIPES[name]
    training = Training(
        steps=given.steps,
        lr=given.lr,
        schedule=WARMED if name == "superb_st" else CONSTANT,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0.0,
        clip_norm=1.0,
        grad_accumulation=given.grad_accumulation,
        validate_every=2_000,
        save_every=1_000,
    )
    return TaskRun(
        name=name,
        task=given.task,
        label=given.label,
        batching=LabeledBatching(
            batch_seconds=given.batch_seconds, max_seconds=min(given.batch_seconds, given.max_seconds)
        ),
        training=training,
    )
