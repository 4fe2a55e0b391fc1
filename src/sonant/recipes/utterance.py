"""Labels of whole recordings, such as keyword, language or emotion; needs model=MODEL and data=MANIFEST.

`utterance` is one label, `tags` several that do not exclude each other, `regression` a number.

The head reads a weighted sum of all states of the frozen model, as in SUPERB (arXiv 2105.01051), whose probes of whole
recordings are alike; steps and rates are ours, for some thousand recordings. frozen=extractor trains the model too, at
a twentieth of the head's rate.
"""

from sonant.recipes.sources import TASK_SETTINGS, SettingSource, Sources
from sonant.training import Linear, PartSettings, Training
from sonant.training.tasks import RegressionTask, TagTask, TaskRun, UtteranceTask

TASKS = {"utterance": UtteranceTask(), "tags": TagTask(), "regression": RegressionTask()}
OURS = SettingSource("ours", "for some thousand recordings")


def sources(_: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    return dict.fromkeys(TASK_SETTINGS, OURS)


def recipe(name: str) -> TaskRun:
    """2,000 steps of 64 s of audio."""
    return TaskRun(
        name=name,
        task=TASKS[name],
        label="labels" if name == "tags" else "label",
        training=Training(
            steps=2_000,
            lr=1e-3,
            schedule=Linear(warmup=0.1),
            clip_norm=1.0,
            parts=(PartSettings(name="backbone", lr_factor=0.05),),
            save_every=200,
            validate_every=200,
        ),
    )
