"""Recognition of phones by CTC over a frozen model; needs model=MODEL and data=MANIFEST.

As in SUPERB (arXiv 2105.01051): one linear layer over a weighted sum of all states. Transcripts are phones with spaces
between them, in the field `phones`; or label=text task.lexicon=FILE takes those of words. Steps and rates are ours, for
an hour of speech or more, of which states are computed once with cache=FOLDER.
"""

from sonant.recipes.sources import TASK_SETTINGS, SettingSource, Sources
from sonant.training import Linear, Training
from sonant.training.tasks import CTCTask, TaskRun

OURS = SettingSource("ours", "for an hour of speech")
SUPERB = SettingSource("published", "SUPERB (arXiv 2105.01051), section 3.2: phone recognition")


def sources(_: str) -> Sources:
    """Return the sources of the settings, as `sonant.recipes.sources.sources_of` does."""
    return dict.fromkeys(TASK_SETTINGS, OURS) | dict.fromkeys(("task", "layer", "frozen"), SUPERB)


def recipe(name: str) -> TaskRun:
    """4,000 steps of 64 s of audio."""
    return TaskRun(
        name=name,
        task=CTCTask(vocabulary="phones"),
        label="phones",
        training=Training(
            steps=4_000, lr=1e-2, schedule=Linear(warmup=0.1), clip_norm=1.0, save_every=200, validate_every=200
        ),
    )
